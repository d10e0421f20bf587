"""The test points and lines of audits that may be estimated from, and the maps that they lie on."""

from __future__ import annotations

import posixpath
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN, DESIGN_ID_COLUMN, IMAGE_COLUMN
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.stereology.design_check import CheckedDesign, check_design
from napari_lungcls.stereology.lines import crossings
from napari_lungcls.stereology.material import Material
from napari_lungcls.utils.names import comparable

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class MapImages:
    """The images that maps were painted from, by the names that tables use."""

    def __init__(self, maps: Sequence[MapData]) -> None:
        self.shown = [
            str(m.header.provenance.get("image", "")) or f"map {i + 1}" for i, m in enumerate(maps)
        ]
        self._full = [comparable(name) for name in self.shown]
        self._short = [posixpath.basename(name) for name in self._full]

    def place(self, name: str) -> int | None:
        """Find the map of an image: by its path, else by its file's name if only one has it."""
        full = comparable(name)
        if full in self._full:
            return self._full.index(full)
        short = posixpath.basename(full)
        return self._short.index(short) if self._short.count(short) == 1 else None

    def places(self, points: Points, found: Material) -> Codes:
        """Find the map of each point, `(n,)`; −1 for an image without a map.

        Raises
        ------
        InputError
            When there is none for any.
        """
        column = points.column(IMAGE_COLUMN)
        if column is None or not any(comparable(name) for name in column):
            if len(set(self._full)) == 1:
                return np.zeros(len(points), np.int64)
            raise InputError(
                f"{points.source}: there are {len(self._full)} maps, and the test points do not "
                "say which image they lie on; add the column 'image'"
            )
        where = {name: self.place(name) for name in dict.fromkeys(column)}
        other = [name for name, place in where.items() if place is None]
        if len(other) == len(where):
            raise InputError(
                f"{points.source}: its test points lie on {', '.join(other[:3])}, and no map was "
                f"painted from that; the maps are of {', '.join(self.shown)}"
            )
        if other:
            found.remarks.append(
                f"{points.source}: test points on {', '.join(other[:3])} do not count, as no map "
                "was painted from that"
            )
        return np.array([-1 if where[n] is None else where[n] for n in column], np.int64)


def answered_points(points: Points, found: Material, scheme: ClassScheme) -> Points:
    """Leave out repeats and what is not answered; note both."""
    checked = _checked(points, found)
    kept = checked.estimates
    labels = points.labels
    given = np.zeros(len(points), bool)
    if labels is not None:
        given[:] = [bool(comparable(text)) for text in labels]
    if not (kept & given).any():
        raise InputError(
            f"{points.source}: no test point is answered; answer them in the window, or fill the "
            f"column {CLASS_COLUMN!r}"
        )
    if open_ := int((kept & ~given).sum()):
        found.remarks.append(
            f"{points.source}: {open_} of {int(kept.sum())} test points are not answered; if they "
            "were left out because they are hard, the figures are too good"
        )
    answered = points.select(kept & given)
    answered.codes(scheme)
    return answered


def answered_lines(points: Points, found: Material, scheme: ClassScheme) -> Points:
    """Keep the lines whose crossings were counted and whose middle has a class."""
    kept = _checked(points, found).estimates
    counted = np.isfinite(crossings(points))
    if points.labels is not None:
        counted &= [bool(comparable(text)) for text in points.labels]
    else:
        counted[:] = False
    if not (kept & counted).any():
        raise InputError(
            f"{points.source}: no test line is answered, with its crossings and the class in its "
            "middle"
        )
    if open_ := int((kept & ~counted).sum()):
        found.remarks.append(
            f"{points.source}: {open_} of {int(kept.sum())} test lines are not answered"
        )
    answered = points.select(kept & counted)
    answered.codes(scheme)
    return answered


def _checked(points: Points, found: Material) -> CheckedDesign:
    """Check a design, and note what its check warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LungclsWarning)
        checked = check_design(points)
    found.remarks += [str(warning.message) for warning in caught]
    if checked.design not in found.designs:
        found.designs.append(checked.design)
    return checked


def refuse_trained_on(points: Points, maps: Sequence[MapData]) -> None:
    """Refuse test points that the model of a map has learned from."""
    column = points.column(DESIGN_ID_COLUMN)
    own = set() if column is None else {text.strip() for text in column}
    for painted in maps:
        learned: Any = painted.header.provenance.get("trained_on_designs") or []
        if shared := own & set(map(str, learned)):
            raise InputError(
                f"{points.source}: the model of the map of "
                f"{painted.header.provenance.get('image', '?')} has learned from these test points "
                f"(design {', '.join(sorted(shared))}), so that they cannot tell its errors; draw "
                "a new design with another seed, and answer it"
            )
