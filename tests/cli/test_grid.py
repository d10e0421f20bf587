"""`lungcls grid`: tables that can be judged and read back, and what goes wrong."""

from __future__ import annotations

import json
import shutil

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

import napari_lungcls as lc
from napari_lungcls.stereology.design_check import check_design


@pytest.fixture
def sections(tmp_path):
    """Two sections and a mask of the first."""
    for folder, name, shape in (("x", "a.tif", (90, 120)), ("y", "b.tif", (60, 80))):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / name, np.zeros(shape, np.uint8))
    mask = np.zeros((90, 120), np.uint8)
    mask[:, :60] = 1
    iio.imwrite(tmp_path / "mask.png", mask)
    return tmp_path


def test_a_sample_of_two_sections(run_cli, sections):
    out = sections / "audit" / "points.csv"
    out.parent.mkdir()
    images = (sections / "x" / "a.tif", sections / "y" / "b.tif")
    found = run_cli("grid", *images, "--spacing", "10", "--out", out, "--json").json
    points = lc.read_points(out)
    checked = check_design(points)
    assert list(found) == [
        "out", "design_id", "seed", "points", "places", "repeats", "spacing", "field_size",
        "field_spacing", "line_length", "inclusion_prob", "pixel_size", "planes", "expected_ce",
    ]  # fmt: skip
    assert found["design_id"] == checked.design.design_id
    assert (found["points"], found["places"]) == (len(points), checked.estimates.sum())
    assert found["points"] == found["places"] + found["repeats"]
    assert found["inclusion_prob"] == 0.01
    assert sum(plane["points"] for plane in found["planes"]) == found["places"]
    assert found["expected_ce"]["0.2"] == pytest.approx((4 / found["places"]) ** 0.5)
    assert set(points.column("image")) == {"../x/a.tif", "../y/b.tif"}
    answered = points.with_columns(**{"class": "septa"})
    lc.write_points(out, answered)
    pairs = lc.open_pairs(images, [out])
    assert [len(part) for _, part in pairs] == [
        np.count_nonzero(points.column("image") == name) for name in ("../x/a.tif", "../y/b.tif")
    ]


def test_it_says_what_it_drew(run_cli, sections):
    out = sections / "points.csv"
    tifffile.imwrite(sections / "s.tif", np.zeros((3, 64, 64), np.uint8), metadata={"axes": "ZYX"},
                     ome=True)  # fmt: skip
    words = ("grid", sections / "s.tif", "--spacing", "8,16", "--lines", "12", "--repeat", "0")
    text = run_cli(*words, "--out", out).out
    assert "96 points, 0 of them asked twice" in text
    assert "s.tif: 96 in 3 planes" in text
    assert "each stands for 128 pixels; design g1-" in text
    assert "CE) to expect" in text
    assert "20.4 % for 20 %" in text
    points = lc.read_points(out)
    assert set(points.column("line_length")) == {"12"}
    assert set(points.column("spacing")) == {"8 x 16"}


def test_masks_and_fields(run_cli, sections):
    out = sections / "points.csv"
    words = ("grid", sections / "x" / "a.tif", "--mask", sections / "mask.png", "--spacing", "4")
    fields = ("--fields", "6", "--field-size", "20", "--seed", "3")
    found = run_cli(*words, *fields, "--out", out, "--json").json
    points = lc.read_points(out)
    text = run_cli(*words, *fields, "--out", sections / "again.csv").out
    assert "each stands for 16 pixels of a field, or 36 of the sections" in text
    assert points.coordinates[:, 1].max() < 60
    assert found["field_spacing"] == pytest.approx((90 * 60 / 6) ** 0.5, abs=1e-3)
    assert len(set(points.column("field"))) > 2
    assert check_design(points).design.planes[0].mask == "mask.png"


def test_a_class_of_a_map(lab, run_cli, tmp_path):
    path = tmp_path / "map.ome.zarr"
    run_cli("paint", lab.model, lab.image, "--out", path, "--stride", "8")
    words = ("grid", lab.image, "--mask", path, "--spacing", "5", "--out", tmp_path / "p.csv")
    assert run_cli(*words, "--mask-class", "septa").code == 0
    cells = np.asarray(lc.read_map(path).classes)
    where = lc.read_points(tmp_path / "p.csv").coordinates.astype(int) // 8
    assert (cells[tuple(where.T)] == 2).all()


def test_answers_are_not_overwritten(run_cli, sections):
    out = sections / "points.csv"
    words = ("grid", sections / "x" / "a.tif", "--spacing", "10", "--out", out)
    assert run_cli(*words).code == 0
    before = out.read_bytes()
    assert "exists already; choose another name, or give --overwrite" in run_cli(*words).complaint
    assert out.read_bytes() == before
    assert run_cli(*words, "--seed", "1", "--overwrite").code == 0
    assert out.read_bytes() != before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--spacing", "x"], "--spacing x: give pixels, such as 64, or 64,32"),
        (["--spacing", "1,2,3"], "--spacing 1,2,3: give pixels"),
        (["--spacing", "0"], "--spacing: 0 x 0: give pixels, 1 or more"),
        (["--repeat", "2"], "--repeat: 2: give a share between 0 and 0.5"),
        (["--fields", "3"], "fields need both a number and a size; use --field-size"),
        (["--mask", "a.png", "--mask", "b.png"], "2 masks for 1 images; give one --mask for each"),
        (["--mask", "none.png"], "none.png: there is no such file"),
        (["--mask-class", "septa"], "--mask-class names a class of a mask; give --mask too"),
        (["--lines", "-3"], "--lines: -3: give a length in pixels"),
    ],
)
def test_bad_words_leave_nothing(run_cli, sections, more, words):
    base = ["grid", sections / "x" / "a.tif", "--out", sections / "p.csv"]
    spacing = [] if "--spacing" in more else ["--spacing", "10"]
    assert words in run_cli(*base, *spacing, *more).complaint
    assert not (sections / "p.csv").exists()


def test_pixels_of_different_sizes_are_said(run_cli, sections):
    for name, size in (("c.ome.tif", 0.5), ("d.ome.tif", 1.0)):
        tifffile.imwrite(sections / name, np.zeros((50, 50), np.uint8), metadata={
            "axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size})  # fmt: skip
    images = [sections / name for name in ("c.ome.tif", "d.ome.tif")]
    found = run_cli("grid", *images, "--spacing", "10", "--out", sections / "p.csv", "--json")
    assert "have pixels of 0.5 to 1 µm, so their points stand for different areas" in found.err
    assert json.loads(found.out)["pixel_size"] is None


def test_the_whole_folder_can_move(run_cli, sections):
    out = sections / "points.csv"
    run_cli("grid", sections / "x" / "a.tif", "--spacing", "10", "--out", out)
    shutil.move(sections, moved := sections.with_name("elsewhere"))
    ((stack, points),) = lc.open_pairs([moved / "x" / "a.tif"], [moved / "points.csv"])
    assert check_design(points).missing == 0
    assert stack.shape == (90, 120)
