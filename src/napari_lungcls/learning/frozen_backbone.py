"""A backbone whose features are read and that never changes, to begin a live map with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.initialization import (
    SAMPLE_PIXELS,
    Initialization,
    normalisation_from,
    open_initialization,
)
from napari_lungcls.learning.preview import preview_settings
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.engines import State, create_engine
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.parameters import stage_channels
from napari_lungcls.network.spec import NetworkSpec

if TYPE_CHECKING:
    from napari_lungcls.network.engines.torch.engine import TorchEngine

Region = tuple[slice, slice]

_NOBODY = ClassScheme.of_names(["no class", "no other"])
"""Classes that no model has: of a model file the backbone is taken."""


@dataclass(frozen=True, eq=False)
class FrozenBackbone:
    """A backbone that is read and never changed.

    Attributes
    ----------
    engine
        Computes it.
    spec
        Its shape; classes and heads in it say nothing.
    pixel_size
        Micrometres per pixel that it was trained at; None if unknown or of no matter.
    said
        What it is, in words.
    """

    engine: TorchEngine
    spec: NetworkSpec
    pixel_size: float | None
    said: str

    @property
    def features(self) -> int:
        """Number of features of a point, over all zooms and stages."""
        return sum(stage_channels(stage) for _, stage in self.spec.reads)


def open_backbone(
    start: str | tuple[ModelDocument, State],
    stack: ImageStack,
    region: Region,
    plane: tuple[int, ...] = (),
    *,
    device: str = "auto",
) -> FrozenBackbone:
    """Build the backbone whose features are read.

    Parameters
    ----------
    start
        A trained model; or as the setting `pretrained`: `auto`, `imagenet`, `none`, or a file of
        weights. As in a preview nothing is downloaded, and random numbers begin where there are
        no weights: their features still tell textures apart.
    stack
        The image it will look at.
    region, plane
        Rows and columns of the plane from which the range of intensities is taken, where
        neither a model nor ImageNet tells it.
    device
        See `engines.create_engine`. The engine is PyTorch, whichever trained the model.

    Raises
    ------
    InputError
        When weights and image do not go together, or PyTorch is missing.
    """
    settings = preview_settings(TrainingSettings(pretrained="auto", device=device))
    if isinstance(start, str):
        if start not in ("auto", "imagenet", "none"):
            settings = settings.model_copy(update={"pretrained": start})
        elif start == "none":
            settings = settings.model_copy(update={"pretrained": "none"})
        origin = open_initialization(settings, _NOBODY)
    else:
        origin = Initialization(model=start, said="a trained model")
    dtype = str(stack.dtype)
    if origin.model is not None:
        document = origin.model[0]
        # Heads are fitted anew, and read at the point, whatever those of the model do.
        spec = document.network.model_copy(update={"classes": 2, "hidden": 0, "pooling": "point"})
        spec.normalisation.check(dtype, stack.source)
    else:
        spec = _spec(settings, origin, stack, plane, region)
    engine = create_engine("torch", spec, device=device)
    own = engine.state()
    arrays = origin.model[1] if origin.model else origin.weights.state if origin.weights else {}
    heads = {spec.bias_name, *(spec.head_name(*each) for each in spec.reads)}
    engine.load({n: a for n, a in arrays.items() if n in own and n not in heads}, partial=True)
    said = origin.said if origin.said != "none" else "random numbers"
    return FrozenBackbone(engine, spec, origin.pixel_size, said)  # type: ignore[arg-type]


def _spec(
    settings: TrainingSettings,
    origin: Initialization,
    stack: ImageStack,
    plane: tuple[int, ...],
    region: Region,
) -> NetworkSpec:
    """Choose zooms and stages as training does, and look at the image for its intensities."""
    shape = settings.resolved(1, extent=max(stack.plane_shape), weights=origin.stages)
    pixels = stack.plane(plane).read(*region)
    step = max(1, round((pixels.shape[0] * pixels.shape[1] / SAMPLE_PIXELS) ** 0.5))
    values = pixels[::step, ::step].reshape(-1, pixels.shape[-1]).astype(np.float32)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        raise InputError(f"the part of {stack.source} in view has no numbers; move the view")
    scale = normalisation_from(
        np.broadcast_to(values, (len(values), 3)).copy(),
        str(stack.dtype),
        imagenet=origin.weights is not None,
    )
    names = {"zooms": shape.zooms, "stages": shape.stages, "tile": shape.tile}
    return NetworkSpec(classes=2, hidden=0, normalisation=scale, **names)
