"""Stacks of sections, made at once or on demand."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.synthetic import lazy_stack, make_section, make_stack


def test_planes_are_sections_at_their_depth():
    stack = make_stack((3, 40, 50), pixel_size=2.0, spacing=7.0, seed=5)
    assert stack.image.shape == (3, 40, 50, 3)
    assert stack.truth.shape == (3, 40, 50)
    section = make_section((40, 50), pixel_size=2.0, seed=5, z=14.0)
    np.testing.assert_array_equal(stack.image[2], section.image)
    np.testing.assert_array_equal(stack.truth[2], section.truth)


def test_a_lazy_stack_holds_the_same_and_one_plane_per_chunk():
    made = make_stack((3, 30, 40), seed=1)
    lazy = lazy_stack((3, 30, 40), seed=1)
    assert isinstance(lazy.image, da.Array)
    assert lazy.image.chunks == ((1, 1, 1), (30,), (40,), (3,))
    image, truth = dask.compute(lazy.image, lazy.truth)
    np.testing.assert_array_equal(image, made.image)
    np.testing.assert_array_equal(truth, made.truth)


def test_a_lazy_stack_may_be_larger_than_memory():
    lazy = lazy_stack((1000, 50_000, 50_000))
    assert lazy.image.nbytes > 7e12
    assert lazy.truth.dtype == np.uint8


@pytest.mark.parametrize("make", [make_stack, lazy_stack])
def test_bad_sizes_are_refused(make):
    with pytest.raises(InputError, match="spacing"):
        make((2, 8, 8), spacing=0.0)
    with pytest.raises(InputError, match="shape"):
        make((0, 8, 8))
