"""Training: a generator that yields progress and returns the best network it saw."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_lungcls.annotation.columns import GROUP_COLUMN
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.predictions import PointPredictions, Predictions
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.pixel_size import common_pixel_size
from napari_lungcls.learning.audit_points import designs_of, without_audit
from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.checkpoint import Checkpoint
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.experiment import Experiment, TrainingData
from napari_lungcls.learning.held_out import remember_points
from napari_lungcls.learning.initialization import (
    begin,
    common_colours,
    dry_run,
    points_identity,
    settings_identity,
)
from napari_lungcls.learning.point_index import place_points
from napari_lungcls.learning.progress import Clock, TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, make_splits
from napari_lungcls.network.adaptation import image_tiles, rebased_on
from napari_lungcls.network.appearance import describe_images
from napari_lungcls.network.engines import State
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.training_data import (
    MOST,
    DataSummary,
    ImageSummary,
    count_classes,
    count_groups,
)
from napari_lungcls.utils.printable import printable


@dataclass(frozen=True)
class Trained:
    """What a run leaves.

    Attributes
    ----------
    document, state
        Of a model file.
    predictions
        At the points that were held out for validation, each of a network that has not seen
        it; None without any, and for patches.
    """

    document: ModelDocument
    state: State
    predictions: Predictions | None = None


def run_training(
    pairs: Sequence[Pair],
    settings: TrainingSettings,
    scheme: ClassScheme,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    checkpoint: Checkpoint | None = None,
    split: Split | None = None,
) -> Generator[TrainingProgress, None, Trained]:
    """Train a network on the points of one or several images.

    Parameters
    ----------
    pairs
        Images with their points.
    settings
        How to train.
    scheme
        The classes.
    cancelled
        Asked after every batch; when it says yes, the run ends with the best epoch so far,
        or with the network as it is when no epoch has ended.
    checkpoint
        Where the run is written down from time to time, and goes on from. Remove it when the
        model is safe.
    split
        Which points train and which judge, where the settings shall not decide it.

    Yields
    ------
    TrainingProgress

    Returns
    -------
    Trained
        As the generator's return value.

    Raises
    ------
    InputError
        When images, points and settings do not go together.
    """
    clock = Clock()
    pairs = without_audit(pairs, use_audit=settings.use_audit)
    images = [(str(stack.dtype), stack.source, stack.rgb) for stack, _ in pairs]
    origin = begin(settings, scheme, images)
    pixel_size = origin.pixel_size or common_pixel_size(stack for stack, _ in pairs)
    settings = origin.resolve(settings, pairs)
    layout = place_points(pairs, scheme, settings.zooms, pixel_size)
    rng = np.random.default_rng(settings.seed)
    splits = (
        [split.in_whole_planes(layout)] if split else make_splits(layout, settings, scheme, rng)
    )
    fingerprint: dict[str, Any] = {}
    if checkpoint is not None:
        fingerprint = points_identity(pairs, layout) | settings_identity(settings, scheme)
        checkpoint.check(fingerprint)
    dtype = str(pairs[0][0].dtype)
    dry_run(settings, len(scheme), dtype, origin)
    points = None
    for step in read_point_set(pairs, layout, reach(settings)):
        if isinstance(step, PointSet):
            points = step
        else:
            if cancelled():
                raise InputError("training was cancelled before the first step; nothing is left")
            yield TrainingProgress("reading", *step, seconds=clock.seconds)
    assert points is not None
    material = TrainingData(points, tuple(splits), dtype, pixel_size, fingerprint)
    run = Experiment(material, settings, scheme, origin, checkpoint)
    yield from run.go(clock, cancelled)
    document = run.document().model_copy(update={"rgb": common_colours(images)})
    if designs := designs_of(pairs):
        # A map of this model is not measured by these points: see `stereology.fields`.
        document = document.model_copy(
            update={"split": document.split | {"audit_designs": designs}}
        )
    held = run.held_out()
    known = remember_points(
        pairs,
        run.trained,
        {"validation": held, "test": run.held_out("test")},
        document,
        None if origin.model is None else origin.model[0],
    )
    seen = [(stack, zooms) for (stack, _), zooms in zip(pairs, layout.effective, strict=True)]
    spec = document.network
    document = document.model_copy(
        update={
            "points": known,
            "data": summarize_points(pairs, document.scheme),
            "appearance": describe_images([(s, z[0]) for s, z in seen], spec.normalisation),
        }
    )
    # A backbone that is left as it is stays so in the file, to the last bit.
    tiles = () if settings.freezes else image_tiles(seen)
    document, state = rebased_on(document, run.state, tiles)
    predictions = PointPredictions.of_rows(pairs, *held, document) if held else None
    return Trained(document, state, predictions)


def summarize_points(pairs: Sequence[Pair], scheme: ClassScheme) -> DataSummary:
    """Describe labelled images for the model file; only the first `MOST` are listed."""
    codes = [points.codes(scheme) for _, points in pairs]
    images = [
        ImageSummary(
            name=printable(stack.name),
            shape=stack.shape,
            pixel_size=stack.pixel_size,
            dtype=str(stack.dtype),
            rgb=stack.rgb,
            counts=count_classes(each, len(scheme)),
        )
        for (stack, _), each in zip(pairs[:MOST], codes, strict=False)
    ]
    named = [points.column(GROUP_COLUMN) for _, points in pairs]
    return DataSummary(
        images=images, groups=count_groups(zip(named, codes, strict=True), len(scheme))
    )
