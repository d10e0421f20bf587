"""The card of a model in a window of its own, and the user's words in it."""

import napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QFormLayout,
    QPlainTextEdit,
    QPushButton,
    QTextBrowser,
    QWidget,
)

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.model_card import ModelCard
from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.parts import MARGIN, beside, button, column, heading, primary
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.workers import start_call
from napari_lungcls.network.training_data import ModelNotes

SIZE = (640, 760)
FRAME = "QPlainTextEdit { border: 1px solid rgba(128, 128, 128, 160); border-radius: 3px; }"
"""napari's themes do not show where such a box is."""

FIELDS = {
    "description": ("Description", "What it is, and whose tissue it learned from"),
    "staining": ("Staining", "How the tissue was stained, such as H&E, 3 µm"),
    "intended_use": ("Intended use", "What it is for"),
    "limitations": ("Limitations", "What it is not for, and where it is known to fail"),
}
"""Titles of the user's own texts, and what to write there."""


class ModelCardButton(QPushButton):
    """Opens the card of the current model."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__("Model card…", parent)
        self.setObjectName("model_card")
        self.setToolTip("What is known about the model, and your own words on its use and limits")
        self._viewer, self._session = viewer, session(viewer)
        self.clicked.connect(self.open_card)
        listen(self, self._session.changed, slot=self._show)
        self._show()

    def open_card(self) -> "ModelCardDialog | None":
        """Show the card of the current model; None without one, or if it is damaged."""
        if (named := self._session.current) is None:
            return None
        try:
            dialog = ModelCardDialog(self._viewer, named)
        except InputError as error:
            refuse(error)
            return None
        dialog.show()
        return dialog

    def _show(self) -> None:
        self.setEnabled(self._session.current is not None)


class ModelCardDialog(QDialog):
    """Shows a card; what the user writes is saved with the model.

    Parameters
    ----------
    viewer
        Its models.
    named
        The model.

    Raises
    ------
    InputError
        When the figures in the model are damaged.
    """

    def __init__(self, viewer: "napari.Viewer", named: NamedModel) -> None:
        super().__init__(main_window(viewer))
        self._session, self._named = session(viewer), named
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("model_card_window")
        self.setWindowTitle(f"Model card: {named.name}")
        self.resize(*SIZE)
        self.card = named.model.card(named.name)
        self.browser, self.texts = QTextBrowser(), dict[str, QPlainTextEdit]()
        self.browser.setObjectName("card_text")
        self.browser.setOpenLinks(False)
        self.save_button = primary(button("Save my words", "card_save"))
        self.copy_button = button("Copy as Markdown", "card_copy")
        self.close_button = button("Close", "card_close")
        self._lay_out()
        self.save_button.clicked.connect(self.save)
        self.copy_button.clicked.connect(self._copy)
        self.close_button.clicked.connect(self.close)
        self._show(self.card)
        self._find_checksum()

    def save(self) -> None:
        """Put the user's words into the model, and into its file if it has one."""
        model, named = self._named.model, self._current()
        try:
            model.describe(**{name: box.toPlainText() for name, box in self.texts.items()})
        except InputError as error:
            refuse(error)
            return
        self._show(ModelCard(model.document, named.name))
        path = named.path or (named.kept.path if named.kept is not None else None)
        if path is not None:
            start_call(
                lambda: model.save(path), owner=self, returned=lambda _: self._find_checksum()
            )

    def _current(self) -> NamedModel:
        """Find the model under the name and the file that it has now."""
        known = (each for each in self._session.models if each.model is self._named.model)
        return next(known, self._named)

    def _find_checksum(self) -> None:
        """Add the checksum of the file, which takes a moment."""
        named = self._current()
        if (path := named.path) is None:
            return

        def show(card: ModelCard) -> None:
            self._show(ModelCard(card.document, named.name, card.sha256))

        document = named.model.document
        start_call(lambda: ModelCard.of_file(path, document), owner=self, returned=show)

    def _show(self, card: ModelCard) -> None:
        self.card = card
        dialect = QTextDocument.MarkdownFeature
        features = dialect.MarkdownDialectGitHub | dialect.MarkdownNoHTML
        document = self.browser.document()
        assert document is not None
        document.setMarkdown(card.markdown(), features)

    def _copy(self) -> None:
        if (clipboard := QApplication.clipboard()) is not None:
            clipboard.setText(self.card.markdown())

    def _lay_out(self) -> None:
        layout, words = column(self, MARGIN), QWidget()
        form = QFormLayout(words)
        form.setContentsMargins(0, 0, 0, 0)
        notes: ModelNotes = self._named.model.document.notes
        for name, (title, hint) in FIELDS.items():
            box = QPlainTextEdit(getattr(notes, name))
            box.setObjectName(f"card_{name}")
            box.setPlaceholderText(hint)
            box.setTabChangesFocus(True)
            box.setStyleSheet(FRAME)
            box.setFixedHeight(box.fontMetrics().height() * 3)
            self.texts[name] = box
            form.addRow(title, box)
        layout.addWidget(self.browser, 1)
        layout.addWidget(heading("Your own words"))
        layout.addWidget(words)
        layout.addWidget(beside((self.save_button, 1), self.copy_button, self.close_button))
