"""What cannot be computed is said before a pixel is read, to scripts and searches as well."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.run import run_training
from three_tissues import QUICK, SCHEME, exhausted, scene


class Unread(np.ndarray):
    """Pixels that must not be looked at."""

    def __getitem__(self, key: object) -> NDArray[np.uint8]:
        raise AssertionError("a pixel was read")


def untouched() -> tuple[ImageStack, Points]:
    stack, points = scene()
    pixels = np.zeros((*stack.shape, 3), np.uint8).view(Unread)
    return ImageStack(pixels, rgb=True, source="a.tif"), points


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"device": "tpu"}, "none of auto, cpu"),
        ({"engine": "caffe"}, "caffe"),
        ({"stages": (1, 4)}, "make no network"),
    ],
)
def test_bad_settings_are_refused_before_a_pixel_is_read(changed, words):
    settings = QUICK.model_copy(update=changed)
    with pytest.raises(InputError, match=words):
        exhausted(run_training([untouched()], settings, SCHEME))


def test_good_settings_do_read_pixels():
    with pytest.raises(AssertionError, match="a pixel was read"):
        exhausted(run_training([untouched()], QUICK, SCHEME))
