"""What is looked at is painted first, and nothing is forgotten or painted twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.inference.grid import nearest_first
from napari_lungcls.inference.map_data import Block

BLOCKS = [
    Block(index, slice(y, y + 64), slice(x, x + 64))
    for index in np.ndindex(2, 3)
    for y in range(0, 350, 64)
    for x in range(0, 250, 64)
]


@given(st.lists(st.none() | st.tuples(*[st.floats(-500, 500)] * 4), min_size=1, max_size=40))
def test_every_block_comes_once_wherever_one_looks(looks):
    answers = iter(looks + [looks[-1]] * len(BLOCKS))
    order = list(nearest_first(BLOCKS, lambda: next(answers)))
    assert sorted(map(repr, order)) == sorted(map(repr, BLOCKS))


@given(st.sampled_from(BLOCKS), st.integers(0, 63), st.integers(0, 63))
def test_the_block_in_view_is_first_and_its_plane_before_others(block, down, right):
    where = (*block.index, block.rows.start + down, block.columns.start + right)
    order = list(nearest_first(BLOCKS, lambda: where))
    assert order[0] == block
    planes = [b.index for b in order]
    assert len({p for p in planes[: len(BLOCKS) // 6]}) == 1
    steps = [sum(abs(i - j) for i, j in zip(p, block.index, strict=True)) for p in planes]
    assert steps == sorted(steps)


def test_without_a_view_blocks_keep_their_order():
    assert list(nearest_first(BLOCKS, lambda: None)) == BLOCKS
