"""Whether the keyboard writes into a text field, where letters are no keys of classes."""

from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
)

FIELDS = (QLineEdit, QAbstractSpinBox, QPlainTextEdit, QTextEdit, QComboBox, QAbstractItemView)
"""What letters are typed into, or what they search; napari's console is a text field too.

Some pass on letters that they have no use for, such as spin boxes and read-only fields."""


def is_typing() -> bool:
    """Tell whether the widget that has the keyboard is one of `FIELDS`."""
    return isinstance(QApplication.focusWidget(), FIELDS)
