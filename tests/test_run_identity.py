"""What tells one run from another: in words, from few pixels."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_lungcls.annotation import Points
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.run_identity import (
    DIAGONAL,
    PIXELS,
    SAMPLES,
    describe_images,
    diagonal_samples,
    difference,
)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"seed": 0}, {"seed": 0}, None),
        ({"seed": 0}, {"seed": 1}, "another seed (0 before, 1 now)"),
        ({"channels": None}, {"channels": "1"}, "another channels (none before, 1 now)"),
        ({"zooms": [1, 4]}, {"zooms": (1, 4)}, None),
        ({"points": "a" * 64}, {"points": "b" * 64}, "another points"),
        ({"seed": 0}, {}, "another seed (0 before, none now)"),
        ({PIXELS: ["a", None]}, {PIXELS: [None, "b"]}, None),
        ({PIXELS: ["a", "b"]}, {PIXELS: ["a", "c"]}, "other pixels in the images"),
        ({PIXELS: ["a"]}, {PIXELS: ["a", "c"]}, "another version of this program"),
    ],
)
def test_a_difference_is_told_in_words(before: Any, now: Any, words: str | None) -> None:
    found = difference({PIXELS: []} | before, {PIXELS: []} | now)
    assert (found if found is None else str(found)) == words


@pytest.mark.parametrize(
    ("before", "now", "remedy"),
    [
        ({"setting stride": 4}, {"setting stride": 2}, {"stride": 4}),
        ({"setting channels": "0"}, {}, {"channels": "0"}),
        ({}, {"setting channels": "0"}, {"channels": None}),
        ({"setting zooms": [1] * 50}, {"setting zooms": [2]}, {"zooms": ...}),
        ({"points": "a"}, {"points": "b"}, "use the same"),
    ],
)
def test_the_setting_that_was_is_the_remedy(before: Any, now: Any, remedy: Any) -> None:
    found = difference({PIXELS: []} | before, {PIXELS: []} | now)
    assert found is not None
    assert found.remedy == remedy


def test_what_an_older_version_stored_is_refused() -> None:
    found = difference({"seed": 0}, {"seed": 0, PIXELS: []})
    assert str(found) == "another version of this program"


@pytest.mark.parametrize("count", [1, 3, 200])
def test_few_places_are_read_however_many_images_and_points(count: int) -> None:
    read: list[int] = []

    def block(pixels: np.ndarray) -> np.ndarray:
        read.append(pixels.size)
        return pixels

    lazy = da.zeros((4, 2000, 2000), np.uint8, chunks=(1, 100, 100)).map_blocks(
        block, meta=np.zeros((0, 0, 0), np.uint8)
    )
    stack = ImageStack(lazy, source="a.tif")
    where = np.random.default_rng(0).uniform(0, (3, 1999, 1999), (500, 3))
    described = describe_images([(stack, Points.build(where, ["a"] * 500))] * count)
    assert len(described["images"]) == count
    assert SAMPLES // 2 < len(described[PIXELS]) <= SAMPLES
    # A place of 32 pixels lies in four chunks at the most.
    assert len(read) <= 4 * SAMPLES
    assert len(diagonal_samples(stack)) == DIAGONAL
