"""Training on patches: a generator that yields progress and returns the network."""

from __future__ import annotations

from collections.abc import Callable, Generator
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
from napari_lungcls.model import Model
from napari_lungcls.patch_datasets.dataset import PatchData, PatchSet
from napari_lungcls.patch_datasets.opening import AnyPatches, as_patches
from napari_lungcls.patch_datasets.predictions import PatchPredictions
from napari_lungcls.patch_datasets.settings import for_patches
from napari_lungcls.patch_datasets.splits import cautions, split_patches
from napari_lungcls.run_identity import PIXELS, SAMPLES, digest
from napari_lungcls.utils.progress import exhaust


def train_patches(
    data: AnyPatches,
    settings: TrainingSettings | None = None,
    *,
    progress: Callable[[TrainingProgress], None] | None = None,
    **options: Any,
) -> Model:
    """Train a model on patches; see `patch_training` for the options.

    Examples
    --------
    >>> settings = lc.TrainingSettings(epochs=1, pretrained="none", device="cpu")
    >>> model = lc.train_patches("patches.npz", settings)
    >>> model.classify_patches("patches.npz").shape
    (60, 3)
    >>> model.evaluate_patches("patches.npz").n
    60
    """
    return exhaust(patch_training(data, settings, **options), progress)


def patch_training(
    data: AnyPatches,
    settings: TrainingSettings | None = None,
    *,
    labels: NDArray[Any] | None = None,
    classes: str | Path | ClassScheme | None = None,
    pixel_size: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    checkpoint: Checkpoint | None = None,
) -> Generator[TrainingProgress, None, Model]:
    """Train on patches, yielding progress; the model is the generator's return value.

    Parameters
    ----------
    data
        Anything that `as_patches` takes.
    settings
        How to train; what is not set gets the defaults of patches: zoom 1, layer4, the mean
        of the whole patch, zero padding, right-angle turns.
    labels
        For an array of patches, `(n,)`.
    classes
        A preset's name, a scheme file, or a scheme; what the data name if not given.
    pixel_size
        Micrometres per pixel of the patches.
    cancelled
        Asked after every batch; the best epoch so far is then returned.
    checkpoint
        Where the run is written down from time to time, and goes on from.

    Yields
    ------
    TrainingProgress

    Raises
    ------
    InputError
        When patches and settings do not go together.

    Examples
    --------
    >>> settings = lc.TrainingSettings(epochs=1, pretrained="none", device="cpu")
    >>> [progress.phase for progress in lc.patch_training("patches.npz", settings)][-1]
    'training'
    """
    chosen = settings or TrainingSettings()
    patches = as_patches(data, labels)
    scheme = patches.scheme(None if classes is None else ClassScheme.parse(classes))
    trained = yield from run_patches(
        patches, chosen, scheme, pixel_size=pixel_size, cancelled=cancelled, checkpoint=checkpoint
    )
    return Model(trained.document, trained.state, device=chosen.device)


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
    document = found.model_copy(update={"split": split, "rgb": common_colours(images)})
    answers = PatchPredictions.of_logits(data, *held, document) if held else None
    return Trained(document, run.state, answers)


def _identity(data: PatchData, examples: PatchSet) -> dict[str, Any]:
    """Describe what a run on patches learns from; see `run_identity`."""
    rows = np.unique(np.linspace(0, len(data) - 1, SAMPLES).astype(np.intp))
    return {
        "number of patches": len(data),
        "set of labels": digest(examples.codes),
        "size of patches": [*data.size, data.dtype],
        PIXELS: [digest(patch) for patch in examples.patches(rows)],
    }
