"""The settings form, generated from the settings model with one magicgui control per field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, LineEdit, create_widget
from magicgui.widgets.bases import ValueWidget, Widget
from pydantic import ValidationError
from qtpy.QtCore import QEvent, QLocale, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QWidget,
)

from napari_lungcls.gui.fields import FormField, digits, form_fields, problem
from napari_lungcls.gui.parts import SPACING, Fold, button, column, heading, narrow, note, show_text
from napari_lungcls.learning.settings import TrainingSettings

MOST = 2**31 - 1
"""Upper limit of numbers that the model does not limit."""

NARROW = 90
"""Least width of a control in pixels; Qt's own would be too wide for a panel."""

OTHER = {"name": "other…", "numbers": "numbers…", "file": "file…"}
"""The entry of a combo box that lets another value be given."""

WANTED = {"name": "a name", "numbers": "numbers", "file": "a file"}
"""What to ask for when that entry is chosen but no value is given."""

IN_SIGHT = frozenset({"pretrained"})
"""What is asked above the fold; the first below it are those that the core calls important."""

WEIGHTS = "*.safetensors *.pth *.pt"


class Control:
    """The control of one field; its native widget is named `field_<name>`.

    Parameters
    ----------
    field
        The field.
    widget
        The magicgui widget that holds the value.
    """

    def __init__(self, field: FormField, widget: Widget) -> None:
        self.field, self.widget = field, widget
        self.native.setObjectName(f"field_{field.name}")
        self.native.setToolTip(field.tooltip)
        self.native.setMinimumWidth(NARROW)
        self.put(field.default)

    @property
    def native(self) -> QWidget:
        """The Qt widget."""
        native: QWidget = self.widget.native
        return native

    @property
    def changed(self) -> Any:
        """Signal: the value may have changed."""
        return self.widget.changed  # type: ignore[attr-defined]

    def get(self) -> Any:
        """Get the value in the form the settings model takes."""
        return self._value(self.widget)

    def put(self, value: Any) -> None:
        """Show a value from the settings model."""
        self.widget.value = value  # type: ignore[attr-defined]

    @staticmethod
    def _value(widget: Any) -> Any:
        assert isinstance(widget, ValueWidget)
        return widget.value


class TextControl(Control):
    """A line of text; lists are shown as `1, 4, 16`."""

    def __init__(self, field: FormField) -> None:
        super().__init__(field, LineEdit())

    def get(self) -> Any:
        """Get the text; the model parses lists itself."""
        return str(super().get()).strip().rstrip(",")

    def put(self, value: Any) -> None:
        """Show a text or a list."""
        super().put(self.field.shown(value))


class NumberControl(Control):
    """A floating-point number, shown with as many decimals as it needs."""

    def __init__(self, field: FormField) -> None:
        widget = create_widget(annotation=float, options=_limits(field) | {"step": None})
        # Always a decimal point, as in the documentation.
        widget.native.setLocale(QLocale.c())
        self._digits = digits(float(field.default or 0))
        if self._digits > 2:
            self._digits += 2  # so that smaller values can be typed
        widget.native.setDecimals(self._digits)
        super().__init__(field, widget)

    def put(self, value: Any) -> None:
        """Show a number in full."""
        self.native.setDecimals(digits(value, self._digits))
        super().put(value)


class OptionalControl(Control):
    """A number that may be chosen automatically."""

    def __init__(self, field: FormField) -> None:
        limits = _limits(field)
        kind = int if field.kind == "whole" else float
        self._automatic = CheckBox(text="auto", value=True)
        self._number = create_widget(annotation=kind, options=limits)
        self._automatic.native.setObjectName(f"field_{field.name}_automatic")
        self._number.native.setObjectName(f"field_{field.name}_value")
        typical = min(max(10, limits["min"]), limits["max"])
        self._number.value = field.typical or typical  # type: ignore[attr-defined]
        super().__init__(field, _beside(self._automatic, self._number))
        self._automatic.changed.connect(self._follow)
        self._follow(self._automatic.value)
        for part in (self._automatic, self._number):
            part.native.setToolTip(field.tooltip)

    def get(self) -> Any:
        """Get the number, or None for automatic."""
        return None if self._automatic.value else self._value(self._number)

    def put(self, value: Any) -> None:
        """Show a number, or None as automatic."""
        self._automatic.value = value is None
        if value is not None:
            self._number.value = value  # type: ignore[attr-defined]

    def _follow(self, automatic: bool) -> None:
        self._number.enabled = not automatic


class ChoiceControl(Control):
    """One of several choices."""

    def __init__(self, field: FormField) -> None:
        self._choices = _named(field)
        widget = ComboBox(choices=self._choices)
        narrow(widget.native, 8)
        super().__init__(field, widget)

    def put(self, value: Any) -> None:
        """Show a choice, adding it if it is not listed."""
        box = self.widget
        assert isinstance(box, ComboBox)
        if value not in box.choices:
            box.choices = (*self._choices, (value, value))
        super().put(value)


class OpenChoiceControl(Control):
    """One of several choices, or another value: a name, numbers or a file."""

    def __init__(self, field: FormField) -> None:
        self._other = OTHER[field.other]
        self._box = ComboBox(choices=(*_named(field), (self._other, self._other)))
        narrow(self._box.native, 8)
        is_file = field.other == "file"
        self._free: LineEdit | FileEdit = (
            FileEdit(mode=FileDialogMode.EXISTING_FILE, filter=WEIGHTS) if is_file else LineEdit()
        )
        self._free.native.setObjectName(f"field_{field.name}_other")
        self._box.native.setObjectName(f"field_{field.name}_choice")
        super().__init__(field, _beside(self._box, self._free, layout="vertical"))
        self._box.changed.connect(self._follow)
        self._follow(self._box.value)
        for part in (self._box, self._free):
            part.native.setToolTip(field.tooltip)

    def get(self) -> Any:
        """Get the choice or the other value."""
        if self._box.value != self._other:
            return self._box.value
        value = self._free.value
        # magicgui gives an empty path as the current folder.
        return "" if value in (None, Path()) else str(value)

    def put(self, value: Any) -> None:
        """Show a choice or another value."""
        if value in self.field.choices:
            self._box.value = value
        else:
            self._box.value = self._other
            self._free.value = self.field.shown(value)

    def _follow(self, chosen: str) -> None:
        self._free.visible = chosen == self._other


def make_control(field: FormField) -> Control:
    """Make the control for a field."""
    if field.kind == "flag":
        return Control(field, create_widget(annotation=bool))
    if field.kind == "choice":
        return OpenChoiceControl(field) if field.other else ChoiceControl(field)
    if field.optional and field.kind in ("whole", "number"):
        return OptionalControl(field)
    if field.kind == "whole":
        return Control(field, create_widget(annotation=int, options=_limits(field)))
    return NumberControl(field) if field.kind == "number" else TextControl(field)


def _named(field: FormField) -> tuple[tuple[str, str], ...]:
    """Pair the text of each choice with its value."""
    return tuple((field.shown(choice), choice) for choice in field.choices)


def _limits(field: FormField) -> dict[str, float]:
    low = 0 if field.low is None else field.low
    high = MOST if field.high is None else field.high
    return {"min": low, "max": high}


def _beside(*parts: Widget, layout: str = "horizontal") -> Container[Any]:
    container: Container[Any] = Container(widgets=parts, layout=layout, labels=False)
    container.margins = (0, 0, 0, 0)
    return container


class SettingsForm(QWidget):
    """Shows and edits the training settings.

    Parameters
    ----------
    model
        The settings model.
    defaults
        Initial values that differ from the defaults of the model.
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
        fields = form_fields(model)
        self.controls: dict[str, Control] = {field.name: make_control(field) for field in fields}
        self.message = note(name="settings_message")
        self.defaults = button(
            "Restore defaults", "settings_defaults", "Reset all settings to their defaults."
        )
        self.defaults.clicked.connect(self.reset)
        content = QWidget()
        shown, self._folded = self._rows(), self._rows(content)
        for field in fields:
            if field.in_sight:
                self._add(field, shown if field.name in IN_SIGHT else self._folded)
        group = ""
        for field in fields:
            if field.in_sight:
                continue
            if field.group != group:
                group = field.group
                self._folded.addRow(heading(group))
            self._add(field, self._folded)
        self._folded.addRow(self.defaults)
        self.fold = Fold("Expert settings", content)
        self.fold.button.setObjectName("expert_settings")
        self.looks = note(name="looks")
        layout = column(self)
        layout.addLayout(shown)
        layout.addWidget(self.looks)
        layout.addWidget(self.fold)
        layout.addWidget(self.message)
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
        """What is wrong with the values, in one line; empty if they are valid."""
        for control in self.controls.values():
            if control.field.other and control.get() == "":
                return f"{control.field.title}: give {WANTED[control.field.other]}"
        try:
            self._model(**self._values())
        except ValidationError as error:
            return problem(error, self._model)
        return ""

    def settings(self) -> TrainingSettings:
        """Get the settings; check `problem` first.

        Raises
        ------
        ValidationError
            If a value is invalid.
        """
        return self._model(**self._values())

    def fill(self, settings: TrainingSettings) -> None:
        """Show settings."""
        for name, control in self.controls.items():
            control.put(getattr(settings, name))

    def set(self, name: str, value: Any) -> None:
        """Set the value of one field."""
        self.controls[name].put(value)

    def add_below(self, group: str, widget: QWidget) -> None:
        """Add a widget below the folded fields of a group."""
        fields = [c.field for c in self.controls.values() if not c.field.in_sight]
        last = [field.name for field in fields if field.group == group][-1]
        row, _ = self._folded.getWidgetPosition(self.controls[last].native)
        self._folded.insertRow(row + 1, widget)

    def reset(self) -> None:
        """Restore the defaults."""
        self.fill(self._model(**self._defaults))

    def _values(self) -> dict[str, Any]:
        return {name: control.get() for name, control in self.controls.items()}

    def _check(self, *_: object) -> None:
        show_text(self.message, self.problem)
        self.changed.emit()

    def _rows(self, parent: QWidget | None = None) -> QFormLayout:
        rows = QFormLayout(parent)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(SPACING)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        return rows

    def _add(self, field: FormField, rows: QFormLayout) -> None:
        label, native = QLabel(field.label), self.controls[field.name].native
        label.setToolTip(field.tooltip)
        label.setBuddy(native)
        rows.addRow(label, native)


class _WheelGuard(QObject):
    """Keeps the mouse wheel from changing values while the panel is scrolled."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass wheel events on to the panel, unless the control has focus."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False
