"""Training on patches: a generator that yields progress and returns the network."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.learning.checkpoint import Checkpoint
from napari_lungcls.learning.experiment import Experiment, TrainingData
from napari_lungcls.learning.initialization import begin, common_colours, settings_identity
from napari_lungcls.learning.point_index import check_codes
from napari_lungcls.learning.progress import Clock, TrainingProgress
from napari_lungcls.learning.run import Trained
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.adaptation import rebased_on
from napari_lungcls.network.appearance import (
    EDGE,
    LEAST_EDGE,
    TILES,
    describe_tiles,
)
from napari_lungcls.network.training_data import (
    MOST,
    DataSummary,
    ImageSummary,
    count_classes,
    count_groups,
)
from napari_lungcls.patch_datasets.dataset import PatchData, PatchSet
from napari_lungcls.patch_datasets.predictions import PatchPredictions
from napari_lungcls.patch_datasets.settings import for_patches
from napari_lungcls.patch_datasets.splits import cautions, split_patches
from napari_lungcls.run_identity import PIXELS, SAMPLES, digest
from napari_lungcls.utils.printable import printable


def run_patches(
    data: PatchData,
    settings: TrainingSettings,
    scheme: ClassScheme,
    *,
    pixel_size: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    checkpoint: Checkpoint | None = None,
) -> Generator[TrainingProgress, None, Trained]:
    """Train a network on labelled patches.

    See `run_training`; here the data are patches, what `settings` leaves open gets the defaults
    of `for_patches`, and `pixel_size` is that of the patches in µm, so that images are painted
    at the same.
    """
    clock = Clock()
    images = [(data.dtype, part.source, part.pixels.rgb) for part in data.parts]
    origin = begin(settings, scheme, images)
    settings = for_patches(origin.shaped(settings), data.size, data.source).resolved(len(data))
    codes = data.codes(scheme)
    check_codes(codes, scheme, data.source, "patch", "patches")
    rng = np.random.default_rng(settings.seed)
    splits = split_patches(data, codes, settings, scheme, rng)
    examples = PatchSet(data, codes)
    fingerprint: dict[str, Any] = {}
    if checkpoint is not None:
        fingerprint = _identity(data, examples) | settings_identity(settings, scheme)
        checkpoint.check(fingerprint)
    size = origin.pixel_size or pixel_size
    material = TrainingData(examples, tuple(splits), data.dtype, size, fingerprint)
    run = Experiment(material, settings, scheme, origin, checkpoint)
    yield from run.go(clock, cancelled)
    found, held = run.document(), run.held_out()
    split = found.split | {"cautions": cautions(splits[0].by)}
    rgb = common_colours(images)
    looks = (
        None
        if rgb is None
        else describe_tiles(_middles(examples, data), found.network.normalisation, rgb=rgb)
    )
    update = {"split": split, "rgb": rgb, "appearance": looks}
    document = found.model_copy(update=update | {"data": _summary(data, codes, pixel_size, scheme)})
    predictions = PatchPredictions.of_logits(data, *held, document) if held else None
    tiles = _middles(examples, data) if settings.zooms == (1,) and not settings.freezes else ()
    return Trained(
        *rebased_on(document, run.state, (tile[np.newaxis] for tile in tiles)), predictions
    )


def _identity(data: PatchData, examples: PatchSet) -> dict[str, Any]:
    """Describe what a run on patches learns from; see `run_identity`."""
    rows = np.unique(np.linspace(0, len(data) - 1, SAMPLES).astype(np.intp))
    return {
        "number of patches": len(data),
        "set of labels": digest(examples.codes),
        "size of patches": [*data.size, data.dtype],
        PIXELS: [digest(patch) for patch in examples.patches(rows)],
    }


def _middles(examples: PatchSet, data: PatchData) -> Iterator[NDArray[Any]]:
    """Give the middles of some patches, `(edge, edge, 3)`; none where they are too small."""
    edge = min(*data.size, EDGE)
    y, x = ((size - edge) // 2 for size in data.size)
    rows = np.unique(np.linspace(0, len(data) - 1, TILES).astype(np.intp))
    for row in rows if edge >= LEAST_EDGE else ():
        yield examples.patches(row[np.newaxis])[0, y : y + edge, x : x + edge]


def _summary(
    data: PatchData, codes: NDArray[np.int64], pixel_size: float | None, scheme: ClassScheme
) -> DataSummary:
    """Describe patches for the model file."""
    ends = np.cumsum([len(part) for part in data.parts])
    own = np.split(codes, ends[:-1])
    parts = [
        ImageSummary(
            name=printable(Path(part.source).name),
            shape=part.pixels.shape,
            pixel_size=pixel_size,
            dtype=data.dtype,
            rgb=part.pixels.rgb,
            counts=count_classes(each, len(scheme)),
        )
        for part, each in zip(data.parts[:MOST], own, strict=False)
    ]
    groups = count_groups(
        ((part.groups, each) for part, each in zip(data.parts, own, strict=True)), len(scheme)
    )
    return DataSummary(images=parts, groups=groups)
