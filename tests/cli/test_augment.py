"""`lungcls augment`: its picture, and what `train` and it refuse alike."""

from __future__ import annotations

import imageio.v3 as iio
import pytest

STRONG = (
    "--scale", "0.2", "--elastic", "4", "--brightness", "0.1", "--contrast", "0.1",
    "--stain", "0.05", "--blur", "1", "--noise", "0.1",
)  # fmt: skip


def test_it_writes_a_picture_and_says_how_large(lab, run_cli, tmp_path):
    out = tmp_path / "sheet.png"
    found = run_cli(
        "augment", lab.image, "--points", lab.points, "--out", out, "--zooms", "1,2",
        "--tile", "32", *STRONG, "--per-class", "1", "--columns", "5", "--json",
    )  # fmt: skip
    picture = iio.imread(out)
    assert found.json == {
        "out": str(out), "width": picture.shape[1], "height": picture.shape[0],
    }  # fmt: skip
    # Three classes at two zooms.
    assert picture.shape[0] > 6 * 64
    assert picture.shape[1] > 5 * 64
    assert listed_only(tmp_path, "sheet.png")


def test_text_names_the_picture(lab, run_cli, tmp_path):
    out = tmp_path / "sheet.PNG"
    found = run_cli("augment", lab.image, "--points", lab.points, "--out", out, "--tile", "16")
    assert found.code == 0, found.err
    assert str(out) in found.out


@pytest.mark.parametrize("command", ["train", "augment"])
def test_stains_of_images_without_colours_are_refused_before_the_work(bench, command):
    grey = bench.picture("grey.png", (200, 200))
    out = bench.folder / ("m.safetensors" if command == "train" else "m.png")
    said = bench.complaint(
        command, grey, "--points", bench.lab.points, "--out", out, "--zooms", "1",
        "--stain", "0.05",
    )  # fmt: skip
    assert said.startswith("--stain: it changes haematoxylin and eosin")
    assert "grey.png holds uint8 without colours" in said


def test_a_picture_that_is_no_png_is_refused(bench):
    said = bench.complaint(
        "augment", bench.lab.image, "--points", bench.lab.points, "--out", bench.folder / "a.jpg"
    )
    assert "ends in .png" in said


def listed_only(folder, name):
    return [path.name for path in folder.iterdir()] == [name]
