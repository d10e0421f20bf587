"""What is measured together: planes of maps, the test points on them, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.stereology.plane_counts import PlaneCounts
from napari_lungcls.stereology.provenance import GridDesign
from napari_lungcls.stereology.section_info import SectionInfo

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TestLines:
    """Answered test lines of a plane.

    Attributes
    ----------
    length_um
        `(n,)` of each line.
    crossings
        `(n,)` surfaces that the observer counted.
    truth
        `(n,)` class that the observer gave to the middle of the line.
    expected
        `(n,)` surfaces that the map says there are, per line; corrected for the staircase that a
        map makes of a slanted outline.
    """

    __test__ = False

    length_um: Floats
    crossings: Floats
    truth: Codes
    expected: Floats


@dataclass(frozen=True, eq=False)
class MeasuredPlane:
    """A plane of a map with what an observer answered there.

    Attributes
    ----------
    counts
        What the map says.
    has_size
        Whether its cells have a size in µm; lengths mean nothing otherwise.
    row
        Its section, animal and group.
    truth, classes
        `(n,)` class that the observer gave to each test point, and that of the map.
    predicted
        `(n, k)` probabilities of the map there; 1 for its class where it has none.
    lines
        Answered test lines, if there are some.
    area_per_point_um2
        a/p of the design, where there is one and cells have a size.
    image_plane
        Index of the plane in the image.
    """

    counts: PlaneCounts
    has_size: bool
    row: SectionInfo
    truth: Codes
    classes: Codes
    predicted: Floats
    lines: TestLines | None = None
    area_per_point_um2: float | None = None
    image_plane: tuple[int, ...] = ()


@dataclass
class Material:
    """All planes, and what had to be said about them.

    Attributes
    ----------
    planes
        In the order of the maps.
    scheme
        The classes, the same on all maps.
    designs
        Of the test points.
    remarks
        What was passed over, one sentence each.
    """

    planes: list[MeasuredPlane] = field(default_factory=list)
    scheme: ClassScheme | None = None
    designs: list[GridDesign] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def section_of(plane: MeasuredPlane) -> tuple[str, str]:
    """Name the section of a plane: sections of two animals may be called alike."""
    return plane.row.animal, plane.row.section


def animal_of(plane: MeasuredPlane) -> str:
    """Name the animal of a plane."""
    return plane.row.animal


def together(
    planes: Sequence[MeasuredPlane], by: Callable[[MeasuredPlane], Any]
) -> list[list[MeasuredPlane]]:
    """Put planes together of which `by` says the same, in the order of their first."""
    found: dict[Any, list[MeasuredPlane]] = {}
    for plane in planes:
        found.setdefault(by(plane), []).append(plane)
    return list(found.values())
