"""How much of the tissue a network will look at, in words: the zooms that training chooses."""

from collections.abc import Sequence

from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.settings_network import FEW
from napari_lungcls.network.pretrained import IMAGENET
from napari_lungcls.utils.downloads import is_cached

ALL_STAGES = (0, 1, 2, 3, 4)
"""Stages of a backbone with ImageNet's weights."""


def looks(settings: TrainingSettings, stacks: Sequence[ImageStack], n: int) -> str:
    """Say at which zooms a network will look, and how far it sees.

    Parameters
    ----------
    settings
        The settings, with what is left to the program.
    stacks
        The images to train on; none of them: empty.
    n
        Number of labelled points.

    Returns
    -------
    str
        Such as `Looks at zooms 1, 2: 256 px = 461 µm, 922 µm.`
    """
    if not stacks:
        return ""
    start = settings.pretrained
    if start not in ("none", "auto", "imagenet") and not settings.zooms:
        return f"Looks at the zooms of {start.rpartition('/')[2]}." if start else ""
    size = stacks[0].pixel_size
    extent = max(max(stack.plane_shape) for stack in stacks)
    with_weights, without = (
        settings.resolved(n, extent=extent, weights=weights, pixel_size=size)
        for weights in (ALL_STAGES, ())
    )
    found = without if start == "none" else with_weights
    zooms, tile = found.zooms, found.tile
    assert tile is not None
    far = f"{tile} px"
    if size is not None:
        far += f" = {', '.join(f'{tile * zoom * size:.0f} µm' for zoom in zooms)}"
    chosen = found.freezes and settings.freeze == "auto"
    learns = f" Only its last layers learn; from {FEW} points on, all of them do." if chosen else ""
    unsure = start == "auto" and without.zooms != zooms and not is_cached(IMAGENET)
    rest = (
        f" Only at {_named(without.zooms)} if ImageNet's weights cannot be fetched."
        if unsure
        else ""
    )
    return f"Looks at {_named(zooms)}: {far}.{learns}{rest}"


def _named(zooms: tuple[int, ...]) -> str:
    return f"zoom{'s' if len(zooms) > 1 else ''} {', '.join(map(str, zooms))}"
