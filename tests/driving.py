"""Hands for a real window: menus, buttons, the canvas and file dialogs, by mouse and keys."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QLineEdit,
    QMenu,
    QTabBar,
    QWidget,
)

LEFT = Qt.MouseButton.LeftButton
NOTHING = Qt.KeyboardModifier.NoModifier


class Hands:
    """What a microscopist does to a napari window."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.window = viewer.window._qt_window
        self.canvas = viewer.window._qt_viewer.canvas.native

    def settle(self, seconds: float = 0.05) -> None:
        """Let the window catch up."""
        QTest.qWait(int(1000 * seconds))

    def until(self, holds: Callable[[], Any], seconds: float = 30, what: str = "") -> None:
        """Let the window live until something holds."""
        end = time.perf_counter() + seconds
        while not holds():
            assert time.perf_counter() < end, f"waited {seconds} s in vain for {what or holds}"
            QTest.qWait(10)

    def find(self, name: str) -> Any:
        """Find the widget of an object name that is to be seen, scrolling to it."""
        found = [w for w in self.window.findChildren(QWidget, name) if w.isVisible()]
        assert len(found) == 1, f"{len(found)} widgets {name!r} are visible"
        self._scroll_to(found[0])
        return found[0]

    def click(self, name: str) -> None:
        """Click a button."""
        button = self.find(name)
        assert button.isEnabled(), f"{name} is disabled: {button.toolTip()}"
        QTest.mouseClick(button, LEFT)
        self.settle()

    def menu(self, *path: str) -> None:
        """Go through the menus of the window, `File`, `Open Sample`, …, with clicks."""
        bar = self.window.menuBar()
        action = _action(bar, path[0])
        QTest.mouseClick(bar, LEFT, NOTHING, bar.actionGeometry(action).center())
        menu: QMenu = action.menu()
        for text in path[1:]:
            self.until(menu.isVisible, what=f"menu before {text}")
            action = _action(menu, text)
            QTest.mouseMove(menu, menu.actionGeometry(action).center())
            QTest.mouseClick(menu, LEFT, NOTHING, menu.actionGeometry(action).center())
            if action.menu() is not None:
                menu = action.menu()
        self.settle()

    def choose(self, name: str, text: str) -> None:
        """Choose an entry of a combo box with the keys."""
        box: QComboBox = self.find(name)
        index = next(i for i in range(box.count()) if text in box.itemText(i))
        box.setFocus()
        QTest.keyClick(box, Qt.Key.Key_Home)
        for _ in range(index):
            QTest.keyClick(box, Qt.Key.Key_Down)
        assert text in box.currentText()
        self.settle()

    def type(self, name: str, text: str) -> None:
        """Replace the text of a field."""
        field = self.find(name)
        field = field if isinstance(field, QLineEdit) else field.findChild(QLineEdit)
        field.setFocus()
        QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Tab)
        self.settle()

    def file(self, path: Path, name: str, entry: str = "") -> None:
        """Click a button that opens a file dialog, and type a path into it.

        A button that opens a menu first is given the entry to click there.
        """
        met: list[QFileDialog] = []

        def answer() -> None:
            dialog, menu = QApplication.activeModalWidget(), QApplication.activePopupWidget()
            if isinstance(menu, QMenu):
                # What the click opens runs an event loop of its own: go on in that.
                QTimer.singleShot(100, answer)
                action = _action(menu, entry)
                QTest.mouseClick(menu, LEFT, NOTHING, menu.actionGeometry(action).center())
                return
            if met and not _is_open(met[0]):
                return
            QTimer.singleShot(100, answer)
            if isinstance(dialog, QFileDialog):
                met[:] = [dialog]
                _fill(dialog, path, menu)

        QTimer.singleShot(100, answer)
        self.click(name)
        self.until(lambda: met, what="the file dialog")
        self.settle()

    def key(self, key: str) -> None:
        """Press a key, `a` or `Ctrl+Z`, over the canvas."""
        *modifiers, last = key.split("+")
        held = NOTHING
        for modifier in modifiers:
            held |= {"Ctrl": Qt.KeyboardModifier.ControlModifier,
                     "Shift": Qt.KeyboardModifier.ShiftModifier}[modifier]  # fmt: skip
        code = getattr(Qt.Key, f"Key_{last.upper() if len(last) == 1 else last}")
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, code, held)
        self.settle(0.02)

    def at(self, world_yx: Any) -> QPoint:
        """Give the canvas pixel nearest to a world position of the plane in view."""
        zoom, center = (
            self.viewer.scene.camera.zoom,
            np.asarray(self.viewer.scene.camera.center)[-2:],
        )
        size = np.array([self.canvas.height(), self.canvas.width()])
        y, x = (np.asarray(world_yx)[-2:] - center) * zoom + size / 2
        assert 0 <= y < size[0], f"{world_yx} is not in view"
        assert 0 <= x < size[1], f"{world_yx} is not in view"
        return QPoint(round(x), round(y))

    def point(self, world_yx: Any) -> None:
        """Click the canvas at a world position."""
        where = self.at(world_yx)
        QTest.mouseMove(self.canvas, where)
        self.settle(0.02)
        QTest.mouseClick(self.canvas, LEFT, NOTHING, where)
        self.settle(0.02)

    def drag(self, start: Any, end: Any, steps: int = 6) -> None:
        """Press at one world position, go to another, let go."""
        first, last = self.at(start), self.at(end)
        QTest.mouseMove(self.canvas, first)
        QTest.mousePress(self.canvas, LEFT, NOTHING, first)
        for i in range(1, steps + 1):
            QTest.mouseMove(self.canvas, first + (last - first) * (i / steps))
            self.settle(0.02)
        QTest.mouseRelease(self.canvas, LEFT, NOTHING, last)
        self.settle(0.05)

    def plane(self, index: int) -> None:
        """Go to a plane of the first axis with the arrow keys."""
        for _ in range(100):
            if (now := self.viewer.dims.current_step[0]) == index:
                return
            self.key("Right" if now < index else "Left")
        raise AssertionError(f"plane {index} cannot be reached")

    def show_dock(self, name: str) -> None:
        """Bring one of the windows beside the image to the front, by its tab where it has one."""
        docks = self.window.findChildren(QDockWidget)
        dock = next(dock for dock in docks if dock.windowTitle().startswith(name))
        for bar in self.window.findChildren(QTabBar):
            for index in range(bar.count()):
                if bar.tabText(index) == dock.windowTitle():
                    QTest.mouseClick(bar, LEFT, NOTHING, bar.tabRect(index).center())
        self.until(dock.isVisible, what=f"the window {name}")
        self.settle()

    def _scroll_to(self, widget: QWidget) -> None:
        parent = widget.parentWidget()
        while parent is not None:
            if hasattr(parent, "ensureWidgetVisible"):
                parent.ensureWidgetVisible(widget)
            parent = parent.parentWidget()


def _is_open(dialog: QFileDialog) -> bool:
    try:
        return bool(dialog.isVisible())
    except RuntimeError:
        return False  # Qt has deleted it.


def _fill(dialog: QFileDialog, path: Path, completions: QWidget | None) -> None:
    """Do the next of what a file dialog needs: go to the folder, give the name, confirm.

    A whole path typed in one go would do, but on the way Qt may select the folder it names.
    """
    field = dialog.findChild(QLineEdit, "fileNameEdit")
    folder = dialog.fileMode() == QFileDialog.FileMode.Directory
    there = Path(dialog.directory().absolutePath()) == path.parent
    text = path.name if there else str(path if folder else path.parent)
    if completions is not None:
        # The list of completions would take the key.
        QTest.keyClick(completions, Qt.Key.Key_Escape)
    elif field.text() != text:
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, text)
    else:
        QTest.keyClick(field, Qt.Key.Key_Return)


def _action(menu: Any, text: str) -> Any:
    shown = {a.text().replace("&", ""): a for a in menu.actions()}
    found = [a for name, a in shown.items() if name.startswith(text)]
    assert found, f"no {text!r} among {sorted(shown)}"
    return found[0]


class Pulse:
    """A timer of 10 ms in the window's thread that remembers its longest gap.

    Attributes
    ----------
    longest
        Seconds between two ticks, at most, since the last `restart`.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def restart(self) -> float:
        """Forget the gaps so far; return the longest, that which lasts still among them."""
        now = time.perf_counter()
        longest = max(self.longest, now - self._last)
        self.longest, self._last = 0.0, now
        return longest

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now
