"""Tables of points from what other programs keep, and back, with a word on what is lost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN, IMAGE_COLUMN, INDEX_COLUMN, axis_names
from napari_lungcls.annotation.formats import imagej
from napari_lungcls.annotation.formats.catalogue import PointsFormat
from napari_lungcls.annotation.formats.marks import Classes, Context, KnownImage, Marks, leading
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.utils.corners import from_centre, from_corner, nearest
from napari_lungcls.utils.names import comparable
from napari_lungcls.utils.printable import printable


class NamedImage(NamedTuple):
    """An image of which only this much is known; see `KnownImage`."""

    shape: tuple[int, ...]
    source: str


def read_marks(
    data: bytes, form: PointsFormat, source: str, classes: Classes | None, image: KnownImage | None
) -> Points:
    """Read points of another program; see `read_points`."""
    marks = form.parse(data, Context(source, classes, image))
    if not len(marks):
        raise InputError(f"{source} holds no points; label some and save again")
    positions = np.array(marks.positions, np.float64)
    if form.corner:
        positions = from_centre(positions)
    coordinates = np.column_stack([leading(marks.planes, image), positions])
    table = pd.DataFrame(marks.filled(), index=pd.RangeIndex(len(marks)), dtype=object)
    table.insert(0, INDEX_COLUMN, pd.Series(map(str, range(len(marks))), dtype=object))
    labels = np.array(marks.labels, object) if any(map(comparable, marks.labels)) else None
    return Points(coordinates, labels, table, source)


def write_marks(
    points: Points,
    form: PointsFormat,
    target: Path,
    classes: Classes | None,
    image: KnownImage | None,
) -> bytes:
    """Make the file of another program, and warn of what is lost; see `write_points`."""
    if not len(points):
        raise InputError(f"{points.source} has no points to write; label some")
    scheme = _scheme(points, classes)
    image = _image(points, image)
    lost: list[str] = []
    marks = Marks(
        _positions(points, form, lost),
        _planes(points, form, image),
        _labels(points, scheme),
        _columns(points, form, lost),
    )
    data = form.dump(marks, scheme, Context(str(target), classes, image))
    if form.told is not None and (said := form.told(marks, scheme)):
        lost.append(said)
    if lost:
        warnings.warn(
            f"{printable(target)}: {form.label} does not keep {', nor '.join(lost)}; keep the "
            "points as CSV too",
            LungclsWarning,
            stacklevel=3,
        )
    if form.name == "cell-counter" and image is None:
        problem = f"{printable(target)}: names no image, and Fiji loads markers onto the one named"
        warnings.warn(LungclsWarning(problem, suggestion={"image": ...}), stacklevel=3)
    return data


def _scheme(points: Points, classes: Classes | None) -> ClassScheme:
    labels = [] if points.labels is None else [each for each in points.labels if comparable(each)]
    if classes is None:
        return ClassScheme.for_labels(labels)
    if isinstance(classes, Mapping):
        return ClassScheme.of_names(dict.fromkeys(name for _, name in sorted(classes.items())))
    return ClassScheme.parse(classes)


def _labels(points: Points, scheme: ClassScheme) -> list[str]:
    """Give the classes as the scheme spells them, and nothing for none."""
    if points.labels is None:
        return [""] * len(points)
    has = np.array([bool(comparable(label)) for label in points.labels], bool)
    found = np.full(len(points), "", object)
    codes = points.select(has).codes(scheme)
    found[has] = np.array(scheme.names, object)[codes]
    return list(found)


def _image(points: Points, image: KnownImage | None) -> KnownImage | None:
    """Give the image of the points, as far as it is known.

    Raises
    ------
    InputError
        When they lie in several.
    """
    named = points.column(IMAGE_COLUMN)
    names = {} if named is None else {comparable(name): name for name in named if comparable(name)}
    if len(names) > 1:
        raise InputError(
            f"{points.source}: has points of {len(names)} images, and files of other programs are "
            "of one image",
            suggestion=({"image": ...}, "to take the points of one"),
        )
    if image is None and names and points.ndim < 4:
        (name,) = names.values()
        return NamedImage((0,) * points.ndim, str(name).replace("\\", "/"))
    return image


def _positions(points: Points, form: PointsFormat, lost: list[str]) -> list[tuple[float, float]]:
    where: NDArray[np.float64] = points.coordinates[:, -2:]
    if form.whole:
        rounded = nearest(where)
        if count := int((rounded != where).any(axis=1).sum()):
            rounded_points = "1 point was" if count == 1 else f"{count} points were"
            lost.append(f"fractions of pixels ({rounded_points} rounded)")
        where = rounded
    elif form.name == "imagej" and not imagej.in_single_precision(where):
        lost.append("digits beyond single precision")
    if form.corner:
        where = from_corner(where)
    return [(y, x) for y, x in where.tolist()]


def _planes(points: Points, form: PointsFormat, image: KnownImage | None) -> list[tuple[int, ...]]:
    """Give the plane of each point as the format wants it.

    Raises
    ------
    InputError
        When the format has no place for the axes of the points.
    """
    found = np.maximum(nearest(points.coordinates[:, :-2]), 0).astype(np.int64)
    n, axes = found.shape
    if form.planes == "none":
        if len(np.unique(found, axis=0)) > 1:
            raise InputError(
                f"{points.source}: has points in several planes, and {form.label} has one; write "
                "the points of one plane, or choose the format of another program"
            )
        return [()] * n
    if form.planes == "slice" and axes > 1:
        if image is None or len(image.shape) != axes + 2:
            raise InputError(
                f"{points.source}: {form.label} counts slices through all of {axes} axes",
                suggestion=({"image": ...}, "to say how many planes each has"),
            )
        shape = tuple(image.shape[:-2])
        if (found >= shape).any():
            raise InputError(f"{points.source}: a point lies beyond the planes of {image.source}")
        flat = np.ravel_multi_index(tuple(found.T), shape)
        return [(int(each),) for each in flat]
    kept = {"t and z": 2, "slice": 1, "z": 1}[form.planes]
    if found[:, :-kept].any():
        raise InputError(
            f"{points.source}: {form.label} has no place for {axes} axes of planes; choose the "
            "format of another program"
        )
    found = found[:, -kept:]
    if form.planes == "t and z":
        return [(0,) * (2 - len(plane)) + tuple(plane) for plane in found.tolist()]
    return [tuple(plane) for plane in found.tolist()]


def _columns(points: Points, form: PointsFormat, lost: list[str]) -> dict[str, list[str]]:
    own = {INDEX_COLUMN, CLASS_COLUMN, *axis_names(points.ndim)}
    columns = {name: list(points.table[name]) for name in points.table if name not in own}
    kept = columns if form.columns is True else set(form.columns or ())
    if missing := [str(name) for name in columns if name not in kept and any(columns[name])]:
        lost.append(f"the columns {', '.join(missing)}")
    return {str(name): texts for name, texts in columns.items() if name in kept}
