"""Counting on maps: each pair of cells once, whatever the blocks."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_lungcls.errors import InputError
from napari_lungcls.inference.painted import read_map
from napari_lungcls.stereology.lines import count_segments
from napari_lungcls.stereology.plane_counts import STEPS, PlaneCounts, total
from napari_lungcls.stereology.raster import STRIDES, count_map
from phantoms import LUNG, map_of

SIDES = st.integers(1, 13)
PHASES = st.lists(st.sampled_from(["air", "tissue", "none"]), min_size=3, max_size=3)


@st.composite
def masked_maps(draw: Any, leading: int = 0) -> tuple[Any, Any]:
    shape = (*(draw(st.integers(1, 3)) for _ in range(leading)), draw(SIDES), draw(SIDES))
    classes = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3)))
    return classes, draw(st.none() | hnp.arrays(np.bool_, shape))


def counted_slowly(classes: Any, mask: Any, phases: Any, stride: int, step: Any) -> tuple[int, ...]:
    """Pairs of air, of tissue, and of both: cell by cell."""
    kind = {i + 1: phase for i, phase in enumerate(phases)}
    height, width = classes.shape
    found = {frozenset(["air"]): 0, frozenset(["tissue"]): 0, frozenset(["air", "tissue"]): 0}
    for y, x in np.ndindex(height, width):
        to_y, to_x = y + stride * step[0], x + stride * step[1]
        if not (0 <= to_y < height and 0 <= to_x < width):
            continue
        if mask is not None and not (mask[y, x] and mask[to_y, to_x]):
            continue
        ends = frozenset(kind.get(int(classes[at]), "none") for at in [(y, x), (to_y, to_x)])
        if ends in found:
            found[ends] += 1
    return tuple(found.values())


def same(one: PlaneCounts, other: PlaneCounts) -> bool:
    names = ("cells", "intersections", "length_um", "air_um")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


@given(masked_maps(), PHASES, st.integers(1, 6))
def test_every_pair_of_cells_is_counted_once(case, phases, block):
    classes, mask = case
    (found,) = count_map(map_of(classes, cell_um=(2.0, 3.0)), phases, mask=mask, block=block)
    for i, stride in enumerate(STRIDES):
        for j, step in enumerate(STEPS):
            air, tissue, met = counted_slowly(classes, mask, phases, stride, step)
            reach = stride * np.hypot(2.0 * step[0], 3.0 * step[1])
            assert found.intersections[i, j] == met
            assert found.length_um[i, j] == pytest.approx(reach * (air + tissue + met))
            assert found.air_um[i, j] == pytest.approx(reach * (air + met / 2))


@given(masked_maps(leading=1), st.integers(1, 14), st.integers(1, 14))
def test_blocks_and_the_kind_of_mask_change_nothing(case, block, other):
    classes, mask = case
    painted = map_of(classes)
    one = count_map(painted, LUNG, mask=mask, block=block)

    def masked(index: tuple[int, ...], rows: slice, columns: slice) -> Any:
        return mask[(*index, rows, columns)]

    two = count_map(painted, LUNG, mask=mask if mask is None else masked, block=other)
    assert [part.plane for part in one] == [(i,) for i in range(len(classes))]
    assert all(map(same, one, two))
    assert same(total(one), total(two))


@given(masked_maps(), st.integers(0, 3))
def test_a_turned_map_has_the_same_surfaces_in_turned_directions(case, turns):
    classes, mask = case
    turned = None if mask is None else np.rot90(mask, turns)
    (found,) = count_map(map_of(classes), LUNG, mask=mask)
    (other,) = count_map(map_of(np.rot90(classes, turns)), LUNG, mask=turned)
    assert np.array_equal(np.roll(found.intersections, 2 * turns, axis=1), other.intersections)


@given(masked_maps())
def test_cells_are_those_of_the_mask(case):
    classes, mask = case
    (found,) = count_map(map_of(classes, cell_um=(2.0, 3.0)), LUNG, mask=mask, block=4)
    seen = classes if mask is None else classes[mask]
    assert list(found.cells) == [int((seen == value).sum()) for value in (1, 2, 3)]
    assert found.of_phase("air") == int(np.isin(seen, (1, 3)).sum())
    assert found.area_um2 == pytest.approx(6.0 * found.cells)


def test_mouths_of_alveoli_are_no_surface():
    rng = np.random.default_rng(0)
    (found,) = count_map(map_of(rng.choice([1, 3], (20, 20)).astype(np.uint8)), LUNG)
    assert not found.intersections.any()
    assert np.array_equal(found.air_um, found.length_um)
    assert found.length_um[0, 0] == 20 * 19


@given(st.integers(1, 9), st.booleans())
def test_probabilities_are_added_up_where_cells_count(block, masked):
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 4, (2, 9, 11)).astype(np.uint8)
    shares = rng.dirichlet(np.ones(3), (2, 9, 11)).transpose(3, 0, 1, 2).astype(np.float16)
    shares[:, classes == 0] = np.nan  # what nobody painted says nothing
    mask = rng.random(classes.shape) < 0.5 if masked else None
    found = count_map(map_of(classes, probabilities=shares), LUNG, mask=mask, block=block)
    counts = (classes > 0) & (True if mask is None else mask)
    for part, share, where in zip(found, shares.swapaxes(0, 1), counts, strict=True):
        assert np.array_equal(part.probabilities, share[:, where].astype(np.float64).sum(axis=1))


def test_progress_and_cancelling():
    steps: list[tuple[int, int]] = []
    painted = map_of(np.ones((2, 5, 7), np.uint8))
    found = count_map(painted, LUNG, block=4, progress=lambda *now: steps.append(now))
    assert len(found) == 2
    assert steps == [(done, 8) for done in range(1, 9)]
    for limit in (0, 3, 7):
        steps.clear()
        stopped = count_map(
            painted, LUNG, block=4, progress=lambda *now: steps.append(now),
            cancelled=lambda limit=limit: len(steps) >= limit,
        )  # fmt: skip
        assert stopped is None
        assert len(steps) == limit


class Endless:
    """A map that is made when it is read."""

    def __init__(self, size: int) -> None:
        self.shape, self.dtype, self.read = (size, size), np.dtype(np.uint8), 0

    def __getitem__(self, place: Any) -> Any:
        rows, columns = place
        y, x = np.ogrid[rows, columns]
        self.read += y.size * x.size
        return (1 + (y // 8 + x // 8) % 2).astype(np.uint8)


def test_memory_is_that_of_a_block_and_every_cell_is_read_once():
    peaks = []
    for size in (256, 2048):
        classes = Endless(size)
        painted = map_of(classes)
        tracemalloc.start()
        count_map(painted, LUNG, block=128)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert classes.read == size**2
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("name", ["map.ome.zarr", "map.ome.tif"])
def test_maps_on_disk(tmp_path, name):
    rng = np.random.default_rng(4)
    classes = rng.integers(0, 4, (2, 70, 90)).astype(np.uint8)
    shares = rng.dirichlet(np.ones(3), classes.shape).transpose(3, 0, 1, 2).astype(np.float16)
    painted = map_of(classes, cell_um=(2.0, 3.0), probabilities=shares)
    on_disk = read_map(painted.save(tmp_path / name))
    one, two = count_map(painted, LUNG), count_map(on_disk, LUNG, block=32)
    assert all(map(same, one, two))
    assert np.array_equal(total(one).probabilities, total(two).probabilities)
    ends = rng.uniform(0, 70, (2, 20, 2))
    here, there = (count_segments(m, LUNG, *ends, plane=(1,)) for m in (painted, on_disk))
    assert np.array_equal(here.intersections, there.intersections)


def test_sums_keep_only_what_is_common():
    painted = map_of(np.ones((4, 4), np.uint8))
    (one,) = count_map(painted, LUNG, image="a")
    (two,) = count_map(painted, LUNG, image="b")
    assert (total([one]).image, total([one, one]).image, total([one, two]).image) == ("a", "a", "")
    assert np.array_equal(total([one, two]).cells, 2 * one.cells)
    (large,) = count_map(painted, LUNG, cell_um=(2.0, 2.0))
    (other,) = count_map(painted, ("air", "tissue", "none"))
    for wrong in ([], [one, large], [one, other]):
        with pytest.raises(InputError):
            total(wrong)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"phases": ("air", "tissue")}, "phases"),
        ({"phases": ("air", "tissue", "duct")}, "phases"),
        ({"mask": np.ones((4, 5), bool)}, "mask"),
        ({"mask": np.ones((4, 4), int)}, "mask"),
        ({"cell_um": (1.0, 0.0)}, "cell_um"),
        ({"strides": (1, 1)}, "strides"),
        ({"strides": (0,)}, "strides"),
    ],
)
def test_what_does_not_fit_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        count_map(map_of(np.ones((4, 4), np.uint8)), **{"phases": LUNG, **options})


def test_a_damaged_map_and_one_without_a_unit_are_refused():
    with pytest.raises(InputError, match="class 9"):
        count_map(map_of(np.full((4, 4), 9, np.uint8)), LUNG)
    unknown = map_of(np.ones((4, 4), np.uint8), unit="pixel")
    with pytest.raises(InputError, match="cell_um"):
        count_map(unknown, LUNG)
    (found,) = count_map(unknown, LUNG, cell_um=(2, 4))
    assert found.cell_um == (2.0, 4.0)
    (small,) = count_map(map_of(np.ones((4, 4), np.uint8), unit="millimeter"), LUNG)
    assert small.cell_um == (1000.0, 1000.0)
