"""What the window for labelling does: images, layers, classes, keys and files. No Qt."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Points
from numpy.typing import ArrayLike
from psygnal import Signal

from napari_lungcls.annotation.recovery import Unfinished
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.label import storage
from napari_lungcls.gui.label.keys import Keyboard
from napari_lungcls.gui.label.sheet import Sheet
from napari_lungcls.gui.label.sheets import Sheets
from napari_lungcls.gui.session import session


class Labeller:
    """Labels the points of one viewer.

    Parameters
    ----------
    viewer
        The viewer.
    journals
        Folder of the journals; the user's by default.
    """

    changed = Signal()
    """Something that a window shows has changed: counts, class, undo, layer, unsaved."""

    scheme_changed = Signal()
    problem = Signal(str)
    """One line that the user should see."""

    def __init__(self, viewer: "napari.Viewer", journals: Path | None = None) -> None:
        # Plugins are handed a proxy, whose layers are not the layers that events bring.
        self.viewer: napari.Viewer = getattr(viewer, "__wrapped__", viewer)
        self.journals = journals
        self._sheets = Sheets(journals)
        self._sheets.changed.connect(self._on_sheet)
        self._sheets.problem.connect(self._on_problem)
        self._keys = Keyboard(self.viewer, self.press, self.undo, self.redo)
        self._scheme = ClassScheme.preset("lung")
        self._closed = False
        self.image: Image | None = None
        self.sheet: Sheet | None = None
        self.current = self._scheme.names[0]
        self.unfinished: list[Unfinished] = []
        dims = self.viewer.dims.events
        self._wired: list[tuple[Any, Any]] = [
            (self.viewer.layers.events.removed, self._on_removed),
            (dims.point, self._on_dims),
            (dims.order, self._on_dims),
            (dims.ndisplay, self._on_dims),
            (session(self.viewer).target_changed, self._on_target),
        ]
        for emitter, slot in self._wired:
            emitter.connect(slot)
        storage.take_up_again(self)
        self.look_for_unfinished()

    @property
    def layer(self) -> Points | None:
        """The points layer that is labelled."""
        return None if self.sheet is None else self.sheet.layer

    @property
    def scheme(self) -> ClassScheme:
        """The classes."""
        return self._scheme if self.sheet is None else self.sheet.scheme

    @property
    def open_image(self) -> Image:
        """The image.

        Raises
        ------
        InputError
            When there is none.
        """
        if self.image is None:
            raise InputError("there is no image to label; open one first")
        return self.image

    def layers(self) -> list[Points]:
        """Give the points layers that can hold labels of the image."""
        return [layer for layer in self.viewer.layers if self._fits(layer)]

    def choose_image(self, image: Image | None) -> None:
        """Label another image, in its first annotation layer if it has one."""
        if image is self.image:
            return
        self.image = image
        own = [layer for layer in self.layers() if layers.image_of(self.viewer, layer) is image]
        self.choose_layer(own[0] if own else None)

    def choose_layer(self, layer: Points | None) -> None:
        """Label in another layer; None for a new one as soon as a point is placed.

        Raises
        ------
        InputError
            When the layer has other axes than the image.
        """
        if layer is not None and self.image is None:
            raise InputError("open the image of these points first, then choose the layer")
        if layer is not None and self.image is not None and layer.ndim != self.image.ndim:
            raise InputError(
                f"layer {layer.name!r} has {layer.ndim} axes and the image has "
                f"{self.image.ndim}; choose another layer"
            )
        scheme = self.scheme
        self.sheet = None if layer is None else self.sheet_of(layer, self.open_image)
        self._scheme = self.scheme if self.sheet else scheme
        session(self.viewer).target = layer
        self._follow_scheme()

    def new_points(self) -> Points:
        """Make an empty layer for the image and label in it.

        Raises
        ------
        InputError
            When there is no image.
        """
        image = self.open_image
        layer = layers.annotation_layer(self.viewer, image, self.scheme)
        self.choose_layer(layer)
        return layer

    def set_scheme(self, scheme: ClassScheme, renamed: Mapping[str, str] | None = None) -> None:
        """Use other classes; see `Sheet.set_scheme`."""
        if self.sheet is not None:
            self.sheet.set_scheme(scheme, renamed)
        self._scheme = scheme
        self.current = (renamed or {}).get(self.current, self.current)
        self._follow_scheme()

    def press(self, name: str) -> None:
        """Do what the key of a class does.

        In select mode the selected points are given the class. Otherwise it is the class of
        the next points, and a click on the image adds one.
        """
        if self.sheet is None:
            self.new_points()
        assert self.sheet is not None
        layer, selection = self.sheet.layer, self.viewer.layers.selection
        chosen = sorted(int(row) for row in layer.selected_data)
        self.choose_class(name)
        if selection.active is layer and str(layer.mode) == "select" and chosen:
            self.sheet.relabel(chosen, name)
            return
        selection.active = layer
        layer.selected_data = set()
        layer.mode = "add"

    def choose_class(self, name: str) -> None:
        """Make a class that of the next points."""
        self.scheme.code(name)
        self.current = name
        self._set_next_class()
        self.changed.emit()

    def undo(self) -> None:
        """Take the last edit back."""
        self._report_errors_of(lambda sheet: sheet.undo())

    def redo(self) -> None:
        """Make again the edit that was taken back."""
        self._report_errors_of(lambda sheet: sheet.redo())

    def add_points(
        self, coordinates: ArrayLike, class_names: Sequence[str], source: str = "model"
    ) -> None:
        """Append points in one step that can be undone.

        Parameters
        ----------
        coordinates
            `(n, ndim)` data pixels of the image.
        class_names
            `(n,)` classes of the scheme.
        source
            Who says so, for the column `source`.

        Raises
        ------
        InputError
            When there is no image, or a class or the axes do not fit.
        """
        if self.sheet is None:
            self.new_points()
        assert self.sheet is not None
        self.sheet.add(coordinates, class_names, source)

    # Files and journals: see `storage`

    def open(self, path: Path) -> Points:
        """Open a points file as a new layer of the image; see `storage.open_points`."""
        return storage.open_points(self, path)

    def save(self, path: Path) -> Path:
        """Save the points; see `Sheet.save`."""
        if self.sheet is None:
            raise InputError("there is no point to save; label some first")
        saved = self.sheet.save(path)
        self.changed.emit()
        return saved

    def look_for_unfinished(self) -> None:
        """Look again which journals wait for someone to restore or discard them."""
        self.unfinished = storage.waiting(self.journals)
        self.changed.emit()

    def restore(self, entry: Unfinished) -> Points:
        """Make a layer of the points of a journal; see `storage.restore`."""
        return storage.restore(self, entry)

    def discard(self, entry: Unfinished) -> None:
        """Remove a journal; see `storage.discard`."""
        storage.discard(self, entry)

    def close(self) -> None:
        """Let go of the viewer; unsaved points stay in their journals."""
        if self._closed:
            return
        self._closed = True
        self._keys.release()
        for emitter, slot in self._wired:
            emitter.disconnect(slot)
        self._sheets.close()
        if self.layer is not None and session(self.viewer).target is self.layer:
            session(self.viewer).target = None
        self.sheet = None

    def _fits(self, layer: Any) -> bool:
        if self.image is None or not isinstance(layer, Points) or layer.ndim != self.image.ndim:
            return False
        kind = layer.metadata.get(layers.KEY, {}).get("kind", "points")
        return kind == "points" and layers.image_of(self.viewer, layer) in (None, self.image)

    def sheet_of(self, layer: Points, image: Image) -> Sheet:
        """Give the sheet of a layer, made when it is first asked for."""
        return self._sheets.of(layer, image, self.scheme)

    def _report_errors_of(self, action: Any) -> None:
        if self.sheet is not None:
            try:
                action(self.sheet)
            except InputError as error:
                self.problem.emit(str(error))

    def _set_next_class(self) -> None:
        if self.sheet is not None:
            self.sheet.next_class(self.current)

    def _follow_scheme(self) -> None:
        if self.current not in self.scheme.names:
            self.current = self.scheme.names[0]
        self._set_next_class()
        self._keys.bind(self.image, self.layer, self.scheme)
        self.scheme_changed.emit()
        self.changed.emit()

    def _on_sheet(self) -> None:
        self.changed.emit()

    def _on_problem(self, line: str) -> None:
        self.problem.emit(line)

    def _on_target(self) -> None:
        """Follow when another window or a script names the layer to label."""
        target = session(self.viewer).target
        if target is None or target is self.layer:
            return
        self.image = layers.image_of(self.viewer, target) or self.image
        self.choose_layer(target)

    def _on_dims(self, event: Any = None) -> None:
        if self.sheet is not None and self.sheet.layer.ndim > 2:
            self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        gone = self._sheets.drop(event.value)
        if self.sheet in gone:
            self.sheet = None
            self.choose_layer(None)
        if gone:
            self.look_for_unfinished()
