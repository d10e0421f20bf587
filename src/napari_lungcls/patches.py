"""Patch data sets as scripts use them: open, train, classify, evaluate, export."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.images.pairs import AnyPoints, PathLike, as_pairs
from napari_lungcls.learning.metrics import Metrics, score
from napari_lungcls.learning.patches.answers import classify_patches as _classified
from napari_lungcls.learning.patches.arrays import ArrayPixels
from napari_lungcls.learning.patches.export import Exported, Format, exporting
from napari_lungcls.learning.patches.opening import open_patches
from napari_lungcls.learning.patches.parts import Part, PatchData, Step, scheme_of
from napari_lungcls.learning.patches.training import run_patches
from napari_lungcls.learning.progress import TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import Model
from napari_lungcls.utils.progress import exhaust

if TYPE_CHECKING:
    from napari_lungcls.learning.checkpoints import Checkpoint

__all__ = [
    "PatchData",
    "as_patches",
    "classify_patches",
    "evaluate_patches",
    "export_patches",
    "open_patches",
    "patch_training",
    "train_patches",
]

AnyPatches = PatchData | PathLike | Iterable[PathLike] | NDArray[Any]


def as_patches(
    data: AnyPatches, labels: NDArray[Any] | None = None, *, labelled: bool = True
) -> PatchData:
    """Take patches in any form: opened, as paths, or as an array `(n, height, width[, 3])`.

    Parameters
    ----------
    data
        The patches.
    labels
        `(n,)` numbers of the classes, for an array.
    labelled
        Whether files must have a class for each patch.

    Raises
    ------
    InputError
        When they cannot be used.
    """
    from napari_lungcls.learning.patches.labels import as_labels

    if isinstance(data, PatchData):
        return data
    if not isinstance(data, np.ndarray):
        return open_patches(data, labelled=labelled)
    source = "the array of patches"
    codes, names = None, None
    pixels = ArrayPixels(data, source)
    if labels is not None:
        codes, names = as_labels(np.asarray(labels), len(data), None, source)
    return PatchData([Part(source, "", pixels, codes, names)])


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


def classify_patches(
    model: Model, data: AnyPatches, *, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Probabilities of the classes for patches.

    Parameters
    ----------
    model
        The model.
    data
        Anything that `as_patches` takes; labels are not needed.
    progress
        Called with the patches done and in all.

    Returns
    -------
    ndarray, (n, classes), float32
        In the order of `data.parts`; rows add up to 1.

    Raises
    ------
    InputError
        When model and patches do not go together.
    """
    patches = as_patches(data, labelled=False)
    probabilities = np.empty((len(patches), len(model.scheme)), np.float32)
    for rows, found in _classified(model.engine, model.document, patches):
        probabilities[rows] = found
        if progress:
            progress(rows.stop, len(patches))
    return probabilities


def evaluate_patches(
    model: Model,
    data: AnyPatches,
    labels: NDArray[Any] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Metrics:
    """Compare a model with labelled patches; see `classify_patches`.

    Raises
    ------
    InputError
        When model, patches and labels do not go together.
    """
    patches = as_patches(data, labels)
    codes = patches.codes(model.scheme)
    probabilities = classify_patches(model, patches, progress=progress)
    return score(codes, probabilities, model.scheme.names, model.document.threshold)


def export_patches(
    image: Any,
    points: AnyPoints | None,
    out: str | os.PathLike[str],
    *,
    kind: Format = "hdf5",
    size: int = 96,
    compress: bool = False,
    classes: str | Path | ClassScheme | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Exported:
    """Write a patch around every point; see `learning.patches.export.exporting`.

    Parameters
    ----------
    image, points
        An image and its points, or a list of such pairs as `image` and None.
    out, kind, size, compress
        Where to, in which format, how large, and whether packed.
    classes
        A preset's name, a scheme file, or a scheme; made of the labels if not given.
    progress
        Called after every batch.

    Examples
    --------
    >>> found = lc.export_patches(
    ...     "section.ome.tif", "section.csv", "patches.npz", kind="npz", size=32
    ... )
    >>> found.n, [path.name for path in found.paths]
    (60, ['patches.npz'])
    """
    pairs = as_pairs(image, points)
    if classes is None:
        scheme = scheme_of(name for _, p in pairs if p.labels is not None for name in p.labels)
    else:
        scheme = ClassScheme.parse(classes)
    run = exporting(pairs, scheme, out, kind=kind, size=size, compress=compress)
    return exhaust(run, progress)
