"""Choosing the current model of a viewer, and loading models from files."""

from pathlib import Path

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui.dialogs import ask_open
from napari_lungcls.gui.kept import Kept
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import ElidingBox, narrow
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.workers import BackgroundJob, start_call
from napari_lungcls.model import Model, load
from napari_lungcls.network.model_file import SUFFIX

FILTER = f"Models (*{SUFFIX})"


class ModelChoice(ElidingBox):
    """Shows the current model of a viewer, and makes another one current."""

    changed = Signal()
    """The current model or the list of models has changed."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session(viewer)
        narrow(self, 6)
        listen(self, self._session.changed, slot=self.fill)
        self.activated.connect(self._on_activated)
        self.fill()

    @property
    def model(self) -> NamedModel | None:
        """The current model, or None."""
        return self._session.current

    def fill(self) -> None:
        """List the models, including unsaved ones from earlier sessions."""
        self.clear()
        for named in self._session.models:
            self.addItem(named.name, named)
        for kept in self._session.left:
            self.addItem(f"{kept.name} (not saved)", kept)
        known = self.count() > 0
        if self.model is not None:
            self.setCurrentText(self.model.name)
        else:
            self.insertItem(0, "choose a model" if known else "no model yet")
            self.setCurrentIndex(0)
        self.setEnabled(known)
        self.changed.emit()

    def load_from(self, path: str | Path, kept: Kept | None = None) -> BackgroundJob:
        """Load a model file in a thread, and make the model current.

        A model from an automatically kept file (`kept`) still counts as not saved.
        """
        source, device = Path(path), preferences().device

        def take(model: Model) -> None:
            self._session.add(model, source.stem, None if kept else source, kept)

        title = f"Opening {source.name}"
        return start_call(
            lambda: load(source, device=device), owner=self, title=title, returned=take
        )

    def ask_file(self, _: bool = False) -> None:
        """Ask for a model file, and load it."""
        if path := ask_open(self, "Load model", FILTER):
            self.load_from(path)

    def _on_activated(self, index: int) -> None:
        chosen = self.itemData(index)
        if isinstance(chosen, NamedModel):
            self._session.choose(chosen.name)
        elif isinstance(chosen, Kept):
            self.load_from(chosen.path, chosen)
