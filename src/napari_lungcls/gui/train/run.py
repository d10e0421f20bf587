"""Training in the background, with or without a window, and its history. No widgets."""

import math
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import napari
from psygnal import Signal

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui import kept
from napari_lungcls.gui.closing import Closing
from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.notices import tell_end
from napari_lungcls.gui.session import BackgroundRun, NamedModel, session
from napari_lungcls.gui.train import words
from napari_lungcls.gui.train.words import Card, Remedy
from napari_lungcls.gui.workers import start_call
from napari_lungcls.learning.progress import ALL_POINTS, TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import Model
from napari_lungcls.network.model_file import ModelDocument

if TYPE_CHECKING:
    from napari_lungcls.images.stack import ImageStack

Line = tuple[list[float], list[float]]
"""Epochs, and the values there."""


@dataclass
class TrainingHistory:
    """Collects progress reports and gives the lines to plot.

    Attributes
    ----------
    records
        Metrics of the finished epochs.
    planned
        Number of epochs of the first training of this run, once known.
    part
        Which training of the run is shown, such as a fold; the next fold starts anew.
    before
        Epochs of the training before, if this one goes on with all points: both are shown.
    kept
        The epoch whose network was selected, from 1, or None if not known.
    """

    records: list[Mapping[str, Any]] = field(default_factory=list)
    planned: int = 0
    part: str = ""
    before: int = 0
    kept: int | None = None
    _first: list[tuple[float, float]] = field(default_factory=list)
    _now: tuple[float, float] | None = None
    _epochs: int = 0

    @classmethod
    def of(cls, document: ModelDocument) -> "TrainingHistory":
        """Give the history of a trained model."""
        return cls(list(document.history), kept=words.kept_epoch_of(document))

    def add(self, progress: TrainingProgress) -> bool:
        """Add a progress report; tell whether there is something new to draw."""
        if progress.part != self.part:
            self._turn_to(progress.part)
        self._epochs = self.before + progress.epochs if progress.epochs else self._epochs
        self.planned = self.planned or progress.epochs
        if progress.record is not None:
            record = asdict(progress.record)
            self.records.append(record | {"epoch": record["epoch"] + self.before})
            self._now = None
            return True
        if progress.loss is None or not progress.total:
            return False
        now = (self.before + progress.epoch + progress.share_of_epoch, progress.loss)
        if not self.records:
            self._first.append(now)
        self._now = now
        return True

    def _turn_to(self, part: str) -> None:
        """Begin another part of the run."""
        goes_on = part == ALL_POINTS and bool(self.records)
        self.part, self._now, self._epochs = part, None, 0
        self.before = len(self.records) if goes_on else 0
        if not goes_on:
            self.records, self._first = [], []

    def judged(self, document: ModelDocument) -> "TrainingHistory":
        """Give what to show at the end: with the epoch that was kept, and all points after it."""
        ended = TrainingHistory.of(document)
        # With several folds the document has the first, and the last was shown.
        if self.before and not document.split.get("folds"):
            return replace(self, kept=ended.kept, _now=None)
        return ended

    @property
    def epochs(self) -> int:
        """Number of epochs to make room for."""
        return max(self._epochs, len(self.records), 1)

    def loss(self) -> Line:
        """Training loss: every report of the first epoch, the end of each epoch, and now."""
        ended = [(float(r["epoch"]), float(r["train_loss"])) for r in self.records]
        points = [*self._first, *ended]
        if self._now is not None and self.records:
            points.append(self._now)
        return [x for x, _ in points], [y for _, y in points]

    def line(self, name: str, times: float = 1.0) -> Line:
        """Give a metric at the finished epochs that have it."""
        known = [record for record in self.records if record.get(name) is not None]
        return [float(r["epoch"]) for r in known], [times * float(r[name]) for r in known]


def loss_ceiling(training: Sequence[float], validation: Sequence[float]) -> float:
    """Give the upper end of the loss axis.

    Early in training the validation loss may be very high for an epoch. Such a peak is cut
    off, as it would flatten the rest of the plot.
    """
    limit = 3 * max(training, default=math.inf)
    return ceiling([*training, *(value for value in validation if value <= limit)])


def epoch_ticks(epochs: float) -> list[int]:
    """Give whole epochs for the ticks of an axis, at most seven steps."""
    step = int(max(1.0, ceiling([epochs / 7])))
    return list(range(0, int(epochs) + 1, step))


def ceiling(values: Iterable[float]) -> float:
    """Give the smallest of 1, 2 or 5 times a power of ten that no value exceeds."""
    highest = max((value for value in values if math.isfinite(value)), default=1.0)
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next((step * power for step in (1, 2, 5) if step * power >= highest), 10 * power)


@dataclass(frozen=True, eq=False)
class TrainingEnd:
    """How training ended.

    Attributes
    ----------
    words
        Summary in one paragraph.
    card
        The same sentence by sentence, where there is a network.
    document
        Of the trained network, or None.
    offered
        The network of a cancelled run, until the user keeps it or starts another run.
    refused
        Whether it could not start or failed.
    remedies
        Suggested changes of settings after a failure.
    """

    words: str
    card: Card | None = None
    document: ModelDocument | None = None
    offered: Model | None = None
    refused: bool = False
    remedies: tuple[Remedy, ...] = ()


class TrainingRun(BackgroundRun):
    """The training of a viewer: one at a time, shown by any number of windows.

    Attributes
    ----------
    history
        History of the current or latest run.
    latest
        Its latest progress report.
    ended
        How the latest run ended; None before and during a run.
    """

    title = "Training"
    progressed = Signal(TrainingProgress)

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        session(viewer).part(Closing)
        self.history = TrainingHistory()
        self.latest: TrainingProgress | None = None
        self.ended: TrainingEnd | None = None
        self._refusal: InputError | None = None

    def start(
        self,
        pairs: "list[tuple[ImageStack, Points]]",
        scheme: ClassScheme,
        settings: TrainingSettings,
    ) -> None:
        """Start training on images with their points, unless a run is in progress."""
        if self.job is not None:
            return
        self.history, self.latest = TrainingHistory(), None
        self.ended = self._refusal = None
        self._begin(lambda cancelled: self._train(pairs, scheme, settings, cancelled))

    def keep(self) -> None:
        """Make the network that a cancelled run offers a model, and keep it on disk."""
        if (named := self.take_offered()) is not None:
            start_call(
                lambda: kept.keep(named.model),
                owner=main_window(self.viewer),
                returned=lambda found: session(self.viewer).keeps(named, found),
            )

    def take_offered(self) -> NamedModel | None:
        """Make the network that a cancelled run offers a model, if there is one."""
        if self.ended is None or self.ended.offered is None:
            return None
        model = self.ended.offered
        summary = words.card(model.document)
        self.ended = replace(self.ended, words=summary.text, card=summary, offered=None)
        named = self._take(model)
        self.changed.emit()
        return named

    def unsaved(self) -> str:
        """Name the training in progress, or the network that is offered."""
        if self.job is None:
            offers = self.ended is not None and self.ended.offered is not None
            return "the network of the cancelled training" if offers else ""
        how = f" ({self.latest.words})" if self.latest is not None else ""
        then = "with no epoch finished yet"
        if self.history.records or self.history.part:
            then = "and its best network counts as a model"
        return f"the training in progress{how}; it will stop, {then}"

    def refuse(self, line: str, remedies: tuple[Remedy, ...] = ()) -> None:
        """Record why there is no result."""
        text = f"{line[:1].upper()}{line[1:].rstrip('.')}."
        self.ended = TrainingEnd(text, refused=True, remedies=remedies)
        self.changed.emit()

    def forget_refusal(self) -> None:
        """Clear an error whose cause may have changed."""
        if self.ended is not None and self.ended.refused:
            self.ended = None
            self.changed.emit()

    def _train(
        self,
        pairs: "list[tuple[ImageStack, Points]]",
        scheme: ClassScheme,
        settings: TrainingSettings,
        cancelled: Callable[[], bool],
    ) -> Generator[TrainingProgress, None, tuple[Model, kept.Kept | None] | None]:
        """Train in the job's thread, then keep the model on disk until the user saves it."""
        from napari_lungcls.learning.run import run_training

        try:
            trained = yield from run_training(pairs, settings, scheme, cancelled=cancelled)
        except InputError as error:
            if cancelled():
                return None
            # A copy without the traceback, which would hold on to the pixels.
            self._refusal = InputError(
                error.problem, setting=error.setting, suggestion=error.suggestion
            )
            raise
        model = Model(trained.document, trained.state, device=settings.device)
        if cancelled():
            return (model, None) if model.document.history else None
        try:
            return model, kept.keep(model)
        except InputError as error:
            warnings.warn(str(error), LungclsWarning, stacklevel=1)
            return model, None

    def _on_progress(self, progress: TrainingProgress) -> None:
        self.latest = progress
        self.history.add(progress)
        self.progressed.emit(progress)

    def _on_failure(self, line: str) -> None:
        self.refuse(line, words.remedies(self._refusal) if self._refusal else ())

    def _on_return(self, result: tuple[Model, kept.Kept | None] | None) -> None:
        assert self.job is not None
        if result is None:
            self.ended = TrainingEnd("Cancelled before the first epoch ended; no new network.")
            return
        model, found = result
        cancelled = found is None and self.job.cancelling
        document = model.document
        summary = words.card(document, self.history.planned, cancelled=cancelled)
        self.history = self.history.judged(document)
        self.ended = TrainingEnd(
            summary.text, summary, document, offered=model if cancelled else None
        )
        if not cancelled:
            self._take(model, found)

    def _take(self, model: Model, found: kept.Kept | None = None) -> NamedModel:
        shared = session(self.viewer)
        taken = [known.name for known in shared.models]
        return shared.add(model, words.model_name(model.scheme.name, taken), kept=found)

    def _on_end(self) -> None:
        self.job = None
        self.changed.emit()
        if self.ended is not None:
            tell_end(self.viewer, "train_start", f"Training has ended. {self.ended.words}")
