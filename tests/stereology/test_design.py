"""Designs: every pixel is as likely as any other, and nobody can change a sample unnoticed."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation import Points, read_points, write_points
from napari_lungcls.annotation.points import join_points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.stereology.design import SampledImage, expected_ce, make_grid
from napari_lungcls.stereology.design_check import check_design
from napari_lungcls.stereology.drawing import Fields, draw_plane, lattice, shuffled
from napari_lungcls.stereology.provenance import read_design

IMAGES = (SampledImage("scans/a.tif", (90, 70)), SampledImage("b.tif", (40, 120)))


def grid(**options: Any) -> Points:
    """A small sample of two images."""
    return make_grid(IMAGES, **({"spacing": 9.5} | options))


@given(st.floats(1, 12), st.integers(1, 40))
def test_every_pixel_of_an_axis_is_hit_equally_often(spacing, extent):
    draws = 2000
    offsets = (np.arange(draws) + 0.5) / draws * spacing
    hits = np.zeros(extent)
    for offset in offsets:
        found = lattice(extent, spacing, offset)
        assert len(np.unique(found)) == len(found), "no pixel twice"
        hits[found] += 1
    np.testing.assert_allclose(hits / draws, 1 / spacing, atol=3 / draws)


def test_pixels_are_hit_as_often_as_the_design_says():
    image, fields = SampledImage("a", (11, 14)), Fields(3, 5.5)
    draws, hits = 6000, np.zeros((11, 14))
    for child in np.random.SeedSequence(3).spawn(draws):
        found = draw_plane(image, (), (2.5, 1.5), fields, np.random.default_rng(child))
        hits[tuple(found.pixels.T)] += 1
    expected = (3 / 5.5) ** 2 / (2.5 * 1.5)
    noise = np.sqrt(expected * (1 - expected) / draws)
    assert np.abs(hits / draws - expected).max() < 4.5 * noise
    assert abs(hits.mean() / draws - expected) < 4.5 * noise


def test_the_table_says_how_likely_its_points_were():
    options = {"spacing": (7, 4), "fields": 2, "field_size": 20, "repeat_fraction": 0.0}
    samples = [grid(seed=seed, **options) for seed in range(60)]
    design = read_design(samples[0])
    pixels = sum(np.prod(image.shape) for image in IMAGES)
    probability = float(samples[0].column("inclusion_prob")[0])
    assert probability == pytest.approx(design.inclusion_prob)
    assert design.area_per_point == 28
    counts = np.array([len(sample) for sample in samples])
    error = counts.std(ddof=1) / np.sqrt(len(counts))
    assert abs(counts.mean() - probability * pixels) < 4 * error


def test_fields_are_squares_of_their_own():
    points = grid(spacing=2, fields=3, field_size=15, repeat_fraction=0)
    fields = points.column("field").astype(int)
    images = points.column("image")
    for key in set(zip(images, fields, strict=True)):
        mine = points.coordinates[(images == key[0]) & (fields == key[1])]
        assert np.ptp(mine, axis=0).max() < 15
    assert len(set(zip(images, fields, strict=True))) > 4


def test_sections_share_one_density_of_fields():
    images = (SampledImage("large", (400, 400)), SampledImage("small", (100, 100)))
    points = make_grid(images, 4, fields=8, field_size=20, repeat_fraction=0)
    assert len(set(points.column("inclusion_prob"))) == 1
    large = np.count_nonzero(points.column("image") == "large")
    assert large > 5 * (len(points) - large)


def test_points_come_in_an_order_that_tells_nothing():
    images = [SampledImage(f"{i}.tif", (3, 60, 60)) for i in range(4)]
    points = make_grid(images, 7, repeat_fraction=0)
    changes = np.count_nonzero(points.column("image")[1:] != points.column("image")[:-1])
    assert changes / (len(points) - 1) > 0.65, "three of four follow a point of another image"
    assert set(points.coordinates[:, 0]) == {0, 1, 2}
    assert set(points.labels) == {""}
    assert points.is_audit.all()


@given(st.integers(1, 400), st.floats(0, 0.5), st.integers(0, 99))
def test_repeats_come_later(n, share, seed):
    rows, repeat_of = shuffled(n, share, np.random.default_rng(seed))
    again = np.flatnonzero(repeat_of >= 0)
    assert sorted(rows[repeat_of < 0]) == list(range(n))
    assert len(again) == round(share * n)
    np.testing.assert_array_equal(rows[again], rows[repeat_of[again]])
    assert len(set(rows[again])) == len(again)
    assert (repeat_of[again] < again).all()
    if n > 100 and len(again):
        assert (again - repeat_of[again]).min() > 0.1 * len(rows)


@settings(max_examples=25, deadline=None)
@given(
    st.data(),
    st.tuples(st.floats(3, 12), st.floats(3, 12)),
    st.sampled_from([None, 8.5, 40.0]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_a_design_survives_files_and_answers(tmp_path_factory, data, spacing, lines, fields, seed):
    images = tuple(
        SampledImage(name, shape) for name, shape in (("ä/a.tif", (2, 40, 50)), ("b", (1, 30, 60)))
    )
    options = {"fields": 2, "field_size": 14} if fields else {}
    points = make_grid(images, spacing, lines=lines, seed=seed, **options)
    answers = data.draw(st.lists(st.sampled_from(["septa", ""]), min_size=len(points),
                                 max_size=len(points)))  # fmt: skip
    shuffle = np.random.default_rng(seed).permutation(len(points))
    path = write_points(tmp_path_factory.mktemp("d") / "a.csv", points.with_columns(
        **{"class": answers}).select(shuffle))  # fmt: skip
    read = read_points(path)
    checked = check_design(read)
    assert checked.design == read_design(points)
    assert checked.design.design_id == points.column("design_id")[0]
    assert (checked.missing, checked.unanswered) == (0, answers.count(""))
    assert checked.uncounted == (0 if lines is None else len(points))
    assert checked.estimates.sum() + len(checked.repeats) == len(points)
    first, again = checked.repeats.T
    np.testing.assert_array_equal(read.coordinates[first], read.coordinates[again])
    assert len(checked.repeats) == round(0.1 * checked.estimates.sum())
    assert sum(plane.points for plane in checked.design.planes) == checked.estimates.sum()


def test_spreadsheets_with_decimal_commas_keep_a_design(tmp_path):
    points = grid(lines=20, fields=2, field_size=20)
    text = write_points(tmp_path / "a.csv", points).read_text()
    rows = [line.split(",") for line in text.splitlines()]
    (tmp_path / "b.csv").write_text(
        "\r\n".join(";".join(c if " x " in c or "tif" in c else c.replace(".", ",") for c in row)
                    for row in rows),
        encoding="utf-16",
    )  # fmt: skip
    assert check_design(read_points(tmp_path / "b.csv")).design == read_design(points)


def test_the_same_seed_draws_the_same_and_another_does_not():
    assert read_design(grid(seed=4)) == read_design(grid(seed=4))
    assert read_design(grid(seed=4)).design_id != read_design(grid(seed=5)).design_id
    assert read_design(grid(seed=4)).design_id != read_design(grid(seed=4, lines=9)).design_id


def changed(points: Points, row: int, **cells: str) -> Points:
    """The same points with other texts in one row."""
    columns = {name: points.column(name).copy() for name in cells}
    for name, text in cells.items():
        columns[name][row] = text
    return points.with_columns(**columns)


def moved(points: Points, row: int, by: tuple[float, float]) -> Points:
    """The same points, one of which lies elsewhere."""
    where = points.coordinates.copy()
    where[row] += by
    return replace(points, coordinates=where)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda p: moved(p, 5, (1, 0)), "row 5: the point at .* does not lie on the grid"),
        (lambda p: moved(p, 5, (0.25, 0)), "does not lie on the grid"),
        (lambda p: moved(p, 5, (0, 8)), "does not lie (on the grid|where)|are not those that"),
        (lambda p: changed(p, 3, source=""), "row 3: the column 'source' has '', not 'audit'"),
        (lambda p: changed(p, 3, source="model"), "in 1 rows: points that were placed"),
        (lambda p: changed(p, 3, design_id="g1-other"), "rows of 2 designs"),
        (lambda p: p.with_columns(design_id="g1-0000"), "are not those that the design g1-0000"),
        (lambda p: p.with_columns(design_id="g7-000000000000"), "is of another version; update"),
        (lambda p: p.select([*range(len(p)), 4]), "row 4: the point number 4 of the design stands"),
        (lambda p: changed(p, 3, order="9999"), "has a point number 9999, but the design"),
        (lambda p: changed(p, 3, order="-1"), "row 3: order is -1, not a whole number"),
        (lambda p: changed(p, 3, line_angle="12"), "the order or the test lines were changed"),
        (lambda p: changed(p, 3, line_length="12"), "row 3: line_length differs from that of row"),
        (lambda p: p.with_columns(line_length=12), "are not those that the design"),
        (lambda p: p.with_columns(seed=12), "are not those that the design"),
        (lambda p: changed(p, 3, seed="x"), "row 3: seed is 'x', not a number; take the table as"),
        (lambda p: changed(p, 3, offset="1 x 1"), "offset differs from that of row"),
        (lambda p: p.with_columns(offset="99 x 1"), "row 0: the offset 99 is not below the spac"),
        (lambda p: p.with_columns(inclusion_prob=0.5), "'inclusion_prob' does not fit the spacing"),
        (lambda p: changed(p, 3, image="c.tif"), "are not those that the design"),
        (lambda p: replace(p, table=p.table.drop(columns="order"),
                           columns=tuple(c for c in p.columns if c != "order")),
         "there is no column 'order'; take the table as the design wrote it"),
    ],
)  # fmt: skip
def test_a_changed_sample_is_refused(tamper, message):
    points = grid(lines=20, spacing=8)
    check_design(points)
    with pytest.raises(InputError, match=message):
        check_design(tamper(points))


def test_points_of_no_design_are_no_audit():
    with pytest.raises(InputError, match="so no design drew these points; draw points"):
        check_design(Points.build([[1, 2]], ["septa"], source="audit"))


def test_missing_rows_are_counted_and_said():
    points = grid(repeat_fraction=0)
    kept = np.ones(len(points), bool)
    kept[np.flatnonzero(points.column("image") == "b.tif")[:3]] = False
    with pytest.warns(
        LungclsWarning, match=rf"3 of the {len(points)} points .* \(b\.tif 3\)\. Est"
    ):
        checked = check_design(points.select(kept))
    assert checked.missing == 3
    with pytest.raises(InputError, match="does not lie on the grid"):
        check_design(moved(points.select(kept), 0, (1, 0)))


def test_tables_of_single_images_are_joined():
    points = grid()
    images = points.column("image")
    parts = [points.select(images == name) for name in ("b.tif", "scans/a.tif")]
    with pytest.warns(LungclsWarning, match="or join the tables of all images"):
        check_design(parts[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_design(join_points(parts)).missing == 0


def test_a_moved_folder_changes_no_design():
    points = grid()
    elsewhere = points.with_columns(
        image=[f"D:\\x\\{Path(n).name}" for n in points.column("image")]
    )
    assert check_design(elsewhere).design == read_design(points)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": 0.5}, "spacing: 0.5 x 0.5: give pixels, 1 or more"),
        ({"spacing": (4, float("nan"))}, "spacing: "),
        ({"fields": 3}, "fields need both a number and a size; use field_size"),
        ({"field_size": 3}, "fields need both a number and a size; use fields"),
        ({"fields": 0, "field_size": 3}, "fields: 0: give a number"),
        ({"fields": 1, "field_size": 0}, "field_size: 0: give pixels"),
        ({"fields": 9, "field_size": 30}, "9 fields of 30 pixels per plane would overlap"),
        ({"lines": 0}, "lines: 0: give a length"),
        ({"seed": -1}, "seed: -1: give a whole number"),
        ({"repeat_fraction": 0.6}, "repeat_fraction: 0.6: give a share between"),
    ],
)
def test_what_makes_no_sample_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        grid(**options)


def test_other_refusals():
    with pytest.raises(InputError, match=r"a\.tif is given twice"):
        make_grid([IMAGES[1], SampledImage("a.tif", (9, 9)), SampledImage("a.tif", (9, 9))], 4)
    with pytest.raises(InputError, match="images in planes and in stacks cannot share a table"):
        make_grid([IMAGES[0], SampledImage("c.tif", (2, 9, 9))], 4)
    with pytest.raises(InputError, match=r"about 100,000,000 points.*; use spacing=317 for about"):
        make_grid([SampledImage("c.tif", (10000, 10000))], 1)
    with pytest.raises(InputError, match="no point of the grid lies in the images"):
        make_grid([SampledImage("c.tif", (4, 4))], 400)


def test_the_error_that_is_expected():
    assert expected_ce(0.2, 1600) == pytest.approx(0.05)
