"""Training as scripts use it: images and points in, a model out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.images.pairs import AnyPoints, as_pairs
from napari_lungcls.model import Model
from napari_lungcls.utils.progress import exhaust

if TYPE_CHECKING:
    from napari_lungcls.learning.checkpoints import Checkpoint
    from napari_lungcls.learning.progress import TrainingProgress
    from napari_lungcls.learning.settings import TrainingSettings


def _never() -> bool:
    return False


def training(
    image: Any,
    points: AnyPoints | None = None,
    settings: TrainingSettings | None = None,
    *,
    classes: str | Path | ClassScheme = "lung",
    cancelled: Callable[[], bool] = _never,
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
    from napari_lungcls.learning.settings import TrainingSettings
    from napari_lungcls.learning.training import run_training

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
