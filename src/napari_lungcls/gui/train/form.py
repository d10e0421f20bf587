"""A form that is generated from a settings model: add a field there and it appears here."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.gui.fields import FormField, form_fields, problem
from napari_lungcls.gui.parts import SPACING, Fold, heading, note
from napari_lungcls.gui.train.controls import Control, make_control
from napari_lungcls.learning.settings import TrainingSettings

WANTED = {"name": "a name", "numbers": "numbers", "file": "a file"}
"""What is missing when the choice is another one, but none is given."""


class SettingsForm(QWidget):
    """Shows and changes the settings of a training run.

    Parameters
    ----------
    model
        The settings model.
    defaults
        Values to begin with where they are not the model's own.
    """

    changed = Signal()

    def __init__(
        self,
        model: type[TrainingSettings] = TrainingSettings,
        defaults: Mapping[str, Any] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model, self._defaults = model, dict(defaults or {})
        self._groups: dict[str, QVBoxLayout] = {}
        fields = form_fields(model)
        self.controls: dict[str, Control] = {field.name: make_control(field) for field in fields}
        self.message = note()
        self.message.setObjectName("settings_message")
        self.defaults = QPushButton("Put the defaults back")
        self.defaults.setObjectName("settings_defaults")
        self.defaults.setToolTip("Set every field to what it is without a choice of yours.")
        self.defaults.clicked.connect(self.reset)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addLayout(self._rows([f for f in fields if f.in_sight]))
        self.fold = Fold("More settings", self._folded([f for f in fields if not f.in_sight]))
        column.addWidget(self.fold)
        column.addWidget(self.message)
        for control in self.controls.values():
            control.changed.connect(self._check)
        self.reset()
        self._guard = _WheelGuard(self)
        for box in (*self.findChildren(QAbstractSpinBox), *self.findChildren(QComboBox)):
            box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            box.installEventFilter(self._guard)
        self._check()

    @property
    def problem(self) -> str:
        """What is wrong with the values, in one line; empty when nothing is."""
        for control in self.controls.values():
            if control.field.other and control.get() == "":
                return f"{control.field.title}: give {WANTED[control.field.other]}"
        try:
            self._model(**self._values())
        except ValidationError as error:
            return problem(error, self._model)
        return ""

    def settings(self) -> TrainingSettings:
        """Give the settings; ask `problem` first.

        Raises
        ------
        ValidationError
            When a value is wrong.
        """
        return self._model(**self._values())

    def fill(self, settings: TrainingSettings) -> None:
        """Show settings."""
        for name, control in self.controls.items():
            control.put(getattr(settings, name))

    def set(self, name: str, value: Any) -> None:
        """Show another value of one field."""
        self.controls[name].put(value)

    def add_below(self, group: str, widget: QWidget) -> None:
        """Put a widget below the fields of a group."""
        self._groups[group].addWidget(widget)

    def reset(self) -> None:
        """Put the defaults back."""
        self.fill(self._model(**self._defaults))

    def _values(self) -> dict[str, Any]:
        return {name: control.get() for name, control in self.controls.items()}

    def _check(self, *_: object) -> None:
        found = self.problem
        self.message.setText(found)
        self.message.setVisible(bool(found))
        self.changed.emit()

    def _folded(self, fields: list[FormField]) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        widest = max((QLabel(f.label).sizeHint().width() for f in fields), default=0)
        for group in dict.fromkeys(field.group for field in fields):
            column.addWidget(heading(group))
            own = self._groups[group] = QVBoxLayout()
            own.setSpacing(SPACING)
            own.addLayout(self._rows([f for f in fields if f.group == group], widest))
            column.addLayout(own)
        column.addWidget(self.defaults)
        return content

    def _rows(self, fields: Iterable[FormField], widest: int = 0) -> QFormLayout:
        rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        rows.setSpacing(SPACING)
        for field in fields:
            label = QLabel(field.label)
            label.setToolTip(field.tooltip)
            label.setMinimumWidth(widest)
            label.setBuddy(self.controls[field.name].native)
            rows.addRow(label, self.controls[field.name].native)
        return rows


class _WheelGuard(QObject):
    """Lets the wheel scroll the panel and not change the value that happens to be under it."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass a wheel's turn on to the panel, unless the value was clicked before."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False
