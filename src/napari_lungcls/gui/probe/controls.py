"""The buttons, the spacing, the bar and the words of the panel, and how they are laid out."""

from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.gui.parts import SPACING, note
from napari_lungcls.gui.probe.controller import LIMIT


class Controls(QWidget):
    """What one sees of the panel; it decides nothing.

    Parameters
    ----------
    spacing
        Pixels between the points of a rectangle, at first.
    """

    def __init__(self, spacing: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.mode = _button("Classify by click", "probe_mode", "")
        self.mode.setCheckable(True)
        self.undo = _button("Undo", "probe_undo", "Take back the last click or rectangle")
        self.clear = _button("Clear", "probe_clear", "Remove all predictions of this image")
        self.convert = _button(
            "Turn into labels",
            "probe_convert",
            "Move the selected predictions, or all if none is selected, to the points "
            "that are being labelled",
        )
        self.cancel = _button("Cancel", "probe_cancel", "Stop; what is classified so far stays")
        self.spacing, self.micrometres = QSpinBox(), QLabel()
        self.spacing.setObjectName("probe_spacing")
        self.spacing.setRange(1, 9999)
        self.spacing.setSuffix(" px")
        self.spacing.setValue(spacing)
        self.bar, self.words = QProgressBar(), note()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.words.setObjectName("probe_words")
        self._lay_out()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addWidget(self.mode)
        column.addLayout(self._spacing_row())
        actions, progress = QHBoxLayout(), QHBoxLayout()
        for button, stretch in ((self.undo, 1), (self.clear, 1), (self.convert, 2)):
            actions.addWidget(button, stretch)
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.cancel)
        column.addLayout(actions)
        column.addLayout(progress)
        column.addWidget(self.words)

    def _spacing_row(self) -> QHBoxLayout:
        row, label = QHBoxLayout(), QLabel("Grid spacing")
        tip = (
            "Distance between the points of a rectangle, in pixels of the image; "
            f"at most {LIMIT:,} points"
        )
        for widget in (label, self.spacing, self.micrometres):
            widget.setToolTip(tip)
            row.addWidget(widget)
        row.addStretch(1)
        return row


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    return button
