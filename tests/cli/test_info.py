"""`lungcls info` of a model: its card."""

from __future__ import annotations

import hashlib

import imageio.v3 as iio

import napari_lungcls as lc


def test_the_users_words_and_the_data_are_in_the_card(lab, run_cli, tmp_path, bench):
    model, card = tmp_path / "m.safetensors", tmp_path / "card.md"
    words = ("--intended-use", "mice only", "--limitations", "no <emphysema>", "--staining", "H&E")
    assert run_cli(*bench.train(*words, out=model)).code == 0
    told = run_cli("info", model, "--card", card, "--json").json["card"]
    assert told["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert told["notes"] == {
        "description": "", "staining": "H&E", "intended_use": "mice only",
        "limitations": "no <emphysema>",
    }  # fmt: skip
    (image,) = told["data"]["images"]
    assert (image["name"], image["shape"]) == ("a", list(iio.imread(lab.image).shape[:2]))
    points = lc.read_points(lab.points)
    assert image["counts"] == {name: int((points.labels == name).sum()) for name in points.labels}
    assert told["metrics"]["validation"]["accuracy"]["n"] == told["split"]["validation"]
    assert "no \\<emphysema\\>" in card.read_text(encoding="utf-8")
    assert "no <emphysema>" in run_cli("info", model).out


def test_patches_have_a_card_too(run_cli, lab, tmp_path):
    data, model = tmp_path / "p.npz", tmp_path / "m.safetensors"
    made = run_cli("patches", "export", lab.image, "--points", lab.points, "--out", data,
                   "--format", "npz", "--size", "32")  # fmt: skip
    assert made.code == 0, made.err
    trained = run_cli(
        "train", data, "--out", model, "--epochs", "1", "--pretrained", "none",
        "--stages", "layer1", "--description", "patches",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    told = run_cli("info", model, "--json").json["card"]
    assert told["notes"]["description"] == "patches"
    assert told["data"]["images"][0]["name"] == "p.npz"
    assert sum(told["data"]["counts"].values()) == 60


def test_what_is_wrong_is_said(run_cli, bench, lab):
    assert "name the model" in bench.complaint("info", "--card", bench.folder / "c.md")
    said = bench.complaint(*bench.train("--limitations", "x" * 5000))
    assert said.startswith("--limitations: String should have at most 4000")
    assert "no_such" in bench.complaint("info", lab.model, "--card", "no_such/c.md")
