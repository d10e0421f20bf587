"""One annotation layer under the eyes of this plugin: its edits, their undo and their journal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import ArrayLike
from psygnal import Signal

from napari_lungcls.annotation.columns import CLASS_COLUMN, SOURCE_COLUMN
from napari_lungcls.annotation.edits import Edit, History, Step, diff
from napari_lungcls.annotation.points import write_points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Cells, Snapshot, as_cells
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import ImageId
from napari_lungcls.gui.label.keeper import Keeper
from napari_lungcls.gui.label.watch import Watch
from napari_lungcls.images.geometry import is_inside


class Sheet:
    """A points layer that is linked to its image, and what was done to it.

    Parameters
    ----------
    layer
        The points layer; it is given the scheme.
    scheme
        The classes; all of the layer's points must have one of them, or none.
    journals
        Folder of the journals; the user's by default.
    """

    changed = Signal()
    scheme_changed = Signal()
    problem = Signal(str)

    def __init__(self, layer: Points, scheme: ClassScheme, journals: Path | None = None) -> None:
        self.layer, self.scheme = layer, scheme
        self.file: Path | None = None
        layers.set_scheme(layer, scheme)
        self.history: History[Step] = History()
        self._watch = Watch(layer)
        self._watch.edited.connect(self._on_edit)
        layer.events.mode.connect(self._on_mode)
        self._keeper = Keeper(self._describe, self._report, journals)

    @property
    def image(self) -> ImageId:
        """The image that the points belong to."""
        known = layers.image_id_of(self.layer)
        assert known is not None
        return known

    @property
    def points(self) -> Snapshot:
        """What the layer holds."""
        return self._watch.snapshot

    @property
    def unsaved(self) -> bool:
        """Whether there is something that no file holds."""
        return self._keeper.unsaved

    def next_class(self, name: str) -> None:
        """Choose the class of the points that will be placed."""
        self._watch.next_class(name)

    def counts(self, rows: ArrayLike | None = None) -> Counter[str]:
        """Count the points of each class, of all rows or of some."""
        classes = self.points.classes
        chosen = classes if rows is None else classes[np.asarray(rows)]
        return Counter(name for name in chosen if name is not None)

    def undo(self) -> None:
        """Take back what was done last, to points or to classes."""
        self._walk(self.history.undo())

    def redo(self) -> None:
        """Do again what was taken back."""
        self._walk(self.history.redo())

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
        before = self.points
        fresh = {CLASS_COLUMN: as_cells(names), SOURCE_COLUMN: as_cells([source] * len(names))}
        columns: dict[str, Cells] = {}
        for name in dict.fromkeys((*before.columns, *fresh)):
            more = fresh.get(name, np.full(len(names), None, dtype=object))
            columns[name] = np.concatenate([before.column(name), more])
        self._make(Snapshot.build(np.vstack([before.coordinates, where]), columns))

    def relabel(self, rows: Sequence[int], name: str) -> int:
        """Give some points another class, and tell how many had not got it already."""
        at = np.asarray(rows, dtype=np.intp)
        cells = self.points.classes.copy()
        others = int(np.count_nonzero(cells[at] != name))
        cells[at] = name
        self._make(self.points.with_column(CLASS_COLUMN, cells))
        return others

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
        after = self.points.renamed(renamed or {})
        counts = Counter(name for name in after.classes if name is not None)
        for name in counts:
            if name not in scheme.names:
                raise InputError(
                    f"{_points(counts[name])} of class {shown(name)}, which the new classes do "
                    "not have; relabel or delete them first, or keep the class"
                )
        if scheme != self.scheme or not after.same(self.points):
            step = Step(diff(self.points, after), (self.scheme, scheme))
            self.history.push(step)
            self._walk(step)

    def save(self, path: Path) -> Path:
        """Write a points file in data pixels of the image; the journal is done with.

        Raises
        ------
        InputError
            When there is no point or the file cannot be written.
        """
        if not len(self.points):
            raise InputError("there is no point to save; label some first")
        self.file = write_points(path, layers.core_points(self.layer))
        self._keeper.saved()
        return self.file

    def begin_journal(self) -> None:
        """Keep all points as unsaved ones from now on.

        Raises
        ------
        InputError
            When the journal cannot be written.
        """
        self._keeper.begin(self.points)

    def close(self) -> None:
        """Let go of the layer; unsaved points stay in their journal."""
        self._watch.close()
        self.layer.events.mode.disconnect(self._on_mode)
        self._keeper.close(keep=self.unsaved and len(self.points) > 0)

    def _on_edit(self, edit: Edit, before: Snapshot) -> None:
        """Take in what napari or somebody else has done to the layer."""
        if outside := self._outside(edit):
            self._watch.put(before, self.scheme)
            self._report(
                f"{'that is' if outside == 1 else f'{outside} points would be'} outside the "
                f"image {self.image.name!r}; nothing was changed, click on the image"
            )
            return
        self._done(Step(edit), before)

    def _outside(self, edit: Edit) -> int:
        """Count the points that an edit puts outside the image."""
        size = self.image.shape
        if not size:
            return 0
        put = np.vstack([edit.new.coordinates.reshape(-1, len(size)), edit.end])
        return int(np.count_nonzero(~is_inside(put, size).all(axis=1)))

    def _make(self, after: Snapshot) -> None:
        before = self.points
        edit = diff(before, after)
        if edit:
            self._watch.put(after, self.scheme)
            self._done(Step(edit), before)

    def _done(self, step: Step, before: Snapshot) -> None:
        self.history.push(step)
        self._keep(step, before)

    def _walk(self, step: Step | None) -> None:
        if step is None:
            return
        before = self.points
        after, scheme = step.edit.apply(before), (step.schemes or (None, self.scheme))[1]
        self._watch.put(after, scheme)
        if step.schemes is not None:
            with self._watch.unseen():
                layers.set_scheme(self.layer, scheme)
        self._keep(step, before)

    def _keep(self, step: Step, before: Snapshot) -> None:
        scheme = None if step.schemes is None else step.schemes[1]
        self._keeper.edit(step.edit, before, scheme)
        if scheme is not None:
            self.scheme = scheme
            self.scheme_changed.emit()
        self.changed.emit()

    def _on_mode(self, event: Any = None) -> None:
        self.changed.emit()

    def _report(self, line: str) -> None:
        self.problem.emit(line)

    def _describe(self) -> dict[str, Any]:
        image = self.image
        return {
            "image": image.name,
            "source": image.source,
            "shape": image.shape,
            "layer": self.layer.name,
            "scheme": self.scheme,
        }


def _points(count: int) -> str:
    return "there is 1 point" if count == 1 else f"there are {count} points"
