"""The controls of a settings form, one for each kind of field, made with magicgui."""

from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, LineEdit, create_widget
from magicgui.widgets.bases import ValueWidget, Widget
from qtpy.QtCore import QLocale
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from napari_lungcls.gui.fields import FormField, digits

MOST = 2**31 - 1
"""End of the range of numbers that the model does not limit."""

NARROW = 90
"""Pixels that a control needs at least; Qt would ask for more than a panel has."""

OTHER = {"name": "other…", "numbers": "numbers…", "file": "file…"}
"""The choice behind which anything else may be given."""

WEIGHTS = "*.safetensors *.pth *.pt"


class Control:
    """A control of one field; its native widget is called `field_<name>`.

    Parameters
    ----------
    field
        What to show.
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
        """Signal: the value may be another one."""
        return self.widget.changed  # type: ignore[attr-defined]

    def get(self) -> Any:
        """Give the value as the settings model takes it."""
        return self._value(self.widget)

    def put(self, value: Any) -> None:
        """Show a value of the settings model."""
        self.widget.value = value  # type: ignore[attr-defined]

    @staticmethod
    def _value(widget: Any) -> Any:
        assert isinstance(widget, ValueWidget)
        return widget.value


class TextControl(Control):
    """A line of text; lists are written as `1, 4, 16`."""

    def __init__(self, field: FormField) -> None:
        super().__init__(field, LineEdit())

    def get(self) -> Any:
        """Give the text; the model splits lists itself."""
        return str(super().get()).strip().rstrip(",")

    def put(self, value: Any) -> None:
        """Show a text or a list."""
        super().put(self.field.shown(value))


class NumberControl(Control):
    """A number with a fraction, shown with as many digits as it needs and steps as fine."""

    def __init__(self, field: FormField) -> None:
        widget = create_widget(annotation=float, options=_limits(field) | {"step": None})
        # A comma here and a point in the documentation would only confuse.
        widget.native.setLocale(QLocale.c())
        self._digits = digits(float(field.default or 0))
        if self._digits > 2:
            self._digits += 2  # so that a tenth of it can be typed
        widget.native.setDecimals(self._digits)
        super().__init__(field, widget)

    def put(self, value: Any) -> None:
        """Show a number in full."""
        self.native.setDecimals(digits(value, self._digits))
        super().put(value)


class WholeControl(Control):
    """A whole number."""

    def __init__(self, field: FormField) -> None:
        super().__init__(field, create_widget(annotation=int, options=_limits(field)))


class OptionalControl(Control):
    """A number that may be left to the program."""

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
        """Give the number, or None for automatic."""
        return None if self._automatic.value else self._value(self._number)

    def put(self, value: Any) -> None:
        """Show a number, or None as automatic."""
        self._automatic.value = value is None
        if value is not None:
            self._number.value = value  # type: ignore[attr-defined]

    def _follow(self, automatic: bool) -> None:
        self._number.enabled = not automatic


class ChoiceControl(Control):
    """One of several texts."""

    def __init__(self, field: FormField) -> None:
        self._choices = _named(field)
        widget = ComboBox(choices=self._choices)
        _slim(widget.native)
        super().__init__(field, widget)

    def put(self, value: Any) -> None:
        """Show a text, even one that is not among the choices here."""
        box = self.widget
        assert isinstance(box, ComboBox)
        if value not in box.choices:
            box.choices = (*self._choices, (value, value))
        super().put(value)


class OpenChoiceControl(Control):
    """One of several texts, or anything else: a name or the path of a file."""

    def __init__(self, field: FormField) -> None:
        self._other = OTHER[field.other]
        self._box = ComboBox(choices=(*_named(field), (self._other, self._other)))
        _slim(self._box.native)
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
        """Give the choice, or what was given instead."""
        if self._box.value != self._other:
            return self._box.value
        value = self._free.value
        # An empty line of a file is shown by magicgui as the folder one is in.
        return "" if value in (None, Path()) else str(value)

    def put(self, value: Any) -> None:
        """Show a choice, or what was given instead."""
        if value in self.field.choices:
            self._box.value = value
        else:
            self._box.value = self._other
            self._free.value = self.field.shown(value)

    def _follow(self, chosen: str) -> None:
        self._free.visible = chosen == self._other


def make_control(field: FormField) -> Control:
    """Make the control that a field needs."""
    if field.kind == "flag":
        return Control(field, create_widget(annotation=bool))
    if field.kind == "choice":
        return OpenChoiceControl(field) if field.other else ChoiceControl(field)
    if field.optional and field.kind in ("whole", "number"):
        return OptionalControl(field)
    kinds = {"whole": WholeControl, "number": NumberControl}
    return kinds.get(field.kind, TextControl)(field)


def _named(field: FormField) -> tuple[tuple[str, str], ...]:
    """Pair each choice with what the form calls it."""
    return tuple((field.shown(choice), choice) for choice in field.choices)


def _limits(field: FormField) -> dict[str, float]:
    low = 0 if field.low is None else field.low
    high = MOST if field.high is None else field.high
    return {"min": low, "max": high}


def _beside(*parts: Widget, layout: str = "horizontal") -> Container[Any]:
    container: Container[Any] = Container(widgets=parts, layout=layout, labels=False)
    container.margins = (0, 0, 0, 0)
    return container


def _slim(box: QComboBox) -> None:
    """Let a combo box be narrower than its longest entry: panels are."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
