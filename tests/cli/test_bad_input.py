"""Bad images, points and models: one line with the remedy, nothing left behind."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

HEADER = "index,axis-0,axis-1,class\n"
ROWS = "0,10,20,alveoli\n1,30,40,septa\n2,50,60,duct\n"

Case = tuple[Callable[[Any], list[object]], tuple[str, ...]]

CASES: dict[str, Case] = {
    "missing image": (
        lambda b: b.train(image=b.folder / "no.tif"),
        ("no.tif", "no such file", "check the path"),
    ),
    "missing points": (
        lambda b: b.train(points=b.folder / "no.csv"),
        ("no.csv does not exist", "check the name"),
    ),
    "missing model": (
        lambda b: b.paint(model=b.folder / "no.safetensors"),
        ("no.safetensors", "no such model file"),
    ),
    "not an image": (
        lambda b: b.train(image=b.file("text.png", "hello")),
        ("text.png", "is not a PNG, JPEG", "export it again"),
    ),
    "not an image by its name": (
        lambda b: b.train(image=b.file("notes.txt", "hello")),
        ("notes.txt", "convert it to one of", ".tif"),
    ),
    "damaged TIFF": (
        lambda b: b.paint(image=b.file("cut.tif", b"II*\0\x08\0\0\0")),
        ("cut.tif", "copy or export it again"),
    ),
    "points outside": (
        lambda b: b.rows(HEADER + ROWS + "3,10,200,duct\n"),
        ("p.csv", "point 4 at (10, 200)", "outside", "(200, 200)"),
    ),
    "unknown class": (
        lambda b: b.rows(HEADER + ROWS + "3,70,80,alveolus\n"),
        ("p.csv, row 5", "'alveolus' is unknown", "alveoli, septa, duct", "use --classes for"),
    ),
    "no class column": (
        lambda b: b.rows("axis-0,axis-1\n1,2\n3,4\n5,6\n"),
        ("p.csv", "no column 'class'", "add it"),
    ),
    "one class only": (
        lambda b: b.rows(HEADER + "0,1,2,septa\n1,3,4,septa\n2,5,6,septa\n"),
        ("p.csv", "all points are 'septa'", "label at least two classes"),
    ),
    "fewer points than classes": (
        lambda b: b.rows(HEADER + "0,10,20,alveoli\n1,30,40,septa\n"),
        ("p.csv", "2 points are fewer than the 3 classes", "label at least"),
    ),
    "a class without points": (
        lambda b: b.rows(HEADER + ROWS.replace("duct", "septa")),
        ("p.csv", "no point is labelled duct", "--classes"),
    ),
    "NaN coordinate": (
        lambda b: b.rows(HEADER + ROWS + "3,nan,80,duct\n"),
        ("p.csv, row 5", "axis-0", "'nan'", "correct or remove"),
    ),
    "empty CSV": (
        lambda b: b.rows(""),
        ("p.csv is empty", "axis-0,axis-1,class"),
    ),
    "CSV without points": (
        lambda b: b.rows(HEADER),
        ("p.csv holds no points", "label some"),
    ),
    "wrong number of axes": (
        lambda b: b.rows("axis-0,axis-1,axis-2,class\n0,1,2,septa\n0,3,4,duct\n0,5,6,alveoli\n"),
        ("p.csv", "3 axes", "(200, 200)", "one coordinate per image axis"),
    ),
    "truncated model": (
        lambda b: b.paint(model=b.file("cut.safetensors", b.lab.model.read_bytes()[:50_000])),
        ("cut.safetensors", "not a complete .safetensors file", "copy it again"),
    ),
    "model of a newer format": (
        lambda b: b.paint(model=b.newer_model()),
        ("newer.safetensors has format 99", "update napari-lungcls"),
    ),
    "pickle as model": (
        lambda b: b.paint(model=b.file("p.safetensors", pickle.dumps({"layer1": [1.0]}))),
        ("p.safetensors", "not a complete .safetensors file"),
    ),
    "weights as model": (
        lambda b: b.paint(model=b.lab.folder / "a.png"),
        ("a.png", "not a complete .safetensors file"),
    ),
    "zoom larger than the image": (
        lambda b: b.train("--zooms", "1,64"),
        ("zoom 64", "a.png", "200 × 200", "use zooms up to 25"),
    ),
    "image too small for the model": (
        lambda b: b.paint(image=b.picture("tiny.png", (6, 6, 3))),
        ("tiny.png", "6 × 6", "give a larger image"),
    ),
    "image of another type": (
        lambda b: b.paint(image=b.picture("deep.png", (64, 64), "uint16")),
        ("deep.png holds uint16", "trained on uint8", "convert"),
    ),
    "two images, one table": (
        lambda b: ["train", b.lab.image, *b.train(image=b.lab.other)[1:]],
        ("2 images and 1 points files", "'image' names them"),
    ),
    "an image that no point names": (
        lambda b: b.train(image=b.picture("new.png", (64, 64, 3)), points=b.lab.both),
        ("no point names the image", "a.png, other.png"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_left(bench, name):
    build, words = CASES[name]
    complaint = bench.complaint(*build(bench))
    for word in words:
        assert word in complaint


def test_points_too_close_for_an_honest_split(bench, run_cli, listing):
    command = bench.rows(HEADER + ROWS)
    before = listing(bench.folder)
    found = run_cli(*command)
    assert (found.code, found.out) == (2, "")
    # What a split costs is known only when the points are read, which is progress.
    said = [line for line in found.err.splitlines() if not line.startswith("training ")]
    assert len(said) == 1
    assert "held out to test on" in said[0]
    assert "use --val-fraction 0 to train on all points" in said[0]
    assert listing(bench.folder) == before
