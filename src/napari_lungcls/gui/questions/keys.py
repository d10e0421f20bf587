"""Keys of questions: they answer wherever the keyboard is in the window, but not in text fields."""

import weakref
from collections.abc import Callable, Iterable

from qtpy.QtCore import QCoreApplication, QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QDockWidget,
    QLineEdit,
    QMainWindow,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

TYPED_IN = (QLineEdit, QAbstractSpinBox, QTextEdit, QPlainTextEdit)
"""Widgets that keep their keys."""

KEYPAD = Qt.KeyboardModifier.KeypadModifier


class AnswerKeys(QObject):
    """Takes keys from napari while it is on, and changes nothing of napari's.

    Parameters
    ----------
    owner
        What it ends with.
    window
        napari's.
    press
        Called with a key as Qt writes it, `A`, `3` or `Ctrl+Z`.
    leaving
        Called when the window closes.
    """

    def __init__(
        self,
        owner: QObject,
        window: QMainWindow,
        press: Callable[[str], None],
        leaving: Callable[[], None],
    ) -> None:
        super().__init__(owner)
        # Weakly: a window that is gone must not live on with what Python still keeps of its docks.
        self._window = weakref.ref(window)
        self._press, self._leaving = press, leaving
        self._keys: frozenset[str] = frozenset()
        window.installEventFilter(self)

    @property
    def has_window(self) -> bool:
        """Whether the window is there, and shown."""
        window = self._window()
        return window is not None and window.isVisible()

    def take(self, keys: Iterable[str]) -> None:
        """Take these keys and no others."""
        self.release()
        self._keys = frozenset(keys)
        if (application := QCoreApplication.instance()) is not None:
            application.installEventFilter(self)

    def release(self) -> None:
        """Give all keys back."""
        self._keys = frozenset()
        if (application := QCoreApplication.instance()) is not None:
            application.removeEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep the keys that were taken from whatever has the focus in the window."""
        if event is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.Close and watched is self._window():
            # Before napari remembers which of its docks are open.
            self._leaving()
        elif kind in (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride):
            return isinstance(event, QKeyEvent) and self._on_key(watched, event)
        return False

    def _on_key(self, watched: QObject | None, event: QKeyEvent) -> bool:
        key = _name(event)
        if key not in self._keys or not self._is_ours(watched):
            return False
        event.accept()
        # A key that is held down must not answer one question after another.
        if event.type() == QEvent.Type.KeyPress and not event.isAutoRepeat():
            self._press(key)
        return True

    def _is_ours(self, watched: QObject | None) -> bool:
        """Tell whether a widget is in the window, or in a dock beside it, and no text field."""
        if not isinstance(watched, QWidget) or isinstance(watched, TYPED_IN):
            return False
        above = watched.window()
        return above is self._window() or isinstance(above, QDockWidget)


def _name(event: QKeyEvent) -> str:
    """Write a key as Qt does, `A` or `Ctrl+Z`; empty with other modifiers."""
    held = event.modifiers() & ~KEYPAD
    if held == Qt.KeyboardModifier.NoModifier:
        return QKeySequence(event.key()).toString()
    if held == Qt.KeyboardModifier.ControlModifier:
        return f"Ctrl+{QKeySequence(event.key()).toString()}"
    return ""
