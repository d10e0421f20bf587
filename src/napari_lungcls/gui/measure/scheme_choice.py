"""The classes that an audit asks for: those of maps, models, labels and presets."""

import napari
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QWidget

from napari_lungcls.annotation.schemes import PRESETS, ClassScheme
from napari_lungcls.gui.layers import scheme_of
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.maps import is_map, map_of
from napari_lungcls.gui.measure.auditing import Auditing
from napari_lungcls.gui.parts import narrow
from napari_lungcls.gui.session import session


class SchemeChoice(QComboBox):
    """Lists schemes by their classes, each once: that of the open audit first, then of maps."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.schemes: list[ClassScheme] = []
        self.setObjectName("audit_classes")
        self.setToolTip("The classes to choose from; use those of the map")
        narrow(self, 10)
        shared, events = session(viewer), viewer.layers.events
        listen(
            self,
            events.inserted,
            events.removed,
            shared.changed,
            shared.target_changed,
            shared.part(Auditing).changed,
            slot=self._refresh,
        )
        self._refresh()

    @property
    def scheme(self) -> ClassScheme:
        """The chosen one."""
        return self.schemes[max(0, self.currentIndex())]

    def _refresh(self, event: object = None) -> None:
        different: list[ClassScheme] = []
        for scheme in self._known():
            if scheme is not None and not any(map(scheme.same_classes, different)):
                different.append(scheme)
        if different == self.schemes:
            return
        self.schemes = different
        with QSignalBlocker(self):
            self.clear()
            self.addItems([", ".join(scheme.names) for scheme in different])
            self.setCurrentIndex(0)

    def _known(self) -> list[ClassScheme | None]:
        shared = session(self._viewer)
        audit = shared.part(Auditing).audit
        maps = [map_of(layer) for layer in reversed(self._viewer.layers) if is_map(layer)]
        return [
            None if audit is None else audit.scheme,
            *(None if painted is None else painted.scheme for painted in maps),
            None if shared.current is None else shared.current.model.scheme,
            None if shared.target is None else scheme_of(shared.target),
            *map(ClassScheme.preset, PRESETS),
        ]
