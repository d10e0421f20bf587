"""Labelled points without an image: a split needs no pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_lungcls.learning.point_index import PointIndex


def scattered(
    seed: int, n: int = 300, extent: int = 4000, classes: int = 2, n_planes: int = 1, **fields: Any
) -> PointIndex:
    """Scatter points over square planes; `fields` replaces what else a layout holds."""
    rng = np.random.default_rng(seed)
    where = rng.uniform(-0.5, extent - 0.5, (n, 2))
    given = {
        "planes": rng.integers(0, n_planes, n),
        "codes": rng.integers(0, classes, n),
        "images": np.zeros(n, np.int64),
    } | fields
    count = int(given["planes"].max()) + 1
    return PointIndex(
        where,
        plane_shapes=np.full((count, 2), extent),
        plane_places=tuple((0, (i,)) for i in range(count)),
        **given,
    )
