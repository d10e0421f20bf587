"""`lungcls evaluate` and `lungcls classify`: what a model says at points."""

from __future__ import annotations

import json

import numpy as np
import pytest

import napari_lungcls as lc

KEYS = [
    "n", "accuracy", "balanced_accuracy", "f1_macro", "auc_ovr", "ece", "nll", "per_class",
    "confusion", "classes",
]  # fmt: skip


@pytest.fixture(scope="module")
def classified(lab, run_cli, tmp_path_factory):
    """Points with predictions, and the command's answer."""
    out = tmp_path_factory.mktemp("classified") / "out.csv"
    found = run_cli(
        "classify", lab.model, lab.image, "--points", lab.points, "--out", out, "--json"
    )
    return lc.read_points(out), found, out


@pytest.mark.parametrize("painted", [(), ("--painted", "--stride", "2")])
def test_json_has_the_keys_of_the_contract(lab, run_cli, painted):
    found = run_cli("evaluate", lab.model, lab.image, "--points", lab.points, *painted, "--json")
    assert list(found.json) == KEYS
    assert found.json["n"] == 60
    assert found.json["classes"] == ["alveoli", "septa", "duct"]
    assert np.sum(found.json["confusion"]) == 60
    assert list(found.json["per_class"]) == found.json["classes"]
    assert set(found.json["per_class"]["septa"]) == {
        "precision", "recall", "f1", "support", "auc", "average_precision",
    }  # fmt: skip
    assert "evaluating 60/60 points" in found.err


def test_classify_adds_columns_and_keeps_the_rest(lab, classified):
    before, (after, found, out) = lc.read_points(lab.points), classified
    assert after.columns == (*before.columns, "predicted", "p_alveoli", "p_septa", "p_duct")
    np.testing.assert_array_equal(after.coordinates, before.coordinates)
    np.testing.assert_array_equal(after.labels, before.labels)
    probabilities = np.stack([after.column(f"p_{name}").astype(float) for name in lab_classes()], 1)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    likeliest = np.array(lab_classes(), object)[probabilities.argmax(1)]
    np.testing.assert_array_equal(after.column("predicted"), likeliest)
    assert list(found.json) == ["out", "n", "counts"]
    assert (found.json["out"], found.json["n"]) == (str(out), 60)
    for name, count in found.json["counts"].items():
        assert count == (likeliest == name).sum()


def lab_classes() -> tuple[str, ...]:
    return ("alveoli", "septa", "duct")


def test_evaluate_counts_what_classify_says(lab, run_cli, classified):
    points = classified[0]
    found = run_cli("evaluate", lab.model, lab.image, "--points", lab.points, "--json").json
    right = points.column("predicted") == points.labels
    assert found["accuracy"] == pytest.approx(right.mean())
    for i, truth in enumerate(found["classes"]):
        for j, said in enumerate(found["classes"]):
            count = ((points.labels == truth) & (points.column("predicted") == said)).sum()
            assert found["confusion"][i][j] == count


def test_the_model_learned_the_colours(lab, run_cli):
    command = ("evaluate", lab.model, lab.other, "--points", lab.folder / "other.csv", "--json")
    assert run_cli(*command).json["accuracy"] > 0.7
    assert run_cli(*command, "--painted", "--stride", "1").json["accuracy"] > 0.7


def test_points_without_classes_can_be_classified(lab, run_cli, tmp_path):
    table = tmp_path / "bare.csv"
    table.write_text("axis-0,axis-1,who\n10,20,Ann\n30.5,40,Öz\n", encoding="utf-8")
    out = tmp_path / "out.csv"
    found = run_cli("classify", lab.model, lab.image, "--points", table, "--out", out)
    assert found.code == 0
    assert found.out.startswith("2 points: ")
    assert found.out.endswith(f"points: {out}\n")
    points = lc.read_points(out)
    assert points.labels is None
    assert list(points.column("who")) == ["Ann", "Öz"]
    assert points.coordinates.tolist() == [[10, 20], [30.5, 40]]


def test_several_images(lab, run_cli):
    both = run_cli("evaluate", lab.model, lab.image, lab.other, "--points", lab.both, "--json").json
    assert both["n"] == 60
    each = run_cli(
        "evaluate", lab.model, lab.image, lab.other,
        "--points", lab.points, lab.folder / "other.csv", "--json",
    ).json  # fmt: skip
    assert each["n"] == 120
    single = [
        run_cli("evaluate", lab.model, image, "--points", image.with_suffix(".csv"), "--json").json
        for image in (lab.image, lab.other)
    ]
    np.testing.assert_array_equal(each["confusion"], sum(np.array(s["confusion"]) for s in single))


def test_report(lab, run_cli, tmp_path):
    found = run_cli(
        "evaluate", lab.model, lab.image, "--points", lab.points, "--painted",
        "--report", tmp_path / "report",
    )  # fmt: skip
    assert "60 points: accuracy " in found.out
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"index.html", "confusion.png", "confusion.svg", "per_class.csv"} <= names
    for figure in (
        "learning_curves", "reliability", "roc", "precision_recall", "class_counts", "mistakes",
    ):  # fmt: skip
        assert {f"{figure}.png", f"{figure}.svg"} <= names
    again = run_cli("evaluate", lab.model, lab.image, "--points", lab.points, "--painted", "--json")
    wrong = 60 - np.trace(again.json["confusion"])
    table = (tmp_path / "report" / "mistakes.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + wrong > 1
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "from the cells of a map at stride 4" in page
    assert page.count("card panel") == min(24, wrong)


def test_a_missing_pixel_size_is_said_aloud(lab, run_cli, tmp_path):
    model = lc.load(lab.model)
    document = model.document.model_copy(update={"pixel_size": 0.5})
    lc.Model(document, model.state).save(tmp_path / "m.safetensors")
    command = ("evaluate", tmp_path / "m.safetensors", lab.image, "--points", lab.points, "--json")
    unknown = run_cli(*command)
    assert "does not tell its pixel size" in unknown.err
    assert "Traceback" not in unknown.err
    same = run_cli(*command, "--pixel-size", "0.5")
    assert "pixel size" not in same.err
    assert same.json == unknown.json
    resampled = run_cli(*command, "--pixel-size", "0.25")
    assert resampled.err.count("the image is shrunk 2 times for it") == 1
    other = resampled.json
    assert other["confusion"] != same.json["confusion"]


def test_info_of_a_model_tells_all_that_it_holds(lab, run_cli):
    found = run_cli("info", lab.model, "--json").json
    document = lc.load(lab.model).document
    card = found.pop("card")
    assert found == {"model": str(lab.model)} | json.loads(document.model_dump_json())
    assert card["metrics"]["validation"]["accuracy"]["value"] == document.validation["accuracy"]
    text = run_cli("info", lab.model)
    assert (text.code, text.err) == (0, "")
    assert text.out.startswith("Model card: model\n")
    assert "  classes: alveoli, septa, duct" in text.out.splitlines()


def test_info_alone_tells_engines_devices_versions(run_cli):
    found = run_cli("info", "--json").json
    assert list(found) == ["engines", "versions"]
    assert found["engines"]["torch"]["available"]
    assert "cpu" in found["engines"]["torch"]["devices"]
    assert {"python", "numpy", "torch"} <= set(found["versions"])
    assert "devices: cpu" in run_cli("info").out


def test_predictions_are_points_again(lab, run_cli, tmp_path):
    out = tmp_path / "said.csv"
    command = ("evaluate", lab.model, lab.image, lab.other, "--points", lab.both, "--json")
    found = run_cli(*command, "--predictions", out).json
    said = lc.read_points(out)
    assert said.columns[-5:] == ("image", "predicted", "p_alveoli", "p_septa", "p_duct")
    right = said.column("predicted") == said.labels
    assert right.mean() == pytest.approx(found["accuracy"])
    again = run_cli("evaluate", lab.model, lab.image, lab.other, "--points", out, "--json").json
    assert again == found
    probabilities = [float(said.column(f"p_{name}")[row]) for row, name in enumerate(said.labels)]
    assert found["nll"] == pytest.approx(-np.log(probabilities).mean(), rel=1e-4)
