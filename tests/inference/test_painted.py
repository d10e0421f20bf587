"""Painted maps in memory: geometry at hand, fractions, and the store that keeps them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.inference import painted
from napari_lungcls.inference.map_data import blocks
from napari_lungcls.inference.painted import MemoryStore, PaintedMap


def test_what_a_map_says(header, random_map):
    described = header((2, 5, 6))
    found = random_map(described)
    assert found.scale == described.scale
    assert found.translate == described.translate
    assert found.scheme == described.scheme
    assert found.stride == 4


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 4))
def test_fractions(header, values, rows):
    cells = np.resize(np.array(values, "uint8"), (rows, len(values)))
    found = PaintedMap(cells, None, header(cells.shape, probabilities=False)).fractions()
    total = np.count_nonzero(cells)
    assert list(found) == ["alveoli", "septa", "duct"]
    assert sum(found.values()) == pytest.approx(1 if total else 0)
    for code, share in enumerate(found.values(), start=1):
        assert share * max(total, 1) == pytest.approx(np.count_nonzero(cells == code))


def test_fractions_are_read_in_blocks(header, random_map, monkeypatch):
    whole = random_map(header((3, 50, 70), probabilities=False))
    expected = whole.fractions()
    sizes = []

    class Watched:
        shape, dtype = whole.classes.shape, whole.classes.dtype

        def __getitem__(self, key):
            sizes.append(whole.classes[key].size)
            return whole.classes[key]

    monkeypatch.setattr(painted, "BLOCK", 16)
    assert PaintedMap(Watched(), None, whole.header).fractions() == expected
    assert max(sizes) == 256
    assert sum(sizes) == whole.classes.size


def test_classes_that_do_not_exist(header):
    cells = np.full((4, 5), 9, "uint8")
    with pytest.raises(InputError, match="cells of class 9, but only 3 classes"):
        PaintedMap(cells, None, header((4, 5), probabilities=False)).fractions()


@pytest.mark.parametrize(
    ("classes", "probabilities", "message"),
    [
        (np.zeros((4, 6), "u1"), None, r"class map of a map should be uint8 of shape \(4, 5\)"),
        (np.zeros((4, 5), "u2"), None, "class map of a map should be uint8"),
        (np.zeros((4, 5), "u1"), np.zeros((3, 4, 5), "f2"), "must say whether it has"),
    ],
)
def test_cells_that_do_not_fit(header, classes, probabilities, message):
    with pytest.raises(InputError, match=message):
        PaintedMap(classes, probabilities, header((4, 5), probabilities=False))


def test_probabilities_that_do_not_fit(header):
    classes = np.zeros((4, 5), "u1")
    for cells in (np.zeros((2, 4, 5), "f2"), np.zeros((3, 4, 5), "f4")):
        with pytest.raises(InputError, match=r"should be float16 of shape \(3, 4, 5\)"):
            PaintedMap(classes, cells, header((4, 5)))
    with pytest.raises(InputError, match="must say whether it has probabilities"):
        PaintedMap(classes, None, header((4, 5)))


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_map_in_memory(header, random_map, assert_same, probabilities):
    wanted = random_map(header((2, 3, 20, 30), probabilities=probabilities))
    store = MemoryStore(wanted.header)
    for block in blocks(wanted.header.shape, 7):
        cells = wanted.probabilities[:, *block.place] if probabilities else None
        store.write(block, wanted.classes[block.place], cells)
    store.finish()
    store.abandon(keep=True)
    assert_same(store.map, wanted)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12))
def test_blocks_cover_every_cell_once(height, width, edge):
    count = np.zeros((2, height, width), int)
    for block in blocks(count.shape, edge):
        count[block.place] += 1
        assert block.rows.stop - block.rows.start <= edge
    assert (count == 1).all()
