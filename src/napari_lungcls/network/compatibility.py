"""Whether a model and an image are compatible, and at which zooms the model reads it."""

from __future__ import annotations

import warnings

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.images.pixel_size import check_zooms, effective_zooms, size_remark
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.model_file import ModelDocument


def check_image(stack: ImageStack, document: ModelDocument) -> tuple[float, ...]:
    """Make sure that a model can read an image, and warn where the two differ.

    Returns
    -------
    tuple of float
        Zooms at which the image shows what the model was trained to see.

    Raises
    ------
    InputError
        When type, pixel size or size do not fit.

    Warns
    -----
    LungclsWarning
        See `remarks`.
    """
    zooms = fitting_zooms(stack, document)
    for line in remarks(stack, document):
        warnings.warn(line, LungclsWarning, stacklevel=2)
    return zooms


def fitting_zooms(stack: ImageStack, document: ModelDocument) -> tuple[float, ...]:
    """Do as `check_image` without its warnings, where they have been given already."""
    spec = document.network
    spec.normalisation.check(str(stack.dtype), stack.source)
    zooms = effective_zooms(spec.zooms, document.pixel_size, stack)
    check_zooms(spec.zooms, zooms, stack)
    return zooms


def remarks(stack: ImageStack, document: ModelDocument) -> list[str]:
    """Say where an image differs from those that a model was trained on, a line for each.

    The model can read the image nevertheless: its pixel size is assumed or resampled, or the
    one is grey and the other has colours.
    """
    found = (
        size_remark(document.pixel_size, stack),
        colour_remark(document, stack.source, rgb=stack.rgb),
    )
    return [line for line in found if line]


def colour_remark(document: ModelDocument, source: str, *, rgb: bool) -> str:
    """Say that a model of colour images is given a grey one, or the other way round."""
    if document.rgb is None or document.rgb == rgb:
        return ""
    trained, given = ("RGB", "grey") if document.rgb else ("grey", "RGB")
    return (
        f"the model was trained on {trained} images and {source} is {given}; check the result, "
        "or train a model on such images"
    )
