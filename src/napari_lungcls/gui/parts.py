"""Small parts that the windows share, so that they look and behave alike."""

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.gui.lifetime import listen

MARGIN, SPACING = 8, 6


def panel_layout(widget: QWidget) -> QVBoxLayout:
    """Give a window its layout: one column with the common margins."""
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
    layout.setSpacing(SPACING)
    return layout


def heading(text: str) -> QLabel:
    """Make the heading of a section."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    label.setContentsMargins(0, SPACING, 0, 0)
    return label


def note(text: str = "") -> QLabel:
    """Make a line of words that wraps, and that can be selected and copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def color_icon(color: str, size: int = 14) -> QIcon:
    """Make a square of a class's colour with a thin edge that shows in either theme."""
    picture = QPixmap(size, size)
    picture.fill(QColor(color))
    painter = QPainter(picture)
    painter.setPen(QPen(QColor(128, 128, 128), 1))
    painter.drawRect(0, 0, size - 1, size - 1)
    painter.end()
    return QIcon(picture)


def remaining(seconds: float) -> str:
    """Say how long something will take: `about 2 min left`."""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 90:
        return f"about {5 * max(1, round(seconds / 5))} s left"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


class LayerBox(QComboBox):
    """A choice among the layers of one kind that a viewer has.

    Parameters
    ----------
    viewer
        The viewer.
    kind
        A layer class, or several.
    accept
        Leaves out layers for which it says no.
    empty
        Shown when there is no such layer.
    """

    layer_changed = Signal(object)

    def __init__(
        self,
        viewer: "napari.Viewer",
        kind: type[Layer] | tuple[type[Layer], ...] = Image,
        accept: Callable[[Any], bool] | None = None,
        empty: str = "no image is open",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kind, self._accept, self._empty = viewer, kind, accept, empty
        self._layers: list[Layer] = []
        self._reported: Layer | None = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        events = viewer.layers.events
        listen(self, events.inserted, events.removed, events.reordered, slot=self.refresh)
        self.currentIndexChanged.connect(self._report)
        self.refresh()

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer, if it is among those offered."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def refresh(self, event: object = None) -> None:
        """Look again which layers there are; the choice stays where it can."""
        chosen = self.layer
        found = [layer for layer in self._viewer.layers if isinstance(layer, self._kind)]
        found = [layer for layer in found if self._accept is None or self._accept(layer)]
        for layer in {*self._layers, *found}:
            layer.events.name.disconnect(self._rename)
            if layer in found:
                layer.events.name.connect(self._rename)
        self.blockSignals(True)
        self.clear()
        self._layers = found
        self.addItems([layer.name for layer in found] or [self._empty])
        self.setEnabled(bool(found))
        if found:
            self.setCurrentIndex(found.index(chosen) if chosen in found else len(found) - 1)
        self.blockSignals(False)
        self._report()

    def _rename(self, event: object = None) -> None:
        for index, layer in enumerate(self._layers):
            self.setItemText(index, layer.name)

    def _report(self, index: int = 0) -> None:
        if self.layer is not self._reported:
            self._reported = self.layer
            self.layer_changed.emit(self.layer)


class RunBar(QWidget):
    """Start, pause and cancel buttons, a thin bar, and words on how far it is.

    Parameters
    ----------
    start
        What the start button says.
    pausable
        Whether there is a pause button.
    other
        What a second button to start with says; none if empty.
    """

    start_clicked = Signal()
    other_clicked = Signal()
    cancel_clicked = Signal()
    pause_toggled = Signal(bool)

    def __init__(
        self,
        start: str,
        *,
        pausable: bool = False,
        other: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.start_button, self.cancel_button = QPushButton(start), QPushButton("Cancel")
        self.other_button = QPushButton(other)
        self.pause_button = QPushButton("Pause")
        self.pause_button.setCheckable(True)
        self.bar, self.words = QProgressBar(), note()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, SPACING, 0, 0)
        column.setSpacing(SPACING)
        row.addWidget(self.start_button, 2)
        if other:
            row.addWidget(self.other_button, 1)
        if pausable:
            row.addWidget(self.pause_button, 1)
        row.addWidget(self.cancel_button, 1)
        column.addLayout(row)
        column.addWidget(self.bar)
        column.addWidget(self.words)
        self.start_button.clicked.connect(self.start_clicked)
        self.other_button.clicked.connect(self.other_clicked)
        self.cancel_button.clicked.connect(self._on_cancel)
        self.pause_button.toggled.connect(self._on_pause)
        self._say("")
        self._show_running(False)

    def begin(self, words: str) -> None:
        """Show that the work has begun; how much it is, is not known yet."""
        self.bar.setRange(0, 0)
        self._say(words)
        self._show_running(True)

    def report(self, done: int, total: int, words: str, seconds: float | None) -> None:
        """Show how much is done, and the seconds that are left where that is known."""
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)
        if not self.pause_button.isChecked() and self.cancel_button.isEnabled():
            left = "" if seconds is None else f", {remaining(seconds)}"
            self._say(f"{words}{left}")

    def end(self, words: str) -> None:
        """Show that the work has ended, and how."""
        self._say(words)
        self._show_running(False)

    def allow(self, reason: str = "") -> None:
        """Enable the start button, or disable it with the reason as its tooltip."""
        self.start_button.setToolTip(reason)
        self._refused = bool(reason)
        self._enable()

    _refused = False
    _runs = False

    def _enable(self) -> None:
        for button in (self.start_button, self.other_button):
            button.setEnabled(not self._runs and not self._refused)

    def _say(self, words: str) -> None:
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def _show_running(self, runs: bool) -> None:
        self._runs = runs
        self._enable()
        self.cancel_button.setEnabled(runs)
        self.pause_button.setEnabled(runs)
        self.pause_button.blockSignals(True)
        self.pause_button.setChecked(False)
        self.pause_button.blockSignals(False)
        self.pause_button.setText("Pause")
        self.bar.setVisible(runs)

    def _on_cancel(self) -> None:
        self.cancel_button.setEnabled(False)
        self._say("cancelling…")
        self.cancel_clicked.emit()

    def _on_pause(self, paused: bool) -> None:
        self.pause_button.setText("Resume" if paused else "Pause")
        if paused:
            self._say("paused")
        self.pause_toggled.emit(paused)


class Fold(QWidget):
    """A section that folds away under its title."""

    def __init__(self, title: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button, self.content = QToolButton(), content
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setAutoRaise(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addWidget(self.button)
        column.addWidget(content)
        self.button.toggled.connect(self._fold)
        self._fold(False)

    def _fold(self, opened: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.content.setVisible(opened)
