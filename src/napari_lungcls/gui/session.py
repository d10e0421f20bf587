"""What the windows of one viewer share: the models, and the points being labelled."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import napari
from napari.layers import Points
from psygnal import Signal

from napari_lungcls.gui.points_follower import PointsFollower

if TYPE_CHECKING:
    from napari_lungcls.gui.label.controller import Labeller
    from napari_lungcls.model import Model


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
    """

    name: str
    model: "Model"
    path: Path | None = None


class Session:
    """Models and the annotation layer of one viewer; see `session`.

    Attributes
    ----------
    follower
        Keeps points on their images.
    labeller
        Labels the points, whether or not a window shows it; made by `labeller_of`.
    """

    changed = Signal()
    """The models, or which of them is current, have changed."""

    target_changed = Signal()
    """Another points layer is being labelled."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        self.follower = PointsFollower(viewer)
        self.labeller: Labeller | None = None
        self._models: dict[str, NamedModel] = {}
        self._current: str | None = None
        self._target: Points | None = None

    @property
    def models(self) -> tuple[NamedModel, ...]:
        """All models, oldest first."""
        return tuple(self._models.values())

    @property
    def current(self) -> NamedModel | None:
        """The model that painting offers first."""
        return self._models.get(self._current) if self._current is not None else None

    def add(self, model: "Model", name: str, path: Path | None = None) -> NamedModel:
        """Take a model in and make it current; one of the same name is replaced."""
        self._models[name] = NamedModel(name, model, path)
        self._current = name
        self.changed.emit()
        return self._models[name]

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
