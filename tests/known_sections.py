"""Sections whose classes are known, and maps of them."""

from __future__ import annotations

import numpy as np

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap

SCHEME = ClassScheme.preset("lung")
STRIDE = 4
UM = 0.5


def truth(*shape: int, seed: int = 0) -> np.ndarray:
    """Draw classes of squares, 32 pixels wide: mostly air, some septa and ducts."""
    rng = np.random.default_rng(seed)
    small = rng.choice(
        3, (*shape[:-2], -(-shape[-2] // 32), -(-shape[-1] // 32)), p=[0.5, 0.3, 0.2]
    )
    return small.repeat(32, -2).repeat(32, -1)[..., : shape[-2], : shape[-1]]


def painted(classes: np.ndarray, image: str) -> PaintedMap:
    """Paint a map that is right but for one cell in twenty."""
    cells = classes[..., ::STRIDE, ::STRIDE].astype(np.uint8) + 1
    wrong = np.random.default_rng(1).random(cells.shape) < 0.05
    cells[wrong] = cells[wrong] % 3 + 1
    lead = cells.ndim - 2
    header = MapHeader(
        shape=cells.shape,
        scale=(1.0,) * lead + (STRIDE * UM,) * 2,
        translate=(0.0,) * lead + ((STRIDE - 1) / 2 * UM,) * 2,
        unit="micrometer",
        scheme=SCHEME,
        stride=STRIDE,
        provenance={"image": image},
    )
    return PaintedMap(cells, None, header)
