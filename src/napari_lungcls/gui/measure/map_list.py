"""The maps to measure: those in the viewer, and files."""

from pathlib import Path

import napari
from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QMenu, QWidget

from napari_lungcls.gui.dialogs import ask_folder, ask_open
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.maps import LIVE, is_map, map_file, map_of
from napari_lungcls.gui.paint.run import PaintingRun
from napari_lungcls.gui.parts import button, column, note, redden, show_text
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import start_call
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.inference.painted import PaintedMap, read_map
from napari_lungcls.utils.names import comparable

ROWS = 4
"""Entries that are seen without scrolling."""


class MapList(QWidget):
    """Lists painted maps, of which those with a tick are measured."""

    changed = Signal()

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._files: dict[Path, PaintedMap] = {}
        self._listed: list[tuple[Path | Layer, PaintedMap]] = []
        self._ticks: dict[object, bool] = {}
        self.list, self.words = QListWidget(), note(name="maps_words")
        self.add_button = button("Add maps…", "add_maps", "Add maps that were saved to files")
        menu = QMenu(self.add_button)
        for text, slot in (
            ("OME-Zarr folder…", self._ask_folder),
            ("OME-TIFF file…", self._ask_file),
        ):
            action = menu.addAction(text)
            assert action is not None
            action.triggered.connect(slot)
        self.add_button.setMenu(menu)
        self.list.setObjectName("maps_list")
        self.list.setToolTip("The maps to measure: take the tick away to leave one out")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = column(self)
        for widget in (self.list, self.add_button, self.words):
            layout.addWidget(widget)
        show_text(self.words, "")
        events = viewer.layers.events
        listen(self, events.inserted, events.removed, events.reordered, slot=self.refresh)
        listen(self, session(viewer).part(PaintingRun).changed, slot=self.refresh)
        self.list.itemChanged.connect(self._on_tick)
        self.refresh()

    @property
    def maps(self) -> list[MapData]:
        """The maps with a tick."""
        return [painted for _, painted in self._ticked]

    @property
    def files(self) -> list[tuple[str, PaintedMap, Path | None]]:
        """Name, map and file of each map with a tick; no file where it was not saved."""
        return [
            (key.name, painted, key if isinstance(key, Path) else map_file(key))
            for key, painted in self._ticked
        ]

    @property
    def _ticked(self) -> list[tuple[Path | Layer, PaintedMap]]:
        return [
            (key, painted)
            for row, (key, painted) in enumerate(self._listed)
            if (item := self.list.item(row)) is not None
            and item.checkState() == Qt.CheckState.Checked
        ]

    def add(self, path: Path) -> None:
        """Add a map of a file; its cells are read when they are measured."""
        show_text(self.words, f"Opening {path.name}…")
        start_call(
            lambda: read_map(path),
            owner=self,
            title=f"Opening {path.name}",
            returned=lambda painted: self._on_read(path, painted),
            failed=lambda line: self._say(line, wrong=True),
        )

    def refresh(self, event: object = None) -> None:
        """List the maps again; of several of one image only the last has a tick at first."""
        painting = session(self._viewer).part(PaintingRun)
        unfinished = painting.class_layer if painting.job is not None else None
        found: list[tuple[Path | Layer, str, PaintedMap]] = []
        for layer in self._viewer.layers:
            painted = map_of(layer) if is_map(layer) and layer is not unfinished else None
            if painted is not None and layer.metadata[KEY].get(LIVE):
                continue  # It covers what was in view, and changes with it.
            if painted is not None:
                found.append((layer, layer.name, painted))
        found += [(path, path.name, painted) for path, painted in self._files.items()]
        # Layers that are gone must not be kept, with all their cells, for a tick.
        self._ticks = {key: self._ticks[key] for key, *_ in found if key in self._ticks}
        last = {_image(painted): key for key, _, painted in found}
        with QSignalBlocker(self.list):
            self.list.clear()
            for key, name, painted in found:
                ticked = self._ticks.get(key, last[_image(painted)] is key)
                item = QListWidgetItem(name)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
                item.setToolTip(str(key) if isinstance(key, Path) else name)
                self.list.addItem(item)
        self._listed = [(key, painted) for key, _, painted in found]
        self._fit()
        self.changed.emit()

    def _fit(self) -> None:
        """Be as high as the entries, up to a few."""
        rows = min(ROWS, len(self._listed))
        self.list.setVisible(bool(rows))
        height = max(18, self.list.sizeHintForRow(0))
        self.list.setFixedHeight(rows * height + 2 * self.list.frameWidth() + 4)

    def _on_tick(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            key, _ = self._listed[self.list.row(item)]
            self._ticks[key] = item.checkState() == Qt.CheckState.Checked
            self.changed.emit()

    def _on_read(self, path: Path, painted: PaintedMap) -> None:
        self._say("")
        self._files[path] = painted
        self.refresh()

    def _say(self, text: str, *, wrong: bool = False) -> None:
        show_text(self.words, text)
        redden(self.words, wrong)

    def _ask_folder(self) -> None:
        if path := ask_folder(self, "Add a map (an .ome.zarr folder)"):
            self.add(path)

    def _ask_file(self) -> None:
        if path := ask_open(self, "Add a map", "OME-TIFF (*.tif *.tiff)"):
            self.add(path)


def _image(painted: PaintedMap) -> object:
    """Give the image of a map; one without a name has an image of its own."""
    return comparable(str(painted.header.provenance.get("image", ""))) or id(painted)
