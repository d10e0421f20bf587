"""Maps to write and compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap


@pytest.fixture(scope="session")
def header() -> Callable[..., MapHeader]:
    """Describe a map of that shape; anything can be changed by name."""

    def make(shape: tuple[int, ...], **changes: Any) -> MapHeader:
        values: dict[str, Any] = {
            "shape": shape,
            "scale": tuple(float(2 + i) for i in range(len(shape))),
            "translate": tuple(0.25 * i - 3 for i in range(len(shape))),
            "unit": "micrometer",
            "scheme": ClassScheme.preset("lung"),
            "stride": 4,
            "origin": (16, 32),
            "probabilities": True,
            "provenance": {"image": "Lunge ü.tif <&>", "zooms": [1, 4], "seed": None},
        }
        return MapHeader(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def random_map() -> Callable[..., PaintedMap]:
    """Fill a map with noise."""

    def make(header: MapHeader, seed: int = 0) -> PaintedMap:
        rng = np.random.default_rng(seed)
        k = len(header.scheme)
        classes = rng.integers(0, k + 1, header.shape).astype("uint8")
        cells = None
        if header.probabilities:
            cells = rng.random((k, *header.shape)).astype("float16")
        return PaintedMap(classes, cells, header)

    return make


@pytest.fixture(scope="session")
def assert_same() -> Callable[[PaintedMap, PaintedMap], None]:
    """Compare two maps, cell by cell and with their headers."""

    def compare(found: PaintedMap, wanted: PaintedMap) -> None:
        assert found.header == wanted.header
        np.testing.assert_array_equal(found.classes, wanted.classes)
        assert (found.classes.dtype, found.classes.shape) == (np.uint8, wanted.classes.shape)
        assert (found.probabilities is None) == (wanted.probabilities is None)
        if wanted.probabilities is not None:
            np.testing.assert_array_equal(found.probabilities, wanted.probabilities)
            assert found.probabilities.dtype == np.float16

    return compare
