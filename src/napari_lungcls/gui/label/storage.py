"""Points from files and from journals, as layers that are labelled. No Qt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from napari.layers import Points as PointsLayer

from napari_lungcls.annotation.points import Points, read_points
from napari_lungcls.annotation.recovery import Unfinished, claimed, unfinished
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.label.sheet import JOURNAL

if TYPE_CHECKING:
    from napari_lungcls.gui.label.controller import Labeller


def open_points(labeller: "Labeller", path: Path) -> PointsLayer:
    """Open a points file as a new layer of the image.

    Raises
    ------
    InputError
        When the file is no points file, or its points have other axes than the image.
    """
    image, points = labeller.open_image, read_points(path)
    if points.ndim != image.ndim:
        raise InputError(
            f"{path}: points of {points.ndim} axes, but the image has {image.ndim}; choose "
            "the image that they belong to"
        )
    name = path.name.removesuffix(".csv").removesuffix(".lungcls")
    layer = _new_layer(labeller, image, points, labeller.scheme, name)
    assert labeller.sheet is not None
    labeller.sheet.file = path
    labeller.changed.emit()
    return layer


def waiting(folder: Path | None) -> list[Unfinished]:
    """List the journals that have something to restore, oldest first."""
    return [entry for entry in unfinished(folder) if len(entry.points) or entry.problem]


def restore(labeller: "Labeller", entry: Unfinished) -> PointsLayer:
    """Make a layer of the points of a journal; they are journalled anew at once.

    Raises
    ------
    InputError
        When the image is not open, or another window was faster.
    """
    header = entry.header
    with _taking(labeller, entry):
        image = _image_named(labeller, header.image, header.ndim)
        labeller.image = image
        layer = _new_layer(labeller, image, entry.points, header.scheme, header.layer or None)
        assert labeller.sheet is not None
        labeller.sheet.begin_journal()
    return layer


def discard(labeller: "Labeller", entry: Unfinished) -> None:
    """Remove a journal.

    Raises
    ------
    InputError
        When another window was faster.
    """
    with _taking(labeller, entry):
        pass


def take_up_again(labeller: "Labeller") -> None:
    """Go on with layers whose unsaved points a window left when only it was closed."""
    entries = {entry.path: entry for entry in unfinished(labeller.journals)}
    for layer in list(labeller.viewer.layers):
        noted = layer.metadata.get(layers.KEY, {}).get(JOURNAL)
        image = layers.image_of(labeller.viewer, layer)
        if not noted or image is None or Path(noted) not in entries:
            continue
        with claimed(entries[Path(noted)]):
            labeller.sheet_of(layer, image).begin_journal()


def labels_of(points: Points) -> list[str]:
    """Give the classes of the points that have one."""
    return [] if points.labels is None else [str(label) for label in points.labels if label]


def holding(scheme: ClassScheme, labels: Sequence[str]) -> ClassScheme:
    """Give the scheme if it has all these classes, else one that has."""
    return scheme if set(labels) <= set(scheme.names) else ClassScheme.for_labels(labels)


def _new_layer(
    labeller: "Labeller", image: Image, points: Points, scheme: ClassScheme, name: str | None
) -> PointsLayer:
    scheme = holding(scheme, labels_of(points))
    layer = layers.annotation_layer(labeller.viewer, image, scheme, name)
    layers.fill(layer, points, scheme)
    labeller.choose_layer(layer)
    return layer


@contextmanager
def _taking(labeller: "Labeller", entry: Unfinished) -> Iterator[None]:
    try:
        with claimed(entry):
            yield
    finally:
        labeller.look_for_unfinished()


def _image_named(labeller: "Labeller", name: str, ndim: int) -> Image:
    images = [layer for layer in labeller.viewer.layers if isinstance(layer, Image)]
    fitting = [image for image in images if image.name == name and image.ndim == ndim]
    if labeller.image is not None and labeller.image.ndim == ndim:
        fitting.append(labeller.image)
    if not fitting:
        raise InputError(f"open the image {name!r} first; its points can then be restored")
    return fitting[0]
