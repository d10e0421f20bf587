"""What the windows of one viewer share: models, runs, and the points being labelled."""

import itertools
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakKeyDictionary

import napari
from napari.layers import Points
from psygnal import Signal

from napari_lungcls.gui.kept import Kept, left_behind
from napari_lungcls.gui.points_follower import PointsFollower

if TYPE_CHECKING:
    from napari_lungcls.gui.workers import Job
    from napari_lungcls.model import Model

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class NamedModel:
    """A model under the name that the windows show.

    Attributes
    ----------
    name
        Unique in a session.
    model
        The model.
    path
        The file it is saved in, or None.
    kept
        The file that keeps it while nobody has saved it, or None.
    """

    name: str
    model: "Model"
    path: Path | None = None
    kept: Kept | None = None


class Run(ABC):
    """Long work of a viewer that goes on while no window shows it.

    Attributes
    ----------
    job
        The job, or None.
    """

    job: "Job | None" = None

    @abstractmethod
    def unsaved(self) -> str:
        """Name what would be lost with the viewer's window; empty when nothing would."""

    @abstractmethod
    def cancel(self) -> None:
        """End the work early."""

    def take_offered(self) -> NamedModel | None:
        """Take in what a cancelled run offers, if it does."""
        return None


class Session:
    """Models, runs and the annotation layer of one viewer; see `session`.

    Parameters
    ----------
    viewer
        The viewer.

    Attributes
    ----------
    follower
        Keeps points on their images.
    """

    changed = Signal()
    """The models, or which of them is current, have changed."""

    target_changed = Signal()
    """Another points layer is being labelled."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        self.follower = PointsFollower(viewer)
        # The viewer is the key under which this is found, and must be able to go.
        self._viewer = weakref.ref(viewer)
        self._parts: dict[Callable[..., Any], Any] = {}
        self._models: dict[str, NamedModel] = {}
        self._current: str | None = None
        self._left: list[Kept] | None = None
        self._target: Points | None = None

    def part(self, kind: "Callable[[napari.Viewer], T]") -> T:
        """Give the one object of a kind that this viewer has, made when first asked for."""
        if kind not in self._parts:
            self._parts[kind] = kind(cast("napari.Viewer", self._viewer()))
        return cast(T, self._parts[kind])

    def drop_part(self, part: object) -> None:
        """Forget a part that has ended; asking for its kind makes another."""
        self._parts = {kind: each for kind, each in self._parts.items() if each is not part}

    @property
    def runs(self) -> list[Run]:
        """All long work that was asked for so far."""
        return [part for part in self._parts.values() if isinstance(part, Run)]

    @property
    def models(self) -> tuple[NamedModel, ...]:
        """All models, oldest first."""
        return tuple(self._models.values())

    @property
    def current(self) -> NamedModel | None:
        """The model that painting offers first."""
        return self._models.get(self._current) if self._current is not None else None

    @property
    def left(self) -> tuple[Kept, ...]:
        """Models that earlier sessions did not save and that are not loaded."""
        if self._left is None:
            self._left = left_behind()
        return tuple(self._left)

    def add(
        self, model: "Model", name: str, path: Path | None = None, kept: Kept | None = None
    ) -> NamedModel:
        """Take a model in and make it current; one of the same name is replaced if it is saved."""
        name = self._free(name, model)
        self._left = [each for each in self.left if each is not kept]
        self._models[name] = NamedModel(name, model, path, kept)
        self._current = name
        self.changed.emit()
        return self._models[name]

    def _free(self, name: str, model: "Model") -> str:
        """Find a name under which no other model would be lost."""
        tried = (name if i == 1 else f"{name} ({i})" for i in itertools.count(1))
        known = self._models
        return next(n for n in tried if n not in known or known[n].path or known[n].model is model)

    def keeps(self, named: NamedModel, kept: Kept) -> None:
        """Note the file that keeps a model which nobody has saved."""
        if self._models.get(named.name) is named:
            self._models[named.name] = replace(named, kept=kept)
            self.changed.emit()
        else:
            kept.remove()

    def saved(self, named: NamedModel, path: Path) -> None:
        """Note where a model was saved; what was kept of it is no longer needed."""
        if self._models.get(named.name) is named:
            self._models[named.name] = replace(named, path=path, kept=None)
        if named.kept is not None:
            named.kept.remove()
        self.changed.emit()

    def remove(self, name: str) -> None:
        """Forget a model, and what was kept of it.

        Raises
        ------
        KeyError
            When there is none of this name.
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
            When there is none of this name.
        """
        if self._models[name].name != self._current:
            self._current = name
            self.changed.emit()

    def let_go(self) -> None:
        """Leave models that are not saved to the next session."""
        held = [named.kept for named in self.models if named.kept is not None]
        for kept in (*held, *(self._left or ())):
            kept.release()
        self._left = []

    @property
    def target(self) -> Points | None:
        """The points layer that is being labelled, or None."""
        return self._target

    @target.setter
    def target(self, layer: Points | None) -> None:
        if layer is not self._target:
            self._target = layer
            self.target_changed.emit()


_sessions: "WeakKeyDictionary[napari.Viewer, Session]" = WeakKeyDictionary()


def session(viewer: "napari.Viewer") -> Session:
    """Give the session of a viewer; it lives as long as the viewer."""
    # Plugins are handed a proxy of the viewer; both must find the same session.
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _sessions:
        _sessions[real] = Session(real)
    return _sessions[real]
