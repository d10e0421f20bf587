"""Names of the columns of a points table."""

from __future__ import annotations

INDEX_COLUMN = "index"
CLASS_COLUMN = "class"

IMAGE_COLUMN = "image"
"""The image that a point lies in: the name of a layer, or the path of a file."""

SOURCE_COLUMN = "source"
"""Who labelled a point: empty for the user, `model` for converted predictions."""


def axis_name(axis: int) -> str:
    """Name the column of coordinate `axis` as napari does."""
    return f"axis-{axis}"
