"""Training on patches: a generator that yields progress and returns the network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.learning.beginning import begin, common_colours, identify
from napari_lungcls.learning.checkpoints import Checkpoint
from napari_lungcls.learning.layout import check_codes
from napari_lungcls.learning.patches.answers import PatchAnswers
from napari_lungcls.learning.patches.dataset import PatchSet
from napari_lungcls.learning.patches.parts import PatchData
from napari_lungcls.learning.patches.settings import for_patches
from napari_lungcls.learning.patches.splits import cautions, split_patches
from napari_lungcls.learning.progress import Clock, TrainingProgress
from napari_lungcls.learning.runs import Material, Run
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.training import Trained


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

    Parameters
    ----------
    data
        The patches.
    settings
        How to train; what is not set gets the defaults of patches, see `for_patches`.
    scheme
        The classes.
    pixel_size
        Micrometres per pixel of the patches, so that images are painted at the same.
    cancelled, checkpoint
        As in `run_training`.

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
        When patches and settings do not go together.
    """
    clock = Clock()
    images = [(data.dtype, part.source, part.pixels.rgb) for part in data.parts]
    origin = begin(settings, scheme, images)
    settings = for_patches(origin.shaped(settings), data.size, data.source).resolved(len(data))
    codes = data.codes(scheme)
    check_codes(codes, scheme, data.source, "patch", "patches")
    rng = np.random.default_rng(settings.seed)
    splits = split_patches(data, codes, settings, scheme, rng)
    fingerprint = identify(_described(data, codes), settings, scheme, checkpoint)
    examples = PatchSet(data, codes)
    size = origin.pixel_size or pixel_size
    material = Material(examples, tuple(splits), data.dtype, size, fingerprint)
    run = Run(material, settings, scheme, origin, checkpoint)
    yield from run.go(clock, cancelled)
    found, held = run.document(), run.held_out()
    split = found.split | {"cautions": cautions(splits[0].by)}
    document = found.model_copy(update={"split": split, "rgb": common_colours(images)})
    answers = PatchAnswers.of_logits(data, *held, document) if held else None
    return Trained(document, run.state, answers)


def _described(data: PatchData, codes: NDArray[np.int64]) -> dict[str, Any]:
    """Tell patches from others."""
    return {
        "number of patches": len(data),
        "set of labels": hashlib.sha256(codes.tobytes()).hexdigest(),
        "size of patches": [*data.size, data.dtype],
    }
