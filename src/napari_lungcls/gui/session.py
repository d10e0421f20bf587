"""What the windows of one viewer share: models, background runs and the annotation layer."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from weakref import WeakKeyDictionary

import napari
from napari.layers import Points
from psygnal import Signal

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.kept import Kept, left_behind
from napari_lungcls.gui.lifetime import ViewerPart
from napari_lungcls.gui.points_follower import PointsFollower
from napari_lungcls.gui.workers import BackgroundJob, Work, start
from napari_lungcls.utils.names import numbered

if TYPE_CHECKING:
    from napari_lungcls.model import Model

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class NamedModel:
    """A model with the name that the windows show.

    Attributes
    ----------
    name
        Unique in a session.
    model
        The model.
    path
        The file it is saved in, or None.
    kept
        The file that keeps it until the user saves it, or None.
    """

    name: str
    model: "Model"
    path: Path | None = None
    kept: Kept | None = None


class BackgroundRun(ViewerPart, ABC):
    """Long work of a viewer that continues while no window shows it.

    Attributes
    ----------
    job
        The running job, or None.
    warnings
        What the core has warned of during this run.
    """

    title: ClassVar[str] = "Working"
    """What napari's activity dock calls it."""

    changed = Signal()
    """It has started, changed state, ended or received a warning."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        self.job: BackgroundJob | None = None
        self.warnings: list[str] = []

    def _begin(self, work: Work) -> None:
        """Start a job that calls the methods below."""
        self.warnings = []
        self.job = start(
            work,
            owner=main_window(self.viewer),
            title=self.title,
            progressed=self._on_progress,
            warned=self._on_warning,
            returned=self._on_return,
            failed=self._on_failure,
            ended=self._on_end,
        )
        self.changed.emit()

    @abstractmethod
    def _on_progress(self, report: Any) -> None: ...

    @abstractmethod
    def _on_return(self, result: Any) -> None: ...

    @abstractmethod
    def _on_failure(self, line: str) -> None: ...

    @abstractmethod
    def _on_end(self) -> None: ...

    @abstractmethod
    def unsaved(self) -> str:
        """Name what closing the viewer would lose; empty if nothing."""

    def cancel(self) -> None:
        """Cancel the work; what is finished is kept or offered."""
        if self.job is not None:
            self.job.cancel()
            self.changed.emit()

    def take_offered(self) -> NamedModel | None:
        """Add the model that a cancelled run offers to the session, if there is one."""
        return None

    def _on_warning(self, line: str) -> None:
        self.warnings.append(line)
        self.changed.emit()


class Session:
    """Models, runs and the annotation layer of one viewer; see `session`.

    Attributes
    ----------
    follower
        Keeps points layers aligned with their images.
    scheme_files
        Files in which class schemes were saved, or from which they were read.
    """

    changed = Signal()
    """The models or the current model have changed."""

    target_changed = Signal()
    """Another points layer is being annotated."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        self.follower = PointsFollower(viewer)
        # The viewer is the weak key of this session, so the session must not keep it alive.
        self.scheme_files: dict[ClassScheme, Path] = {}
        self._viewer = weakref.ref(viewer)
        self._parts: dict[Callable[..., Any], Any] = {}
        self._models: dict[str, NamedModel] = {}
        self._current: str | None = None
        self._left: list[Kept] | None = None
        self._target: Points | None = None

    def part(self, kind: "Callable[[napari.Viewer], T]") -> T:
        """Get this viewer's only object of a kind, made on first use."""
        if kind not in self._parts:
            self._parts[kind] = kind(cast("napari.Viewer", self._viewer()))
        return cast(T, self._parts[kind])

    def drop_part(self, part: object) -> None:
        """Forget a part that has ended; asking for its kind makes another."""
        self._parts = {kind: each for kind, each in self._parts.items() if each is not part}

    @property
    def runs(self) -> list[BackgroundRun]:
        """All background runs that were used so far."""
        return [part for part in self._parts.values() if isinstance(part, BackgroundRun)]

    @property
    def models(self) -> tuple[NamedModel, ...]:
        """All models, oldest first."""
        return tuple(self._models.values())

    @property
    def current(self) -> NamedModel | None:
        """The current model, or None."""
        return self._models.get(self._current) if self._current is not None else None

    @property
    def left(self) -> tuple[Kept, ...]:
        """Unsaved models of earlier sessions that are not loaded."""
        if self._left is None:
            self._left = left_behind()
        return tuple(self._left)

    def add(
        self, model: "Model", name: str, path: Path | None = None, kept: Kept | None = None
    ) -> NamedModel:
        """Add a model and make it current; a saved model of the same name is replaced."""
        name = self._free(name, model)
        self._left = [each for each in self.left if each is not kept]
        self._models[name] = NamedModel(name, model, path, kept)
        self._current = name
        self.changed.emit()
        return self._models[name]

    def _free(self, name: str, model: "Model") -> str:
        """Find a name that replaces no unsaved model."""
        known, tried = self._models, numbered(name)
        return next(n for n in tried if n not in known or known[n].path or known[n].model is model)

    def keeps(self, named: NamedModel, kept: Kept) -> None:
        """Record the file that keeps an unsaved model."""
        if self._models.get(named.name) is named:
            self._models[named.name] = replace(named, kept=kept)
            self.changed.emit()
        else:
            kept.remove()

    def saved(self, named: NamedModel, path: Path) -> None:
        """Record where a model was saved, and delete its automatically kept file."""
        if self._models.get(named.name) is named:
            self._models[named.name] = replace(named, path=path, kept=None)
        if named.kept is not None:
            named.kept.remove()
        self.changed.emit()

    def remove(self, name: str) -> None:
        """Remove a model and its automatically kept file.

        Raises
        ------
        KeyError
            If there is no model of this name.
        """
        gone = self._models.pop(name)
        if gone.kept is not None:
            gone.kept.remove()
        if self._current == name:
            self._current = next(reversed(self._models), None)
        self.changed.emit()

    def choose(self, name: str) -> None:
        """Make a model current.

        Raises
        ------
        KeyError
            If there is no model of this name.
        """
        if self._models[name].name != self._current:
            self._current = name
            self.changed.emit()

    def let_go(self) -> None:
        """Release the files of unsaved models to the next session."""
        held = [named.kept for named in self.models if named.kept is not None]
        for kept in (*held, *(self._left or ())):
            kept.release()
        self._left = []

    @property
    def target(self) -> Points | None:
        """The points layer being annotated, or None."""
        return self._target

    @target.setter
    def target(self, layer: Points | None) -> None:
        if layer is not self._target:
            self._target = layer
            self.target_changed.emit()


_sessions: "WeakKeyDictionary[napari.Viewer, Session]" = WeakKeyDictionary()


def session(viewer: "napari.Viewer") -> Session:
    """Get the session of a viewer, which lives as long as the viewer."""
    # napari hands plugins a proxy of the viewer; both must find the same session.
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _sessions:
        _sessions[real] = Session(real)
    return _sessions[real]
