"""The painted maps in the viewer: legend, class at the cursor, saving and opening."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QMenu, QWidget

from napari_lungcls.gui.dialogs import ask_folder, ask_open, ask_save
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.map_files import image_for, layer_name
from napari_lungcls.gui.maps import (
    HIDDEN,
    SHARES,
    add_layers,
    cell_under,
    is_map,
    map_colors,
    map_layers,
    map_of,
    open_map,
    quieten,
    saved_as,
)
from napari_lungcls.gui.paint.corrections import CorrectionBar
from napari_lungcls.gui.paint.legend import Legend
from napari_lungcls.gui.paint.map_values import offered, show, shown, values_of
from napari_lungcls.gui.parts import (
    LayerBox,
    beside,
    button,
    column,
    labelled,
    narrow,
    note,
    show_text,
)
from napari_lungcls.gui.workers import BackgroundJob, start, start_call
from napari_lungcls.inference.formats import FORMATS
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.utils.progress import stepwise

NO_MAP = "no map is open"
EMPTY = "Paint a map above, or open a saved one."
UNCORRECTED = "Shares of the painted cells, not corrected for model errors."
OFF_MAP = "Point at the map to see its probabilities."
SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)
FILTERS = ";;".join(f"{form.label} (*{form.suffixes[0]})" for form in FORMATS)

HOVER_INTERVAL = 40
"""Milliseconds between two updates while the cursor moves."""


class MapView(QWidget):
    """Shows one of the painted maps of a viewer, and saves and opens maps."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._busy: Layer | None = None
        self._job: BackgroundJob | None = None
        self.map_box = LayerBox(viewer, Labels, accept=is_map, empty=NO_MAP)
        self.map_box.setObjectName("map_choice")
        self.map_box.setToolTip("The map to show in the legend, read at the cursor, and save")
        self.show_box = QComboBox()
        self.show_box.setObjectName("map_shows")
        self.show_box.setToolTip(
            "Show the classes, the probability of one of them, or how sure the model is"
        )
        narrow(self.show_box, 8)
        self._shows = beside(labelled("Show", self.show_box), (self.show_box, 1))
        self.legend, self.under, self.words = Legend(), note(), note(UNCORRECTED)
        self.save_button = button(
            "Save map…",
            "save_map",
            "Save this map as OME-Zarr (any size), OME-TIFF (small maps) or polygons",
        )
        self.open_button = button(
            "Open map…", "open_map", "Open a saved map with its position and colours"
        )
        menu = QMenu(self.open_button)
        for text, slot in (
            ("OME-Zarr folder…", self._choose_folder),
            ("OME-TIFF file…", self._choose_tiff),
        ):
            action = menu.addAction(text)
            assert action is not None
            action.triggered.connect(slot)
        self.open_button.setMenu(menu)
        self.saved, self.corrections = note(), CorrectionBar(viewer)
        self._hover_timer = QTimer(self, singleShot=True, interval=HOVER_INTERVAL)
        layout = column(self)
        buttons = beside(self.save_button, self.open_button)
        parts = (self.map_box, self._shows, self.legend, self.under, self.words)
        for widget in (*parts, self.corrections, buttons, self.saved):
            layout.addWidget(widget)
        self._hover_timer.timeout.connect(self._on_hover)
        moved, turned = viewer.cursor.events.position, viewer.dims.events.current_step
        listen(self, moved, turned, slot=self._on_move)
        self.legend.hidden_changed.connect(self._on_hidden)
        self.map_box.layer_changed.connect(self._on_map)
        self.show_box.activated.connect(self._on_show)
        listen(self, viewer.layers.events.removed, slot=self._on_removed)
        self.save_button.clicked.connect(self._choose_file)
        self._tell("")
        self._on_map(self.map_box.layer)

    @property
    def layer(self) -> Labels | None:
        """The map layer that is shown, or None."""
        return self.map_box.layer

    def watch(self, layer: Labels) -> None:
        """Show a map that is being painted; it cannot be saved until painting has ended."""
        self._busy = layer
        self.map_box.choose(layer)
        self._allow()

    def set_shares(self, layer: Layer, shares: Mapping[str, float]) -> None:
        """Set the class shares of a map."""
        layer.metadata[KEY][SHARES] = shares
        self.show_shares()

    def show_shares(self) -> None:
        """Show the class shares of the chosen map, as far as it is painted."""
        if self.layer is not None and SHARES in self.layer.metadata[KEY]:
            self.legend.set_shares(self.layer.metadata[KEY][SHARES])

    def release(self) -> None:
        """Allow saving the map that was being painted."""
        self._busy = None
        self._allow()

    def save_to(
        self, path: str | os.PathLike[str], *, overwrite: bool = False
    ) -> BackgroundJob | None:
        """Save the shown map in a thread.

        Parameters
        ----------
        path
            The suffix gives the format: `.ome.zarr`, `.ome.tif` or `.geojson`.
        overwrite
            Whether an existing file or folder is replaced.
        """
        layer, painted = self.layer, map_of(self.layer)
        if layer is None or painted is None:
            return None
        name = Path(path).name

        def saved(written: Path | None) -> None:
            if written is not None:
                saved_as(layer, written)
                self._tell(f"Saved as {name}.")

        self._begin(f"Saving {name}…")
        self._job = start(
            lambda cancelled: stepwise(
                lambda report: painted.save(
                    path, overwrite=overwrite, progress=report, cancelled=cancelled
                )
            ),
            owner=self,
            title=f"Saving {name}",
            progressed=lambda step: self._tell(
                f"Saving {name}… {100 * step[0] // max(1, step[1])} %"
            ),
            returned=saved,
            failed=lambda line: self._tell(f"Not saved: {line}"),
            ended=self._end,
        )
        return self._job

    def open_from(self, path: str | os.PathLike[str]) -> BackgroundJob:
        """Open a saved map as layers, aligned with its image if that is open."""
        source = os.fspath(path)
        quieten()
        self._begin(f"Opening {Path(source).name}…")
        self._job = start_call(
            lambda: open_map(source),
            owner=self,
            title=f"Opening {Path(source).name}",
            returned=lambda painted: self._on_opened(painted, source),
            failed=lambda line: self._tell(f"Not opened: {line}"),
            ended=self._end,
        )
        return self._job

    def _on_map(self, layer: Labels | None) -> None:
        painted = map_of(layer)
        known = {} if layer is None else layer.metadata[KEY]
        self.legend.set_scheme(
            None if painted is None else painted.scheme, known.get(HIDDEN, frozenset())
        )
        self.legend.setVisible(painted is not None)
        self.words.setText(EMPTY if painted is None else UNCORRECTED)
        self.under.setVisible(painted is not None)
        self.under.setText(OFF_MAP)
        self.corrections.setVisible(painted is not None)
        self._list_shows()
        self._allow()
        if layer is None or painted is None:
            return
        if SHARES in known:
            self.legend.set_shares(known[SHARES])
        elif layer != self._busy:
            start_call(
                painted.fractions,
                owner=self,
                returned=lambda shares: self.set_shares(layer, shares),
            )

    def _list_shows(self) -> None:
        """Offer what the map can show."""
        choices = offered(self.layer)
        self.show_box.clear()
        self.show_box.addItems(choices)
        self.show_box.setCurrentText(shown(self._viewer, self.layer))
        self._shows.setVisible(len(choices) > 1)

    def _on_show(self, _: int) -> None:
        if self.layer is not None:
            show(self._viewer, self.layer, self.show_box.currentText())
            self.show_box.setCurrentText(shown(self._viewer, self.layer))

    def _on_removed(self, event: Any) -> None:
        """Take away the values of a map with the map, and show its classes without them."""
        if is_map(event.value) and (values := values_of(self._viewer, event.value)) is not None:
            self._viewer.layers.remove(values)
        self.show_box.setCurrentText(shown(self._viewer, self.layer))

    def _on_move(self, event: object = None) -> None:
        if self.layer is not None and not self._hover_timer.isActive():
            self._hover_timer.start()

    def _on_hover(self) -> None:
        """Show what the map says at the cursor."""
        layer, painted = self.layer, map_of(self.layer)
        found = None
        if layer is not None and layer in self._viewer.layers:
            found = cell_under(layer, self._viewer.cursor.position)
        if painted is None or found is None:
            self.under.setText(OFF_MAP)
            self.legend.set_probabilities(None)
            return
        code, probabilities = found
        name = painted.scheme.names[code]
        known = "" if probabilities is None else f", {100 * float(probabilities[code]):.0f} %"
        self.under.setText(f"At the cursor: {name}{known}")
        self.legend.set_probabilities(probabilities)

    def _on_hidden(self, hidden: frozenset[int]) -> None:
        layer, painted = self.layer, map_of(self.layer)
        if layer is not None and painted is not None:
            layer.metadata[KEY][HIDDEN] = hidden
            layer.colormap = map_colors(painted.scheme, hidden)

    def _on_opened(self, painted: PaintedMap, source: str) -> None:
        images = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image)
            and map_of(layer) is None
            and layer.ndim == len(painted.header.shape)
        ]
        image = image_for(painted.header, source, images)
        *_, added = add_layers(self._viewer, map_layers(painted, layer_name(source), image))
        saved_as(added, source)
        self.map_box.choose(added)
        self._tell(f"Opened {Path(source).name}.")

    def _begin(self, words: str) -> None:
        self._tell(words)
        self.save_button.setEnabled(False)
        self.open_button.setEnabled(False)

    def _tell(self, text: str) -> None:
        show_text(self.saved, text)

    def _end(self) -> None:
        self._job = None
        self._allow()

    def _allow(self) -> None:
        free = self._job is None
        self.open_button.setEnabled(free)
        done = self.layer is not None and self.layer != self._busy
        self.save_button.setEnabled(free and done)
        self.corrections.set_map(self.layer if done else None)

    def _choose_file(self) -> None:
        start = f"{'map' if self.layer is None else self.layer.name}.ome.zarr"
        if path := ask_save(self, "Save map", start, FILTERS, SUFFIXES):
            # The dialog has already asked about replacing a file.
            self.save_to(path, overwrite=path.is_file())

    def _choose_folder(self) -> None:
        if path := ask_folder(self, "Open map (an .ome.zarr folder)"):
            self.open_from(path)

    def _choose_tiff(self) -> None:
        if path := ask_open(self, "Open map", "OME-TIFF (*.tif *.tiff)"):
            self.open_from(path)
