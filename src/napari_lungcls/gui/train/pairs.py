"""The images and points to train on: the list in the window, and what is taken from the layers."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image
from napari.layers import Points as PointsLayer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QToolButton, QWidget

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_details import ImageDetails
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.image_layer import refusal, stack_of
from napari_lungcls.gui.layers import image_of, is_labels, mismatch, scheme_of
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.parts import (
    SPACING,
    LayerBox,
    beside,
    button,
    column,
    labelled,
    note,
    show_text,
)
from napari_lungcls.gui.points_layer import to_points
from napari_lungcls.gui.session import session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.images.geometry import is_inside
from napari_lungcls.images.pixel_size import common_pixel_size, size_remark
from napari_lungcls.utils.humanize import count

if TYPE_CHECKING:
    from napari_lungcls.images.stack import ImageStack

FEW = 10
"""Points of a class below which the window warns."""

DELAY = 50
"""Milliseconds after a change until points are counted again, once for many changes."""

LayerPair = tuple[Image | None, PointsLayer | None]


def gather(pairs: Sequence[LayerPair]) -> "tuple[list[tuple[ImageStack, Points]], ClassScheme]":
    """Give the images with copies of their labelled points, and the class scheme.

    Must be called in the window's thread. Later annotation does not change the result.

    Raises
    ------
    InputError
        If something is missing; see `obstacle`.
    """
    if found := obstacle(pairs):
        raise InputError(found)
    taken = []
    for image, layer in pairs:
        points = to_points(layer, image)
        labels = points.labels
        assert labels is not None
        taken.append((stack_of(image), points.select(labels != "")))
    scheme = scheme_of(pairs[0][1])
    assert scheme is not None
    return taken, scheme


def obstacle(pairs: Sequence[LayerPair]) -> str:
    """Say in one line why these pairs cannot be trained on; empty if they can."""
    first: tuple[str, ClassScheme] | None = None
    for image, layer in pairs:
        if image is None:
            return "Open an image first."
        if problem := refusal(image):
            return problem
        if layer is None:
            return "Label some points first, or open a points file."
        scheme = scheme_of(layer)
        if scheme is None:
            return f"Layer {layer.name!r} has no classes; label its points first."
        if not count_classes(layer).total():
            return f"Layer {layer.name!r} has no labelled points; label some first."
        if image.ndim != layer.ndim:
            return (
                f"Layer {layer.name!r} has {layer.ndim} axes but image {image.name!r} has "
                f"{image.ndim}; choose layers that belong together."
            )
        if problem := mismatch(layer, image):
            return f"{problem[:1].upper()}{problem[1:]}."
        inside = is_inside(to_points(layer, image).coordinates, image_shape(image)).all(axis=1)
        if outside := int(np.count_nonzero(~inside)):
            lie = "lies" if outside == 1 else "lie"
            return f"{count(outside, 'point')} {lie} outside the image; leave out under Label."
        if first is not None and not scheme.same_classes(first[1]):
            return (
                f"Layer {first[0]!r} has the classes {', '.join(first[1].names)}, but layer "
                f"{layer.name!r} has {', '.join(scheme.names)}; give both the same classes."
            )
        first = first or (layer.name, scheme)
    if first is None:
        return "Add an image and its points."
    none = [name for name, n in _totals(pairs).items() if n == 0]
    if none:
        return f"No point is labelled {' or '.join(none)}; label some, or remove the class."
    return ""


def count_classes(layer: PointsLayer) -> Counter[str]:
    """Count the labelled points of a layer by class, in the order of its scheme."""
    scheme = scheme_of(layer)
    if scheme is None or CLASS_COLUMN not in layer.features:
        return Counter()
    found = layer.features[CLASS_COLUMN].value_counts()
    return Counter({name: int(found.get(name, 0)) for name in scheme.names})


def counted(layer: PointsLayer) -> str:
    """Format the number of points by class: `300 alveoli, 300 septa, 12 duct`."""
    counts = count_classes(layer)
    said = ", ".join(f"{n} {name}" for name, n in counts.items()) or "no classes"
    bare = len(layer.data) - counts.total()
    if counts and bare > 0:
        said += f"; {count(bare, 'unlabelled point')} not used"
    return said


def warnings(pairs: Sequence[LayerPair]) -> str:
    """Say which classes have no or too few points in all pairs together."""
    totals = _totals(pairs)
    if not totals.total():
        return ""
    none = [name for name, n in totals.items() if n == 0]
    few = [name for name, n in totals.items() if 0 < n < FEW]
    said = []
    if none:
        said.append(f"No point is labelled {' or '.join(none)}.")
    if few:
        listed = ", ".join(f"{totals[name]} {name}" for name in few)
        said.append(f"Only {listed}: a class needs at least {FEW} points to be learned.")
    return " ".join(said)


def remarks(pairs: Sequence[LayerPair]) -> list[str]:
    """Say which images are resampled, or have no known pixel size."""
    try:
        stacks = [stack_of(image) for image, _ in pairs if image is not None]
    except InputError:
        return []
    size = common_pixel_size(stacks)
    return [in_window(line) for stack in stacks if (line := size_remark(size, stack))]


def _totals(pairs: Sequence[LayerPair]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for layer in {id(layer): layer for _, layer in pairs if layer is not None}.values():
        for name, n in count_classes(layer).items():
            totals[name] += n
    return totals


class PairRow(QWidget):
    """One image with its points."""

    changed = Signal()
    remove_clicked = Signal(object)

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._watched: PointsLayer | None = None
        self.image = LayerBox(viewer, Image, empty="no image is open")
        self.points = LayerBox(viewer, PointsLayer, is_labels, empty="no points are open")
        self.details = ImageDetails(viewer, self.image)
        self.counts = note(name="pair_counts")
        self.remove = QToolButton()
        self.remove.setText("×")
        self.remove.setAutoRaise(True)
        for widget, name, tip in (
            (self.image, "pair_image", "The image the points were set on"),
            (self.points, "pair_points", "The labelled points to train on"),
            (self.remove, "remove_pair", "Do not train on this image"),
        ):
            widget.setObjectName(name)
            widget.setToolTip(tip)
        self._later = QTimer(self, singleShot=True, interval=DELAY)
        self._later.timeout.connect(self.recount)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACING)
        grid.setColumnStretch(1, 1)
        grid.addWidget(labelled("Image", self.image), 0, 0)
        grid.addWidget(labelled("Points", self.points), 2, 0)
        right = (beside(self.image, self.remove), self.details, self.points, self.counts)
        for i, widget in enumerate(right):
            grid.addWidget(widget, i, 1)
        self.remove.clicked.connect(self._on_remove)
        self.image.layer_changed.connect(self._find_points)
        self.details.changed.connect(self.changed)
        self.points.layer_changed.connect(self._watch)
        at_end(self, self.stop_watching)
        self._find_points()
        self._watch()

    @property
    def pair(self) -> LayerPair:
        """The chosen layers."""
        return self.image.layer, self.points.layer

    def choose(self, points: PointsLayer | None) -> None:
        """Choose points and the image they belong to."""
        if points is None:
            return
        if (image := image_of(self._viewer, points)) is not None:
            self.image.choose(image)
        self.points.choose(points)

    def recount(self) -> None:
        """Count the points by class and show the numbers."""
        layer = self.points.layer
        self.counts.setText("" if layer is None else counted(layer))
        self.changed.emit()

    def _find_points(self, _: object = None) -> None:
        """Choose the points that belong to the image, unless they are chosen already."""
        image, points = self.pair
        if image is not None and (points is None or image_of(self._viewer, points) is not image):
            layers = [layer for layer in self._viewer.layers if isinstance(layer, PointsLayer)]
            own = [layer for layer in layers if image_of(self._viewer, layer) is image]
            if own:
                self.points.choose(own[-1])
        self.changed.emit()

    def _watch(self, _: object = None) -> None:
        """Count again whenever the points change."""
        self.stop_watching()
        self._watched = self.points.layer
        for source in _sources(self._watched):
            source.connect(self._on_points)
        self.recount()

    def stop_watching(self) -> None:
        """Disconnect from the points layer."""
        for source in _sources(self._watched):
            source.disconnect(self._on_points)
        self._watched = None

    def _on_remove(self, _: bool = False) -> None:
        self.remove_clicked.emit(self)

    def _on_points(self, _: object = None) -> None:
        self._later.start()


class PairList(QWidget):
    """One or more pairs; the first follows the annotation layer."""

    changed = Signal()

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.quiet = False  # Where the window around it says what is missing.
        self.rows: list[PairRow] = []
        self.add_button = button(
            "Add image", "add_pair", "Train on the points of another image as well."
        )
        self.add_button.clicked.connect(self.add)
        self.message = note(name="pairs_message")
        self._column = column(self)
        self._column.addWidget(self.message)
        self._column.addWidget(self.add_button)
        self.add()
        listen(self, session(viewer).target_changed, slot=self._follow)
        self._follow()

    @property
    def pairs(self) -> list[LayerPair]:
        """The chosen layers."""
        return [row.pair for row in self.rows]

    def add(self, _: bool = False) -> PairRow:
        """Add a row."""
        row = PairRow(self._viewer)
        row.changed.connect(self._on_change)
        row.remove_clicked.connect(self.remove)
        self.rows.append(row)
        self._column.insertWidget(len(self.rows) - 1, row)
        self._choose_unused(row)
        self._on_change()
        return row

    def remove(self, row: PairRow) -> None:
        """Remove a row."""
        self.rows.remove(row)
        row.stop_watching()
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._on_change()

    def _choose_unused(self, row: PairRow) -> None:
        """Choose points that no other row has."""
        used = [other.points.layer for other in self.rows if other is not row]
        layers = [layer for layer in self._viewer.layers if isinstance(layer, PointsLayer)]
        fresh = [layer for layer in layers if is_labels(layer) and layer not in used]
        if used and fresh:
            row.choose(fresh[0])

    def _follow(self) -> None:
        target = session(self._viewer).target
        if target is not None and self.rows:
            self.rows[0].choose(target)

    def _on_change(self) -> None:
        for row in self.rows:
            row.remove.setVisible(len(self.rows) > 1)
        show_text(self.message, "" if self.quiet else warnings(self.pairs))
        self.changed.emit()


def _sources(layer: PointsLayer | None) -> tuple[Any, ...]:
    return () if layer is None else (layer.events.data, layer.events.features)
