"""Whether an image suits a model: whether it looks like those that the model was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.images.pixel_size import check_zooms, effective_zooms
from napari_lungcls.images.sampling import sampled_tiles, tiles_enough
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.appearance import TILES, Appearance, describe_tiles
from napari_lungcls.network.compatibility import remarks
from napari_lungcls.network.model_file import ModelDocument

LIMIT = 3.0
"""Distance from which an image is called unlike those trained on; see docs/model-card.md."""

BITS = 4.0
"""Ratio of the intensities' ranges from which the bit depth may be another: two bits."""


@dataclass(frozen=True)
class Suitability:
    """How well an image suits a model.

    Attributes
    ----------
    distance
        How far it looks from the training images, see `Appearance.distance`; None where the
        model does not know how those looked, or too little of the image can be read.
    misfits
        What the distance and the intensities say against it, to be shown as warnings.
    remarks
        What is assumed or done about pixel size and colours.

    Examples
    --------
    >>> fit = lc.load("lung.safetensors").suitability("section.ome.tif")
    >>> fit.suits
    True
    """

    distance: float | None
    misfits: tuple[LungclsWarning, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def suits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.misfits


def assess_image(stack: ImageStack, document: ModelDocument) -> Suitability:
    """Compare an image with those that a model was trained on.

    A few dozen tiles of its tissue are read, always the same.

    Parameters
    ----------
    stack
        The image.
    document
        Of the model.

    Raises
    ------
    InputError
        When the image is of another type or too small, or the pixel sizes differ so much that one
        must be wrong.
    """
    document.network.normalisation.check(str(stack.dtype), stack.source)
    known, said = document.appearance, tuple(remarks(stack, document))
    if known is None:
        return Suitability(None, (), said)
    spec = document.network
    zooms = effective_zooms(spec.zooms, document.pixel_size, stack)
    check_zooms(spec.zooms, zooms, stack)
    zoom = zooms[0]
    count = tiles_enough(stack, zoom, known.edge, TILES)
    tiles = (tile[0] for tile in sampled_tiles(stack, (zoom,), known.edge, count))
    found = describe_tiles(tiles, spec.normalisation, rgb=stack.rgb)
    if found is None:
        return Suitability(None, (), said)
    misfits = [*_range(stack, known, found), *_looks(stack, known, found)]
    return Suitability(known.distance(found), tuple(misfits), said)


def warn_of_misfits(stack: ImageStack, document: ModelDocument) -> None:
    """Warn where an image does not look like those that a model was trained on.

    Warns
    -----
    LungclsWarning
        See `Suitability.misfits`; other remarks are left to `check_image`.
    """
    for misfit in assess_image(stack, document).misfits:
        warnings.warn(misfit, stacklevel=3)


def _range(stack: ImageStack, known: Appearance, found: Appearance) -> Iterator[LungclsWarning]:
    """Say that intensities use another part of their type."""
    ratio = (found.high - found.low + 1) / (known.high - known.low + 1)
    if stack.dtype.kind == "u" and stack.dtype.itemsize > 1 and not 1 / BITS < ratio < BITS:
        yield LungclsWarning(
            f"{stack.source} has intensities from {found.low:g} to {found.high:g}, and the images "
            f"that the model was trained on from {known.low:g} to {known.high:g}",
            suggestion="bring the image to the same range if its bit depth is another",
        )


def _looks(stack: ImageStack, known: Appearance, found: Appearance) -> Iterator[LungclsWarning]:
    """Say that colours or texture differ."""
    distance = known.distance(found)
    if distance is None or distance < LIMIT:
        return
    steps = known.differences(found)
    worst = max(steps, key=lambda name: abs(steps[name]))
    what = (
        "its texture (sharpness, noise, magnification) lies"
        if worst.startswith("texture")
        else "its brightness lies"
        if worst.startswith("grey")
        else "its colours (stain, light) lie"
    )
    yield LungclsWarning(
        f"{stack.source} does not look like the images that the model was trained on: {what} "
        f"apart (distance {distance:.1f}, usual is less than {LIMIT:g})",
        suggestion=(
            "look at the result closely,",
            {"adapt": True},
            "if its tissue is the same, or train on points of such images as well",
        ),
    )
