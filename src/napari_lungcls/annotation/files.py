"""Points files: the CSV tables of this package and of napari, and those of other programs."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from napari_lungcls.annotation import tables
from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.annotation.formats import catalogue, qupath
from napari_lungcls.annotation.formats.conversion import read_marks, write_marks
from napari_lungcls.annotation.formats.marks import LARGEST, Classes, KnownImage
from napari_lungcls.annotation.formats.markup import looks_like_xml
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.texts import read_limited
from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import write_whole

CSV = "csv"
KINDS = (CSV, *catalogue.NAMES)
"""Names of all formats of points."""

SUFFIXES = (".csv", *dict.fromkeys(s for form in catalogue.POINTS_FORMATS for s in form.suffixes))
"""What files of points end in."""

_HEAD = 2**16


def read_points(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    classes: Classes | None = None,
    image: KnownImage | None = None,
) -> Points:
    """Read points: a CSV table, or what QuPath, Fiji, ImageJ, cellfinder or ASAP saved.

    The content tells which program wrote a file, whatever it is called. Of a table every cell but
    the coordinates is kept as the text that it is; tables of spreadsheets are read too, with
    semicolons or tabs, decimal commas, separators of thousands, in UTF-16, or in Western European
    letters. What other programs' files keep is listed in docs/formats.md.

    Parameters
    ----------
    path
        A table with `axis-0`, `axis-1`, … and, as a rule, `index` and `class`; GeoJSON of QuPath,
        XML of Cell Counter, cellfinder or ASAP, YAML of cellfinder, a multi-point selection of
        ImageJ.
    kind
        `csv`, `qupath`, `cell-counter`, `imagej`, `cellfinder`, `cellfinder-yaml` or `asap`, where
        the content may be of two programs.
    classes
        What types are called that a program only numbers: a scheme, its first class being type 1
        (counter 0 of ImageJ), or names by number.
    image
        The image, such as `open_image` gives it. Programs leave out planes when all points lie in
        the first, so without it points of a stack may come back as points of a plane.

    Raises
    ------
    InputError
        When the file is missing, is no points file, holds no point, a coordinate is not a finite
        number (the message names the row, the header being row 1), a numbered type has no name,
        or the image does not have the planes of the points.

    Examples
    --------
    >>> points = lc.read_points("section.csv")
    >>> len(points), points.labels[0]
    (60, 'alveoli')
    >>> qupath = lc.write_points("section.geojson", points)
    >>> lc.read_points(qupath).select([0]).coordinates == points.select([0]).coordinates
    array([[ True,  True]])
    """
    file = Path(path)
    if kind == CSV:
        return _read_table(file)
    if kind is not None:
        form = catalogue.named_format(kind)
        data = read_limited(file, "points", LARGEST)
        return read_marks(data, form, str(file), classes, image)
    if not _is_no_table(file):
        return _read_table(file)
    data = read_limited(file, "points", LARGEST)
    found = catalogue.format_of(data, str(file))
    if found is None:
        return _read_table(file)
    return read_marks(data, found, str(file), classes, image)


def write_points(
    path: str | os.PathLike[str],
    points: Points,
    *,
    kind: str | None = None,
    classes: Classes | None = None,
    image: KnownImage | None = None,
) -> Path:
    """Write points as a CSV table, which loses nothing, or as another program reads them.

    Parameters
    ----------
    path
        `.geojson` is QuPath's, `.roi` ImageJ's, `.yml` cellfinder's. Of `.xml` say the `kind`.
        Everything else is a table.
    points
        The points.
    kind
        See `read_points`.
    classes
        The scheme that gives colours and numbers; by default the smallest preset that has all
        classes, else the classes in the order of the points.
    image
        The image. Cell Counter and ImageJ need it for images with more than one axis of planes,
        and Cell Counter writes its name.

    Raises
    ------
    InputError
        When the file cannot be written, and then an older file stays as it was; or when the format
        cannot hold such points at all, as of several images or planes.

    Warns
    -----
    LungclsWarning
        When something is lost, and what.

    Examples
    --------
    >>> points = lc.Points.build([[10, 20.5]], ["septa"])
    >>> path = lc.write_points("one.csv", points)
    >>> print(path.read_text())
    index,axis-0,axis-1,class
    0,10,20.5,septa
    <BLANKLINE>
    """
    target = Path(path)
    form = catalogue.format_to_write(target, kind)
    if form is None:
        return _write_table(target, points)
    write_whole(target, write_marks(points, form, target, classes, image))
    return target


def is_foreign(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file holds points of another program; reads no more than it must.

    GeoJSON counts if a point stands anywhere in it, XML by its root element.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
            form = catalogue.kind_of_head(head)
            if form != qupath.NAME:
                return form is not None
            before = b""
            while head:
                if qupath.POINTS.search(before + head):
                    return True
                before, head = head[-16:], stream.read(2**20)
    except OSError:
        pass
    return False


def _is_no_table(file: Path) -> bool:
    """Tell whether a file begins as none of our tables does, but as other programs' files do."""
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False  # Reading the table says what is wrong.
    return looks_like_xml(head) or catalogue.kind_of_head(head) is not None


def _read_table(file: Path) -> Points:
    table = tables.read_table(file)
    axes = tables.axis_columns(file, table.header)
    if not table.rows:
        raise InputError(f"{file} holds no points; label some and save again")
    columns = {
        name: tables.column(table.rows, place)
        for place, name in enumerate(table.header)
        if place not in axes
    }
    labels = columns.pop(CLASS_COLUMN, None)
    numbers = pd.Index([number for number, _ in table.rows])
    return Points(
        tables.coordinates(file, table, axes),
        labels,
        pd.DataFrame(columns, index=numbers, dtype=object),
        str(file),
        table.header,
    )


def _write_table(target: Path, points: Points) -> Path:
    cells: list[list[str]] = []
    for name in points.columns:
        column = points.column(name)
        if column is not None:
            cells.append(list(column))
        else:
            axis = int(name.removeprefix("axis-"))
            cells.append([tables.number_text(value) for value in points.coordinates[:, axis]])
    return tables.write_rows(target, points.columns, list(zip(*cells, strict=True)))
