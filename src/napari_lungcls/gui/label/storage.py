"""Points from files and from journals, as layers that are labelled. No Qt."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Layer
from napari.layers import Points as PointsLayer

from napari_lungcls.annotation import recovery
from napari_lungcls.annotation.columns import IMAGE_COLUMN
from napari_lungcls.annotation.points import Points, read_points
from napari_lungcls.annotation.recovery import Unfinished
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import ImageId, find, identify, image_shape
from napari_lungcls.gui.reading.points import belonging, layer_name, points_layer
from napari_lungcls.images.geometry import is_inside

if TYPE_CHECKING:
    from napari_lungcls.gui.label.controller import Labeller


def open_points(labeller: "Labeller", path: Path) -> PointsLayer:
    """Open a points file as a new layer of the image.

    Where the file itself names another image, the points go there, or wait for it.

    Raises
    ------
    InputError
        When the file is no points file, or its points have other axes than the image.
    """
    image, points = labeller.open_image, read_points(path)
    known, images = belonging(points, str(path)), layers.pictures(labeller.viewer)
    if not known.called:
        known = identify(image, images)
    image = find(known, images) or image
    if points.ndim != image.ndim:
        raise InputError(
            f"{path}: points of {points.ndim} axes, but the image has {image.ndim}; choose "
            "the image that they belong to"
        )
    layer = _add(labeller, points, known, labeller.scheme, layer_name(str(path)))
    if labeller.layer is layer:
        assert labeller.sheet is not None
        labeller.sheet.file = path
        labeller.changed.emit()
    return layer


def attach(labeller: "Labeller", layer: PointsLayer, image: Image) -> None:
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
    layers.link(labeller.viewer, layer, image)
    labeller.choose_layer(layer)
    sheet = labeller.sheet_of(layer)
    if sheet.unsaved:
        # The older journal names another image.
        sheet.begin_journal()
    inside = np.all(is_inside(layer.data, image_shape(image)), axis=1)
    if outside := int(np.count_nonzero(~inside)):
        labeller.problem.emit(
            f"{outside} of {len(layer.data)} points lie outside the image {image.name!r}; if it "
            "is not theirs, remove the layer and open the points again"
        )


def waiting(folder: Path | None) -> list[Unfinished]:
    """List the journals that have something to restore, oldest first."""
    recovery.delete_discarded(folder)
    return [entry for entry in recovery.unfinished(folder) if len(entry.points) or entry.problem]


def restore(labeller: "Labeller", entry: Unfinished) -> PointsLayer:
    """Make a layer of the points of a journal; they are journalled anew at once.

    If their image is not open, or it cannot be told whether it is, they wait for it.

    Raises
    ------
    InputError
        When another window was faster.
    """
    header = entry.header
    known = ImageId(header.image, header.source, header.shape)
    try:
        with recovery.claimed(entry):
            layer = _add(
                labeller, entry.points, known, header.scheme, header.layer or "restored points"
            )
            labeller.sheet_of(layer).begin_journal()
    finally:
        labeller.look_for_unfinished()
    return layer


def discard(labeller: "Labeller", entry: Unfinished) -> None:
    """Put a journal aside, from where it can be taken back.

    Raises
    ------
    InputError
        When another window was faster.
    """
    try:
        labeller.discarded[recovery.discard(entry)] = entry
    finally:
        labeller.look_for_unfinished()


def take_back(labeller: "Labeller", aside: Path) -> None:
    """Offer a journal again that was put aside.

    Raises
    ------
    InputError
        When it is gone.
    """
    labeller.discarded.pop(aside, None)
    try:
        recovery.take_back(aside)
    finally:
        labeller.look_for_unfinished()


def labels_of(points: Points) -> list[str]:
    """Give the classes of the points that have one."""
    return [] if points.labels is None else [str(label) for label in points.labels if label]


def holding(scheme: ClassScheme, labels: Sequence[str]) -> ClassScheme:
    """Give the scheme if it has all these classes, else one that has."""
    return scheme if set(labels) <= set(scheme.names) else ClassScheme.for_labels(labels)


def _add(
    labeller: "Labeller", points: Points, known: ImageId, scheme: ClassScheme, name: str
) -> PointsLayer:
    """Add points as a layer, and label in it if their image is open."""
    viewer = labeller.viewer
    images = [image for image in layers.pictures(viewer) if image.ndim == points.ndim]
    scheme = holding(scheme, labels_of(points))
    data = points_layer(points, name, scheme, known, images)
    layer = viewer.add_layer(Layer.create(*data))
    assert isinstance(layer, PointsLayer)
    if layers.waits(viewer, layer):
        labeller.changed.emit()
    else:
        labeller.choose_layer(layer)
    return layer
