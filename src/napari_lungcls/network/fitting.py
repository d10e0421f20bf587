"""Whether a model can read an image, and at which zooms it then looks."""

from __future__ import annotations

from napari_lungcls.imaging.pixelsize import check_zooms, effective_zooms
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.network.document import ModelDocument


def check_image(stack: ImageStack, document: ModelDocument) -> tuple[float, ...]:
    """Make sure that a model can read an image.

    Returns
    -------
    tuple of float
        Zooms at which the image shows what the model was trained to see.

    Raises
    ------
    InputError
        When type, pixel size or size do not fit.
    """
    spec = document.network
    spec.normalisation.check(str(stack.dtype), stack.source)
    zooms = effective_zooms(spec.zooms, document.pixel_size, stack)
    check_zooms(spec.zooms, zooms, stack)
    return zooms
