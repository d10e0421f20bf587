"""A choice among the models of a viewer, those that were kept for next time among them."""

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from napari_lungcls.gui.kept import Kept
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.opening import open_model
from napari_lungcls.gui.session import NamedModel, session

NONE = "no model yet"
CHOOSE = "choose a model"


class ModelChoice(QComboBox):
    """Shows the current model of a viewer, and makes another current.

    Parameters
    ----------
    viewer
        The viewer.
    """

    changed = Signal()
    """Another model is current, or there are others."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._session = viewer, session(viewer)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        listen(self, self._session.changed, slot=self.fill)
        self.activated.connect(self._on_activated)
        self.fill()

    @property
    def model(self) -> NamedModel | None:
        """The current model, or None."""
        return self._session.current

    def fill(self) -> None:
        """Show which models there are now."""
        self.clear()
        for named in self._session.models:
            self.addItem(named.name, named)
        for kept in self._session.left:
            self.addItem(f"{kept.name} (kept, not saved)", kept)
        known = self.count() > 0
        if self.model is not None:
            self.setCurrentText(self.model.name)
        else:
            self.insertItem(0, CHOOSE if known else NONE)
            self.setCurrentIndex(0)
        self.setEnabled(known)
        self.changed.emit()

    def _on_activated(self, index: int) -> None:
        chosen = self.itemData(index)
        if isinstance(chosen, NamedModel):
            self._session.choose(chosen.name)
        elif isinstance(chosen, Kept):
            open_model(self._viewer, chosen.path, self, kept=chosen)
