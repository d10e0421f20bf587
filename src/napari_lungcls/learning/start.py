"""The network that a run starts from: random, or with pretrained weights in its trunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.learning.dataset import PointSet
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split
from napari_lungcls.network.engines import Engine, create_engine
from napari_lungcls.network.pretrained import PretrainedWeights, load_pretrained
from napari_lungcls.network.spec import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NetworkSpec,
    Normalisation,
    Triple,
)

SAMPLE = 512
"""Points whose squares are looked at to learn how bright and varied the image is."""


@dataclass(frozen=True)
class Start:
    """A network ready for its first step.

    Attributes
    ----------
    engine
        Built, loaded and prepared.
    pretrained
        What the trunk started from, in words.
    """

    engine: Engine
    pretrained: str


def start_network(
    points: PointSet,
    split: Split,
    settings: TrainingSettings,
    scheme: ClassScheme,
    dtype: str,
) -> Start:
    """Build the network of a run.

    Parameters
    ----------
    points, split
        The training part tells the normalisation.
    settings, scheme
        What to build.
    dtype
        Type of the images.

    Raises
    ------
    InputError
        When the settings contradict each other or weights do not load.
    """
    weights = None if settings.pretrained == "none" else load_pretrained(settings.pretrained)
    normalisation = _normalisation(points.squares, split.train, dtype, imagenet=weights is not None)
    try:
        spec = NetworkSpec(
            zooms=settings.zooms,
            window=settings.window,
            stages=settings.stages,
            classes=len(scheme),
            readout=settings.readout,
            padding=settings.padding,
            normalisation=normalisation,
        )
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise InputError(f"these settings make no network: {reason}") from error
    engine = create_engine(settings.engine, spec, device=settings.device, seed=settings.seed)
    said = "none"
    if weights is not None:
        engine.load(_fitting(weights, engine), partial=True)
        said = weights.message()
    engine.prepare(settings.optimizer_options)
    return Start(engine, said)


def _fitting(weights: PretrainedWeights, engine: Engine) -> dict[str, NDArray[np.float32]]:
    """Return the arrays that this network has a place for; stages it lacks are left out."""
    names = engine.state().keys()
    return {name: array for name, array in weights.state.items() if name in names}


def _normalisation(
    squares: NDArray[Any], train: NDArray[np.intp], dtype: str, *, imagenet: bool
) -> Normalisation:
    """Take mean and spread from the training points, or ImageNet's on the image's scale.

    Pretrained weights expect intensities from 0 to 1. What 0 and 1 are is known for uint8;
    for other types it is the range of the training points, without the outermost thousandth.
    """
    chosen = train[np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).astype(int)]
    values = squares[chosen].reshape(-1, 3).astype(np.float32)
    if imagenet:
        low, high = (0.0, 255.0) if dtype == "uint8" else np.percentile(values, (0.1, 99.9))
        span = float(high - low) or 1.0
        mean = [float(low) + m * span for m in IMAGENET_MEAN]
        std = [s * span for s in IMAGENET_STD]
    else:
        # Sums of millions of float32 drift by tens of per cent, unless summed in float64.
        mean = values.mean(0, dtype=np.float64).tolist()
        values -= np.array(mean, np.float32)
        spread = np.sqrt(np.square(values, out=values).mean(0, dtype=np.float64))
        # A channel that is constant is not blown up; nor is an image that is.
        std = [float(v) for v in np.maximum(spread, 1e-3 * spread.max() or 1.0)]
    return Normalisation(mean=cast(Triple, tuple(mean)), std=cast(Triple, tuple(std)), dtype=dtype)
