"""What a model achieved: in words, as curves, as confusion matrix; and buttons with remedies."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_lungcls.gui.parts import SPACING, note, redden
from napari_lungcls.gui.train import words
from napari_lungcls.gui.train.confusion import ConfusionTable
from napari_lungcls.gui.train.run import Ended
from napari_lungcls.gui.train.words import Remedy
from napari_lungcls.network.model_file import ModelDocument

HOW_TO_READ = "Rows: what the points are. Columns: what the network said."


class Outcome(QWidget):
    """Shows a result or a refusal.

    Parameters
    ----------
    theme
        Name of napari's theme.
    """

    remedy_chosen = Signal(object)

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = note()
        self.words.setObjectName("result")
        self.reading = note(HOW_TO_READ)
        self.table = ConfusionTable(theme)
        self.keep_button = QPushButton("Keep this network")
        self.keep_button.setObjectName("keep_network")
        self.keep_button.setToolTip(
            "Make it the current model. Otherwise the model before it stays, and the next\n"
            "training forgets this one."
        )
        self._remedies = QVBoxLayout()
        self._remedies.setSpacing(SPACING)
        self.remedy_buttons: list[QPushButton] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addWidget(self.words)
        column.addWidget(self.keep_button)
        column.addLayout(self._remedies)
        column.addWidget(self.reading)
        column.addWidget(self.table)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self._show("", ())

    def show_end(self, ended: Ended) -> None:
        """Show how a run ended, with a button for each remedy, or one that keeps a network."""
        if ended.document is not None:
            self.show_document(ended.document, ended.words)
        else:
            self._show(ended.words, ended.remedies)
        redden(self.words, ended.refused)
        self.keep_button.setVisible(ended.offered is not None)

    def show_document(self, document: ModelDocument, said: str | None = None) -> None:
        """Show the figures of a model, and words on it if they are not the usual ones."""
        self._show(words.result(document) if said is None else said, ())
        metrics = words.metrics_of(document)
        if metrics is not None:
            self.table.show_metrics(metrics, document.scheme)
        self.reading.setVisible(metrics is not None)
        self.table.setVisible(metrics is not None)

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        self.table.use_theme(theme)

    def _show(self, line: str, remedies: Sequence[Remedy]) -> None:
        self.words.setText(line)
        self.words.setVisible(bool(line))
        redden(self.words, False)
        self.keep_button.hide()
        self.reading.hide()
        self.table.hide()
        for button in self.remedy_buttons:
            self._remedies.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.remedy_buttons = [self._remedy_button(remedy) for remedy in remedies]

    def _remedy_button(self, remedy: Remedy) -> QPushButton:
        button = QPushButton(remedy.label)
        button.setObjectName(f"remedy_{remedy.field}")
        button.setToolTip("Change this setting; then start again.")
        button.clicked.connect(lambda: self.remedy_chosen.emit(remedy))
        self._remedies.addWidget(button)
        return button
