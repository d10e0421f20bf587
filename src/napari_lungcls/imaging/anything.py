"""Taking whatever is an image: a stack, a path, an array, a layer of napari."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.channels import Choice
from napari_lungcls.imaging.source_units import micrometres, ngff_name, square
from napari_lungcls.imaging.sources import open_image
from napari_lungcls.imaging.stack import ImageStack


def as_stack(image: Any, *, channels: Choice | None = None, **options: Any) -> ImageStack:
    """Take anything that is an image: an `ImageStack`, a path, an array, a napari layer.

    Parameters
    ----------
    image
        A napari image layer is recognised by its `data` and `rgb`; its scale and translate
        are kept, and its scale is the pixel size when its units are lengths.
    channels
        What to make of its channels, as for `ImageStack`.
    **options
        Passed on to `ImageStack` for arrays and lists of arrays.

    Raises
    ------
    InputError
        When it is no image, or it is a stack, whose channels have been chosen.
    """
    if isinstance(image, ImageStack):
        if channels is not None:
            raise InputError(f"{image.source}: is open; choose its channels where it is opened")
        return image
    if isinstance(image, str | os.PathLike):
        return open_image(Path(image), channels)
    if hasattr(image, "data") and hasattr(image, "rgb") and hasattr(image, "scale"):
        return _from_layer(image, channels)
    return ImageStack(image, channels=channels, **options)


def _from_layer(layer: Any, channels: Choice | None) -> ImageStack:
    data = list(layer.data) if getattr(layer, "multiscale", False) else layer.data
    unit = str(getattr(layer, "units", ("pixel",))[-1])
    source = f"layer {layer.name!r}"
    length = micrometres(unit)
    y, x = (float(v) * (length or 0.0) for v in layer.scale[-2:])
    return ImageStack(
        data,
        rgb=bool(layer.rgb),
        channels=channels,
        pixel_size=square(y, x, source),
        scale=[float(v) for v in layer.scale],
        translate=[float(v) for v in layer.translate],
        unit=ngff_name(unit) or unit,
        name=str(layer.name),
        source=source,
    )
