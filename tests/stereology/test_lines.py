"""Test segments on maps: every cell they touch, in order, from either end, in parts or whole."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor, hypot
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_lungcls.errors import InputError
from napari_lungcls.stereology import lines
from napari_lungcls.stereology.lines import SegmentCounts, count_segments
from napari_lungcls.stereology.plane_counts import STEPS
from napari_lungcls.stereology.raster import count_map
from napari_lungcls.stereology.raster_surface import measure_surface
from phantoms import LUNG, foam, map_of, tissue_in_air

NAMES = ("intersections", "length_um", "air_um", "path_um")
CELL = (2.0, 3.0)
KIND = {1: "air", 2: "tissue", 3: "air"}
MAPS = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)
)
# Borders and corners of cells are hit exactly, and computing is exact, with such numbers.
COORDINATES = st.integers(-8, 48).map(lambda n: n / 4 - 0.5)
POINTS = st.tuples(COORDINATES, COORDINATES)


def counted(classes: Any, start: Any, end: Any, **options: Any) -> SegmentCounts:
    return count_segments(map_of(classes, cell_um=CELL), LUNG, start, end, **options)


def values(counts: SegmentCounts) -> np.ndarray:
    return np.array([getattr(counts, name) for name in NAMES])


def walked_slowly(classes: Any, start: Any, end: Any) -> tuple[float, ...]:
    """Walk with fractions: the cells between one border and the next."""
    first, last = ([Fraction(c) + Fraction(1, 2) for c in ends] for ends in (start, end))
    cuts = {Fraction(0), Fraction(1)}
    for a, b in zip(first, last, strict=True):
        low, high = sorted((a, b))
        cuts |= {(k - a) / (b - a) for k in range(floor(low), floor(high) + 1) if low < k < high}
    at = [Fraction(0), *((a + b) / 2 for a, b in pairwise(sorted(cuts))), Fraction(1)]
    cells, spans = [], []
    for t, share in zip(at, [0, *np.diff(sorted(cuts)), 0], strict=True):
        cell = tuple(floor(a + t * (b - a)) for a, b in zip(first, last, strict=True))
        if cells and cells[-1] == cell:
            spans[-1] += share
        else:
            cells, spans = [*cells, cell], [*spans, share]
    inside = [all(0 <= c < n for c, n in zip(cell, classes.shape, strict=True)) for cell in cells]
    kinds = [KIND.get(int(classes[c])) if ok else None for c, ok in zip(cells, inside, strict=True)]
    whole = hypot(*((b - a) * size for a, b, size in zip(start, end, CELL, strict=True)))
    length = whole * sum(s for s, kind in zip(spans, kinds, strict=True) if kind)
    air = whole * sum(s for s, kind in zip(spans, kinds, strict=True) if kind == "air")
    met, path = 0, 0.0
    for i, (one, two) in enumerate(pairwise(kinds)):
        if one and two:
            met += one != two
            steps = (abs(a - b) for a, b in zip(cells[i], cells[i + 1], strict=True))
            path += hypot(*(n * size for n, size in zip(steps, CELL, strict=True)))
    return met, float(length), float(air), path


@given(MAPS, st.lists(st.tuples(POINTS, POINTS), min_size=1, max_size=8))
def test_segments_see_every_cell_in_order(classes, segments):
    start, end = np.array(segments).transpose(1, 0, 2)
    expected = [walked_slowly(classes, *segment) for segment in segments]
    assert pytest.approx(np.array(expected)) == values(counted(classes, start, end)).T


@given(MAPS, st.lists(st.tuples(POINTS, POINTS), min_size=1, max_size=8), st.booleans())
def test_it_does_not_matter_from_which_end(classes, segments, masked):
    mask = np.random.default_rng(0).random(classes.shape) < 0.7 if masked else None
    start, end = np.array(segments).transpose(1, 0, 2)
    there, back = counted(classes, start, end, mask=mask), counted(classes, end, start, mask=mask)
    assert values(there) == pytest.approx(values(back))


@given(MAPS, POINTS, POINTS, st.integers(0, 8))
def test_parts_add_up(classes, start, end, eighths):
    middle = tuple(a + (b - a) * eighths / 8 for a, b in zip(start, end, strict=True))
    assume(not all((c + 0.5).is_integer() for c in middle))
    whole = counted(classes, [start], [end])
    parts = counted(classes, [start, middle], [middle, end])
    assert values(parts).sum(axis=1) == pytest.approx(values(whole)[:, 0])


def along(step: tuple[int, int], shape: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    """Give the cells at which all lines of a direction begin and end."""
    starts, ends = [], []
    for y, x in np.ndindex(*shape):
        cell = np.array([y, x])
        if not ((cell - step >= 0) & (cell - step < shape)).all():
            starts.append(cell)
            while ((cell + step >= 0) & (cell + step < shape)).all():
                cell = cell + step
            ends.append(cell)
    return starts, ends


@given(MAPS, st.integers(1, 5), st.tuples(st.integers(0, 7), st.integers(0, 7)), st.booleans())
def test_lines_through_all_cells_count_what_the_map_counts(classes, stride, origin, masked):
    mask = np.random.default_rng(0).random(classes.shape) < 0.8 if masked else None
    painted = map_of(classes, cell_um=CELL, stride=stride, origin=origin)
    (raster,) = count_map(painted, LUNG, mask=mask)
    for i, step in enumerate(STEPS):
        start, end = (
            np.array(cells) * stride + (stride - 1) / 2 + origin
            for cells in along(step, classes.shape)
        )
        found = count_segments(painted, LUNG, start, end, mask=mask)
        assert found.intersections.sum() == raster.intersections[0, i]
        assert found.path_um.sum() == pytest.approx(raster.length_um[0, i])
        if mask is None and classes.all():
            assert found.length_um.sum() == pytest.approx(raster.length_um[0, i])
            assert found.air_um.sum() == pytest.approx(raster.air_um[0, i])


def test_per_path_slanted_segments_measure_what_the_map_does():
    tissue = foam(700, 9.0, 300)
    painted = map_of(tissue_in_air(tissue))
    rng = np.random.default_rng(0)
    middle, angle = rng.uniform(60, 640, (4000, 2)), rng.uniform(0, 2 * np.pi, 4000)
    half = 50 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    found = count_segments(painted, LUNG, middle - half, middle + half)
    surface, *_ = measure_surface(*count_map(painted, LUNG))
    per_path = found.intersections.sum() / found.path_um.sum()
    per_length = found.intersections.sum() / found.length_um.sum()
    assert 2e4 * per_path == pytest.approx(surface.mean_surface_density, rel=0.02)
    assert per_length / per_path == pytest.approx(4 / np.pi, rel=0.01)
    assert found.length_um == pytest.approx(100.0)


def test_batches_blocks_planes_and_segments_off_the_map(monkeypatch):
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 4, (2, 40, 50)).astype(np.uint8)
    start, end = rng.uniform(-20, 70, (2, 60, 2))
    whole = [counted(classes, start, end, plane=(i,)) for i in range(2)]
    assert values(whole[0]) == pytest.approx(values(counted(classes[0], start, end)))
    assert not np.array_equal(whole[0].intersections, whole[1].intersections)
    monkeypatch.setattr(lines, "BLOCK", 7)
    monkeypatch.setattr(lines, "VISITS", 90)
    assert values(counted(classes, start, end, plane=(1,))) == pytest.approx(values(whole[1]))
    far = counted(classes[0], [(10.0, -1e12)], [(10.0, 1e12)])
    row = counted(classes[0], [(10.0, -0.5)], [(10.0, 49.5)])
    assert far.intersections == row.intersections
    assert far.path_um == pytest.approx(row.path_um)
    assert values(counted(classes[0], np.zeros((0, 2)), np.zeros((0, 2)))).shape == (4, 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start": [(0.0, np.nan)]}, "start"),
        ({"end": [(0.0, 1.0, 2.0)]}, "end"),
        ({"end": np.zeros((2, 2))}, "end"),
        ({"plane": (0,)}, "plane"),
        ({"cell_um": (1.0,)}, "cell_um"),
    ],
)
def test_what_does_not_fit_is_refused(change, told):
    options = {"start": [(0, 0)], "end": [(1, 1)], **change}
    with pytest.raises(InputError, match=told):
        count_segments(map_of(np.ones((4, 4), np.uint8)), LUNG, **options)
