"""What the menus of napari open: the window at one of its steps."""

import napari

from napari_lungcls.gui.classifier.steps import DockStep
from napari_lungcls.gui.docks import open_step
from napari_lungcls.gui.label.controller import labeller_of


def open_label(viewer: napari.Viewer) -> None:
    """Open the window where points are labelled."""
    open_step(viewer, DockStep.LABEL.value)


def open_train(viewer: napari.Viewer) -> None:
    """Open the window where a network is trained."""
    open_step(viewer, DockStep.TRAIN.value)


def open_paint(viewer: napari.Viewer) -> None:
    """Open the window where maps are painted."""
    open_step(viewer, DockStep.PAINT.value)


def open_measure(viewer: napari.Viewer) -> None:
    """Open the window where maps are measured."""
    open_step(viewer, DockStep.MEASURE.value)


def new_points(viewer: napari.Viewer) -> None:
    """Make an empty layer of points for the image, and open the window where they are labelled."""
    open_step(viewer, DockStep.LABEL.value)
    labeller = labeller_of(viewer)
    if labeller.image is not None:
        labeller.new_points()
