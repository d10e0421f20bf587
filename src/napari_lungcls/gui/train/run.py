"""A training that goes on while no window shows it. No widgets."""

import warnings
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import napari
from napari.utils.notifications import show_info
from psygnal import Signal

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui import kept
from napari_lungcls.gui.closing import Closing
from napari_lungcls.gui.docks import in_sight, main_window
from napari_lungcls.gui.session import NamedModel, Run, session
from napari_lungcls.gui.train import words
from napari_lungcls.gui.train.gather import Material
from napari_lungcls.gui.train.history import History
from napari_lungcls.gui.train.words import Remedy
from napari_lungcls.gui.workers import Job, start, start_call
from napari_lungcls.learning.progress import TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import Model, training
from napari_lungcls.network.model_file import ModelDocument

ENDS = "It ends now, and its best network so far counts as a model."
ENDS_EMPTY = "It ends now; no epoch of it has ended, so that nothing can be kept."
NOTHING = "Cancelled before the first epoch had ended; there is no new network."


@dataclass(frozen=True, eq=False)
class Ended:
    """How a run ended.

    Attributes
    ----------
    words
        In one or two sentences.
    document
        Of the network that it made, or None.
    offered
        The network of a cancelled run, until the user wants it or starts another.
    refused
        Whether it did not begin, or broke off.
    remedies
        Of a refusal.
    """

    words: str
    document: ModelDocument | None = None
    offered: Model | None = None
    refused: bool = False
    remedies: tuple[Remedy, ...] = ()


class TrainingRun(Run):
    """The training of a viewer: one at a time, shown by however many windows.

    Parameters
    ----------
    viewer
        The viewer.

    Attributes
    ----------
    job
        The job, or None.
    history
        The figures of the run so far, or of the last one.
    latest
        Its latest report.
    warnings
        What the core warned of, in the window's words.
    ended
        How the last run ended; None while one runs, and before the first.
    """

    changed = Signal()
    """It began, ended, was warned of something, or its network was taken in."""

    progressed = Signal(TrainingProgress)

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._viewer = weakref.ref(viewer)
        session(viewer).part(Closing)
        self.job: Job | None = None
        self.history = History()
        self.latest: TrainingProgress | None = None
        self.warnings: list[str] = []
        self.ended: Ended | None = None

    def start(self, material: Material, settings: TrainingSettings) -> None:
        """Begin to train, unless a training runs."""
        if self.job is not None:
            return
        self.history, self.latest, self.warnings, self.ended = History(), None, [], None
        work = _Work(material, settings)
        self.job = start(
            work,
            owner=main_window(self.viewer),
            progressed=self._on_progress,
            warned=self._on_warning,
            returned=self._on_return,
            failed=lambda line: self.refuse(line, work.remedies),
            ended=self._on_end,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """End the run; the best network so far is offered."""
        if self.job is not None:
            self.job.cancel()
            self.changed.emit()

    def keep(self) -> None:
        """Take in the network that a cancelled run offers, and keep it on disk."""
        if (named := self.take_offered()) is not None:
            start_call(
                lambda: kept.keep(named.model),
                owner=main_window(self.viewer),
                returned=lambda found: session(self.viewer).keeps(named, found),
            )

    def take_offered(self) -> NamedModel | None:
        """Take in the network that a cancelled run offers, if it does."""
        if self.ended is None or self.ended.offered is None:
            return None
        model = self.ended.offered
        said = words.result(model.document)
        self.ended = replace(self.ended, words=said, offered=None)
        named = self._take(model)
        self.changed.emit()
        return named

    def unsaved(self) -> str:
        """Name the training that runs, or the network that is offered."""
        if self.job is not None:
            how = f" ({self.latest.words})" if self.latest is not None else ""
            ended = self.history.records or self.history.part
            return f"the training that runs{how}. {ENDS if ended else ENDS_EMPTY}"
        offers = self.ended is not None and self.ended.offered is not None
        return "the network of the training that was cancelled" if offers else ""

    def refuse(self, line: str, remedies: tuple[Remedy, ...] = ()) -> None:
        """Note why there is no result."""
        said = f"{line[:1].upper()}{line[1:].rstrip('.')}."
        self.ended = Ended(said, refused=True, remedies=remedies)
        self.changed.emit()

    def forget_refusal(self) -> None:
        """Forget a refusal: what caused it may be another now."""
        if self.ended is not None and self.ended.refused:
            self.ended = None
            self.changed.emit()

    @property
    def viewer(self) -> "napari.Viewer":
        """The viewer, which lives as long as this."""
        found = self._viewer()
        assert found is not None
        return found

    def _on_progress(self, progress: TrainingProgress) -> None:
        self.latest = progress
        self.history.add(progress)
        self.progressed.emit(progress)

    def _on_warning(self, line: str) -> None:
        self.warnings.append(line)
        self.changed.emit()

    def _on_return(self, result: tuple[Model, kept.Kept | None] | None) -> None:
        assert self.job is not None
        if result is None:
            self.ended = Ended(NOTHING)
            return
        model, found = result
        cancelled = found is None and self.job.cancelling
        document = model.document
        said = words.result(document, self.history.planned, cancelled=cancelled)
        self.history = History.of(document.history, words.kept_epoch_of(document))
        self.ended = Ended(said, document, offered=model if cancelled else None)
        if not cancelled:
            self._take(model, found)

    def _take(self, model: Model, found: kept.Kept | None = None) -> NamedModel:
        shared = session(self.viewer)
        taken = [known.name for known in shared.models]
        return shared.add(model, words.model_name(model.scheme.name, taken), kept=found)

    def _on_end(self) -> None:
        self.job = None
        self.changed.emit()
        if self.ended is not None and not in_sight(self.viewer, "train_start"):
            show_info(f"Training has ended. {self.ended.words}")


class _Work:
    """The job: training, then keeping the model on disk until somebody saves it.

    Attributes
    ----------
    remedies
        What the core proposes, if it refused.
    """

    def __init__(self, material: Material, settings: TrainingSettings) -> None:
        self._material, self._settings = material, settings
        self.remedies: tuple[Remedy, ...] = ()

    def __call__(
        self, cancelled: Callable[[], bool]
    ) -> Generator[TrainingProgress, None, tuple[Model, kept.Kept | None] | None]:
        material = self._material
        steps = training(
            material.pairs, None, self._settings, classes=material.scheme, cancelled=cancelled
        )
        try:
            model = yield from steps
        except InputError as error:
            if cancelled():
                return None
            self.remedies = words.remedies(error)
            raise
        if cancelled():
            return (model, None) if model.document.history else None
        try:
            return model, kept.keep(model)
        except InputError as error:
            warnings.warn(str(error), LungclsWarning, stacklevel=1)
            return model, None
