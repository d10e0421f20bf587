"""Large arrays leave memory for a file without a name."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.utils import memory


@pytest.mark.parametrize("limit", [0, 10**9])
def test_scratch_arrays_are_zeros_that_can_be_written(monkeypatch, limit):
    monkeypatch.setattr(memory, "SCRATCH_BYTES", limit)
    array = memory.scratch((3, 40, 50), np.float16)
    assert isinstance(array, np.memmap) == (limit == 0)
    assert array.shape == (3, 40, 50)
    assert not array.any()
    array[1, 2:4] = 0.5
    assert array.sum() == 50


def test_a_file_larger_than_the_disk_is_refused():
    with pytest.raises(InputError, match="larger stride"):
        memory.scratch((10**6, 10**6, 10**4), np.uint8)
