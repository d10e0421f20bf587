"""The list of image and points layers to train on."""

from typing import Any

import napari
from napari.layers import Image, Layer
from napari.layers import Points as PointsLayer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.gui.image_details import ImageDetails
from napari_lungcls.gui.layers import KEY, image_of
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.parts import SPACING, LayerBox, note
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train.gather import LayerPair, counted, warnings

LATER = 50
"""Milliseconds after a change of a layer until points are counted again, once for many."""


def is_labels(layer: Layer) -> bool:
    """Tell whether a points layer may hold labels: what the plugin made for more does not."""
    return bool(layer.metadata.get(KEY, {}).get("kind", "points") == "points")


class PairRow(QWidget):
    """One image with its points."""

    changed = Signal()
    remove_clicked = Signal(object)

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._watched: Any = None
        self.image = LayerBox(viewer, Image, empty="no image is open")
        self.points = LayerBox(viewer, PointsLayer, is_labels, empty="no points are open")
        self.image.setToolTip("The image that the points lie in.")
        self.points.setToolTip("The labelled points to train on.")
        self.image.setObjectName("pair_image")
        self.points.setObjectName("pair_points")
        self.details = ImageDetails(viewer, self.image)
        self.counts = note()
        self.counts.setObjectName("pair_counts")
        self.remove = QToolButton()
        self.remove.setText("×")
        self.remove.setToolTip("Train without this pair.")
        self.remove.setObjectName("remove_pair")
        self.remove.setAutoRaise(True)
        self.remove.clicked.connect(self._on_remove)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(LATER)
        self._later.timeout.connect(self.recount)
        self._lay_out()
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
        """Choose points, and the image they belong to."""
        if points is None:
            return
        if (image := image_of(self._viewer, points)) is not None:
            self.image.choose(image)
        self.points.choose(points)

    def recount(self) -> None:
        """Count the points by class and say so."""
        layer = self.points.layer
        self.counts.setText("" if layer is None else counted(layer))
        self.changed.emit()

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACING)
        grid.addWidget(QLabel("Image"), 0, 0)
        above = QHBoxLayout()
        above.addWidget(self.image)
        above.addWidget(self.remove)
        grid.addLayout(above, 0, 1)
        grid.addWidget(self.details, 1, 1)
        grid.addWidget(QLabel("Points"), 2, 0)
        grid.addWidget(self.points, 2, 1)
        grid.addWidget(self.counts, 3, 1)
        grid.setColumnStretch(1, 1)

    def _find_points(self, _: object = None) -> None:
        """Choose the points that belong to the image, when others are chosen."""
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
        if self._watched is not None:
            for source in _sources(self._watched):
                source.connect(self._on_points)
        self.recount()

    def stop_watching(self) -> None:
        """Forget the points layer."""
        if self._watched is not None:
            for source in _sources(self._watched):
                source.disconnect(self._on_points)
            self._watched = None

    def _on_remove(self, _: bool = False) -> None:
        self.remove_clicked.emit(self)

    def _on_points(self, _: object = None) -> None:
        self._later.start()


class PairList(QWidget):
    """One or several pairs; the first follows the label window."""

    changed = Signal()

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.rows: list[PairRow] = []
        self.add_button = QPushButton("Add a pair")
        self.add_button.setObjectName("add_pair")
        self.add_button.setToolTip("Train on the points of another image as well.")
        self.add_button.clicked.connect(self.add)
        self.message = note()
        self.message.setObjectName("pairs_message")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(SPACING)
        self._column.addWidget(self.message)
        self._column.addWidget(self.add_button)
        self.add()
        shared = session(viewer)
        listen(self, shared.target_changed, slot=self._follow)
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
        """Take a row away."""
        self.rows.remove(row)
        row.stop_watching()
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._on_change()

    def _choose_unused(self, row: PairRow) -> None:
        """Offer points that no other row has."""
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
        said = warnings(self.pairs)
        self.message.setText(said)
        self.message.setVisible(bool(said))
        self.changed.emit()


def _sources(layer: PointsLayer) -> tuple[Any, ...]:
    return layer.events.data, layer.events.features
