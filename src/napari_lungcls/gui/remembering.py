"""Forms that open as they were last used."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QCheckBox, QComboBox

from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.remembered import choices

Field = Any
"""A spin box, combo box or check box."""


class RememberedFields(QObject):
    """Fields that show what they had when they were last used.

    Parameters
    ----------
    form
        Name of the form in the file of choices.
    fields
        Spin boxes, combo boxes and check boxes by name, with their defaults.
    owner
        The form.
    """

    def __init__(self, form: str, fields: Mapping[str, Field], owner: QObject) -> None:
        super().__init__(owner)
        self._form, self._fields = form, dict(fields)
        self._defaults = self.values()
        self.show_values(choices().get(form))
        listen(owner, choices().forgotten, slot=self.reset)

    def values(self) -> dict[str, Any]:
        """Give what the fields show, by name."""
        return {name: _value(field) for name, field in self._fields.items()}

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show values; those that a field cannot have are left out."""
        for name, value in values.items():
            if name in self._fields:
                _put(self._fields[name], value)

    def keep(self) -> None:
        """Remember what the fields show: it was used."""
        choices().put(self._form, self.values())

    def reset(self) -> None:
        """Show the defaults."""
        self.show_values(self._defaults)


def _value(field: Field) -> Any:
    if isinstance(field, QComboBox):
        return field.currentText()
    return field.isChecked() if isinstance(field, QCheckBox) else field.value()


def _put(field: Field, value: Any) -> None:
    if isinstance(field, QComboBox):
        if isinstance(value, str) and field.findText(value) >= 0:
            field.setCurrentText(value)
    elif isinstance(field, QCheckBox):
        if isinstance(value, bool):
            field.setChecked(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        field.setValue(value)
