"""Adapting a model to an image without labels: its batch normalisation is estimated anew on it.

Li et al. 2016, "Revisiting batch normalization for practical domain adaptation", arXiv 1603.04779;
Schneider et al. 2020, "Improving robustness against common corruptions by covariate shift
adaptation", arXiv 2006.16971. A map of it says so; docs/model-card.md says where it gains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.pixel_size import check_zooms, effective_zooms
from napari_lungcls.images.sampling import LEAST, sampled_tiles, tiles_enough
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.appearance import EDGE, TILES
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import State

if TYPE_CHECKING:
    from napari_lungcls.network.engines.torch.moments import Moments

BATCH = 16
"""Tiles that are normalised together."""

EPSILON = 1e-5
"""What batch normalisation adds to variances; the engines have the same."""

PRIOR = 16
"""Tiles as which the training images count beside those of an image, `N` of Schneider et al."""

Tiles = Iterable[NDArray[Any]]
"""Each `(zooms, edge, edge, 3)`, in intensities of the image."""


def image_tiles(stacks: Sequence[tuple[ImageStack, Sequence[float]]]) -> Iterator[NDArray[Any]]:
    """Read the tiles of images by which batch normalisation is estimated, the same every time.

    Parameters
    ----------
    stacks
        Images, and for each the image pixels per zoomed pixel at each zoom of the network.
    """
    chosen = stacks[:: -(-len(stacks) // TILES)]
    for number, (stack, zooms) in enumerate(chosen):
        count = tiles_enough(stack, zooms[0], EDGE, -(-TILES // len(chosen)))
        yield from sampled_tiles(stack, zooms, EDGE, count, seed=number)


def rebased_on(document: ModelDocument, state: State, tiles: Tiles) -> tuple[ModelDocument, State]:
    """Write a trained network so that its batch normalisation has the statistics of some tiles.

    Scale and shift are changed with them: what the network computes stays the same. Statistics
    that come from a file of weights then tell of the images trained on, and can be replaced by
    those of another image.

    Parameters
    ----------
    document, state
        The model.
    tiles
        Of the images trained on.

    Returns
    -------
    document, state
        Unchanged if there are too few tiles, nothing was learned, or the network overflows.
    """
    spec, held = document.network, list(tiles)
    if len(held) < LEAST or not document.history:
        return document, state
    # Where another engine trained, its name of the device may mean nothing here.
    device = document.device if document.engine == "torch" else "cpu"
    found, moments = dict(state), _moments(spec, state, held, device, replaces=False)
    if not all(np.isfinite(each).all() for both in moments.values() for each in both):
        return document, state
    for name, (mean, var) in moments.items():
        before = state[f"{name}.running_mean"]
        spread = np.sqrt(state[f"{name}.running_var"] + EPSILON)
        weight = state[f"{name}.weight"]
        found[f"{name}.running_mean"], found[f"{name}.running_var"] = mean, var
        found[f"{name}.weight"] = weight * np.sqrt(var + EPSILON) / spread
        found[f"{name}.bias"] = state[f"{name}.bias"] + weight * (mean - before) / spread
    return document.model_copy(update={"measured_statistics": True}), found


def adapted_state(
    document: ModelDocument, state: State, stack: ImageStack, device: str
) -> tuple[State, int]:
    """Estimate a network's batch normalisation anew on an image.

    Parameters
    ----------
    document, state
        The model.
    stack
        The image, of which a few dozen tiles of tissue are read.
    device
        Where to compute.

    Returns
    -------
    state
        Of the adapted network; the arrays given stay as they are.
    tiles
        How many were read.

    Raises
    ------
    InputError
        When the statistics of the model are not those of its training images, the image does
        not suit it, or too little of the image can be read.
    """
    spec = document.network
    if not document.measured_statistics and document.pretrained != "none":
        raise InputError(
            "the model does not know the statistics of its training images, which adapting "
            "compares with",
            suggestion=("train it anew with this version and", {"freeze": "no"}),
        )
    spec.normalisation.check(str(stack.dtype), stack.source)
    zooms = effective_zooms(spec.zooms, document.pixel_size, stack)
    check_zooms(spec.zooms, zooms, stack)
    tiles = list(image_tiles([(stack, zooms)]))
    if len(tiles) < LEAST:
        raise InputError(
            f"{stack.source}: too little can be read to adapt to it",
            suggestion={"adapt": None},
        )
    share = len(tiles) / (len(tiles) + PRIOR)
    found = dict(state)
    for name, both in _moments(spec, state, tiles, device, replaces=True).items():
        for part, new in zip(("running_mean", "running_var"), both, strict=True):
            if not np.isfinite(new).all():
                raise InputError(f"{stack.source}: the network gives no numbers on it")
            before = state[f"{name}.{part}"]
            found[f"{name}.{part}"] = ((1 - share) * before + share * new).astype(np.float32)
    return found, len(tiles)


def _moments(
    spec: NetworkSpec, state: State, tiles: Tiles, device: str, *, replaces: bool
) -> Moments:
    from napari_lungcls.network.engines.torch.moments import batch_moments

    held = list(tiles)
    batches = (np.stack(held[i : i + BATCH]) for i in range(0, len(held), BATCH))
    return batch_moments(spec, state, batches, device=device, replaces=replaces)
