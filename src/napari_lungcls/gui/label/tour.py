"""Going through planes, points and fields while labelling, and showing one class only. No Qt."""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Points
from numpy.typing import NDArray

from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.image_layer import companions
from napari_lungcls.gui.label.random_fields import RandomFields
from napari_lungcls.gui.label.view import FIELD, go_to, in_plane, show_image
from napari_lungcls.utils.humanize import count

if TYPE_CHECKING:
    from napari_lungcls.gui.label.controller import Labeller


class Tour:
    """Moves the view of a labeller to what can be looked at next.

    Nothing of it changes a point, so there is nothing to undo.

    Parameters
    ----------
    labeller
        The labeller.

    Attributes
    ----------
    only
        The class whose points alone are shown; None for all.
    """

    def __init__(self, labeller: "Labeller") -> None:
        self._labeller = labeller
        self._fields: WeakKeyDictionary[Image, RandomFields] = WeakKeyDictionary()
        self.only: str | None = None

    def show_only(self, name: str | None) -> None:
        """Show the points of one class and hide the others, or show all again."""
        self.only = name
        if name is not None:
            self._labeller.scheme.code(name)
        self.show_points()
        self._labeller.changed.emit()

    def show_points(self) -> None:
        """Hide what is not to be seen: after points have come, gone or been relabelled."""
        if self.only not in (None, *self._labeller.scheme.names):
            self.only = None
        layer = self._labeller.layer
        if layer is None:
            return
        wanted = self._wanted(layer)
        if not np.array_equal(layer.shown, wanted):
            layer.selected_data = {row for row in layer.selected_data if wanted[row]}
            layer.shown = wanted

    def _wanted(self, layer: Points) -> NDArray[np.bool_]:
        annotation = self._labeller.annotation
        if annotation is None or self.only is None or len(annotation.points) != len(layer.data):
            return np.ones(len(layer.data), bool)
        return np.asarray(annotation.points.classes == self.only, bool)

    def step(self, by: int) -> None:
        """Select the next point (1) or the one before (-1), and move the view to it.

        Points come plane by plane, in each in the order in which they were set. With none
        selected, those of the plane in view are the first to come.
        """
        labeller, annotation = self._labeller, self._labeller.annotation
        rows = [] if annotation is None else self._order()
        if annotation is None or not rows:
            labeller.tell("There is no point yet." if self.only is None else f"No {self.only}.")
            return
        layer, points = annotation.layer, annotation.points
        chosen = [row for row in rows if row in layer.selected_data]
        if chosen:
            place = (rows.index(chosen[-1 if by > 0 else 0]) + by) % len(rows)
        else:
            here = in_plane(labeller.viewer, layer, points.coordinates)
            near = [at for at, row in enumerate(rows) if here[row]]
            place = (near or [0])[0 if by > 0 else -1]
        row = rows[place]
        go_to(labeller.viewer, layer, points.coordinates[row])
        labeller.viewer.layers.selection.active = layer
        layer.visible = layer.editable = True
        layer.mode = "select"
        layer.selected_data = {row}
        name = points.classes[row] or "no class"
        labeller.tell(f"Point {place + 1} of {len(rows)}: {name}. A class key relabels it.")

    def show_outside(self) -> None:
        """Select the points that lie outside the image, and move the view to the first."""
        annotation = self._labeller.annotation
        rows = [] if annotation is None else annotation.outside().tolist()
        if annotation is None or not rows:
            return
        self.show_only(None)
        layer, viewer = annotation.layer, self._labeller.viewer
        go_to(viewer, layer, annotation.points.coordinates[rows[0]])
        viewer.layers.selection.active = layer
        layer.visible = layer.editable = True
        layer.mode = "select"
        layer.selected_data = set(rows)

    def _order(self) -> list[int]:
        annotation = self._labeller.annotation
        assert annotation is not None
        places = np.rint(annotation.points.coordinates[:, :-2])
        keys = [np.arange(len(places)), *places.T[::-1]]
        shown = self._wanted(annotation.layer)
        return [int(row) for row in np.lexsort(keys) if shown[row]]

    def next_unlabelled(self) -> None:
        """Go to the next plane that has no point, or else to the next image without any."""
        labeller = self._labeller
        image = labeller.open_image
        plane = self._empty_plane(image)
        if plane is not None:
            middle = (np.array(image_shape(image)[-2:]) - 1) / 2
            world = image.data_to_world((*plane, *middle))
            dims = labeller.viewer.dims
            dims.set_point(range(dims.ndim - image.ndim, dims.ndim - 2), world[:-2])
            labeller.tell(f"Plane {', '.join(map(str, plane))} has no points yet.")
            return
        following = self._empty_image(image)
        if following is None:
            labeller.tell("Every plane and image that is open has points.")
            return
        labeller.choose_image(following)
        alike = companions(labeller.viewer, following)
        shown = [
            other
            for other in layers.pictures(labeller.viewer)
            if other.visible and other not in alike
        ]
        show_image(labeller.viewer, following, shown)
        hidden = f"; {count(len(shown), 'image')} hidden" if shown else ""
        labeller.tell(f"{following.name!r} has no points yet{hidden}.")

    def _empty_plane(self, image: Image) -> tuple[int, ...] | None:
        """Find the next plane without a point, the one in view not among them."""
        leading = image_shape(image)[:-2]
        if not leading:
            return None
        annotation = self._labeller.annotation
        taken = np.zeros(leading, bool)
        if annotation is not None:
            places = np.rint(annotation.points.coordinates[:, :-2]).astype(int)
            taken[tuple(np.clip(places, 0, np.array(leading) - 1).T)] = True
        here = np.rint(layers.from_world(image, self._labeller.viewer.dims.point)[:-2])
        here = np.clip(here.astype(int), 0, np.array(leading) - 1)
        now = int(np.ravel_multi_index(tuple(here), leading))
        free = np.flatnonzero(~taken.ravel())
        free = free[free != now]
        if not len(free):
            return None
        after = free[free > now]
        return tuple(int(i) for i in np.unravel_index((after if len(after) else free)[0], leading))

    def _empty_image(self, image: Image) -> Image | None:
        viewer = self._labeller.viewer
        images = layers.pictures(viewer)
        at = images.index(image)
        labelled = [
            layers.image_of(viewer, layer)
            for layer in viewer.layers
            if layers.is_labels(layer) and len(layer.data)
        ]
        alike = companions(viewer, image)
        rest = [each for each in images[at + 1 :] + images[:at] if each not in alike]
        return next((each for each in rest if each not in labelled), None)

    def random_field(self) -> None:
        """Move the view to a random field of tissue, in another plane each time.

        Raises
        ------
        InputError
            When there is no image.
        """
        labeller = self._labeller
        image = labeller.open_image
        if image not in self._fields:
            self._fields[image] = RandomFields(image)
        where = self._fields[image].draw()
        go_to(labeller.viewer, image, where, FIELD)
        plane = ", ".join(str(int(i)) for i in where[:-2])
        said = f"A random field of plane {plane}." if plane else "A random field."
        labeller.tell(f"{said} Label what you see in it, of every class.")
