"""Training as scripts do it: on points or on patches, to a model."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.images.pairs import AnyPoints, as_pairs
from napari_lungcls.model import Model, never
from napari_lungcls.utils.progress import exhaust

if TYPE_CHECKING:
    from napari_lungcls.learning.checkpoint import Checkpoint
    from napari_lungcls.learning.progress import TrainingProgress
    from napari_lungcls.learning.settings import TrainingSettings
    from napari_lungcls.patch_datasets.opening import AnyPatches


def training(
    image: Any,
    points: AnyPoints | None = None,
    settings: TrainingSettings | None = None,
    *,
    classes: str | Path | ClassScheme = "lung",
    cancelled: Callable[[], bool] = never,
    checkpoint: Checkpoint | None = None,
) -> Generator[TrainingProgress, None, Model]:
    """Train, yielding progress after every batch; the model is the generator's return value.

    Parameters
    ----------
    image, points
        An image and its points, or a list of such pairs as `image` alone.
    settings
        How to train; defaults if not given.
    classes
        A preset's name, a scheme file, or a scheme.
    cancelled
        Asked after every batch; the best epoch so far is then returned.
    checkpoint
        Where the run is written down from time to time, and goes on from if it says so;
        remove it when the model is saved.

    Yields
    ------
    TrainingProgress

    Raises
    ------
    InputError
        When images, points and settings do not go together.

    Examples
    --------
    A generator hands over its result when it ends:

    >>> run = lc.training("section.ome.tif", "section.csv", quick)
    >>> while True:
    ...     try:
    ...         progress = next(run)
    ...     except StopIteration as end:
    ...         model = end.value
    ...         break
    >>> progress.done == progress.total
    True
    >>> model.scheme.names
    ('alveoli', 'septa', 'duct')
    """
    from napari_lungcls.learning.run import run_training
    from napari_lungcls.learning.settings import TrainingSettings

    chosen = settings or TrainingSettings()
    pairs, scheme = as_pairs(image, points), ClassScheme.parse(classes)
    trained = yield from run_training(
        pairs, chosen, scheme, cancelled=cancelled, checkpoint=checkpoint
    )
    return Model(trained.document, trained.state, device=chosen.device)


def train(
    image: Any,
    points: AnyPoints | None = None,
    settings: TrainingSettings | None = None,
    *,
    progress: Callable[[TrainingProgress], None] | None = None,
    **options: Any,
) -> Model:
    """Train a model; see `training` for the options.

    Examples
    --------
    >>> model = lc.train("section.ome.tif", "section.csv", quick)
    >>> model.save("lung.safetensors").name
    'lung.safetensors'

    Several images, each with its points, are a list of pairs:

    >>> other = lc.as_stack(section.image, pixel_size=4.0)
    >>> model = lc.train([("section.ome.tif", "section.csv"), (other, points)], settings=quick)
    """
    return exhaust(training(image, points, settings, **options), progress)


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
    cancelled: Callable[[], bool] = never,
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
    from napari_lungcls.learning.settings import TrainingSettings
    from napari_lungcls.patch_datasets.opening import as_patches
    from napari_lungcls.patch_datasets.training import run_patches

    chosen = settings or TrainingSettings()
    patches = as_patches(data, labels)
    scheme = patches.scheme(None if classes is None else ClassScheme.parse(classes))
    trained = yield from run_patches(
        patches, chosen, scheme, pixel_size=pixel_size, cancelled=cancelled, checkpoint=checkpoint
    )
    return Model(trained.document, trained.state, device=chosen.device)
