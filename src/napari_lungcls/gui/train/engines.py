"""Whether the chosen engine can run here, found out when it is chosen, in a thread."""

from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui.workers import start_call
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.engines import engine_status

DEFAULT = str(TrainingSettings.model_fields["engine"].default)
"""Comes with the package: it need not be asked, and its library not be imported, beforehand."""


class EngineCheck(QObject):
    """Finds out why an engine cannot run, once for each.

    Parameters
    ----------
    owner
        The window that asks.
    """

    found = Signal()
    """Something that was asked is known now."""

    def __init__(self, owner: QWidget) -> None:
        super().__init__(owner)
        self._owner = owner
        self._reasons: dict[str, str] = {DEFAULT: ""}

    def reason(self, name: str) -> str:
        """Say why an engine cannot run here; nothing while that is not known, or when it can."""
        if name not in self._reasons:
            self._reasons[name] = ""
            start_call(
                lambda: engine_status(name),
                owner=self._owner,
                returned=lambda status: self._note(name, status),
            )
        return self._reasons[name]

    def _note(self, name: str, status: dict[str, Any]) -> None:
        line = str(status.get("reason", "")).rstrip(".")
        self._reasons[name] = f"{line[:1].upper()}{line[1:]}." if line else ""
        self.found.emit()
