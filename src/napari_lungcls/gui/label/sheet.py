"""One annotation layer under the eyes of this plugin: its edits, their undo and their journal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Points
from numpy.typing import ArrayLike, NDArray
from psygnal import Signal

from napari_lungcls.annotation.edits import Edit, History, diff
from napari_lungcls.annotation.points import CLASS_COLUMN, write_points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Cells, Snapshot, as_cells
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.label.keeper import Keeper
from napari_lungcls.gui.label.watch import SOURCE_COLUMN, Watch

JOURNAL = "journal"
"""In the layer's metadata: the journal of its unsaved points."""


class Sheet:
    """A points layer, its image, and what was done to it.

    Parameters
    ----------
    layer
        The points layer; it is given the scheme.
    image
        The image that is labelled.
    scheme
        The classes; all of the layer's points must have one of them, or none.
    journals
        Folder of the journals; the user's by default.
    """

    changed = Signal()
    problem = Signal(str)

    def __init__(
        self, layer: Points, image: Image, scheme: ClassScheme, journals: Path | None = None
    ) -> None:
        self.layer, self.image, self.scheme = layer, image, scheme
        self.file: Path | None = None
        layers.set_scheme(layer, scheme)
        self._about()["image"] = image.name
        self.history = History()
        self._watch = Watch(layer)
        self._watch.edited.connect(self._on_edit)
        self._keeper = Keeper(self._describe, self._report, journals)
        self._moves = [
            emitter
            for each in (layer.events, image.events)
            for emitter in (each.scale, each.translate, each.rotate, each.shear, each.affine)
        ]
        for emitter in self._moves:
            emitter.connect(self._on_place)

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
        """Take the last edit back.

        Raises
        ------
        InputError
            When it would bring back points of a class that there is no more.
        """
        self._walk(self.history.undo(), self.history.redo)

    def redo(self) -> None:
        """Make the edit again that was taken back; raises as `undo`."""
        self._walk(self.history.redo(), self.history.undo)

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
        where = layers.to_layer(coordinates, self.image, self.layer)
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

    def relabel(self, rows: Sequence[int], name: str) -> None:
        """Give some points another class; those that have it already stay as they are."""
        cells = self.points.classes.copy()
        cells[np.asarray(rows, dtype=np.intp)] = name
        self._make(self.points.with_column(CLASS_COLUMN, cells))

    def set_scheme(self, scheme: ClassScheme, renamed: Mapping[str, str] | None = None) -> None:
        """Give the layer other classes.

        Parameters
        ----------
        scheme
            The classes.
        renamed
            New names by old ones; their points go with them, those in `undo` too.

        Raises
        ------
        InputError
            When points have a class that is not among them.
        """
        names = {old: new for old, new in (renamed or {}).items() if old != new}
        before = self.points
        after = before.renamed(names)
        counts = Counter(name for name in after.classes if name is not None)
        for name in counts:
            if name not in scheme.names:
                raise InputError(
                    f"{_points(counts[name])} of class {shown(name)}, which the new classes do "
                    "not have; relabel or delete them first, or keep the class"
                )
        self.history.rename(names)
        with self._watch.unseen():
            self._watch.put(after, scheme)
            layers.set_scheme(self.layer, scheme)
        self._keeper.scheme(scheme, names, before)
        self.scheme = scheme
        self._note_journal()

    def save(self, path: Path) -> Path:
        """Write a points file in data pixels of the image; the journal is done with.

        Raises
        ------
        InputError
            When there is no point or the file cannot be written.
        """
        if not len(self.points):
            raise InputError("there is no point to save; label some first")
        self.file = write_points(path, layers.core_points(self.layer, self.image))
        self._keeper.saved()
        self._note_journal()
        return self.file

    def begin_journal(self) -> None:
        """Keep all points as unsaved ones from now on.

        Raises
        ------
        InputError
            When the journal cannot be written.
        """
        self._keeper.begin(self.points)
        self._note_journal()

    def close(self) -> None:
        """Let go of the layer; unsaved points stay in their journal."""
        self._watch.close()
        for emitter in self._moves:
            emitter.disconnect(self._on_place)
        self._keeper.close(keep=self.unsaved and len(self.points) > 0)

    def _on_edit(self, edit: Edit, before: Snapshot) -> None:
        self.history.push(edit)
        self._keep(edit, before)

    def _make(self, after: Snapshot) -> None:
        before = self.points
        edit = diff(before, after)
        if edit:
            self._watch.put(after, self.scheme)
            self._on_edit(edit, before)

    def _walk(self, edit: Edit | None, back: Any) -> None:
        if edit is None:
            return
        before = self.points
        after = edit.apply(before)
        lost = {name for name in after.classes if name is not None} - set(self.scheme.names)
        if lost:
            back()
            raise InputError(
                f"this would bring back points of class {shown(min(lost))}, which was removed; "
                "add the class again first"
            )
        self._watch.put(after, self.scheme)
        self._keep(edit, before)

    def _keep(self, edit: Edit, before: Snapshot) -> None:
        self._keeper.edit(edit, before)
        self._note_journal()
        self.changed.emit()

    def _report(self, line: str) -> None:
        self.problem.emit(line)

    def _about(self) -> dict[str, Any]:
        found: dict[str, Any] = self.layer.metadata.setdefault(layers.KEY, {"kind": "points"})
        return found

    def _note_journal(self) -> None:
        path = self._keeper.path
        self._about()[JOURNAL] = None if path is None else str(path)

    def _describe(self) -> dict[str, Any]:
        return {
            "image": self.image.name,
            "source": self.image.source.path or "",
            "layer": self.layer.name,
            "scheme": self.scheme,
            "to_image": self._to_image(),
        }

    def _to_image(self) -> NDArray[np.float64]:
        n = self.layer.ndim
        corners = np.vstack([np.zeros(n), np.eye(n)])
        # The same function leads from any layer to any other.
        moved = layers.to_layer(corners, self.layer, self.image)
        matrix = np.eye(n + 1)
        matrix[:n, n] = moved[0]
        matrix[:n, :n] = (moved[1:] - moved[0]).T
        return matrix

    def _on_place(self, event: Any) -> None:
        self._keeper.place(self._to_image())


def _points(count: int) -> str:
    return "there is 1 point" if count == 1 else f"there are {count} points"
