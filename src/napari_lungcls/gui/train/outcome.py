"""What a model achieved: a card in plain words, the confusion matrix, and the mistakes."""

from collections.abc import Sequence
from html import escape
from typing import Any

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QPushButton, QVBoxLayout, QWidget

from napari_lungcls.evaluation.metrics import validation_of
from napari_lungcls.gui.docks import open_dock
from napari_lungcls.gui.parts import (
    SPACING,
    beside,
    button,
    column,
    heading,
    note,
    redden,
    show_text,
)
from napari_lungcls.gui.train import words
from napari_lungcls.gui.train.confusion import ConfusionTable
from napari_lungcls.gui.train.curves import ThemeColours
from napari_lungcls.gui.train.mistakes import Mistakes
from napari_lungcls.gui.train.run import TrainingEnd
from napari_lungcls.gui.train.words import Card, Remedy
from napari_lungcls.network.model_file import ModelDocument

CARD = "#result_card {{ border: 1px solid {}; border-radius: 4px; }}"


class Outcome(QWidget):
    """Shows the result of training, or why there is none."""

    remedy_chosen = Signal(object)

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.headline = heading("")
        self.headline.setObjectName("result_headline")
        self.headline.setWordWrap(True)
        self.words = note(name="result")
        self.reading = note(
            "Rows: true class. Columns: predicted class. Click a cell to see where."
        )
        self.table = ConfusionTable(viewer.theme)
        self.mistakes = Mistakes(viewer)
        self.keep_button = button(
            "Keep this network",
            "keep_network",
            "Make it the current model. Otherwise the previous model stays current, and the\n"
            "next training discards this network.",
        )
        self.save_button = button("Save model…", "save_result", "Save this model to a file.")
        self.paint_button = button("Paint", "paint_result", "Go on to paint a map with this model.")
        self.paint_button.clicked.connect(lambda: open_dock(viewer, "Paint"))
        self.table.cell_chosen.connect(self.mistakes.show_cell)
        self._remedies = QVBoxLayout()
        self._remedies.setSpacing(SPACING)
        self.remedy_buttons: list[QPushButton] = []
        self._lay_out()
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self._show(Card(""), ())

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        self.table.use_theme(theme)
        self._frame(theme)

    def show_end(self, ended: TrainingEnd) -> None:
        """Show how training ended, with buttons for remedies or to keep a network."""
        if ended.document is not None:
            self.show_document(ended.document, ended.card)
        else:
            self._show(Card("", (ended.words,)), ended.remedies)
        redden(self.words, ended.refused)
        self.keep_button.setVisible(ended.offered is not None)
        for made in (self.save_button, self.paint_button):
            made.setVisible(ended.document is not None and ended.offered is None)

    def show_document(self, document: ModelDocument, card: Card | None = None) -> None:
        """Show the metrics of a model, and its usual summary unless another is given."""
        self._show(words.card(document) if card is None else card, ())
        metrics = validation_of(document)
        if metrics is not None:
            self.table.show_metrics(metrics, document.scheme)
        self.mistakes.show_document(document)
        for widget in (self.reading, self.table):
            widget.setVisible(metrics is not None)
        for widget in (self.save_button, self.paint_button):
            widget.show()

    def _show(self, card: Card, remedies: Sequence[Remedy]) -> None:
        show_text(self.headline, card.headline)
        # Paragraphs, as one block of sentences is hard to read.
        lines = [f"<p style='margin: 0 0 4px 0'>{escape(line)}</p>" for line in card.lines]
        show_text(self.words, "".join(lines) if len(lines) > 1 else "".join(card.lines))
        self.card.setVisible(bool(card.text))
        redden(self.words, False)
        buttons = (self.keep_button, self.save_button, self.paint_button)
        for widget in (*buttons, self.reading, self.table, self.mistakes):
            widget.hide()
        for old in self.remedy_buttons:
            self._remedies.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.remedy_buttons = [self._remedy_button(remedy) for remedy in remedies]

    def _remedy_button(self, remedy: Remedy) -> QPushButton:
        made = button(remedy.label, f"remedy_{remedy.field}", "Change this setting, then retry.")
        made.clicked.connect(lambda: self.remedy_chosen.emit(remedy))
        self._remedies.addWidget(made)
        return made

    def _lay_out(self) -> None:
        self.card = QFrame()
        self.card.setObjectName("result_card")
        inside: Any = column(self.card, SPACING)
        inside.addWidget(self.headline)
        inside.addWidget(self.words)
        inside.addWidget(self.keep_button)
        inside.addWidget(beside(self.save_button, self.paint_button))
        inside.addLayout(self._remedies)
        layout = column(self)
        for widget in (self.card, self.reading, self.table, self.mistakes):
            layout.addWidget(widget)
        self._frame(self._viewer.theme)

    def _frame(self, theme: str) -> None:
        line = ThemeColours.of(theme).line.name()
        self.card.setStyleSheet(CARD.format(line))
