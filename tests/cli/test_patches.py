"""`lungcls patches`, and `train` and `evaluate` on patches: from images and back to figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from napari_lungcls.patch_datasets.splits import CAUTION

QUICK = ("--epochs", "1", "--batch-size", "32", "--device", "cpu")
DOCUMENTED = dict(
    re.findall(
        r"### `patches (\w+)`\n\n```json\n(.*?)```",
        (Path(__file__).parents[2] / "docs" / "patches.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)


def checked(name, outcome):
    """The document that a command printed, which has the keys that the docs say."""
    assert list(outcome.json) == list(json.loads(DOCUMENTED[name])), name
    return outcome.json


@pytest.fixture(scope="module")
def made(lab, run_cli, tmp_path_factory):
    """A folder with patches of the common points in two formats, and a model of the second."""
    folder = tmp_path_factory.mktemp("patches")
    points = ("--points", lab.points)
    for kind, out in (("hdf5", "d_x.h5"), ("folder", "d")):
        options = ("--format", kind, "--size", "24", "--out", folder / out)
        checked("export", run_cli("patches", "export", lab.image, *points, *options, "--json"))
    model = folder / "m.safetensors"
    trained = run_cli("patches", "train", folder / "d", *QUICK, "--out", model, "--json")
    return folder, model, checked("train", trained)


def test_what_was_made_and_trained(made):
    folder, _, trained = made
    assert {p.name for p in folder.iterdir()} == {"d_x.h5", "d_y.h5", "d", "m.safetensors"}
    assert (trained["split_by"], trained["cautions"]) == ("random", [CAUTION])
    assert trained["n_train"] + trained["n_val"] == len(list((folder / "d").rglob("*.png")))
    assert trained["val"]["n"] == trained["n_val"]


def test_both_kinds_of_files_get_the_same_answers(made, run_cli, tmp_path):
    folder, model, _ = made
    table, sheet = tmp_path / "p.csv", tmp_path / "s.png"
    data = folder / "d_y.h5"
    figures = run_cli("patches", "evaluate", model, data, "--predictions", table, "--json").json
    again = run_cli("evaluate", model, folder / "d", "--json").json
    # Sums go file by file.
    assert again == figures | {"nll": pytest.approx(figures["nll"])}
    rows = pd.read_csv(table)
    assert len(rows) == figures["n"]
    assert (rows["class"] == rows["predicted"]).mean() == pytest.approx(figures["accuracy"])
    said = run_cli("patches", "predict", model, data, "--out", tmp_path / "q.csv", "--json")
    assert checked("predict", said)["n"] == figures["n"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "q.csv"), rows)
    told = checked("info", run_cli("patches", "info", data, "--sheet", sheet, "--json"))
    assert sum(told["parts"][0]["counts"].values()) == figures["n"]
    assert list(told["parts"][0]) == list(json.loads(DOCUMENTED["info"])["parts"][0])
    with Image.open(sheet) as picture:
        assert picture.width > 10 * 24
    plain = run_cli("patches", "info", folder / "d")
    assert "24 × 24 pixels" in plain.out


def test_a_report_shows_the_patches_that_were_mistaken(made, run_cli, tmp_path):
    folder, model, _ = made
    wrong = {}
    for kind, data in (("hdf5", folder / "d_y.h5"), ("folder", folder / "d")):
        table, report = tmp_path / f"{kind}.csv", tmp_path / kind
        options = ("--report", report, "--predictions", table)
        assert run_cli("patches", "evaluate", model, data, *options).code == 0
        rows = pd.read_csv(table)
        rows = rows[rows["class"] != rows["predicted"]]
        found = pd.read_csv(report / "mistakes.csv")
        assert len(found) == len(rows) > 0
        if kind == "hdf5":
            classes = rows.set_index("patch")["class"]
            assert classes[found["axis-0"].astype(int)].tolist() == found["class"].tolist()
        else:
            assert sorted(found["image"]) == sorted(Path(name).name for name in rows["patch"])
        page = (report / "index.html").read_text(encoding="utf-8")
        shown = min(24, len(found))
        said = f"The {shown} worst of {len(found)} mistakes in {len(pd.read_csv(table))} patches"
        assert said in page
        assert page.count('alt="zoom 1"') == shown
        wrong[kind] = found["p_class"].round(5).tolist()
    assert wrong["hdf5"] == pytest.approx(wrong["folder"], abs=1e-4)


def test_train_takes_patches_without_points(made, lab, run_cli, tmp_path):
    folder, _, _ = made
    model = tmp_path / "m.safetensors"
    report = tmp_path / "report"
    done = run_cli("train", folder / "d", *QUICK, "--out", model, "--report", report)
    assert done.code == 0, done.err
    assert CAUTION in done.out
    page = (report / "index.html").read_text(encoding="utf-8")
    assert CAUTION in page
    for figure in ("roc", "precision_recall", "reliability"):
        assert (report / f"{figure}.svg").exists()
    assert "Mistakes" in page or "Worst mistakes" in page
    image = run_cli("train", lab.image, "--out", model)
    assert "Missing option '--points'" in image.complaint
    wrong = run_cli(
        "patches", "train", folder / "d", "--pretrained", "none", "--zooms", "1,4", "--out", model
    )
    assert "zoom 1 only" in wrong.complaint
    part = run_cli("patches", "evaluate", model, folder / "d", "--part", "validation")
    assert "--part all" in part.complaint


def test_folders_of_slides_are_predicted_though_they_are_no_classes(made, run_cli, tmp_path):
    folder, model, _ = made
    (tmp_path / "slides" / "slide 7").mkdir(parents=True)
    for number, path in enumerate(sorted((folder / "d").rglob("*.png"))[:3]):
        (tmp_path / "slides" / "slide 7" / f"{number}.png").write_bytes(path.read_bytes())
    said = run_cli("patches", "predict", model, tmp_path / "slides", "--out", tmp_path / "p.csv")
    assert (said.code, "slide 7 are no classes of the model" in said.err) == (0, True)
    rows = pd.read_csv(tmp_path / "p.csv")
    assert rows["patch"].tolist() == [f"slide 7/{number}.png" for number in range(3)]
    assert "class" not in rows
