"""The part of a view that is painted to compare models. No Qt."""

from napari_lungcls.inference.grid import Region

MOST = 1024
"""Largest edge in pixels."""


def region_around(seen: Region, most: int = MOST) -> Region:
    """Give the middle of what is seen, at most `most` pixels high and wide."""
    first, second = (_middle(side, most) for side in seen)
    return first, second


def _middle(side: slice, most: int) -> slice:
    spare = max(0, side.stop - side.start - most)
    return slice(side.start + spare // 2, side.stop - (spare - spare // 2))
