"""Bad options and outputs: one line with the remedy, before any work, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Case = tuple[Callable[[Any], list[object]], tuple[str, ...]]

CASES: dict[str, Case] = {
    "model into a missing folder": (
        lambda b: b.train(out=b.folder / "none" / "m.safetensors"),
        ("none does not exist", "create it first"),
    ),
    "model into a file": (
        lambda b: b.train(out=b.file("plain", "text") / "m.safetensors"),
        ("plain does not exist", "create it first"),
    ),
    "model without its suffix": (
        lambda b: b.train(out=b.folder / "m.pth"),
        ("m.pth", "ends in .safetensors"),
    ),
    "folder as model": (
        lambda b: b.train(out=b.folder_named("m.safetensors")),
        ("m.safetensors is a folder", "give the name of a file"),
    ),
    "folder as points": (
        lambda b: [
            "classify", b.lab.model, b.lab.image, "--points", b.lab.points,
            "--out", b.folder_named("out.csv"),
        ],
        ("out.csv is a folder", "give the name of a file"),
    ),
    "map into a missing folder": (
        lambda b: b.paint(out=b.folder / "none" / "map.ome.zarr"),
        ("none does not exist", "create it first"),
    ),
    "map with another suffix": (
        lambda b: b.paint(out=b.folder / "map.png"),
        ("map.png", ".ome.zarr or .ome.tif"),
    ),
    "map that exists": (
        lambda b: b.paint(out=b.file("map.ome.tif", "precious")),
        ("map.ome.tif exists already", "--overwrite"),
    ),
    "report into a file": (
        lambda b: b.train("--report", b.file("plain", "text")),
        ("plain is a file", "folder"),
    ),
    "demo into a file": (
        lambda b: ["demo", "--out", b.file("plain", "text")],
        ("plain is a file", "folder"),
    ),
    "demo into a missing folder": (
        lambda b: ["demo", "--out", b.folder / "none" / "demo"],
        ("none does not exist", "create it first"),
    ),
    "stride 0": (lambda b: b.paint("--stride", "0"), ("--stride: ", "1 to 64", "not 0")),
    "stride 65": (lambda b: b.paint("--stride", "65"), ("--stride: ", "1 to 64", "not 65")),
    "painted evaluation at stride 0": (
        lambda b: [
            "evaluate", b.lab.model, b.lab.image, "--points", b.lab.points, "--painted",
            "--stride", "0",
        ],
        ("--stride: ", "1 to 64", "not 0"),
    ),
    "unknown option": (
        lambda b: b.paint("--strid", "4"),
        ("--strid", "--stride", "see lungcls paint --help"),
    ),
    "unknown command": (lambda b: ["pain"], ("'pain'", "see lungcls --help")),
    "missing option": (
        lambda b: ["train", b.lab.image, "--out", b.folder / "m.safetensors"],
        ("Missing option", "--points", "see lungcls train --help"),
    ),
    "missing argument": (lambda b: ["paint"], ("MODEL", "see lungcls paint --help")),
    "not a number": (
        lambda b: b.train("--epochs", "many"),
        ("--epochs", "see lungcls train --help"),
    ),
    "epochs 0": (lambda b: b.train("--epochs", "0"), ("--epochs: ", "greater than or equal to 1")),
    "zooms 0": (lambda b: b.train("--zooms", "0,4"), ("--zooms: ", "0,4", "such as 1,4,16")),
    "zooms in words": (lambda b: b.train("--zooms", "1,big"), ("--zooms", "big")),
    "unknown optimiser": (lambda b: b.train("--optimizer", "lion"), ("--optimizer: ", "lion")),
    "tile too small": (
        lambda b: b.train("--tile", "16", "--stages", "auto"),
        ("tile of 16", "use at least 33"),
    ),
    "unknown stage": (
        lambda b: b.train("--stages", "layer1,layer9"),
        ("--stages: ", "layer1,layer9", "detail, stem, layer1"),
    ),
    "half a prior": (lambda b: b.train("--prior", "0.6,some"), ("--prior", "some", "number")),
    "prior of nothing": (lambda b: b.train("--prior", "0,1,1"), ("--prior: ", "0,1,1", "'equal'")),
    "freeze in a way of its own": (
        lambda b: b.train("--freeze", "maybe"),
        ("--freeze: ", "maybe", "'auto', 'yes' or 'no'"),
    ),
    "window of an earlier version": (
        lambda b: b.train("--window", "96"),
        ("--window", "see lungcls train --help"),
    ),
    "pixel size 0": (lambda b: b.paint("--pixel-size", "0"), ("pixel size must be positive",)),
    "unknown device": (lambda b: b.train("--device", "tpu"), ("--device: ", "'tpu'", "auto, cpu")),
    "unknown engine": (lambda b: b.train("--engine", "keras"), ("'keras'", "choose from torch")),
    "missing weights": (
        lambda b: b.train("--pretrained", b.folder / "no.pth"),
        ("no.pth", "no such file", "'imagenet'"),
    ),
    "unknown classes": (lambda b: b.train("--classes", "liver"), ("'liver'", "lung or lung-full")),
    "missing classes": (
        lambda b: b.train("--classes", b.folder / "no.yaml"),
        ("no.yaml does not exist", "check the name"),
    ),
    "bad region": (
        lambda b: b.paint("--region", "100,200"),
        ("--region 100,200", "write first:last"),
    ),
    "region of one axis": (lambda b: b.paint("--region", "0:9"), ("--region 0:9", "y0:y1,x0:x1")),
    "empty region": (lambda b: b.paint("--region", ""), ("--region", "y0:y1,x0:x1")),
    "region outside": (
        lambda b: b.paint("--region", "0:100,150:300"),
        ("region columns 150:300", "a.png", "within 0:200"),
    ),
    "backward region": (lambda b: b.paint("--region", "9:3,0:5"), ("region rows 9:3", "0:200")),
    "planes of one plane": (lambda b: b.paint("--planes", "0:1"), ("a.png is one plane",)),
    "settings that do not exist": (
        lambda b: b.train("--settings", b.file("s.yaml", "epochs: 2\nlr: 0.1\n")),
        ("s.yaml: there is no setting lr", "docs/training.md"),
    ),
    "settings out of range": (
        lambda b: b.train("--settings", b.file("s.json", '{"learning_rate": 20}')),
        ("s.json: learning_rate: ", "less than or equal to 10 (got 20)"),
    ),
    "settings that are a list": (
        lambda b: b.train("--settings", b.file("s.yaml", "- epochs")),
        ("s.yaml", "'name: value'"),
    ),
    "settings of another kind": (
        lambda b: b.train("--settings", b.file("s.txt", "")),
        ("s.txt", ".yaml or .json"),
    ),
    "search into a file": (
        lambda b: b.tune(out=b.file("plain", "text")),
        ("plain is a file", "name of a folder"),
    ),
    "search without results": (
        lambda b: ["tune", b.lab.image, "--points", b.lab.points],
        ("--out", "--storage"),
    ),
    "search for what is given": (
        lambda b: b.tune("--search", "tile=16/32"),
        ("--search tile and --tile", "leave one out"),
    ),
    "search by an unknown objective": (
        lambda b: b.tune("--objective", "loss"),
        ("--objective loss", "accuracy, f1_macro, auc_ovr"),
    ),
    "search with no trial": (lambda b: b.tune("--trials", "0"), ("--trials 0", "at least 1")),
    "search with no time": (lambda b: b.tune("--timeout", "0"), ("--timeout 0", "positive")),
    "search with folds": (
        lambda b: b.tune("--folds", "3"),
        ("3 folds were asked for", "search with one split"),
    ),
    "search in no space": (
        lambda b: b.tune("--space", b.file("space.yaml", "tile: small")),
        ("space.yaml: tile", "valid integer"),
    ),
    "search kept in a missing folder": (
        lambda b: b.tune("--storage", b.folder / "none" / "study"),
        ("none does not exist", "create it first"),
    ),
    "search kept in a file of another kind": (
        lambda b: b.tune("--storage", b.file("study", "hello\n")),
        ("study is no journal", "give another file"),
    ),
    "search kept nowhere": (
        lambda b: b.tune("--storage", f"sqlite:///{b.folder}/none/study.db"),
        ("--storage: ", "sqlite", "unable to open database file"),
    ),
    "bad planes": (lambda b: b.paint("--planes", "3"), ("--planes 3", "such as 0:100")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_left(bench, name):
    build, words = CASES[name]
    complaint = bench.complaint(*build(bench))
    for word in words:
        assert word in complaint


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("command", ["train", "tune", "paint"])
def test_device_that_is_not_there(bench, command):
    complaint = bench.complaint(*getattr(bench, command)("--device", "cuda"))
    assert "--device: there is no 'cuda' on this machine; use auto or cpu" in complaint


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
@pytest.mark.parametrize("command", ["train", "paint"])
def test_folder_that_is_read_only(bench, command):
    bench.folder.chmod(0o500)
    try:
        complaint = bench.complaint(*getattr(bench, command)())
    finally:
        bench.folder.chmod(0o700)
    assert "cannot write in" in complaint
    assert "choose another output" in complaint


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc")
@pytest.mark.parametrize("command", ["train", "paint"])
def test_place_where_not_even_root_may_write(bench, command):
    out = Path("/proc") / ("m.safetensors" if command == "train" else "map.ome.zarr")
    assert "cannot write in /proc" in bench.complaint(*getattr(bench, command)(out=out))


def test_a_bad_output_is_found_before_any_input_is_read(bench):
    wrong, none = bench.folder / "no.tif", bench.folder / "none"
    train = bench.train(image=wrong, out=none / "m.safetensors")
    paint = bench.paint(image=wrong, out=none / "map.ome.zarr")
    for command in (train, paint):
        assert "none does not exist; create it first" in bench.complaint(*command)
