"""Editing the classes: presets, files, and a small table of what each of them is."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from qtpy.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.annotation.schemes import PRESETS, ClassScheme, Phase, Role
from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open, ask_save
from napari_lungcls.gui.label.draft import Draft
from napari_lungcls.gui.parts import color_icon, note

_COLOR, _NAME, _KEY, _PHASE, _ROLE = range(5)
_TITLES = ("", "Name", "Key", "Phase", "Role")
_TIPS = {
    _PHASE: "What the class is made of: surfaces are counted between air and tissue",
    _ROLE: "What the class is part of: the parenchyma, the rest of the lung, or nothing that "
    "counts (exclude)",
}
_UNSAID = "–"
_PHASES: tuple[Phase, ...] = get_args(Phase)
_ROLES: dict[str, Role | None] = {**{role: role for role in get_args(Role)}, _UNSAID: None}
_FILES = "Class schemes (*.yaml *.yml *.json)"
_SUFFIXES = (".yaml", ".yml", ".json")


class _Choice(QStyledItemDelegate):
    """Lets a cell be one of a few words."""

    def __init__(self, words: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self._words = list(words)

    def createEditor(
        self, parent: QWidget | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> QWidget:
        """Make the box."""
        box = QComboBox(parent)
        box.addItems(self._words)
        # A choice counts at once, not when the box is left.
        box.activated.connect(lambda _: self.commitData.emit(box))
        box.activated.connect(lambda _: self.closeEditor.emit(box))
        return box

    def setEditorData(self, editor: QWidget | None, index: QModelIndex) -> None:
        """Show the word of the cell."""
        if isinstance(editor, QComboBox):
            editor.setCurrentText(str(index.data()))

    def setModelData(
        self, editor: QWidget | None, model: QAbstractItemModel | None, index: QModelIndex
    ) -> None:
        """Write the chosen word into the cell."""
        if isinstance(editor, QComboBox) and model is not None:
            model.setData(index, editor.currentText())


class SchemeEditor(QWidget):
    """The table and what is around it; every change that makes sense is applied at once.

    Parameters
    ----------
    apply
        Takes the new scheme and the new names of renamed classes by their old ones; raises
        InputError when points stand against it.
    """

    filed = Signal(object, object)
    """A scheme, and the file that it was saved in or read from."""

    def __init__(
        self, apply: Callable[[ClassScheme, dict[str, str]], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._apply = apply
        self._draft = Draft(ClassScheme.preset("lung"))
        self.preset, self.table, self.error = QComboBox(), QTableWidget(0, len(_TITLES)), note()
        self.preset.setObjectName("scheme_preset")
        self.preset.setToolTip("Use ready-made classes")
        self.preset.activated.connect(self._on_preset)
        self.error.setObjectName("scheme_error")
        self._make_table()
        column, top, buttons = QVBoxLayout(self), QHBoxLayout(), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        top.addWidget(self.preset, 1)
        top.addWidget(_button("scheme_load", "Load…", "Read classes from a file", self._on_load))
        top.addWidget(_button("scheme_save", "Save…", "Save the classes to a file", self._on_save))
        for name, text, tip, slot in (
            ("class_add", "Add", "Add a class", self.add),
            ("class_remove", "Remove", "Remove the class of the chosen row", self.remove),
            ("class_up", "Up", "Move the class of the chosen row up", lambda: self.move_row(-1)),
            (
                "class_down",
                "Down",
                "Move the class of the chosen row down",
                lambda: self.move_row(1),
            ),
        ):
            buttons.addWidget(_button(name, text, tip, slot))
        column.addLayout(top)
        column.addLayout(buttons)
        column.addWidget(self.table)
        column.addWidget(self.error)
        self.show_scheme(self._draft.scheme)

    def show_scheme(self, scheme: ClassScheme) -> None:
        """Show the classes in use."""
        self._draft = Draft(scheme)
        names = list(PRESETS) if scheme.name in PRESETS else [*PRESETS, scheme.name]
        self.preset.clear()
        self.preset.addItems(names)
        self.preset.setCurrentText(scheme.name)
        self._say("")
        self._fill()

    def load(self, path: Path) -> None:
        """Use the classes of a file."""
        try:
            scheme = ClassScheme.from_file(path)
            self._apply(scheme, {})
        except InputError as error:
            self._say(str(error))
        else:
            self.filed.emit(scheme, path)

    def save(self, path: Path) -> None:
        """Write the classes in use to a file."""
        try:
            self._draft.scheme.save(path)
        except InputError as error:
            self._say(str(error))
        else:
            self._say(f"saved as {path.name}")
            self.filed.emit(self._draft.scheme, path)

    def add(self) -> None:
        """Add a class, and let its name be typed."""
        row = self._draft.add()
        self._commit(row)
        if item := self.table.item(row, _NAME):
            self.table.editItem(item)

    def remove(self) -> None:
        """Remove the class of the chosen row."""
        row = self.table.currentRow()
        if row < 0:
            self._say("choose the row of a class first")
            return
        self._draft.remove(row)
        self._commit(row, keep_draft=False)

    def move_row(self, step: int) -> None:
        """Move the class of the chosen row up or down."""
        row = self.table.currentRow()
        if row >= 0:
            self._commit(self._draft.move(row, step))

    def recolor(self, row: int, color: str) -> None:
        """Give the class of a row another colour."""
        self._draft.recolor(row, color)
        self._commit(row)

    def _make_table(self) -> None:
        table = self.table
        table.setObjectName("scheme_table")
        table.setHorizontalHeaderLabels(list(_TITLES))
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column, tip in _TIPS.items():
            title = table.horizontalHeaderItem(column)
            assert title is not None
            title.setToolTip(tip)
        table.setItemDelegateForColumn(_PHASE, _Choice(_PHASES, table))
        table.setItemDelegateForColumn(_ROLE, _Choice(list(_ROLES), table))
        for column, width in ((_COLOR, 34), (_KEY, 40), (_PHASE, 56), (_ROLE, 90)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            table.setColumnWidth(column, width)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        table.setToolTip("Double-click a cell to change it")
        table.itemChanged.connect(self._on_item)

    def _fill(self) -> None:
        table = self.table
        table.blockSignals(True)
        table.setRowCount(len(self._draft.rows))
        for index, row in enumerate(self._draft.rows):
            button = QToolButton()
            button.setIcon(color_icon(row.color))
            button.setAutoRaise(True)
            button.setToolTip(f"Change the colour of {row.name}")
            button.clicked.connect(lambda _=False, i=index: self._on_color(i))
            table.setCellWidget(index, _COLOR, button)
            table.setItem(index, _NAME, QTableWidgetItem(row.name))
            for column, word in (
                (_KEY, row.key),
                (_PHASE, row.phase),
                (_ROLE, row.role or _UNSAID),
            ):
                item = QTableWidgetItem(word)
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                table.setItem(index, column, item)
        table.blockSignals(False)
        rows = min(len(self._draft.rows), 8) * table.verticalHeader().defaultSectionSize()
        table.setFixedHeight(rows + table.horizontalHeader().sizeHint().height() + 4)

    def _commit(self, row: int, keep_draft: bool = True) -> None:
        try:
            self._apply(*self._draft.build())
        except InputError as error:
            if keep_draft:
                self._fill()
            else:
                self.show_scheme(self._draft.scheme)
            self._say(str(error))
        self.table.setCurrentCell(min(row, self.table.rowCount() - 1), _NAME)

    def _say(self, words: str) -> None:
        self.error.setText(words)
        self.error.setVisible(bool(words))

    def _on_item(self, item: QTableWidgetItem) -> None:
        row, column, text = item.row(), item.column(), item.text()
        if column == _NAME:
            self._draft.rename(row, text)
        elif column == _KEY:
            self._draft.rekey(row, text)
        elif column == _PHASE:
            self._draft.rephase(row, next(phase for phase in _PHASES if phase == text))
        else:
            self._draft.recast(row, _ROLES[text])
        self._commit(row)

    def _on_color(self, row: int) -> None:
        dialog = QColorDialog(QColor(self._draft.rows[row].color), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(lambda color: self.recolor(row, color.name()))
        dialog.show()

    def _on_preset(self, index: int) -> None:
        name = self.preset.itemText(index)
        if name not in PRESETS:
            return
        try:
            self._apply(ClassScheme.preset(name), {})
        except InputError as error:
            self.show_scheme(self._draft.scheme)
            self._say(str(error))

    def _on_load(self) -> None:
        if path := ask_open(self, "Load classes", _FILES):
            self.load(path)

    def _on_save(self) -> None:
        name = f"{self._draft.scheme.name}.yaml"
        if path := ask_save(self, "Save classes", name, _FILES, _SUFFIXES):
            self.save(path)


def _button(name: str, text: str, tip: str, slot: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.clicked.connect(lambda: slot())
    return button
