"""Arrays that say, or do not say, which of their axes is which, as images."""

from __future__ import annotations

from typing import Any

from napari_lungcls.images.axes import (
    LazyView,
    Opened,
    arrange,
    described_axes,
    guess_axes,
)
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.images.units import world


def named_stack(
    array: Any,
    *descriptions: object,
    channels: Choice | None,
    name: str,
    source: str,
    sizes: dict[str, float | None] | None = None,
    opened: Opened | None = None,
) -> ImageStack:
    """Make an image of an array and the names of its axes.

    Parameters
    ----------
    array
        Anything with `shape`, `dtype` and indexing by whole numbers and slices.
    *descriptions
        Names of its axes, from every place that may have some, else None; where none says
        which axis is which, `guess_axes` does.
    channels
        What to make of its channels, as for `ImageStack`.
    name, source
        What to call it in layers and in messages.
    sizes
        Micrometres per pixel along some of `x`, `y`, `z`.
    opened
        Keeps a file open while the image is in use.

    Raises
    ------
    InputError
        When the names do not fit the array or contradict each other, or it is no image.
    """
    shape, choosing = tuple(array.shape), channels is not None
    said = [names for names in descriptions if isinstance(names, list | tuple)]
    axes = described_axes(*said, ndim=len(shape), source=source)
    layout = arrange(axes or guess_axes(shape, choosing=choosing), shape, source, choosing=choosing)
    pixel_size, scale, unit = world(layout.names, sizes or {}, source)
    return ImageStack(
        LazyView(array, source, layout.order, opened),
        rgb=layout.rgb,
        pixel_size=pixel_size,
        scale=scale,
        unit=unit,
        name=name,
        source=source,
        channels=channels,
        channel_names=[""] * layout.channels,
        axis_names=layout.names if axes else (),
    )
