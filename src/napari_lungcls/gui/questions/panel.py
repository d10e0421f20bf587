"""What a panel needs that asks one question after another."""

from collections.abc import Callable, Iterable

import napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QPushButton, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.parts import button
from napari_lungcls.gui.questions.keys import AnswerKeys


class QuestionPanel(QWidget):
    """Holds the keys of the window while a question is shown, and stops asking when hidden.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._keys = AnswerKeys(self, main_window(viewer), self._on_key, self._stop)
        self._taken: frozenset[str] = frozenset()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Stop asking with the dock, when it is closed or another one is in front."""
        # With a window that is being destroyed there is nothing left to put back.
        if event is not None and not event.spontaneous() and self._keys.has_window:
            self._stop()
        super().hideEvent(event)

    def _stop(self) -> None:
        """End the asking and put the viewer back; every answer is kept."""
        raise NotImplementedError

    def _on_key(self, key: str) -> None:
        """Do what a key that was taken stands for."""
        raise NotImplementedError

    def _take_keys(self, keys: Iterable[str]) -> None:
        """Take these keys, or none; a panel that cannot be seen takes none."""
        # A panel that was taken out of its dock goes on listening, but not to keys.
        wanted = frozenset(keys) if self.isVisible() else frozenset[str]()
        if wanted == self._taken:
            return
        self._taken = wanted
        if wanted:
            self._keys.take(wanted)
        else:
            self._keys.release()

    def _try(self, act: Callable[[], object]) -> None:
        """Do something, or say why it is refused and show how things stand."""
        try:
            act()
        except InputError as error:
            refuse(error)
            self._show()

    def _show(self, event: object = None) -> None:
        """Show the question, or what to do for there to be one."""
        raise NotImplementedError

    @staticmethod
    def _button(text: str, name: str, tip: str) -> QPushButton:
        """Make a button that leaves the keyboard where it is: keys go on answering."""
        made = button(text, name, tip)
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return made
