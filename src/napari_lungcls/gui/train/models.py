"""The current model in the training window, with buttons to save, load and delete models."""

from pathlib import Path

import napari
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui.dialogs import ask_discard, ask_save
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.model_card import ModelCardButton
from napari_lungcls.gui.model_choice import FILTER, ModelChoice
from napari_lungcls.gui.parts import beside, button, column, note
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import BackgroundJob, start_call
from napari_lungcls.network.model_file import SUFFIX
from napari_lungcls.utils.humanize import count

NONE = "No model yet: train one or load one."
LEFT = "{} from an earlier session: choose in the list to save, use or delete."


class ModelBox(QWidget):
    """Shows the current model of a viewer; saves, loads and deletes models."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session(viewer)
        self.current = note(name="current_model")
        self.choice = ModelChoice(viewer)
        self.choice.setObjectName("train_model")
        self.choice.setToolTip("The current model, which Save and Paint use.")
        self.save_button = button("Save model…", "save_model")
        self.load_button = button(
            "Load model…", "load_model", "Load a model from a file and make it current."
        )
        self.discard_button = button(
            "Delete", "discard_model", "Delete the current model, which is not saved."
        )
        self.save_button.clicked.connect(self.ask_where)
        self.load_button.clicked.connect(self.choice.ask_file)
        self.discard_button.clicked.connect(self._discard)
        layout = column(self)
        layout.addWidget(self.choice)
        layout.addWidget(self.current)
        layout.addWidget(beside(self.save_button, self.load_button, self.discard_button))
        self.card_button = ModelCardButton(viewer)
        layout.addWidget(self.card_button)
        listen(self, self._session.changed, slot=self._show)
        self._show()

    def save_to(self, path: str | Path) -> BackgroundJob | None:
        """Save the current model to a file, in a thread."""
        found = self._session.current
        if found is None:
            return None
        target = Path(path)
        if target.suffix.lower() != SUFFIX:
            target = target.with_name(target.name + SUFFIX)

        def saved(where: Path) -> None:
            self._session.saved(found, where)
            show_info(f"Model saved to {where}.")

        title = f"Saving {target.name}"
        return start_call(lambda: found.model.save(target), owner=self, title=title, returned=saved)

    def ask_where(self, _: bool = False) -> None:
        """Ask for a file, and save the current model to it."""
        found = self._session.current
        start = "" if found is None else str(found.path or found.name.replace(":", "-") + SUFFIX)
        if path := ask_save(self, "Save model", start, FILTER, [SUFFIX]):
            self.save_to(path)

    def _discard(self) -> None:
        found = self._session.current
        if found is not None and ask_discard(self, found.name):
            self._session.remove(found.name)

    def _show(self) -> None:
        found, left = self._session.current, len(self._session.left)
        self.save_button.setEnabled(found is not None)
        self.discard_button.setEnabled(found is not None and found.path is None)
        if found is None:
            self.current.setText(NONE if not left else LEFT.format(count(left, "unsaved model")))
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
        self.save_button.setToolTip("Save the current model to a file.")
