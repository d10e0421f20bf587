"""File names that are no UTF-8, and terminals that are none: everything works, or says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme

LATIN = b"_\xe4"
"""An umlaut as old systems wrote it."""


def named(stem: str, suffix: str = "") -> str:
    return os.fsdecode(stem.encode() + LATIN + suffix.encode())


@pytest.fixture(scope="module")
def old_system(lab, tmp_path_factory):
    """A folder, an image, points and a model, whose names are no UTF-8."""
    try:
        folder = tmp_path_factory.mktemp("old") / named("folder")
        folder.mkdir()
    except (OSError, ValueError):
        pytest.skip("this disk has no such names")
    for stem, path in (("image", lab.image), ("points", lab.points), ("model", lab.model)):
        shutil.copy(path, folder / named(stem, path.suffix))
    return folder


@pytest.fixture
def inputs(lab, old_system):
    return [
        old_system / named(stem, path.suffix)
        for stem, path in (("model", lab.model), ("image", lab.image), ("points", lab.points))
    ]


def texts_below(folder: Path) -> str:
    """All that the text files of a report say; each must be UTF-8."""
    return "".join(
        path.read_bytes().decode() for path in folder.iterdir() if path.suffix in (".html", ".csv")
    )


def test_training_and_its_report(run_cli, lab, inputs, old_system):
    _, image, points = inputs
    out, report = old_system / named("new", ".safetensors"), old_system / named("report")
    found = run_cli(
        "train", image, "--points", points, "--out", out, "--report", report, *lab.fast, "--json"
    )
    assert found.json["model"].endswith("/folder_%E4/new_%E4.safetensors")
    assert "image_%E4" in texts_below(report)
    assert "new_%E4" in run_cli("info", out).out


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("more", [(), ("--workers", "1")])
def test_painting(run_cli, inputs, old_system, suffix, more):
    model, image, _ = inputs
    out = old_system / named(f"map{len(more)}", suffix)
    polygons = old_system / named(f"polygons{len(more)}{suffix[5]}", ".geojson")
    found = run_cli(
        "paint", model, image, "--out", out, "--stride", 20, "--geojson", polygons, *more, "--json"
    )
    assert found.json["out"].endswith(f"_%E4{suffix}")
    painted = lc.read_map(out)
    assert painted.header.provenance["image"].endswith("image_%E4.png")
    assert json.loads(polygons.read_bytes())["features"]
    assert not [path for path in old_system.iterdir() if path.name.startswith(".")]


def test_predictions_lead_back_to_their_image(run_cli, inputs, old_system):
    model, image, points = inputs
    out = old_system / named("predictions", ".csv")
    report = old_system / named("evaluation")
    first = run_cli(
        "evaluate", model, image, "--points", points, "--predictions", out, "--report", report,
        "--json",
    )  # fmt: skip
    assert set(lc.read_points(out).column("image")) == {"image_%E4.png"}
    assert run_cli("evaluate", model, image, "--points", out, "--json").json == first.json
    said = old_system / named("said", ".csv")
    run_cli("classify", model, image, "--points", points, "--out", said, "--json")
    against = run_cli("agree", points, said, "--model", model, image, "--json").json
    assert (against["pairs"][0]["a"], against["pairs"][0]["b"]) == ("points_%E4", "said_%E4")


@pytest.mark.parametrize("suffix", [".h5", ".npz", ""])
def test_patches(run_cli, lab, inputs, old_system, suffix):
    _, image, points = inputs
    out = old_system / named("patches", suffix)
    kind = {".h5": "hdf5", ".npz": "npz", "": "folder"}[suffix]
    export = ("patches", "export", image, "--points", points, "--size", "32")
    run_cli(*export, "--out", out, "--format", kind, "--json")
    if not suffix:
        (out / "septa").rename(out / named("septa"))
    found = run_cli("patches", "info", out, "--json").json
    assert ("septa" if suffix else "septa_%E4") in found["classes"]
    model, report = old_system / named(f"by{kind}", ".safetensors"), old_system / named(kind)
    run_cli("patches", "train", out, "--epochs", "1", "--out", model, "--report", report, "--json")
    texts_below(report)
    predicted = old_system / named(f"predicted{kind}", ".csv")
    run_cli("patches", "predict", model, out, "--out", predicted, "--json")
    assert "patches_%E4" in predicted.read_text("utf-8")


@pytest.mark.parametrize("suffix", [".lst", ".manifest"])
def test_lists_for_others_are_refused_before_work(run_cli, inputs, old_system, suffix):
    _, image, points = inputs
    before = sorted(old_system.iterdir())
    said = run_cli(
        "patches", "export", image, "--points", points, "--out", old_system / named("l", suffix),
        "--format", "lst" if suffix == ".lst" else "manifest", "--size", "32",
    ).complaint  # fmt: skip
    assert f"l_%E4{suffix}: a list names its pictures in UTF-8" in said
    assert sorted(old_system.iterdir()) == before


def lungcls(*words: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the real command with nothing of this process's locale."""
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "PYTHONIOENCODING", "PYTHONUTF8"))
    }
    program = "from napari_lungcls.cli.app import run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, *(os.fsencode(os.fspath(str(word))) for word in words)],
        capture_output=True,
        env={**bare, **environment},
        timeout=300,
    )


BARE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""A locale in which Python knows ASCII alone, also for the names of files."""

TERMINALS = [
    {"LC_ALL": "C"},
    BARE,
    {"PYTHONIOENCODING": "cp437:strict"},
    {"PYTHONIOENCODING": "cp1252"},
]


@pytest.fixture(scope="module")
def far_model(lab, tmp_path_factory):
    """A model whose classes are written in letters that few terminals have."""
    from napari_lungcls.network.model_file import read_model, write_model

    path = tmp_path_factory.mktemp("far") / "far.safetensors"
    document, weights = read_model(lab.model)
    scheme = ClassScheme.of_names(["肺胞", "перегородка", "Gänge"], name="µm²")
    # Figures are of the classes that were learned.
    bare = {"scheme": scheme, "validation": None, "test": None}
    write_model(path, document.model_copy(update=bare), weights)
    return path


@pytest.mark.skipif(os.name == "nt", reason="locales of Unix")
@pytest.mark.parametrize("terminal", TERMINALS, ids=lambda found: "-".join(found.values()))
def test_every_terminal_is_written_to(far_model, terminal):
    for words in (["info", far_model], ["train", "--help"]):
        found = lungcls(*words, **terminal)
        assert found.returncode == 0, found.stderr
        assert found.stdout
    found = lungcls("info", far_model, "--json", **terminal)
    names = [spec["name"] for spec in json.loads(found.stdout)["scheme"]["classes"]]
    assert names == ["肺胞", "перегородка", "Gänge"]
    complaint = lungcls("info", os.fsdecode(b"none_\xe4.safetensors"), **terminal)
    assert complaint.returncode == 2
    assert b"none_%E4.safetensors: there is no such model file" in complaint.stderr


@pytest.mark.skipif(os.name == "nt", reason="locales of Unix")
def test_folders_that_a_locale_cannot_name_are_refused(lab, tmp_path):
    points = lc.read_points(lab.points)
    far = np.where(points.labels == "duct", "肺胞", points.labels)
    table = lc.write_points(tmp_path / "p.csv", points.with_columns(**{"class": far}))
    scheme = ClassScheme.of_names(sorted(set(far))).save(tmp_path / "s.yaml")
    found = lungcls(
        "patches", "export", lab.image, "--points", table, "--classes", scheme, "--out",
        tmp_path / "x", "--format", "folder", "--size", "32", **BARE,
    )  # fmt: skip
    assert found.returncode == 2
    assert b"cannot be the name of a folder in this locale (ascii)" in found.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "s.yaml"]


@pytest.mark.skipif(os.name == "nt", reason="locales of Unix")
def test_real_commands_under_a_bare_locale(inputs, lab, old_system):
    _, image, points = inputs
    out, report = old_system / named("bare", ".safetensors"), old_system / named("bare")
    found = lungcls(
        "train", image, "--points", points, "--out", out, "--report", report, *lab.fast,
        **BARE,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert (report / "index.html").is_file()
    assert b"bare_%E4.safetensors" in found.stdout
