"""Taking whatever is an image: a stack, a path, an array, a layer of napari."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_lungcls.imaging.source_units import micrometres, ngff_name, square
from napari_lungcls.imaging.sources import open_image
from napari_lungcls.imaging.stack import ImageStack


def as_stack(image: Any, **options: Any) -> ImageStack:
    """Take anything that is an image: an `ImageStack`, a path, an array, a napari layer.

    Parameters
    ----------
    image
        A napari image layer is recognised by its `data` and `rgb`; its scale and translate
        are kept, and its scale is the pixel size when its units are lengths.
    **options
        Passed on to `ImageStack` for arrays and lists of arrays.
    """
    if isinstance(image, ImageStack):
        return image
    if isinstance(image, str | os.PathLike):
        return open_image(Path(image))
    if hasattr(image, "data") and hasattr(image, "rgb") and hasattr(image, "scale"):
        return _from_layer(image)
    return ImageStack(image, **options)


def _from_layer(layer: Any) -> ImageStack:
    data = list(layer.data) if getattr(layer, "multiscale", False) else layer.data
    unit = str(getattr(layer, "units", ("pixel",))[-1])
    source = f"layer {layer.name!r}"
    length = micrometres(unit)
    y, x = (float(v) * (length or 0.0) for v in layer.scale[-2:])
    return ImageStack(
        data,
        rgb=bool(layer.rgb),
        pixel_size=square(y, x, source),
        scale=[float(v) for v in layer.scale],
        translate=[float(v) for v in layer.translate],
        unit=ngff_name(unit) or unit,
        name=str(layer.name),
        source=source,
    )
