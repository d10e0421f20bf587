"""Points of several tables in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from napari_lungcls.annotation.columns import INDEX_COLUMN
from napari_lungcls.annotation.points import Points
from napari_lungcls.errors import InputError


def join_points(tables: Sequence[Points]) -> Points:
    """Put tables below each other; columns that one lacks stay empty there.

    The column `index` counts anew. Points keep their classes if each table has some.

    Raises
    ------
    InputError
        When the coordinates have different numbers of axes.
    """
    first = tables[0]
    for other in tables[1:]:
        if other.ndim != first.ndim:
            raise InputError(
                f"{first.source} has {first.ndim} axes and {other.source} {other.ndim}; points "
                "in planes and in stacks cannot share a table, so name them one at a time"
            )
    coordinates = np.concatenate([points.coordinates for points in tables])
    texts = pd.concat([points.table for points in tables], ignore_index=True).fillna("")
    texts[INDEX_COLUMN] = [str(i) for i in range(len(coordinates))]
    labels = [points.labels for points in tables if points.labels is not None]
    return Points(
        coordinates,
        np.concatenate(labels) if len(labels) == len(tables) else None,
        texts.astype(object),
        first.source,
    )
