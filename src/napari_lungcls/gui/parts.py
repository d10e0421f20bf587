"""Small widgets and layout helpers that the windows share."""

from collections.abc import Callable, Iterable
from typing import Any

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.gui.lifetime import listen

MARGIN, SPACING = 8, 6


def column(widget: QWidget, margin: int = 0) -> QVBoxLayout:
    """Lay out a widget as one column."""
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(SPACING)
    return layout


def panel_layout(widget: QWidget) -> QVBoxLayout:
    """Lay out a window as one column with the common margins."""
    return column(widget, MARGIN)


def beside(*parts: QWidget | tuple[QWidget, int]) -> QWidget:
    """Put widgets side by side, each with an optional stretch factor."""
    whole = QWidget()
    row = QHBoxLayout(whole)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(SPACING)
    for part in parts:
        row.addWidget(*(part if isinstance(part, tuple) else (part,)))
    return whole


def button(text: str, name: str, tooltip: str = "") -> QPushButton:
    """Make a push button with an object name and a tooltip."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setToolTip(tooltip)
    return made


# Readable in both themes; disabled, the button looks like any other.
_PRIMARY = """
QPushButton:enabled { background: #2563c4; color: white; font-weight: 600; padding: 6px; }
QPushButton:enabled:hover { background: #2f74dd; }
QPushButton:enabled:pressed { background: #1c4f9f; }
QPushButton:disabled { padding: 6px; }
"""


def primary(made: QPushButton) -> QPushButton:
    """Make a button stand out as the one that leads on."""
    made.setStyleSheet(_PRIMARY)
    return made


def scrolled(widget: QWidget, content: QWidget, *footer: QWidget) -> None:
    """Lay out a window as a part that scrolls, and below it what is always in view."""
    outer, below = QVBoxLayout(widget), QWidget()
    outer.setContentsMargins(0, 0, 0, 0)
    outer.setSpacing(0)
    outer.addWidget(VerticalScroll(content), 1)
    if footer:
        layout = column(below)
        layout.setContentsMargins(MARGIN, 0, MARGIN, MARGIN)
        for part in footer:
            layout.addWidget(part)
        outer.addWidget(below)


def lay_out(widget: QWidget) -> None:
    """Lay out a widget, of which a direct child has changed, and all that it lies in, at once.

    Qt else goes up one level after the other, and draws the window after each.
    """
    above: QWidget | None = widget
    while above is not None:
        if (layout := above.layout()) is not None:
            layout.activate()
        above = None if above.isWindow() else above.parentWidget()


def heading(text: str) -> QLabel:
    """Make a section heading."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    label.setContentsMargins(0, SPACING, 0, 0)
    return label


def note(text: str = "", name: str = "") -> QLabel:
    """Make a label that wraps and whose text can be selected."""
    label = QLabel(text)
    label.setObjectName(name)
    _make_note(label)
    return label


def _make_note(label: QLabel) -> None:
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)


def narrow(box: QComboBox, characters: int) -> None:
    """Let a combo box be narrower than its longest entry."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(characters)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


# Dark text on a light background is readable in both themes.
_BOX = "background: {}; color: {}; border-radius: 3px; padding: 5px;"
AMBER = _BOX.format("#ffd98a", "#3b2a00")
RED = _BOX.format("#f8c4bc", "#4c0f06")


class Caution(QLabel):
    """An amber box of warnings, hidden while there are none."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _make_note(self)
        self.setObjectName(name)
        self.setStyleSheet(AMBER)
        self.show_lines([])

    def show_lines(self, lines: Iterable[str]) -> None:
        """Show each different line once."""
        shown = list(dict.fromkeys(line for line in lines if line))
        self.setText("\n".join(shown if len(shown) == 1 else (f"• {line}" for line in shown)))
        self.setVisible(bool(shown))


def show_text(label: QLabel, text: str) -> None:
    """Set the text of a label, and hide the label if there is none."""
    label.setText(text)
    label.setVisible(bool(text))


def redden(label: QWidget, refused: bool) -> None:
    """Mark a label as an error, or clear the mark."""
    label.setStyleSheet(RED if refused else "")


def color_icon(color: str, size: int = 14) -> QIcon:
    """Make a coloured square with a thin grey edge, visible in both themes."""
    picture = QPixmap(size, size)
    picture.fill(QColor(color))
    painter = QPainter(picture)
    painter.setPen(QPen(QColor(128, 128, 128), 1))
    painter.drawRect(0, 0, size - 1, size - 1)
    painter.end()
    return QIcon(picture)


def labelled(text: str, field: QWidget) -> QLabel:
    """Make the label of a field, which names it to those who hear the window."""
    label = QLabel(text)
    label.setBuddy(field)
    field.setAccessibleName(text)
    return label


class ElidingBox(QComboBox):
    """A combo box that ends a long name with `…`, which style sheets do not."""

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the box and as much of the name as there is room for."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        assert style is not None
        room = style.subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        ).width()
        option.currentText = self.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideRight, room
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class LayerBox(ElidingBox):
    """A combo box of the layers of one kind in a viewer.

    Parameters
    ----------
    viewer
        The viewer.
    kind
        Layer class or classes to list.
    accept
        Only layers for which this returns True are listed.
    empty
        Text shown when there is no such layer.
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
        narrow(self, 12)
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
        """Choose a layer if it is listed."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    def refresh(self, event: object = None) -> None:
        """List the layers again, keeping the choice if possible."""
        chosen = self.layer
        found = [layer for layer in self._viewer.layers if isinstance(layer, self._kind)]
        found = [layer for layer in found if self._accept is None or self._accept(layer)]
        for layer in {*self._layers, *found}:
            layer.events.name.disconnect(self._rename)
            if layer in found:
                layer.events.name.connect(self._rename)
        with QSignalBlocker(self):
            self.clear()
            self._layers = found
            self.addItems([layer.name for layer in found] or [self._empty])
            self.setEnabled(bool(found))
            if found:
                self.setCurrentIndex(found.index(chosen) if chosen in found else len(found) - 1)
        self._report()

    def _rename(self, event: object = None) -> None:
        for index, layer in enumerate(self._layers):
            self.setItemText(index, layer.name)

    def _report(self, index: int = 0) -> None:
        if self.layer is not self._reported:
            self._reported = self.layer
            self.layer_changed.emit(self.layer)


class Fold(QWidget):
    """A section that collapses under its title.

    Unlike superqt's QCollapsible it follows its content when that grows.
    """

    def __init__(self, title: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button, self.content = QToolButton(), content
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setAutoRaise(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout = column(self)
        layout.addWidget(self.button)
        layout.addWidget(content)
        self.button.toggled.connect(self._fold)
        self._fold(False)

    def _fold(self, opened: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.content.setVisible(opened)


class VerticalScroll(QScrollArea):
    """A scroll area that scrolls vertically and is as wide as its content needs."""

    def __init__(self, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._needed = QSize()
        self.setWidget(content)

    def minimumSizeHint(self) -> QSize:
        """Give the width of the content plus the scroll bar."""
        content, bar = self.widget(), self.verticalScrollBar()
        if content is None or bar is None:
            return super().minimumSizeHint()
        return QSize(content.minimumSizeHint().width() + bar.sizeHint().width(), 100)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Update the width when the content needs another one, not at every change of text."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            needed = self.minimumSizeHint()
            if needed != self._needed:
                self._needed = needed
                self.updateGeometry()
        return super().eventFilter(watched, event)
