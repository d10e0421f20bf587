"""Which model is current, and buttons that save it or load another."""

from pathlib import Path

import napari
from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_lungcls.gui.parts import SPACING, note
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train.pairs import disconnector
from napari_lungcls.gui.workers import Job, start_call
from napari_lungcls.model import Model, load

SUFFIX = ".safetensors"
FILTER = f"Models (*{SUFFIX})"
NONE = "No model yet: train one or load one."


class ModelBox(QWidget):
    """Names the current model of the viewer, saves it, and loads others.

    Parameters
    ----------
    viewer
        The viewer.
    """

    loaded = Signal()
    """A model was read from a file and is now current."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session(viewer)
        self.current = note()
        self.current.setObjectName("current_model")
        self.save_button, self.load_button = QPushButton("Save model…"), QPushButton("Load model…")
        self.save_button.setObjectName("save_model")
        self.load_button.setObjectName("load_model")
        self.load_button.setToolTip("Read a model file; Paint then offers it.")
        self.save_button.clicked.connect(self._ask_where)
        self.load_button.clicked.connect(self._ask_which)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        row.addWidget(self.save_button)
        row.addWidget(self.load_button)
        column.addWidget(self.current)
        column.addLayout(row)
        self._session.changed.connect(self._show)
        self.destroyed.connect(disconnector(self._session.changed, self._show))
        self._show()

    def save_to(self, path: str | Path) -> Job | None:
        """Write the current model to a file, in a thread."""
        found = self._session.current
        if found is None:
            return None
        target = Path(path)
        if target.suffix.lower() != SUFFIX:
            target = target.with_name(target.name + SUFFIX)

        def saved(where: Path) -> None:
            chosen = self._session.current
            if any(known.name == found.name for known in self._session.models):
                self._session.add(found.model, found.name, where)
            if chosen is not None:
                self._session.choose(chosen.name)
            show_info(f"Model saved to {where}.")

        return start_call(lambda: found.model.save(target), owner=self, returned=saved)

    def load_from(self, path: str | Path) -> Job:
        """Read a model file in a thread, and make the model current."""
        source = Path(path)

        def read(model: Model) -> None:
            self._session.add(model, source.stem, source)
            self.loaded.emit()

        return start_call(lambda: load(source), owner=self, returned=read)

    def _ask_where(self) -> None:
        found = self._session.current
        start = "" if found is None else str(found.path or found.name.replace(":", "-") + SUFFIX)
        path, _ = QFileDialog.getSaveFileName(self, "Save model", start, FILTER)
        if path:
            self.save_to(path)

    def _ask_which(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load model", "", FILTER)
        if path:
            self.load_from(path)

    def _show(self) -> None:
        found = self._session.current
        self.save_button.setEnabled(found is not None)
        if found is None:
            self.current.setText(NONE)
            self.save_button.setToolTip(NONE)
            return
        where = f"saved in {found.path.name}" if found.path else "not saved yet"
        classes = ", ".join(found.model.scheme.names)
        self.current.setText(f"Current model: {found.name} ({classes}), {where}.")
        self.current.setToolTip(str(found.path or ""))
        self.save_button.setToolTip("Write the current model to a file.")
