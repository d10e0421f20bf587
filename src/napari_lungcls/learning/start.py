"""The network that a run starts from: random, with pretrained weights, or a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.learning.examples import Examples
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.document import ModelDocument
from napari_lungcls.network.engines import Engine, State, create_engine
from napari_lungcls.network.modelfile import is_model_file, read_model
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

SAMPLE_PIXELS = 2**25
"""Pixels of them that are held at most; 400 MB as they are summed."""
PIECES = 16
"""Parts in which they are read."""

SHAPE = ("zooms", "window", "stages", "readout", "padding")
"""Settings that a trained model brings with it."""


@dataclass(frozen=True)
class Origin:
    """What a run starts from.

    Attributes
    ----------
    weights
        Weights for the trunk, or None.
    model
        A trained model to go on with, or None.
    said
        Both in words.
    """

    weights: PretrainedWeights | None = None
    model: tuple[ModelDocument, State] | None = None
    said: str = "none"

    @property
    def pixel_size(self) -> float | None:
        """Micrometres per pixel that the model sees, if there is one and it knows."""
        return self.model[0].pixel_size if self.model else None

    def shaped(self, settings: TrainingSettings) -> TrainingSettings:
        """Give settings the shape of the model.

        Raises
        ------
        InputError
            When another shape was asked for.
        """
        if self.model is None:
            return settings
        spec = self.model[0].network
        own = {name: getattr(spec, name) for name in SHAPE}
        for name in settings.model_fields_set & set(SHAPE):
            asked = getattr(settings, name)
            if asked not in (own[name], ()):
                raise InputError(
                    f"the model {settings.pretrained} has {name} {_words(own[name])}, not "
                    f"{_words(asked)}; leave --{name} out, or start from other weights"
                )
        return settings.model_copy(update=own)


def open_origin(settings: TrainingSettings, scheme: ClassScheme) -> Origin:
    """Open what `settings.pretrained` names.

    A model of this program with the same classes is gone on with, heads included; of one with
    other classes the trunk is taken.

    Raises
    ------
    InputError
        When it cannot be used.
    """
    if settings.pretrained == "none":
        return Origin()
    if settings.pretrained != "imagenet" and is_model_file(settings.pretrained):
        document, state = read_model(settings.pretrained)
        if document.scheme.same_classes(scheme):
            said = f"the model {Path(settings.pretrained).name}, trained {document.created}"
            return Origin(model=(document, state), said=said)
    weights = load_pretrained(settings.pretrained)
    return Origin(weights=weights, said=weights.message())


def start_network(
    examples: Examples,
    train: NDArray[np.intp],
    settings: TrainingSettings,
    classes: int,
    dtype: str,
    origin: Origin,
    seed: int | None = None,
) -> Engine:
    """Build the network of a training, ready for its first step.

    Parameters
    ----------
    examples, train
        The training part tells the normalisation.
    settings, classes
        What to build; `origin.shaped` comes first.
    dtype
        Type of the images.
    origin
        What to start from.
    seed
        Of the first parameters; that of the settings if not given.

    Raises
    ------
    InputError
        When the settings contradict each other or weights do not load.
    """
    if origin.model is not None:
        spec = origin.model[0].network
        spec.normalisation.check(dtype, "the image")
    else:
        scale = normalisation_of(examples, train, dtype, imagenet=origin.weights is not None)
        spec = _spec(settings, classes, scale)
    chosen = settings.seed if seed is None else seed
    engine = create_engine(settings.engine, spec, device=settings.device, seed=chosen)
    if origin.model is not None:
        engine.load(origin.model[1])
    elif origin.weights is not None:
        engine.load(_fitting(origin.weights, engine), partial=True)
    engine.prepare(settings.optimizer_options)
    return engine


def continue_network(spec: NetworkSpec, state: State, settings: TrainingSettings) -> Engine:
    """Build a network with these arrays, ready for its next step."""
    engine = create_engine(settings.engine, spec, device=settings.device, seed=settings.seed)
    engine.load(state)
    engine.prepare(settings.optimizer_options)
    return engine


def _spec(settings: TrainingSettings, classes: int, scale: Normalisation) -> NetworkSpec:
    try:
        return NetworkSpec(
            classes=classes,
            normalisation=scale,
            **{name: getattr(settings, name) for name in SHAPE},
        )
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise InputError(f"these settings make no network: {reason}") from error


def _fitting(weights: PretrainedWeights, engine: Engine) -> State:
    """Return the arrays that this network has a place for; stages it lacks are left out."""
    own = engine.state()
    found = {name: array for name, array in weights.state.items() if name in own}
    if engine.spec.is_torchvision and weights.fc is not None:
        head = dict(zip(("fc.weight", "fc.bias"), weights.fc, strict=True))
        if all(own[name].shape == array.shape for name, array in head.items()):
            found |= head
    return found


def normalisation_of(
    examples: Examples, train: NDArray[np.intp], dtype: str, *, imagenet: bool
) -> Normalisation:
    """Take mean and spread from the training points, or ImageNet's on the image's scale.

    Pretrained weights expect intensities from 0 to 1. What 0 and 1 are is known for uint8;
    for other types it is the range of the training points, without the outermost thousandth.
    """
    chosen = train[np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).astype(int)]
    values = np.concatenate([_some(examples, part) for part in np.array_split(chosen, PIECES)])
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


def _some(examples: Examples, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Take the pixels of squares, or evenly spread ones where there are too many, `(m, 3)`."""
    pixels = examples.around(rows)[0].reshape(-1, 3)
    step = -(-len(pixels) * PIECES // SAMPLE_PIXELS) if len(pixels) else 1
    return pixels[::step].astype(np.float32)


def _words(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
