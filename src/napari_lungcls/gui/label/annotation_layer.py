"""A points layer that is being labelled: its edits, undo, and autosave. No Qt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from napari.layers import Points
from numpy.typing import ArrayLike, NDArray
from psygnal import Signal

from napari_lungcls.annotation.autosave import Autosave, AutosaveHeader
from napari_lungcls.annotation.files import write_points
from napari_lungcls.annotation.points import points_of_features
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Snapshot, UndoHistory
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import ImageId
from napari_lungcls.gui.label.layer_events import LayerEvents
from napari_lungcls.gui.points_layer import appended, set_scheme, to_points, with_pixels
from napari_lungcls.images.geometry import is_inside


class AnnotationLayer:
    """A points layer that is linked to its image, and what was done to it.

    Parameters
    ----------
    layer
        The points layer; it is given the scheme.
    scheme
        The classes; all of the layer's points must have one of them, or none.
    autosaves
        Folder of autosaved points; the user's by default.

    Attributes
    ----------
    file
        Where the points were last saved or opened, or None.
    unsaved
        Whether there is something that no points file holds.
    """

    changed = Signal()
    scheme_changed = Signal()
    problem = Signal(str)
    """One line that the user should see."""

    def __init__(self, layer: Points, scheme: ClassScheme, autosaves: Path | None = None) -> None:
        self.layer = layer
        self.file: Path | None = None
        self.unsaved = False
        set_scheme(layer, scheme)
        self._history = UndoHistory()
        self._events = LayerEvents(layer, scheme)
        self._events.edited.connect(self._on_edit)
        layer.events.mode.connect(self._on_mode)
        self._autosave = Autosave(autosaves)

    @property
    def image(self) -> ImageId:
        """The image that the points belong to."""
        known = layers.image_id_of(self.layer)
        assert known is not None
        return known

    @property
    def points(self) -> Snapshot:
        """What the layer holds."""
        return self._events.snapshot

    @property
    def scheme(self) -> ClassScheme:
        """The classes."""
        return self.points.scheme

    def next_class(self, name: str) -> None:
        """Choose the class of the points that will be placed."""
        self._events.next_class(name)

    def counts(self, rows: ArrayLike | None = None) -> Counter[str]:
        """Count the points of each class, of all rows or of some."""
        classes = self.points.classes
        chosen = classes if rows is None else classes[np.asarray(rows)]
        return Counter(name for name in chosen if name is not None)

    @property
    def undo_text(self) -> str:
        """What `undo` takes back, as `add 1 point`; empty when there is nothing."""
        return self._history.describe_undo(self.points)

    @property
    def redo_text(self) -> str:
        """What `redo` does again; empty when there is nothing."""
        return self._history.describe_redo(self.points)

    def undo(self) -> None:
        """Take back what was done last, to points or to classes."""
        self._go(self._history.undo(self.points))

    def redo(self) -> None:
        """Do again what was taken back."""
        self._go(self._history.redo(self.points))

    def add(self, coordinates: ArrayLike, names: Sequence[str], source: str) -> None:
        """Append points in one step.

        Parameters
        ----------
        coordinates
            `(n, ndim)` data pixels of the image.
        names
            `(n,)` classes.
        source
            Written into the column `source`.

        Raises
        ------
        InputError
            When a class is not in the scheme, or the axes do not fit.
        """
        for name in set(names):
            self.scheme.code(name)
        where = np.asarray(coordinates, np.float64)
        if where.shape != (len(names), self.points.ndim):
            raise InputError(
                f"positions of shape {where.shape} for {len(names)} classes; "
                f"give ({len(names)}, {self.points.ndim})"
            )
        layer, before = self.layer, self.points
        defaults = {name: values.iloc[0] for name, values in layer.feature_defaults.items()}
        features = appended(layer.features, defaults, names, source, self.scheme)
        self._do(Snapshot.build(np.vstack([before.coordinates, where]), features, self.scheme))

    def relabel(self, rows: Sequence[int], name: str) -> int:
        """Give some points another class, and tell how many did not have it already."""
        at, classes = np.asarray(rows, dtype=np.intp), self.points.classes
        others = int(np.count_nonzero(classes[at] != name))
        classes[at] = name
        self._do(self.points.with_classes(classes))
        return others

    def outside(self) -> NDArray[np.intp]:
        """Give the rows of points that lie outside the image."""
        size = self.image.shape
        if not size:
            return np.zeros(0, np.intp)
        return np.flatnonzero(~is_inside(self.points.coordinates, size).all(axis=1))

    def remove(self, rows: ArrayLike) -> None:
        """Delete some points in one step."""
        at, before = np.asarray(rows, dtype=np.intp), self.points
        kept = np.delete(np.arange(len(before)), at)
        self._do(Snapshot.build(before.coordinates[kept], before.features.iloc[kept], self.scheme))

    def set_scheme(self, scheme: ClassScheme, renamed: Mapping[str, str] | None = None) -> None:
        """Give the layer other classes, in one step.

        Parameters
        ----------
        scheme
            The classes.
        renamed
            New names by old ones; their points go with them.

        Raises
        ------
        InputError
            When points have a class that is not among them.
        """
        after = self.points.with_scheme(scheme, renamed)
        counts = Counter(name for name in after.classes if name is not None)
        for name in counts:
            if name not in scheme.names:
                raise InputError(
                    f"{_points(counts[name])} of class {shown(name)}, which the new classes do "
                    "not have; relabel or delete them first, or keep the class"
                )
        self._do(after)

    def save(self, path: Path) -> Path:
        """Write a points file in data pixels of the image; the autosave is removed.

        Raises
        ------
        InputError
            When there is no point or the file cannot be written.
        """
        if not len(self.points):
            raise InputError("there is no point to save; label some first")
        self.file = write_points(path, with_pixels(to_points(self.layer), self.image))
        self.unsaved = False
        self._autosave.remove()
        return self.file

    def autosave(self) -> None:
        """Keep all points safe as unsaved ones, from now on after every change.

        Raises
        ------
        InputError
            When they cannot be written; the next change tries again.
        """
        self.unsaved = True
        image, points = self.image, self.points
        header = AutosaveHeader(
            image=image.name,
            source=image.source,
            shape=image.shape,
            pixels=image.pixels,
            layer=self.layer.name,
            scheme=self.scheme,
        )
        name = self.layer.name
        self._autosave.write(
            header, points_of_features(points.coordinates, points.features, name, rename=True)
        )

    def close(self) -> None:
        """Let go of the layer; unsaved points stay in their file."""
        self._events.close()
        self.layer.events.mode.disconnect(self._on_mode)
        if self.unsaved and len(self.points):
            self._autosave.release()
        else:
            self._autosave.remove()

    def _on_edit(self, before: Snapshot) -> None:
        """Take in what napari or somebody else has done to the layer."""
        if outside := self._outside(before):
            self._events.put(before)
            self.problem.emit(
                f"{'that is' if outside == 1 else f'{outside} points would be'} outside the "
                f"image {self.image.name!r}, nothing was changed; click on the image"
            )
            return
        self._history.push(before)
        self._changed(before)

    def _outside(self, before: Snapshot) -> int:
        """Count the points outside the image that were not there before."""
        size = self.image.shape
        if not size:
            return 0
        now, then = (
            Counter(map(tuple, where[~is_inside(where, size).all(axis=1)].tolist()))
            for where in (self.points.coordinates, before.coordinates)
        )
        return (now - then).total()

    def _do(self, after: Snapshot) -> None:
        """Go to a new state in one step that can be undone."""
        before = self.points
        if not after.same(before):
            self._history.push(before)
            self._go(after)

    def _go(self, after: Snapshot | None) -> None:
        if after is None:
            return
        before = self.points
        self._events.put(after)
        self._changed(before)

    def _changed(self, before: Snapshot) -> None:
        # A scheme alone is nothing to save: no points file holds one.
        if self.unsaved or not self.points.same_points(before):
            try:
                self.autosave()
            except InputError as error:
                self.problem.emit(str(error))
        if self.scheme != before.scheme:
            self.scheme_changed.emit()
        self.changed.emit()

    def _on_mode(self, event: object = None) -> None:
        self.changed.emit()


def _points(count: int) -> str:
    return "there is 1 point" if count == 1 else f"there are {count} points"
