"""Which model is current, and buttons that save it or load another."""

from pathlib import Path

import napari
from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_lungcls.gui.dialogs import ask_discard, ask_open, ask_save
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.model_choice import ModelChoice
from napari_lungcls.gui.opening import open_model
from napari_lungcls.gui.parts import SPACING, note
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import Job, start_call
from napari_lungcls.utils.humanize import count

SUFFIX = ".safetensors"
FILTER = f"Models (*{SUFFIX})"
NONE = "No model yet: train one or load one."
LEFT = "{} of an earlier session not saved: choose in the list to save, use or delete."


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
        self._viewer, self._session = viewer, session(viewer)
        self.current = note()
        self.current.setObjectName("current_model")
        self.choice = ModelChoice(viewer)
        self.choice.setObjectName("train_model")
        self.choice.setToolTip("The current model: the one that Save and Paint are about.")
        self.discard_button = QPushButton("Delete")
        self.discard_button.setObjectName("discard_model")
        self.discard_button.clicked.connect(self._discard)
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
        row.addWidget(self.discard_button)
        column.addWidget(self.choice)
        column.addWidget(self.current)
        column.addLayout(row)
        listen(self, self._session.changed, slot=self._show)
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
            self._session.saved(found, where)
            show_info(f"Model saved to {where}.")

        return start_call(lambda: found.model.save(target), owner=self, returned=saved)

    def load_from(self, path: str | Path) -> Job:
        """Read a model file in a thread, and make the model current."""
        return open_model(self._viewer, path, self, self.loaded.emit)

    def _ask_where(self) -> None:
        found = self._session.current
        start = "" if found is None else str(found.path or found.name.replace(":", "-") + SUFFIX)
        if path := ask_save(self, "Save model", start, FILTER, [SUFFIX]):
            self.save_to(path)

    def _ask_which(self) -> None:
        if path := ask_open(self, "Load model", FILTER):
            self.load_from(path)

    def _discard(self) -> None:
        found = self._session.current
        if found is not None and ask_discard(self, found.name):
            self._session.remove(found.name)

    def _show(self) -> None:
        found, left = self._session.current, len(self._session.left)
        self.save_button.setEnabled(found is not None)
        self.discard_button.setEnabled(found is not None and found.path is None)
        self.discard_button.setToolTip(
            "Delete the current model, which was not saved, and what was kept of it."
        )
        if found is None:
            self.current.setText(NONE if not left else LEFT.format(count(left, "model")))
            self.save_button.setToolTip(NONE)
            return
        where = "not saved yet"
        if found.kept is not None:
            where = "not saved yet, kept for next time"
        if found.path is not None:
            where = f"saved in {found.path.name}"
        classes = ", ".join(found.model.scheme.names)
        self.current.setText(f"Current model: {found.name} ({classes}), {where}.")
        self.current.setToolTip(str(found.path or ""))
        self.save_button.setToolTip("Write the current model to a file.")
