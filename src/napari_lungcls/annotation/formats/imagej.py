"""Multi-point selections of ImageJ and Fiji: `.roi`, through the library roifile.

Positions are those of pixel centres, as in this package, in single precision. Each point belongs to
a counter and a slice. Counters have numbers only; names of classes are kept as properties of the
selection, which ImageJ shows under *Properties* and hands on.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.formats.marks import MOST, Context, Marks, number, plane_number
from napari_lungcls.annotation.formats.types import names_of_types
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError

if TYPE_CHECKING:
    import roifile

MAGIC = b"Iout"
COUNTERS = 256
"""A point's counter is one byte."""

SLICES = 2**24 - 1
"""Its slice are three."""

_AGAIN = "save the selection in ImageJ again (File > Save As > Selection)"
_NAME = re.compile(r"lungcls-class-([0-9]{1,3}): ?(.*)")


def recognise(data: bytes) -> bool:
    """Tell whether a file is a selection of ImageJ."""
    return data.startswith(MAGIC)


def _library() -> Any:
    try:
        import roifile
    except ModuleNotFoundError:
        raise InputError(
            "selections of ImageJ need the library roifile; install it: "
            'pip install "napari-lungcls[interchange]"'
        ) from None
    return roifile


def parse(data: bytes, context: Context) -> Marks:
    """Read a selection of points."""
    library, source = _library(), context.source
    try:
        roi: roifile.ImagejRoi = library.ImagejRoi.frombytes(data)
        kind = roi.roitype
        where = (
            np.asarray(roi.coordinates(), np.float64) if kind == library.ROI_TYPE.POINT else None
        )
    except (ValueError, TypeError, IndexError, OverflowError, struct.error) as error:
        raise InputError(f"{source}: is no selection that can be read; {_AGAIN}") from error
    if where is None:
        raise InputError(
            f"{source}: is a selection of the type {kind.name.lower()}, not of points; use the "
            "multi-point tool"
        )
    if len(where) > MOST:
        raise InputError(f"{source}: more than {MOST} points; split the file")
    told = [each for each in (roi.counters, roi.counter_positions) if each is not None]
    if any(len(each) != len(where) for each in told):
        raise InputError(f"{source}: has counters of other points than its own; {_AGAIN}")
    labels = _labels(roi, len(where), context)
    marks = Marks()
    for (x, y), plane, label in zip(where.tolist(), _planes(roi, len(where)), labels, strict=True):
        marks.add((number(y, f"{source}: y"), number(x, f"{source}: x")), plane, label)
    return marks


def _labels(roi: roifile.ImagejRoi, count: int, context: Context) -> list[str]:
    counters = [0] * count if roi.counters is None else roi.counters.tolist()
    named = {int(m[1]): m[2] for line in roi.props.split("\n") if (m := _NAME.fullmatch(line))}
    used = set(counters)
    if not named and used <= {0} and context.classes is None:
        return [""] * count
    names = names_of_types(used, named, context, first=0, what="counter")
    return [names[counter] for counter in counters]


def _planes(roi: roifile.ImagejRoi, count: int) -> list[tuple[int, ...]]:
    """Give the slice of each point, or the place `(t, z)` of all of them in a hyperstack."""
    slices = [0] * count if roi.counter_positions is None else roi.counter_positions.tolist()
    if not any(slices):
        if roi.position <= 0 and (roi.z_position > 0 or roi.t_position > 0):
            place = (max(roi.t_position - 1, 0), max(roi.z_position - 1, 0))
            return [tuple(plane_number(each, "plane") for each in place)] * count
        slices = [max(roi.position, 0)] * count
    return [(max(each - 1, 0),) for each in slices]


def dump(marks: Marks, scheme: ClassScheme, context: Context) -> bytes:
    """Write one selection of all points."""
    names = [*scheme.names, *([""] if "" in marks.labels else [])]
    if len(names) > COUNTERS:
        raise InputError(f"ImageJ has {COUNTERS} counters, and there are {len(names)} classes")
    where = np.array(marks.positions, np.float32)[:, ::-1]
    slices = np.array([sum(plane) + 1 if plane else 0 for plane in marks.planes], np.uint32)
    if slices.max(initial=0) > SLICES:
        raise InputError(
            f"ImageJ counts up to {SLICES} slices; choose the format of another program"
        )
    library = _library()
    roi = library.ImagejRoi.frompoints(where, name="points")
    roi.roitype = library.ROI_TYPE.POINT
    roi.options = library.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    if any(marks.labels):
        codes = {name: code for code, name in enumerate(names)}
        roi.counters = np.array([codes[label] for label in marks.labels], np.uint8)
        lines = (f"lungcls-class-{code}: {name}" for code, name in enumerate(names))
        roi.props = "\n".join([*lines, ""])
    elif slices.any():
        roi.counters = np.zeros(len(where), np.uint8)
    if slices.any():
        roi.counter_positions = slices
    data: bytes = roi.tobytes()
    return data


def in_single_precision(values: NDArray[np.float64]) -> bool:
    """Tell whether positions lose nothing in a selection."""
    return bool((values.astype(np.float32).astype(np.float64) == values).all())
