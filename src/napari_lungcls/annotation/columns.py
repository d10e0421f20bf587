"""Names of the columns of a points table."""

from __future__ import annotations

import re

INDEX_COLUMN = "index"
"""Row numbers, as napari writes them; counted anew whenever points are saved."""

CLASS_COLUMN = "class"

IMAGE_COLUMN = "image"
"""The image that a point lies in: the name of a layer, or the path of a file."""

GROUP_COLUMN = "group"
"""The animal or slide that a point comes from."""

OBSERVER_COLUMN = "observer"
"""Who placed or labelled a point, when several people label the same images."""

SOURCE_COLUMN = "source"
"""What labelled a point: empty for the user, `MODEL` for converted predictions."""

MODEL = "model"

KNOWN_COLUMNS = (INDEX_COLUMN, CLASS_COLUMN, IMAGE_COLUMN, GROUP_COLUMN, OBSERVER_COLUMN)
"""Columns that are found in upper and lower case."""

AXIS_COLUMN = re.compile(r"axis-(0|[1-9][0-9]*)", re.ASCII)


def axis_name(axis: int) -> str:
    """Name the column of coordinate `axis` as napari does."""
    return f"axis-{axis}"


def axis_names(ndim: int) -> list[str]:
    """Name the columns of `ndim` coordinates."""
    return [axis_name(axis) for axis in range(ndim)]
