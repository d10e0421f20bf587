"""The sheets of one viewer: a layer gets its sheet when it is first labelled. No Qt."""

from pathlib import Path

from napari.layers import Points
from psygnal import Signal

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.gui import layers
from napari_lungcls.gui.label import storage
from napari_lungcls.gui.label.sheet import Sheet


class Sheets:
    """All layers that were labelled, whichever is labelled now.

    Parameters
    ----------
    journals
        Folder of the journals; the user's by default.
    """

    changed = Signal()
    scheme_changed = Signal()
    problem = Signal(str)
    """All as a sheet has them."""

    def __init__(self, journals: Path | None) -> None:
        self._journals = journals
        self._known: list[Sheet] = []

    def of(self, layer: Points, scheme: ClassScheme) -> Sheet:
        """Give the sheet of a layer.

        Parameters
        ----------
        layer
            What is labelled; it is linked to its image.
        scheme
            The classes of a layer that brings none.
        """
        for sheet in self._known:
            if sheet.layer is layer:
                return sheet
        labels = storage.labels_of(layers.core_points(layer))
        held = storage.holding(layers.scheme_of(layer) or scheme, labels)
        sheet = Sheet(layer, held, self._journals)
        sheet.changed.connect(self._on_sheet)
        sheet.scheme_changed.connect(self._on_scheme)
        sheet.problem.connect(self._on_problem)
        self._known.append(sheet)
        return sheet

    def drop(self, layer: Points) -> list[Sheet]:
        """Close the sheet of a layer that is gone, and give it if there was one."""
        gone = [sheet for sheet in self._known if sheet.layer is layer]
        self._known = [sheet for sheet in self._known if sheet not in gone]
        for sheet in gone:
            sheet.close()
        return gone

    def close(self) -> None:
        """Close all; unsaved points stay in their journals."""
        for sheet in self._known:
            sheet.close()
        self._known = []

    def _on_sheet(self) -> None:
        self.changed.emit()

    def _on_scheme(self) -> None:
        self.scheme_changed.emit()

    def _on_problem(self, line: str) -> None:
        self.problem.emit(line)
