"""What was counted on a plane of a map, and adding it up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import Phase
from napari_lungcls.errors import InputError

STEPS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Cells along y and x from one cell of a test line to the next: 0°, 45°, 90° and 135°."""


@dataclass(frozen=True, eq=False)
class PlaneCounts:
    """Cells of each class, and surfaces that straight test lines meet.

    At stride `s`, cells `s` steps apart on the same line are compared, starting at every cell:
    `intersections` and `length_um` are counted `s` times over, so use them as a ratio.

    Attributes
    ----------
    image, plane
        Where this was counted: name, and index along the leading axes; `()` for a sum.
    cell_um
        Height and width of a cell.
    phases
        Phase of each class.
    strides
        Distances, in cells along a line, at which cells were compared.
    cells
        `(k,)` int64, cells of each class: points with an area of one cell each.
    probabilities
        `(k,)` float64, probabilities of the same cells added up; None if the map has none.
    intersections
        `(strides, 4)` int64, transitions between air and tissue, by direction (`STEPS`). They
        are surfaces: two for each septum.
    length_um
        `(strides, 4)`, length of the lines tested: between cells that are both air or tissue.
    air_um
        `(strides, 4)`, the part of that length in air, half of it where a surface lies between.
    """

    image: str
    plane: tuple[int, ...]
    cell_um: tuple[float, float]
    phases: tuple[Phase, ...]
    strides: tuple[int, ...]
    cells: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    intersections: NDArray[np.int64]
    length_um: NDArray[np.float64]
    air_um: NDArray[np.float64]

    @property
    def area_um2(self) -> NDArray[np.float64]:
        """Area of each class, `(k,)`."""
        area: NDArray[np.float64] = self.cells * np.float64(self.cell_um[0] * self.cell_um[1])
        return area

    @property
    def angles(self) -> NDArray[np.float64]:
        """True directions of the lines in radians, 0 to π, from x towards y, which points down."""
        dy, dx = (np.array(STEPS) * self.cell_um).T
        angles: NDArray[np.float64] = np.arctan2(dy, dx)
        return angles

    def of_phase(self, phase: Phase) -> int:
        """Count the cells of all classes of a phase."""
        return int(self.cells[[own == phase for own in self.phases]].sum())


def total(counts: Iterable[PlaneCounts]) -> PlaneCounts:
    """Add up the counts of several planes of one image, section or animal.

    Returns
    -------
    PlaneCounts
        The name of the image is kept if it is the same for all. Probabilities are None if they
        are for any.

    Raises
    ------
    InputError
        When there are none, or their phases, strides or cell sizes differ.
    """
    parts = list(counts)
    if not parts:
        raise InputError("there are no counts to add up")
    first = parts[0]
    for part in parts[1:]:
        if (part.phases, part.strides) != (first.phases, first.strides):
            raise InputError("counts with different phases or strides cannot be added up")
        if not np.allclose(part.cell_um, first.cell_um, rtol=1e-6, atol=0):
            raise InputError(
                f"cells of {first.image or 'one map'} are {first.cell_um} µm large, those of "
                f"{part.image or 'another'} {part.cell_um} µm, so that they cannot be added up",
                suggestion="paint maps that belong together at one stride and pixel size",
            )
    chances = [part.probabilities for part in parts if part.probabilities is not None]
    return replace(
        first,
        image=first.image if {part.image for part in parts} == {first.image} else "",
        plane=first.plane if len(parts) == 1 else (),
        cells=np.sum([part.cells for part in parts], axis=0),
        probabilities=np.sum(chances, axis=0) if len(chances) == len(parts) else None,
        intersections=np.sum([part.intersections for part in parts], axis=0),
        length_um=np.sum([part.length_um for part in parts], axis=0),
        air_um=np.sum([part.air_um for part in parts], axis=0),
    )
