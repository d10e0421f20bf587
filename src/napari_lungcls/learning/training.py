"""Training: a generator that yields progress and returns the best network it saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.windows import batches
from napari_lungcls.learning.augmentation import (
    drop_zooms,
    random_pose,
    recolour,
    sample_windows,
)
from napari_lungcls.learning.dataset import Pair, PointSet, read_point_set
from napari_lungcls.learning.history import EpochRecord
from napari_lungcls.learning.metrics import score
from napari_lungcls.learning.progress import Clock, Tally, TrainingProgress
from napari_lungcls.learning.schedule import BestEpoch, learning_rate
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, split_points
from napari_lungcls.learning.start import Start, start_network
from napari_lungcls.network.document import ModelDocument
from napari_lungcls.network.engines import Engine, State
from napari_lungcls.network.readouts import readouts_at


@dataclass(frozen=True)
class Trained:
    """What a run leaves: the document and arrays of a model file."""

    document: ModelDocument
    state: State


def run_training(
    pairs: Sequence[Pair],
    settings: TrainingSettings,
    scheme: ClassScheme,
    *,
    cancelled: Callable[[], bool] = lambda: False,
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
    pixel_size = _common_pixel_size(pairs)
    points = None
    for step in read_point_set(pairs, scheme, settings, pixel_size):
        if isinstance(step, PointSet):
            points = step
        else:
            if cancelled():
                raise InputError("training was cancelled before the first step; nothing is left")
            yield TrainingProgress("reading", *step, seconds=clock.seconds)
    assert points is not None
    rng = np.random.default_rng(settings.seed)
    split = split_points(points, settings, scheme, rng)
    start = start_network(points, split, settings, scheme, str(pairs[0][0].dtype))
    run = _Run(points, split, settings, start.engine, rng)
    yield from run.epochs(clock, cancelled)
    return Trained(_document(run, start, scheme, pixel_size), run.best)


class _Run:
    """The state of one run: the engine, the random numbers, and the best epoch."""

    def __init__(
        self,
        points: PointSet,
        split: Split,
        settings: TrainingSettings,
        engine: Engine,
        rng: np.random.Generator,
    ) -> None:
        self.points, self.split, self.settings, self.engine = points, split, settings, engine
        self.rng = rng
        self.history: list[EpochRecord] = []
        self.best: State = engine.state()
        self._probabilities: NDArray[np.float64] | None = None
        self._stopper = BestEpoch(settings.patience)
        self._std = np.asarray(engine.spec.normalisation.std, np.float32)

    def epochs(
        self, clock: Clock, cancelled: Callable[[], bool]
    ) -> Generator[TrainingProgress, None, None]:
        """Run epoch after epoch; `best` always holds what to keep."""
        n = len(self.split.train)
        epochs = self.settings.epochs_for(n)
        per_epoch = self.settings.steps_per_epoch(n)
        total = epochs * per_epoch
        clock.start(total)
        for epoch in range(epochs):
            began = time.perf_counter()
            tally = Tally()
            for i, rows in enumerate(self._draw(per_epoch)):
                if cancelled():
                    if not self.history:
                        self.best = self.engine.state()
                    return
                done = epoch * per_epoch + i
                rate = learning_rate(self.settings, done, total, epoch)
                tally.add(*self._step(rows, rate))
                if i + 1 < per_epoch:
                    yield TrainingProgress(
                        "training", done + 1, total, epoch, epochs, tally.loss, None,
                        clock.seconds, clock.remaining(done + 1),
                    )  # fmt: skip
            record = self._close(epoch, rate, tally, time.perf_counter() - began)
            done = (epoch + 1) * per_epoch
            yield TrainingProgress(
                "training", done, total, epoch + 1, epochs, tally.loss, record,
                clock.seconds, clock.remaining(done),
            )  # fmt: skip
            if len(self.split.validation) and self._stopper.is_over(epoch):
                return

    def _draw(self, steps: int) -> list[NDArray[np.intp]]:
        """Rows of one epoch's batches; with `balance`, every class equally often."""
        train, size = self.split.train, self.settings.batch_size
        count = steps * size
        if self.settings.balance:
            codes = self.points.codes[train]
            classes = np.unique(codes)
            share = -(-count // len(classes))
            groups = [_repeat(train[codes == c], share, self.rng) for c in classes]
            rows = self.rng.permutation(np.stack(groups, 1).reshape(-1)[:count])
        else:
            rows = _repeat(train, count, self.rng)
        return np.split(rows, steps)

    def _step(self, rows: NDArray[np.intp], rate: float) -> tuple[float, float, int]:
        """Train on one batch; return its loss, its accuracy, its size."""
        settings, spec = self.settings, self.engine.spec
        zooms = len(spec.zooms)
        pose = random_pose(settings, len(rows), zooms, self.rng)
        windows = sample_windows(
            self.points.squares[rows], self.points.places[rows], pose, spec.window
        )
        windows = recolour(windows, self._std, settings.colour, self.rng)
        factors = drop_zooms(len(rows), zooms, settings.zoom_dropout, self.rng)
        codes = self.points.codes[rows]
        step = self.engine.train_step(
            windows,
            readouts_at(spec, pose.place, factors),
            codes,
            np.ones(len(rows), np.float32),
            rate,
        )
        _check_numbers(step.loss, rate)
        return step.loss, float((step.logits.argmax(1) == codes).mean()), len(rows)

    def _close(self, epoch: int, rate: float, tally: Tally, seconds: float) -> EpochRecord:
        """Validate after an epoch and keep the network if it is the best so far."""
        loss: float | None = None
        accuracy: float | None = None
        if len(self.split.validation):
            logits = self._logits(self.split.validation)
            _check_numbers(logits, rate)
            codes = self.points.codes[self.split.validation]
            chosen = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(codes)), codes]
            loss, accuracy = float(-chosen.mean()), float((logits.argmax(1) == codes).mean())
            if self._stopper.improves(epoch, accuracy, loss):
                self.best = self.engine.state()
                self._probabilities = softmax(logits.astype(np.float64), axis=1)
        else:
            self.best = self.engine.state()
        record = EpochRecord(
            epoch=epoch + 1,
            learning_rate=rate,
            train_loss=tally.loss,
            train_accuracy=tally.accuracy,
            val_loss=loss,
            val_accuracy=accuracy,
            seconds=seconds,
        )
        self.history.append(record)
        return record

    def metrics(self, scheme: ClassScheme) -> dict[str, Any] | None:
        """Return the metrics of the best epoch on the validation part, if there is one."""
        if self._probabilities is None:
            return None
        codes = self.points.codes[self.split.validation]
        return score(codes, self._probabilities, scheme.names).model_dump(mode="json")

    def _logits(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        spec = self.engine.spec
        parts = []
        for part in batches(len(rows), 128):
            windows, places = self.points.centred(rows[part], spec.sight)
            parts.append(self.engine.logits(windows, readouts_at(spec, places, size=spec.sight)))
        return np.concatenate(parts)


def _repeat(rows: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Shuffle the rows again and again until there are `count`."""
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count]


def _check_numbers(found: float | NDArray[np.float32], rate: float) -> None:
    if not np.isfinite(found).all():
        raise InputError(
            f"the loss is no longer a number at a learning rate of {rate:.2g}; "
            "use a smaller --learning-rate"
        )


def _common_pixel_size(pairs: Sequence[Pair]) -> float | None:
    """Return the finest known pixel size of the images; coarser ones are resampled to it."""
    known = [stack.pixel_size for stack, _ in pairs if stack.pixel_size is not None]
    return min(known) if known else None


def _document(
    run: _Run, start: Start, scheme: ClassScheme, pixel_size: float | None
) -> ModelDocument:
    settings = run.settings
    return ModelDocument(
        network=run.engine.spec,
        scheme=scheme,
        pixel_size=pixel_size,
        settings=settings.model_dump(mode="json"),
        split=run.split.describe() | {"val_fraction": settings.val_fraction},
        validation=run.metrics(scheme),
        history=[asdict(record) for record in run.history],
        pretrained=start.pretrained,
        engine=run.engine.name,
        device=run.engine.device,
    )
