"""What an observer sees of a question: the image alone, centred, with a cross or a line."""

from typing import Any

import napari
import numpy as np
from napari.layers import Image, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtWidgets import QDockWidget

from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.image_layer import colours_of, companions
from napari_lungcls.gui.layers import KEY, place, to_world
from napari_lungcls.stereology.audit import AuditQuestion

FIELD = 400
"""Pixels of the image along the shorter side of the canvas, the same at every question."""

MARK = "test point"
"""Name of the layer with the cross or the line."""

GAP, ARM, TICK = 9.0, 26.0, 6.0
"""Of the cross: pixels of the screen from its middle to its arms and to their ends; and half the
length of the ticks at the ends of a line."""

THIN, HALO = 1.6, 4.0
"""Width in pixels of the screen of the white line and of the dark one around it."""

NAMING = ("layer list", "layer controls")
"""napari's docks that show names of images and maps; they are closed meanwhile."""

Floats = NDArray[np.float64]


class Stage:
    """Shows one question after another, and puts everything back in the end.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._viewer = viewer
        self._visible: dict[Layer, bool] = {}
        self._mark: Shapes | None = None
        self._shown: tuple[Image, AuditQuestion] | None = None
        camera, dims = viewer.scene.camera, viewer.dims
        self._view = dims.ndisplay, dims.order, dims.point, camera.center, camera.zoom
        self._active = viewer.layers.selection.active
        self._docks = [
            dock
            for dock in main_window(viewer).findChildren(QDockWidget)
            if dock.objectName() in NAMING and not dock.isHidden()
        ]
        for dock in self._docks:
            dock.hide()
        camera.events.zoom.connect(self._draw)
        # The canvas grows when the docks are gone, and with the window.
        viewer.canvas.events.size.connect(self._on_size)

    def show(self, image: Image, question: AuditQuestion) -> None:
        """Show the place of a question, and nothing but its image."""
        self._shown = image, question
        self._hide_all_but(image)
        self._go_to(image, question)
        self._draw()

    def end(self) -> None:
        """Put layers, view and docks back as they were."""
        viewer, camera, dims = self._viewer, self._viewer.scene.camera, self._viewer.dims
        camera.events.zoom.disconnect(self._draw)
        viewer.canvas.events.size.disconnect(self._on_size)
        self._shown = None
        if self._mark is not None and self._mark in viewer.layers:
            viewer.layers.remove(self._mark)
        for layer, visible in self._visible.items():
            if layer in viewer.layers:
                layer.visible = visible
        ndisplay, order, point, center, zoom = self._view
        dims.ndisplay = ndisplay
        if len(order) == dims.ndim:
            dims.order = order
            dims.set_point(range(dims.ndim), point)
        camera.center, camera.zoom = center, zoom
        if self._active in viewer.layers:
            viewer.layers.selection.active = self._active
        for dock in self._docks:
            dock.show()

    def _on_size(self, event: object = None) -> None:
        if self._shown is not None:
            self._go_to(*self._shown)

    def _hide_all_but(self, image: Image) -> None:
        viewer = self._viewer
        for layer in viewer.layers:
            if layer is not self._mark:
                self._visible.setdefault(layer, layer.visible)
        channels = {layer for layer in _channels(viewer, image) if self._visible[layer]}
        wanted = {image, *colours_of(image)} | channels
        for layer in viewer.layers:
            if layer is not self._mark and layer.visible != (layer in wanted):
                layer.visible = layer in wanted

    def _go_to(self, image: Image, question: AuditQuestion) -> None:
        viewer, dims, camera = self._viewer, self._viewer.dims, self._viewer.scene.camera
        if dims.ndisplay != 2:
            dims.ndisplay = 2
        if dims.order != tuple(range(dims.ndim)):
            dims.order = tuple(range(dims.ndim))
        world = np.asarray(image.data_to_world(question.position))
        first = dims.ndim - image.ndim
        if image.ndim > 2:
            dims.set_point(range(first, dims.ndim - 2), world[:-2].tolist())
        camera.center = (0.0, float(world[-2]), float(world[-1]))
        camera.zoom = min(viewer.canvas.size) / (FIELD * _edge(image))

    def _draw(self, event: object = None) -> None:
        """Draw the mark anew; its lines are as thin at every zoom."""
        if self._shown is None:
            return
        image, question = self._shown
        mark = self._mark_on(image)
        pixel = 1 / (self._viewer.scene.camera.zoom * _edge(image))
        if question.line is None:
            lines = _cross(question.position[-2:], pixel)
        else:
            lines = _segment(question.line, pixel)
        lead = question.position[:-2]
        full = [np.column_stack([np.tile(lead, (2, 1)), ends]) for ends in lines]
        count = len(full)
        mark.data = [(line, "line") for line in full * 2]
        mark.edge_width = [HALO * pixel] * count + [THIN * pixel] * count
        mark.edge_color = ["#000000"] * count + ["#ffffff"] * count
        # napari makes it editable again with every new slice.
        mark.editable = False
        mark.visible = True
        if self._viewer.layers.selection.active is not mark:
            self._viewer.layers.selection.active = mark

    def _mark_on(self, image: Image) -> Shapes:
        """Give the layer of the mark, on top and where the image is."""
        layers, mark = self._viewer.layers, self._mark
        if mark is None or mark not in layers or mark.ndim != image.ndim:
            if mark is not None and mark in layers:
                layers.remove(mark)
            mark = self._mark = Shapes(
                ndim=image.ndim, name=MARK, metadata={KEY: {"kind": "mark"}}, **_options(image)
            )
            layers.append(mark)
        elif not np.array_equal(to_world(mark), to_world(image)) or mark.units != image.units:
            for name, value in _options(image).items():
                setattr(mark, name, value)
        return mark


def _channels(viewer: "napari.Viewer", image: Image) -> list[Image]:
    """Give the other channels of an image: laid over it, where another section would hide it."""
    return [
        layer
        for layer in companions(viewer, image)
        if KEY not in layer.metadata
        and layer.source.path == image.source.path
        and str(layer.blending) == str(image.blending) == "additive"
    ]


def _options(image: Image) -> dict[str, Any]:
    """Give where an image is, in full: attributes of another layer may be left from before."""
    turned = {"rotate": image.rotate, "shear": image.shear, "affine": image.affine}
    return {**turned, **place(image)}


def _edge(image: Image) -> float:
    """Give the edge of a pixel in world units."""
    sides = to_world(image)[: image.ndim, image.ndim - 2 : image.ndim]
    return float(np.sqrt(np.prod(np.linalg.norm(sides, axis=0))))


def _cross(middle: Floats, pixel: float) -> list[Floats]:
    """Give four arms around a place, `(2, 2)` each, that leave the place itself free."""
    along = np.array([(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)])
    return [middle + np.array([[GAP], [ARM]]) * pixel * side for side in along]


def _segment(ends: Floats, pixel: float) -> list[Floats]:
    """Give a line and a tick across each of its ends."""
    along = (ends[1] - ends[0]) / max(float(np.linalg.norm(ends[1] - ends[0])), 1e-9)
    across = np.array([-along[1], along[0]]) * TICK * pixel
    return [np.asarray(ends), *(np.array([end - across, end + across]) for end in ends)]
