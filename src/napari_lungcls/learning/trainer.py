"""One training: epoch after epoch on one part of the examples, judged on another."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from napari_lungcls.errors import InputError
from napari_lungcls.learning.augmentation import augmented, crop_edge
from napari_lungcls.learning.examples import Examples, Side
from napari_lungcls.learning.progress import Clock, EpochRecord, Tally, TrainingProgress
from napari_lungcls.learning.schedule import BestEpoch, learning_rate
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Rows
from napari_lungcls.network.engines import Engine, State

Logits = NDArray[np.float32]

ASKED_PIXELS = 2**19
"""Zoomed pixels of the tiles that are answered at once."""

MIXED_RUNS = 64
"""Runs of neighbouring rows whose examples are shuffled together."""


@dataclass(frozen=True)
class TrainingPart:
    """One training of a run.

    Attributes
    ----------
    name
        What to call it, such as `fold 2 of 5`; empty when it is the only one.
    train, validation
        Sides of the examples; without validation the last epoch is kept.
    """

    name: str
    train: Side
    validation: Side


@dataclass
class TrainerState:
    """How far a training is: everything but the arrays, so that it can be written down.

    Attributes
    ----------
    history
        The epochs that have ended.
    step
        Steps taken in the epoch that has not.
    tally
        Its running means.
    draw_state
        Of the random numbers before its batches were drawn; empty when they are not yet.
    rng_state
        Of the random numbers now.
    """

    history: list[EpochRecord] = field(default_factory=list)
    step: int = 0
    tally: Tally = field(default_factory=Tally)
    draw_state: dict[str, Any] = field(default_factory=dict)
    rng_state: dict[str, Any] = field(default_factory=dict)


class Trainer:
    """Trains one network on one part; `best` always holds what to keep.

    Parameters
    ----------
    examples, part
        What to learn from.
    settings
        How to train.
    engine
        A network that is ready for its first step.
    seed
        Of this part's random numbers.
    """

    def __init__(
        self,
        examples: Examples,
        part: TrainingPart,
        settings: TrainingSettings,
        engine: Engine,
        seed: tuple[int, int],
    ) -> None:
        self.examples, self.part, self.settings, self.engine = examples, part, settings, engine
        self.rng = np.random.default_rng(seed)
        self.standing = TrainerState()
        self.best: State = {}
        self.logits: Logits | None = None
        """Of the epoch that is kept, for the validation rows."""
        self._stopper = BestEpoch(
            len(part.validation), settings.patience, settings.min_epochs, settings.min_delta
        )
        codes = examples.codes[part.train.rows]
        self._weights = class_weights(codes, settings, engine.spec.classes)
        self.per_epoch = settings.steps_per_epoch(len(part.train))
        self.epochs = settings.epochs_for(len(part.train))

    @property
    def history(self) -> list[EpochRecord]:
        """The epochs that have ended."""
        return self.standing.history

    @property
    def total(self) -> int:
        """Steps of the whole training, unless it stops early."""
        return self.epochs * self.per_epoch

    @property
    def is_over(self) -> bool:
        """Whether all epochs have run, or so many that more would not help."""
        ran = len(self.history)
        judged = ran > 0 and len(self.part.validation) > 0
        return ran >= self.epochs or (judged and self._stopper.is_over(ran - 1))

    def resume(self, standing: TrainerState, best: State, logits: Logits | None) -> None:
        """Go on where another process stood; the engine is loaded already."""
        self.standing, self.best, self.logits = standing, best, logits
        self.rng.bit_generator.state = standing.rng_state
        for record in standing.history:
            self._note(record)
        if 0 < self.settings.unfreeze_after <= len(self.history):
            self.engine.unfreeze()

    def run(
        self, clock: Clock, before: int, cancelled: Callable[[], bool]
    ) -> Generator[TrainingProgress, None, None]:
        """Run until the end, early stopping, or a wish to end.

        Parameters
        ----------
        clock
            Started for all parts together.
        before
            Steps of the parts before this one.
        cancelled
            Asked after every step. When it says yes before the first epoch ended, the network
            as it is is kept.
        """
        standing = self.standing
        while not self.is_over:
            began, epoch = time.perf_counter(), len(self.history)
            for rows in self._batches()[standing.step :]:
                if cancelled():
                    self.best = self.best or self.engine.state()
                    return
                done = epoch * self.per_epoch + standing.step
                rate = learning_rate(self.settings, done, self.total, self.history)
                standing.tally.add(*self._step(rows, rate))
                standing.step += 1
                if standing.step < self.per_epoch:
                    yield self._progress(clock, before, done + 1, epoch)
            record = self._close(rate, time.perf_counter() - began)
            yield self._progress(clock, before, (epoch + 1) * self.per_epoch, epoch + 1, record)

    def _batches(self) -> list[Rows]:
        """Draw the batches of an epoch; anew the same ones when it was begun before."""
        if not self.standing.draw_state:
            self.standing.draw_state = dict(self.rng.bit_generator.state)
            return draw_epoch(self.examples, self.part.train.rows, self.settings, self.rng)
        again = np.random.default_rng()
        again.bit_generator.state = self.standing.draw_state
        return draw_epoch(self.examples, self.part.train.rows, self.settings, again)

    def _step(self, rows: Rows, rate: float) -> tuple[float, float, int]:
        """Train on one batch; return its loss, its accuracy, its points."""
        settings, spec = self.settings, self.engine.spec
        crops = self.examples.crops(rows, self.part.train, spec.tile, crop_edge(settings), self.rng)
        tiles, found = augmented(crops, settings, spec.normalisation, self.rng)
        codes = self.examples.codes[found]
        step = self.engine.train_step(tiles, codes, self._weights[codes], rate)
        _check_numbers(step.loss, rate)
        return step.loss, float((step.logits.argmax(1) == codes).mean()), len(found)

    def _close(self, rate: float, seconds: float) -> EpochRecord:
        """Validate after an epoch, and keep the network if it is as good as any so far."""
        loss: float | None = None
        accuracy: float | None = None
        if len(self.part.validation):
            logits = logits_of(self.engine, self.examples, self.part.validation)
            _check_numbers(logits, rate)
            codes = self.examples.codes[self.part.validation.rows]
            chosen = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(codes)), codes]
            loss, accuracy = float(-chosen.mean()), float((logits.argmax(1) == codes).mean())
        tally = self.standing.tally
        record = EpochRecord(
            epoch=len(self.history) + 1,
            learning_rate=rate,
            train_loss=tally.loss,
            train_accuracy=tally.accuracy,
            val_loss=loss,
            val_accuracy=accuracy,
            seconds=seconds,
        )
        if self._note(record):
            self.best = self.engine.state()
            self.logits = logits if loss is not None else None
        self.history.append(record)
        self.standing.step, self.standing.tally, self.standing.draw_state = 0, Tally(), {}
        if len(self.history) == self.settings.unfreeze_after:
            self.engine.unfreeze()
        return record

    def _note(self, record: EpochRecord) -> bool:
        """Tell whether an epoch is the one to keep; without validation each is."""
        if record.val_accuracy is None or record.val_loss is None:
            return True
        return self._stopper.keeps(record.epoch - 1, record.val_accuracy, record.val_loss)

    def _progress(
        self, clock: Clock, before: int, done: int, epoch: int, record: EpochRecord | None = None
    ) -> TrainingProgress:
        loss = record.train_loss if record else self.standing.tally.loss
        done += before
        return TrainingProgress(
            "training", done, clock.total, epoch, self.epochs, loss, record,
            clock.seconds, clock.remaining(done), self.part.name,
            self.standing.step / self.per_epoch,
        )  # fmt: skip


def logits_of(engine: Engine, examples: Examples, side: Side) -> Logits:
    """Answer examples from the pixels of their own side, `(len(side), classes)`."""
    spec = engine.spec
    place = np.full(len(examples.codes), -1, np.intp)
    place[side.rows] = np.arange(len(side))
    found = np.zeros((len(side), spec.classes), np.float32)
    batch = max(1, ASKED_PIXELS // (spec.tile**2 * len(spec.zooms)))
    for rows, tiles in examples.answering(side, spec.tile, batch):
        found[place[rows]] = engine.logits(tiles)
    return found


def _check_numbers(found: float | NDArray[np.float32], rate: float) -> None:
    if not np.isfinite(found).all():
        raise InputError(
            f"the loss is no longer a number at a learning rate of {rate:.2g}; "
            "use a smaller learning rate"
        )


def draw_epoch(
    examples: Examples, rows: Rows, settings: TrainingSettings, rng: np.random.Generator
) -> list[Rows]:
    """Draw the examples around which the tiles of an epoch lie, step by step.

    Parameters
    ----------
    examples
        How many of them are read together.
    rows
        The examples that may be drawn.
    settings
        The batch size.
    rng
        Shuffles.

    Returns
    -------
    list of ndarray
        `settings.steps_per_epoch(len(rows))` arrays of `batch_size` rows.

    Notes
    -----
    Examples that are read in runs are shuffled run by run: the runs of the whole set come in
    random order, and the rows of `MIXED_RUNS` of them at a time are mixed. Nobody then has to
    hold or jump around in the whole file.
    """
    steps, size = settings.steps_per_epoch(len(rows)), settings.batch_size
    assert size is not None
    if examples.run_length > 1:
        return np.split(_mixed_runs(examples, rows, steps * size, rng), steps)
    return np.split(np.concatenate([*_shuffles(rows, steps * size, rng)])[: steps * size], steps)


def class_weights(
    codes: NDArray[np.int64], settings: TrainingSettings, classes: int
) -> NDArray[np.float32]:
    """Weigh classes for the loss, `(classes,)`, as the tissue has them and not the points.

    A class that is `p` of the tissue and `q` of the points weighs `p / q`
    (King and Zeng 2001, doi 10.1093/oxfordjournals.pan.a004868).

    Raises
    ------
    InputError
        When the settings give frequencies for another number of classes.
    """
    if settings.prior == "points":
        return np.ones(classes, np.float32)
    wanted = np.full(classes, 1 / classes)
    if isinstance(settings.prior, tuple):
        if len(settings.prior) != classes:
            raise InputError(
                f"there are {classes} classes, and {len(settings.prior)} class frequencies were "
                "given; give one for each, in the order of the classes"
            )
        wanted = np.asarray(settings.prior) / sum(settings.prior)
    counts = np.bincount(codes, minlength=classes)
    weights: NDArray[np.float32] = (wanted * len(codes) / np.maximum(counts, 1)).astype(np.float32)
    return weights


def _mixed_runs(examples: Examples, rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Draw rows so that those drawn near each other come from few runs."""
    run = rows // examples.run_length
    _, run = np.unique(run, return_inverse=True)
    turn = rng.permutation(run.max() + 1)
    # Runs in their turn, and the rows of each in random order.
    ordered = rows[np.lexsort((rng.random(len(rows)), turn[run]))]
    drawn = ordered[np.arange(count) * len(rows) // count]
    _, first = np.unique(drawn // examples.run_length, return_index=True)
    met = np.zeros(count, np.intp)
    met[first] = 1
    pool = (np.cumsum(met) - 1) // MIXED_RUNS
    mixed: Rows = drawn[np.lexsort((rng.random(count), pool))]
    return mixed


def _shuffles(rows: Rows, count: int, rng: np.random.Generator) -> Iterator[Rows]:
    for _ in range(-(-count // len(rows))):
        yield rng.permutation(rows)
