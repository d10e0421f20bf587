"""`lungcls train`: its options, its answers, what it writes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file, save_file

import napari_lungcls as lc
from napari_lungcls.network.parameters import backbone_shapes

KEYS = [
    "model", "n_train", "n_val", "n_test", "n_buffered", "n_final", "epochs", "seconds", "engine",
    "device", "split", "val", "test",
]  # fmt: skip
REPORT = {
    "index.html", "history.csv", "learning_curves.svg", "learning_curves.png",
    "class_counts.csv", "class_counts.svg", "class_counts.png",
}  # fmt: skip
EVALUATED = {
    "confusion.csv", "confusion.svg", "confusion.png", "per_class.csv",
    "reliability.csv", "reliability.svg", "reliability.png", "one_vs_rest.csv",
    "roc.csv", "roc.svg", "roc.png", "mistakes.csv", "mistakes.svg", "mistakes.png",
    "precision_recall.csv", "precision_recall.svg", "precision_recall.png",
}  # fmt: skip


def test_json_has_the_keys_of_the_contract(lab):
    found = lab.trained.json
    assert list(found) == KEYS
    assert found["model"] == str(lab.model)
    assert found["n_train"] + found["n_val"] + found["n_buffered"] == 60
    assert min(found["n_train"], found["n_val"]) > 0
    assert (found["epochs"], found["engine"], found["device"]) == (4, "torch", "cpu")
    assert found["seconds"] > 0
    assert set(found["val"]) == {
        "n", "accuracy", "balanced_accuracy", "f1_macro", "auc_ovr", "ece", "nll", "per_class",
        "confusion", "classes",
    }  # fmt: skip
    assert found["val"]["n"] == found["n_val"]


def test_progress_is_on_stderr(lab):
    lines = lab.trained.err.splitlines()
    assert any(re.fullmatch(r"training (\d+)/\1 reading tissue", line) for line in lines)
    assert lines[-1].startswith("training ")
    assert "all points, epoch 1/1, loss " in lines[-1]


def test_the_model_remembers_its_training(lab):
    document = lc.load(lab.model).document
    assert document.settings["batch_size"] == 4
    assert document.network.stages == (1, 2)
    assert document.scheme.names == ("alveoli", "septa", "duct")
    assert document.split["train"] == lab.trained.json["n_train"]
    assert len(document.history) == 4


def test_text_names_what_people_ask_first(lab, run_cli, tmp_path):
    out = tmp_path / "m.safetensors"
    found = run_cli("train", lab.image, "--points", lab.points, *lab.fast, "--out", out)
    assert found.code == 0
    assert "accuracy on" in found.out
    assert re.search(r"accuracy on \d+ points it has not seen: [\d.]+ % \(balanced ", found.out)
    assert "then trained on all 60 points" in found.out
    assert found.out.splitlines()[-1] == f"model: {out}"


def test_stages_have_names_and_every_one_is_read_by_default(lab, run_cli, tmp_path):
    out = tmp_path / "m.safetensors"
    given = ("train", lab.image, "--points", lab.points, *lab.fast, "--out", out)
    assert run_cli(*given, "--stages", "detail,stem,layer1").code == 0
    assert lc.load(out).document.network.stages == (-1, 0, 1)
    assert run_cli(*given, "--stages", "auto", "--tile", "48").code == 0
    assert lc.load(out).document.network.stages == (-1, 0, 1, 2, 3, 4)
    assert "tile of 32 is too small" in run_cli(*given, "--stages", "auto").complaint


@pytest.mark.parametrize(
    ("given", "kept"),
    [("points", "points"), ("equal", "equal"), ("0.6,0.2,0.2", [0.6, 0.2, 0.2])],
)
def test_class_frequencies_are_given_in_words_or_numbers(lab, run_cli, tmp_path, given, kept):
    out = tmp_path / "m.safetensors"
    command = ("train", lab.image, "--points", lab.points, *lab.fast, "--prior", given)
    assert run_cli(*command, "--out", out).code == 0
    assert lc.load(out).document.settings["prior"] == kept


def test_an_unfinished_run_is_resumed(lab, run_cli, tmp_path):
    out = tmp_path / "m.safetensors"
    asked = iter(range(1000))
    fast = [str(word) for word in (*lab.fast[:-1], 4)]
    given = dict(zip((w[2:].replace("-", "_") for w in fast[::2]), fast[1::2], strict=True))
    lc.train(
        lab.image, lab.points, lc.TrainingSettings.check(**given),
        checkpoint=lc.Checkpoint(f"{out}.checkpoint"), cancelled=lambda: next(asked) > 9,
    )  # fmt: skip
    whole = lc.train(lab.image, lab.points, lc.TrainingSettings.check(**given))
    command = ("train", lab.image, "--points", lab.points, *fast, "--resume", "--out", out)
    other = run_cli(*command, "--seed", "77")
    assert other.code == 2
    assert "another setting seed" in other.err
    assert run_cli(*command).code == 0
    found = load_file(out)
    for name, array in whole.state.items():
        np.testing.assert_array_equal(found[name], array)
    again = run_cli(*command)
    assert (again.code, again.out) == (2, "")
    assert "there is no run to go on with; leave --resume out" in again.err


def test_the_same_command_gives_the_same_numbers(lab, run_cli, tmp_path):
    models = [tmp_path / f"{name}.safetensors" for name in "ab"]
    command = ("train", lab.image, "--points", lab.points, *lab.fast, "--seed", "7", "--out")
    for model in models:
        assert run_cli(*command, model).code == 0
    first, second = map(load_file, models)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_all_points_and_no_figures_with_val_fraction_0(lab, run_cli, tmp_path):
    found = run_cli(
        "train", lab.image, "--points", lab.points, *lab.fast, "--val-fraction", "0",
        "--out", tmp_path / "m.safetensors", "--report", tmp_path / "new" / "report", "--json",
    ).json  # fmt: skip
    assert (found["n_train"], found["n_val"], found["n_buffered"]) == (60, 0, 0)
    assert found["val"] is None
    report = tmp_path / "new" / "report"
    assert {p.name for p in report.iterdir()} == REPORT
    assert "All points were trained on" in (report / "index.html").read_text(encoding="utf-8")


def rows(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("folds", [1, 2])
def test_report_shows_the_points_that_were_held_out(lab, run_cli, tmp_path, folds):
    """Every figure is of them, with pictures of the worst mistakes, from all images."""
    report = tmp_path / "report"
    found = run_cli(
        "train", lab.image, lab.other, "--points", lab.points, lab.folder / "other.csv", *lab.fast,
        "--folds", folds, "--out", tmp_path / "m.safetensors", "--report", report, "--json",
    ).json  # fmt: skip
    assert {p.name for p in report.iterdir()} == REPORT | EVALUATED
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "points left out" in page
    assert "cross-fitted" in page
    table = rows(report / "mistakes.csv")
    confusion = np.array(found["val"]["confusion"])
    assert len(table) == confusion.sum() - confusion.trace() > 0
    assert page.count('class="squares"') == min(24, len(table))
    classes = found["val"]["classes"]
    own = {path.stem: lc.read_points(path) for path in (lab.points, lab.folder / "other.csv")}
    for row in table:
        confusion[classes.index(row["class"]), classes.index(row["predicted"])] -= 1
        points = own[Path(row["image"]).stem]
        at = float(row["axis-0"]), float(row["axis-1"])
        here = (points.coordinates == at).all(axis=1)
        assert row["class"] in points.labels[here]
    assert (confusion == np.diag(np.diag(confusion))).all()
    areas = {row["class"]: float(row["auc"]) for row in rows(report / "one_vs_rest.csv")}
    assert areas == pytest.approx(
        {name: figures["auc"] for name, figures in found["val"]["per_class"].items()}
    )


@pytest.mark.parametrize(
    "tables",
    [
        ("--points", "a.csv", "other.csv"),
        ("--points", "a.csv", "--points", "other.csv"),
        ("--points", "both.csv"),
    ],
)
def test_several_images(lab, run_cli, tmp_path, tables):
    words = [lab.folder / word if word.endswith(".csv") else word for word in tables]
    found = run_cli(
        "train", lab.image, lab.other, *words, *lab.fast, "--val-fraction", "0", "--json",
        "--out", tmp_path / "m.safetensors",
    ).json  # fmt: skip
    assert found["n_train"] == (60 if tables[-1] == "both.csv" else 120)


def test_images_may_follow_the_points(lab, run_cli, tmp_path):
    found = run_cli(
        "train", "--points", lab.points, lab.folder / "other.csv", "--val-fraction", "0", "--json",
        "--out", tmp_path / "m.safetensors", *lab.fast, lab.image, lab.other,
    ).json  # fmt: skip
    assert found["n_train"] == 120


def test_points_on_images_that_are_not_given_are_said_aloud(lab, run_cli, tmp_path):
    found = run_cli(
        "train", lab.image, "--points", lab.both, *lab.fast, "--val-fraction", "0", "--json",
        "--out", tmp_path / "m.safetensors",
    )  # fmt: skip
    assert found.json["n_train"] == 40
    assert f"lungcls: {lab.both}: 20 points name images that were not given" in found.err


def test_pretrained_file_and_freeze(lab, run_cli, tmp_path):
    rng = np.random.default_rng(0)
    given = {
        name: np.abs(rng.normal(0.5, 0.1, shape)).astype(np.float32)
        for name, shape in backbone_shapes().items()
        if name.startswith(("conv1", "bn1", "layer1"))
    }
    save_file(given, tmp_path / "part.safetensors")
    out = tmp_path / "m.safetensors"
    command = (
        "train", lab.image, "--points", lab.points, *lab.fast, "--val-fraction", "0",
        "--pretrained", tmp_path / "part.safetensors", "--out", out,
    )  # fmt: skip
    found = run_cli(*command, "--freeze", "yes")
    assert "fitted the heads only: the backbone stays as it was" in found.out
    assert f"started from conv1 to layer1 from {tmp_path / 'part.safetensors'}" in found.out
    assert "layer2" in found.out
    assert "random" in found.out
    frozen = load_file(out)
    for name, array in given.items():
        np.testing.assert_array_equal(frozen[name], array)
    assert np.any(frozen["heads.bias"] != 0)
    learned = run_cli(*command, "--freeze", "no")
    assert (learned.code, "heads only" in learned.out) == (0, False)
    assert np.any(load_file(out)["conv1.weight"] != given["conv1.weight"])


def test_classes_from_a_file(lab, run_cli, tmp_path):
    scheme = tmp_path / "classes.json"
    scheme.write_text(json.dumps({"name": "mine", "classes": ["duct", "septa", "alveoli"]}))
    found = run_cli(
        "train", lab.image, "--points", lab.points, *lab.fast, "--classes", scheme, "--json",
        "--out", tmp_path / "m.safetensors",
    ).json  # fmt: skip
    assert found["val"]["classes"] == ["duct", "septa", "alveoli"]
    assert lc.load(tmp_path / "m.safetensors").scheme.name == "mine"


def test_two_zooms_and_the_pixel_size(lab, run_cli, tmp_path):
    out = tmp_path / "m.safetensors"
    found = run_cli(
        "train", lab.image, "--points", lab.points, *lab.fast, "--zooms", "1,2",
        "--val-fraction", "0", "--pixel-size", "0.5", "--out", out, "--json",
    )  # fmt: skip
    assert found.code == 0
    document = lc.load(out).document
    assert (document.network.zooms, document.pixel_size) == ((1, 2), 0.5)


def test_hdf5_dataset_as_image(lab, run_cli, tmp_path):
    pixels = lc.open_image(lab.image).levels[0]
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["raw/section"] = np.asarray(pixels)
        file["raw/other"] = np.zeros((4, 4), np.uint8)
    found = run_cli(
        "train", f"{tmp_path / 'file.h5'}:/raw/section", "--points", lab.points, *lab.fast,
        "--epochs", "4", "--out", tmp_path / "m.safetensors", "--json",
    ).json  # fmt: skip
    assert found["val"] == lab.trained.json["val"]


def test_every_setting_is_an_option(run_cli):
    text = run_cli("train", "--help").out
    for name in lc.TrainingSettings.model_fields:
        assert f"--{name.replace('_', '-')} " in text
    for option in ("--points", "--out", "--classes", "--pixel-size", "--report", "--json"):
        assert f"{option} " in text


def test_former_options_work_and_say_what_they_are_called_now(lab, run_cli, tmp_path):
    found = run_cli(
        "train", tmp_path / "no.tif", "--points", lab.points, "--thaw-after", "2", "--out",
        tmp_path / "m.safetensors",
    )  # fmt: skip
    assert "--unfreeze-after: thaw_after is called unfreeze_after now" in found.err
    assert (found.code, "no such file" in found.err) == (2, True)


def test_an_older_model_is_replaced_only_when_training_ends(lab, run_cli, tmp_path):
    out: Path = tmp_path / "m.safetensors"
    out.write_bytes(lab.model.read_bytes())
    tifffile.imwrite(tmp_path / "nan.tif", np.full((200, 200), np.nan, np.float32))
    failed = run_cli("train", tmp_path / "nan.tif", "--points", lab.points, *lab.fast, "--out", out)
    assert failed.code == 2
    assert "holds NaN" in failed.err
    assert out.read_bytes() == lab.model.read_bytes()
    assert run_cli("train", lab.image, "--points", lab.points, *lab.fast, "--out", out).code == 0
    assert out.read_bytes() != lab.model.read_bytes()
