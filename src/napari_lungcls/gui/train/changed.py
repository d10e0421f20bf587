"""Training settings that are not the defaults: said above the fold, remembered, restored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lungcls.gui.fields import FormField
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import beside, button, column, note
from napari_lungcls.gui.remembered import choices
from napari_lungcls.gui.train.form import SettingsForm
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.utils.humanize import listing

FORM = "train"


class ChangedSettings(QWidget):
    """Names the settings that differ from the defaults, as some may be folded away.

    The important ones are as they were when a training was last started. The device is not
    among them: it is one of napari's preferences.

    Parameters
    ----------
    form
        The form; this widget puts itself above its fold.
    """

    def __init__(self, form: SettingsForm) -> None:
        super().__init__(form)
        self._form = form
        self._defaults = {name: control.get() for name, control in form.controls.items()}
        self._remembered = [
            name
            for name, control in form.controls.items()
            if control.field.in_sight and name not in ("device", "engine")
        ]
        self.words = note(name="changed_settings")
        self.restore = button("Defaults", "settings_restore", "Restore the default settings.")
        self.restore.clicked.connect(form.reset)
        layout = column(self)
        layout.addWidget(beside((self.words, 1), self.restore))
        place = form.layout()
        assert isinstance(place, QVBoxLayout)
        place.insertWidget(place.indexOf(form.fold), self)
        form.changed.connect(self._show)
        listen(self, choices().forgotten, slot=self._on_forgotten)
        self.show_values(choices().get(FORM))
        self._show()

    def values(self) -> dict[str, Any]:
        """Give the important settings that differ from the defaults, as JSON has them."""
        if self._form.problem:
            return {}
        given = self._form.settings().model_dump(mode="json", include=set(self._remembered))
        return {name: value for name, value in given.items() if name in self._changed()}

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show settings; those that are not valid are left out."""
        for name, value in values.items():
            if name in self._remembered and _is_valid(name, value):
                self._form.set(name, value)

    def remember(self) -> None:
        """Remember the settings: they were used."""
        choices().put(FORM, self.values())

    def _changed(self) -> list[str]:
        controls = self._form.controls.items()
        return [name for name, control in controls if control.get() != self._defaults[name]]

    def _show(self) -> None:
        fields = {name: self._form.controls[name].field for name in self._changed()}
        named = [
            f"{field.title} {_short(field, value)}"
            for name, field in fields.items()
            if (value := self._form.controls[name].get()) != ""
        ]
        self.words.setText(f"Changed: {listing(named, 4)}")
        self.setVisible(bool(named))

    def _on_forgotten(self) -> None:
        self._form.reset()


def _short(field: FormField, value: Any) -> str:
    """Format a value; of a file its name, as there is no room for its folders."""
    if value is None:
        return "auto"
    is_file = field.other == "file" and value not in field.choices
    return Path(value).name if is_file else field.shown(value)


def _is_valid(name: str, value: Any) -> bool:
    try:
        TrainingSettings.model_validate({name: value})
    except ValidationError:
        return False
    return True
