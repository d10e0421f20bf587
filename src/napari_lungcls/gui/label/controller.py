"""What the window for labelling does: images, layers, classes, keys and files. No Qt."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Points
from napari.utils.notifications import show_info, show_warning
from numpy.typing import ArrayLike
from psygnal import Signal

from napari_lungcls.annotation import autosave, read_points
from napari_lungcls.annotation.autosave import Unfinished
from napari_lungcls.annotation.columns import IMAGE_COLUMN, MODEL
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import ImageId, find, identify, is_other
from napari_lungcls.gui.label.annotation_layer import AnnotationLayer
from napari_lungcls.gui.label.keys import NEXT, PREVIOUS, REDO, UNDO, Keyboard
from napari_lungcls.gui.label.recovery import Recovery
from napari_lungcls.gui.label.right_click import RightClick
from napari_lungcls.gui.label.tour import Tour
from napari_lungcls.gui.lifetime import ViewerPart
from napari_lungcls.gui.points_layer import (
    add_points_layer,
    annotation_layer,
    belonging,
    layer_name,
    to_points,
)
from napari_lungcls.gui.session import session


class Labeller(ViewerPart):
    """Labels the points of one viewer; windows show it, and it outlives them.

    Parameters
    ----------
    viewer
        The viewer; it is held weakly.
    autosaves
        Folder of autosaved points; the user's by default.

    Attributes
    ----------
    said
        What the last key did, where that might not be seen; empty otherwise.
    annotation
        The layer that is labelled, with its undo and autosave; None before the first point.
    recovery
        Points that earlier windows did not save.
    tour
        Goes from point to point, to planes without any, and to random fields.
    right_click
        What a click with the right button adds.
    is_typing
        Tells whether the keyboard is in a text field: keys then do nothing here.
    """

    changed = Signal()
    """Something that a window shows has changed: counts, class, undo, layer, unsaved."""

    scheme_changed = Signal()
    problem = Signal(str)
    """One line that the user should see."""

    def __init__(self, viewer: "napari.Viewer", autosaves: Path | None = None) -> None:
        super().__init__(viewer)
        real = self.viewer
        self._autosaves = autosaves
        self._known: dict[Points, AnnotationLayer] = {}
        others = {
            UNDO: self._on_undo,
            REDO: self._on_redo,
            PREVIOUS: self._on_previous,
            NEXT: self._on_next,
        }
        self._keys = Keyboard(real, self._on_key, others)
        self._scheme = ClassScheme.preset("lung")
        self._views = 0
        self.image: Image | None = None
        self.annotation: AnnotationLayer | None = None
        self.current = self._scheme.names[0]
        self.said = ""
        self.tour, self.right_click = Tour(self), RightClick(self)
        self.is_typing: Callable[[], bool] = lambda: False
        self.recovery = Recovery(autosaves)
        self.recovery.changed.connect(self._on_change)
        shared, dims = session(real), real.dims.events
        self._wired: list[tuple[Any, Any]] = [
            (real.layers.events.removed, self._on_removed),
            (real.layers.selection.events.active, self._on_change),
            (dims.point, self._on_dims),
            (dims.order, self._on_dims),
            (dims.ndisplay, self._on_dims),
            (shared.target_changed, self._on_target),
            (shared.follower.changed, self._on_points),
        ]
        for emitter, slot in self._wired:
            emitter.connect(slot)
        for line in autosave.unreadable(autosaves):
            show_warning(line)

    @property
    def layer(self) -> Points | None:
        """The points layer that is labelled."""
        return None if self.annotation is None else self.annotation.layer

    @property
    def scheme(self) -> ClassScheme:
        """The classes."""
        return self._scheme if self.annotation is None else self.annotation.scheme

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

    def waiting(self) -> list[Points]:
        """Give the layers of labels whose image is not open or not known, the empty ones not."""
        viewer = self.viewer
        return [layer for layer in viewer.layers if layers.waits(viewer, layer) and len(layer.data)]

    def attach(self, layer: Points, image: Image) -> None:
        """Say which image the points of a waiting layer belong to, and label in it.

        Raises
        ------
        InputError
            When the axes differ, or the points belong to several images.
        """
        if IMAGE_COLUMN in layer.features and layer.features[IMAGE_COLUMN].nunique() > 1:
            raise InputError(
                f"the column {IMAGE_COLUMN!r} of {layer.name!r} names several images; open a file "
                "with the points of one"
            )
        before = layers.image_id_of(layer)
        layers.link(self.viewer, layer, image)
        self.choose_layer(layer)
        annotation = self.annotation_of(layer)
        if annotation.unsaved:
            # What is on disk names another image.
            annotation.autosave()
        if before is not None and is_other(image, before):
            self.problem.emit(
                f"the points of {layer.name!r} were set on another image: the pixels of "
                f"{image.name!r} are not the same. If it is not theirs, remove the layer and open "
                "the points again"
            )
        else:
            self._check_inside(layer, image)

    def choose_image(self, image: Image | None) -> None:
        """Label another image, in its first annotation layer if it has one."""
        if image is self.image:
            return
        self.image = image
        own = [
            layer
            for layer in self.layers()
            if image is not None and layers.image_of(self.viewer, layer) is image
        ]
        self.choose_layer(own[0] if own else None)

    def choose_layer(self, layer: Points | None) -> None:
        """Label in another layer; None for a new one as soon as a point is placed.

        The image is then the layer's own; a layer that has none is given the chosen one.

        Raises
        ------
        InputError
            When the layer waits for its image, or has other axes than the chosen one.
        """
        scheme = self.scheme
        if layer is not None:
            if layers.waits(self.viewer, layer):
                raise InputError(
                    f"the points of {layer.name!r} wait for their image; choose it first"
                )
            image = layers.image_of(self.viewer, layer)
            if image is None:
                image = self.open_image
                layers.link(self.viewer, layer, image)
            self.image = image
        self.annotation = None if layer is None else self.annotation_of(layer)
        self._scheme = scheme if self.annotation is None else self.annotation.scheme
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
        layer = annotation_layer(self.viewer, image, self.scheme)
        self.choose_layer(layer)
        return layer

    def set_scheme(self, scheme: ClassScheme, renamed: Mapping[str, str] | None = None) -> None:
        """Use other classes; see `AnnotationLayer.set_scheme`."""
        self.current = (renamed or {}).get(self.current, self.current)
        self._scheme = scheme if self.annotation is None else self._scheme
        if self.annotation is not None:
            self.annotation.set_scheme(scheme, renamed)
        self._follow_scheme()

    def press(self, name: str) -> None:
        """Do what the key of a class does.

        In select mode the selected points are given the class. Otherwise it is the class of
        the next points, and a click on the image adds one: the layer is selected for it.

        Raises
        ------
        InputError
            When there is no image.
        """
        if self.annotation is None:
            self.new_points()
        assert self.annotation is not None
        layer, selection = self.annotation.layer, self.viewer.layers.selection
        chosen = sorted(int(row) for row in layer.selected_data)
        self.choose_class(name)
        if selection.active is layer and str(layer.mode) == "select" and chosen:
            count = self.annotation.relabel(chosen, name)
            points = "1 point is" if count == 1 else f"{count:,} points are"
            self.tell(f"{points} {name} now; Ctrl-Z takes that back")
            if count > 1:
                # Some of them may be in planes out of view, and so may be the window.
                show_info(self.said)
            return
        if self.tour.only not in (None, name):
            self.tour.show_only(None)  # Or the points that are added now would not be seen.
        other = selection.active
        selection.active = layer
        layer.visible = layer.editable = True
        layer.selected_data = set()
        layer.mode = "add"
        if other is not None and other is not layer:
            self.tell(f"{layer.name!r} is selected now; click on the image to add {name}")

    def choose_class(self, name: str) -> None:
        """Make a class that of the next points."""
        self.scheme.code(name)
        self.current = name
        self._set_next_class()
        self.changed.emit()

    def place(self, position: Sequence[float], name: str) -> None:
        """Add a point of a class at a position in the world, as a click does."""
        annotation = self.annotation
        if annotation is not None:
            annotation.next_class(name)
            annotation.layer.add(annotation.layer.world_to_data(position))
            self._set_next_class()

    def undo(self) -> None:
        """Take back what was done last, to points or to classes."""
        if self.annotation is not None:
            self.annotation.undo()

    def redo(self) -> None:
        """Do again what was taken back."""
        if self.annotation is not None:
            self.annotation.redo()

    def add_points(
        self, coordinates: ArrayLike, class_names: Sequence[str], source: str = MODEL
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
        if self.annotation is None:
            self.new_points()
        assert self.annotation is not None
        self.annotation.add(coordinates, class_names, source)

    # Files

    def open(self, path: Path) -> Points:
        """Open a points file as a new layer of the image.

        Where the file itself names another image, the points go there, or wait for it.

        Raises
        ------
        InputError
            When the file is no points file, or its points have other axes than the image.
        """
        image = self.open_image
        points = read_points(path, image=identify(image, layers.pictures(self.viewer)))
        known, images = belonging(points, str(path)), layers.pictures(self.viewer)
        theirs = find(known, images)
        if theirs is None and is_other(image, known):
            self.problem.emit(
                f"{path.name}: these points were set on another image than {image.name!r}, whose "
                "pixels are not the same; open their image, or choose one above"
            )
        elif theirs is None and not known.called:
            known = identify(image, images)
        image = theirs or image
        if points.ndim != image.ndim:
            raise InputError(
                f"{path}: points of {points.ndim} axes, but the image has {image.ndim}; choose "
                "the image that they belong to"
            )
        name = layer_name(str(path))
        layer = add_points_layer(self.viewer, points, name, self.scheme, known)
        self._label_new(layer)
        if self.annotation is not None and self.layer is layer:
            self.annotation.file = path
            self._check_inside(layer, image)
            self.changed.emit()
        return layer

    def save(self, path: Path) -> Path:
        """Save the points; see `AnnotationLayer.save`."""
        if self.annotation is None:
            raise InputError("there is no point to save; label some first")
        saved = self.annotation.save(path)
        self.changed.emit()
        return saved

    def restore(self, entry: Unfinished) -> Points:
        """Make a layer of unfinished points; they are unsaved points of this window at once.

        If their image is not open, or it cannot be told whether it is, they wait for it.

        Raises
        ------
        InputError
            When another window was faster.
        """
        header = entry.header
        known = ImageId(header.image, header.source, header.shape, pixels=header.pixels)
        try:
            with autosave.claimed(entry):
                name = header.layer or "restored points"
                layer = add_points_layer(self.viewer, entry.points, name, header.scheme, known)
                self._label_new(layer)
                self.annotation_of(layer).autosave()
        finally:
            self.recovery.look()
        return layer

    def show(self) -> None:
        """Bind the keys: a window has been opened."""
        self._views += 1
        self._keys.switch(True)
        self.right_click.switch(self.viewer, True)

    def hide(self) -> None:
        """Give the keys back if that was the last window."""
        self._views -= 1
        self._keys.switch(self._views > 0)
        if self._views == 0 and (viewer := self._viewer()) is not None:
            self.right_click.switch(viewer, False)

    def close(self) -> None:
        """End with the viewer; unsaved points stay on disk."""
        for emitter, slot in self._wired:
            emitter.disconnect(slot)
        self._wired = []
        self._keys.switch(False)
        for annotation in self._known.values():
            annotation.close()
        self._known = {}
        viewer = self._viewer()
        if viewer is not None:
            self.right_click.switch(viewer, False)
            shared = session(viewer)
            if self.layer is not None and shared.target is self.layer:
                shared.target = None
            shared.drop_part(self)
        self.annotation = None

    def _fits(self, layer: Any) -> bool:
        if self.image is None or not layers.is_labels(layer) or layer.ndim != self.image.ndim:
            return False
        free = layers.image_id_of(layer) is None
        return free or layers.image_of(self.viewer, layer) is self.image

    def annotation_of(self, layer: Points) -> AnnotationLayer:
        """Give the annotation layer of a layer that has an image, made when first asked for."""
        if layer not in self._known:
            labels = to_points(layer).labels
            scheme = (layers.scheme_of(layer) or self.scheme).including(labels)
            made = self._known[layer] = AnnotationLayer(layer, scheme, self._autosaves)
            made.changed.connect(self._on_points)
            made.scheme_changed.connect(self._follow_scheme)
            made.problem.connect(self._on_problem)
        return self._known[layer]

    def file_of(self, layer: Points) -> Path | None:
        """Give the file in which the points of a layer were last saved or opened, or None."""
        known = self._known.get(layer)
        if known is not None and known.file is not None:
            return known.file
        return Path(layer.source.path) if layer.source.path else None

    def _check_inside(self, layer: Points, image: Image) -> None:
        """Say so if points lie outside their image, as those of another image often do."""
        annotation = self.annotation_of(layer)
        if outside := len(annotation.outside()):
            self.problem.emit(
                f"{outside} of {len(annotation.points)} points lie outside the image "
                f"{image.name!r}; leave them out above, or remove the layer if the image is not "
                "theirs"
            )

    def _label_new(self, layer: Points) -> None:
        """Label in a layer that was just added, if its image is open."""
        if layers.waits(self.viewer, layer):
            self.changed.emit()
        else:
            self.choose_layer(layer)

    def tell(self, line: str) -> None:
        """Say what was done, in the window and in napari's status line."""
        self.said = line
        self.viewer.status = line
        self.changed.emit()

    def _follow_scheme(self) -> None:
        if self.annotation is not None:
            self._scheme = self.annotation.scheme
        if self.current not in self.scheme.names:
            self.current = self.scheme.names[0]
        self.right_click.follow_scheme()
        self.tour.show_points()
        self._set_next_class()
        self._keys.bind(self.layer, self.scheme)
        self.scheme_changed.emit()
        self.changed.emit()

    def _set_next_class(self) -> None:
        if self.annotation is not None:
            self.annotation.next_class(self.current)

    def _on_key(self, name: str) -> None:
        self._try(lambda: self.press(name))

    def _on_undo(self) -> None:
        self._try(self.undo)

    def _on_redo(self) -> None:
        self._try(self.redo)

    def _on_previous(self) -> None:
        self._try(lambda: self.tour.step(-1))

    def _on_next(self) -> None:
        self._try(lambda: self.tour.step(1))

    def _try(self, action: Callable[[], None]) -> None:
        if self.is_typing():
            return
        try:
            action()
        except InputError as error:
            self.problem.emit(str(error))

    def _on_points(self) -> None:
        self.said = ""
        self.tour.show_points()
        self.changed.emit()

    def _on_change(self, event: Any = None) -> None:
        self.changed.emit()

    def _on_problem(self, line: str) -> None:
        self.problem.emit(line)

    def _on_target(self) -> None:
        """Follow when another window or a script names the layer to label."""
        target = session(self.viewer).target
        if target is not None and target is not self.layer:
            try:
                self.choose_layer(target)
            except InputError as error:
                self.problem.emit(str(error))

    def _on_dims(self, event: Any = None) -> None:
        if self.annotation is not None and self.annotation.layer.ndim > 2:
            self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        gone = self._known.pop(event.value, None)
        if gone is not None:
            gone.close()
            if gone is self.annotation:
                self.choose_layer(None)
        if event.value is self.image:
            self.choose_image(None)
        if gone is not None:
            self.recovery.look()


def labeller_of(viewer: "napari.Viewer") -> Labeller:
    """Give the labeller of a viewer, made when it is first asked for."""
    return session(viewer).part(Labeller)
