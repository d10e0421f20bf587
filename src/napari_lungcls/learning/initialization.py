"""The network that a run starts from: random, with pretrained weights, or a trained model."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.pixel_size import common_pixel_size
from napari_lungcls.learning.augmentation import check_changes
from napari_lungcls.learning.examples import Examples, Side
from napari_lungcls.learning.held_out import check_aim
from napari_lungcls.learning.point_index import PointIndex, count_labels
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.compatibility import colour_remark
from napari_lungcls.network.engines import Engine, OptimizerOptions, State, create_engine
from napari_lungcls.network.model_file import ModelDocument, is_model_file, read_model
from napari_lungcls.network.parameters import STAGES, backbone_shapes, stage_of
from napari_lungcls.network.pretrained import (
    PretrainedWeights,
    load_available,
    load_pretrained,
)
from napari_lungcls.network.spec import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NetworkSpec,
    Normalisation,
    Triple,
)
from napari_lungcls.run_identity import describe_images, digest

SAMPLE_PIXELS = 2**20
"""Pixels that are looked at to learn how bright and varied the image is."""

SHAPE = ("zooms", "tile", "stages", "hidden", "pooling", "padding")
"""Settings that a trained model brings with it."""


ANYWHERE = {"engine", "device", "precision"}
"""Settings that say where a run computes, and may change when it goes on."""


@dataclass(frozen=True)
class Initialization:
    """What a run starts from.

    Attributes
    ----------
    weights
        Weights for the backbone, or None.
    model
        A trained model to go on with, or None.
    said
        Both in words.
    """

    weights: PretrainedWeights | None = None
    model: tuple[ModelDocument, State] | None = None
    said: str = "none"

    @property
    def stages(self) -> tuple[int, ...]:
        """Stages of the backbone that have weights from a file, the stem as 0."""
        if self.model is not None:
            return (0, *range(1, self.model[0].network.stages[-1] + 1))
        if self.weights is None:
            return ()
        names = backbone_shapes()
        return tuple(
            stage
            for stage in (0, *STAGES)
            if all(n in self.weights.state for n in names if stage_of(n) == stage and _is_needed(n))
        )

    def fixed_statistics(self, deepest: int) -> tuple[str, ...]:
        """Name the parts of a backbone whose batch normalisation keeps the statistics of the file.

        Parameters
        ----------
        deepest
            The last stage that the backbone has.
        """
        if self.weights is None:
            return ()
        stages = [stage for stage in self.stages if stage <= deepest]
        return tuple("bn1" if stage == 0 else f"layer{stage}" for stage in stages)

    @property
    def pixel_size(self) -> float | None:
        """Micrometres per pixel that the model sees, if there is one and it knows."""
        return self.model[0].pixel_size if self.model else None

    def resolve(self, settings: TrainingSettings, pairs: Sequence[Pair]) -> TrainingSettings:
        """Choose what settings leave to the program, for these points and this start."""
        # A model that is gone on with keeps what its heads have learned: they are not fitted anew.
        weights = () if self.model else self.stages
        counts = count_labels(pairs)
        return self.shaped(settings).resolved(
            counts.total(),
            rarest=min(counts.values(), default=0),
            extent=max(max(stack.plane_shape) for stack, _ in pairs),
            weights=weights,
            pixel_size=self.pixel_size or common_pixel_size(stack for stack, _ in pairs),
        )

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
            if asked not in (own[name], (), None):
                raise InputError(
                    f"the model {settings.pretrained} has {name} {_words(own[name])}, not "
                    f"{_words(asked)}",
                    suggestion=({name: None}, "or start from other weights"),
                )
        return settings.model_copy(update=own)


def _is_needed(name: str) -> bool:
    """Tell whether a part of the backbone cannot do without an array; folded files lack others."""
    return name.endswith("weight") and ("conv" in name or "downsample.0" in name)


def open_initialization(settings: TrainingSettings, scheme: ClassScheme) -> Initialization:
    """Open what `settings.pretrained` names.

    A model of this program with the same classes is gone on with, heads included; of one with
    other classes the backbone is taken.

    Raises
    ------
    InputError
        When it cannot be used.
    """
    if settings.pretrained == "none":
        return Initialization()
    if settings.pretrained == "auto":
        weights, said = load_available()
        return Initialization(weights=weights, said=said)
    if settings.pretrained != "imagenet" and is_model_file(settings.pretrained):
        document, state = read_model(settings.pretrained)
        if document.scheme.same_classes(scheme):
            said = f"the model {Path(settings.pretrained).name}, trained {document.created}"
            return Initialization(model=(document, state), said=said)
    weights = load_pretrained(settings.pretrained)
    return Initialization(weights=weights, said=weights.message())


def start_network(
    examples: Examples,
    train: Side,
    settings: TrainingSettings,
    classes: int,
    dtype: str,
    origin: Initialization,
) -> Engine:
    """Build the network of a training, ready for its first step.

    Parameters
    ----------
    examples, train
        The training side tells the normalisation.
    settings, classes
        What to build; `origin.shaped` comes first.
    dtype
        Type of the images.
    origin
        What to start from.

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
    engine = create_engine(settings.engine, spec, device=settings.device, seed=settings.seed)
    if origin.model is not None:
        engine.load(origin.model[1])
    elif origin.weights is not None:
        engine.load(_fitting(origin.weights, engine), partial=True)
    engine.prepare(_options(settings, origin, spec))
    return engine


def continue_network(
    spec: NetworkSpec, state: State, settings: TrainingSettings, origin: Initialization
) -> Engine:
    """Build a network with these arrays, ready for its next step."""
    engine = create_engine(settings.engine, spec, device=settings.device, seed=settings.seed)
    engine.load(state)
    engine.prepare(_options(settings, origin, spec))
    return engine


def _options(
    settings: TrainingSettings, origin: Initialization, spec: NetworkSpec
) -> OptimizerOptions:
    fixed = origin.fixed_statistics(spec.stages[-1])
    return settings.optimizer_options.model_copy(update={"fixed_statistics": fixed})


def _spec(settings: TrainingSettings, classes: int, scale: Normalisation) -> NetworkSpec:
    shape = {name: getattr(settings, name) for name in SHAPE}
    if shape["hidden"]:
        # Two units for each class hold a linear map, see `linear_probe`.
        shape["hidden"] = max(shape["hidden"], 2 * classes)
    try:
        return NetworkSpec(classes=classes, normalisation=scale, **shape)
    except ValidationError as error:
        raise InputError(f"these settings make no network: {one_line(error)}") from error


def _fitting(weights: PretrainedWeights, engine: Engine) -> State:
    """Return the arrays that this network has a place for; stages it lacks are left out."""
    own = engine.state()
    found = {name: array for name, array in weights.state.items() if name in own}
    # In a file whose batch normalisation is folded away, the one left out changes nothing.
    if engine.spec.is_torchvision and weights.fc is not None:
        head = dict(zip(("fc.weight", "fc.bias"), weights.fc, strict=True))
        if all(own[name].shape == array.shape for name, array in head.items()):
            found |= head
    return found


def normalisation_of(
    examples: Examples, train: Side, dtype: str, *, imagenet: bool
) -> Normalisation:
    """Take mean and spread from the tissue around training points, or ImageNet's on its scale.

    Pretrained weights expect intensities from 0 to 1. What 0 and 1 are is known for uint8;
    for other types it is the range of the training points, without the outermost thousandth.
    """
    return normalisation_from(examples.sample(train, SAMPLE_PIXELS), dtype, imagenet=imagenet)


def normalisation_from(values: NDArray[np.float32], dtype: str, *, imagenet: bool) -> Normalisation:
    """Do as `normalisation_of` from pixels `(n, 3)`, which are overwritten."""
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


def settings_identity(
    settings: TrainingSettings, scheme: ClassScheme, searched: Collection[str] = ()
) -> dict[str, Any]:
    """Describe how a run learns, for its identity; see `run_identity`.

    Parameters
    ----------
    settings
        Complete; where they say the run computes is left out and may change when it goes on.
    scheme
        The classes.
    searched
        Settings that differ between the trials of a search.
    """
    fixed = settings.model_dump(mode="json", exclude={*ANYWHERE, *searched})
    return {"classes": list(scheme.names)} | {f"setting {k}": v for k, v in fixed.items()}


def points_identity(pairs: Sequence[Pair], layout: PointIndex) -> dict[str, Any]:
    """Describe what a run on points learns from, for its identity; see `run_identity`."""
    return describe_images(pairs) | {
        "number of points": len(layout),
        "set of points": digest(layout.coordinates, layout.codes),
    }


def _words(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def begin(
    settings: TrainingSettings, scheme: ClassScheme, images: Sequence[tuple[str, str, bool]]
) -> Initialization:
    """Check what can be checked before anything is read, and open what the run starts from.

    Parameters
    ----------
    settings
        As the user gave them.
    scheme
        The classes.
    images
        Type, name, and whether it has colours, of each image or part.

    Raises
    ------
    InputError
        When settings, classes and images do not go together.

    Warns
    -----
    LungclsWarning
        When the run goes on with a model of colour images on grey ones, or the reverse.
    """
    check_aim(settings, scheme)
    for dtype, source, rgb in images:
        check_changes(settings, dtype, source, rgb=rgb)
    origin = open_initialization(settings, scheme)
    if origin.model is not None:
        for _, source, rgb in images:
            if line := colour_remark(origin.model[0], source, rgb=rgb):
                warnings.warn(line, LungclsWarning, stacklevel=2)
    return origin


def common_colours(images: Sequence[tuple[str, str, bool]]) -> bool | None:
    """Tell whether all images have colours, as `begin` takes them; None if only some do."""
    found = {rgb for _, _, rgb in images}
    return found.pop() if len(found) == 1 else None


def dry_run(settings: TrainingSettings, classes: int, dtype: str, origin: Initialization) -> None:
    """Build the network of a training before tissue is read, and drop it.

    Engine, device, weights and a shape that no network can have are found out in this way.

    Raises
    ------
    InputError
        When one of them cannot be used.
    """
    norm = Normalisation(mean=(0.0,) * 3, std=(1.0,) * 3, dtype=dtype)
    if origin.model is not None:
        spec = origin.model[0].network
        spec.normalisation.check(dtype, "the image")
    else:
        spec = _spec(settings, classes, norm)
    engine = create_engine(settings.engine, spec, device=settings.device, seed=settings.seed)
    engine.prepare(_options(settings, origin, spec))
