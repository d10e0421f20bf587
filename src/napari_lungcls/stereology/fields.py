"""What is measured together: planes of maps, the test points on them, and whose they are."""

from __future__ import annotations

import posixpath
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN, DESIGN_ID_COLUMN, IMAGE_COLUMN
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.geometry import map_cell
from napari_lungcls.inference.map_data import MapData, blocks
from napari_lungcls.stereology.design_check import CheckedDesign, check_design
from napari_lungcls.stereology.lines import BLOCK, count_segments
from napari_lungcls.stereology.phase_map import BlockMask, PhaseMap, cell_size_um
from napari_lungcls.stereology.plane_counts import PlaneCounts
from napari_lungcls.stereology.provenance import GridDesign
from napari_lungcls.stereology.raster import count_map
from napari_lungcls.stereology.section_info import SectionInfo, Sections, section_name
from napari_lungcls.stereology.segments import crossings, segments
from napari_lungcls.utils.names import comparable

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


def read_material(
    maps: Sequence[MapData],
    audits: Sequence[Points] = (),
    lines: Sequence[Points] = (),
    sections: Sections | None = None,
    *,
    scheme: ClassScheme | None = None,
    mask: Callable[[MapData], BlockMask] | None = None,
    spacing: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Material | None:
    """Read maps block by block, and put test points, lines and sections to their planes.

    Parameters
    ----------
    maps
        Painted maps with the same classes.
    audits, lines
        Answered test points and test lines of designs; they may be the same tables.
    sections
        Whose the planes are; without it every plane is a section of its own.
    scheme
        Phases and roles of the classes, in place of those that the maps carry.
    mask
        Gives the mask of a map.
    spacing
        Count cells of the maps only at points so many image pixels apart, as on paper; every cell
        if not given.
    seed
        Of the offset of those points, which is random on every plane.
    progress
        Called with the steps done and in all.
    cancelled
        Asked between blocks.

    Returns
    -------
    Material or None
        None if cancelled.

    Raises
    ------
    InputError
        When maps have different classes or no parenchyma, or tables belong to other images.
    """
    chosen = _common_scheme(maps, scheme)
    found = Material(scheme=chosen)
    names = _MapImages(maps)
    tables = [_answered(points, found, chosen) for points in audits]
    lined = [_with_crossings(points, found, chosen) for points in lines]
    for points in (*audits, *lines):
        _refuse_trained_on(points, maps)
    rng = np.random.default_rng(seed)
    on_maps = [names.places(points, found) for points in tables]
    lines_on = [names.places(points, found) for points in lined]
    for number, painted in enumerate(maps):
        own_mask = None if mask is None else mask(painted)
        size = _size_um(painted)

        def step(done: int, total: int, first: int = number) -> None:
            if progress:
                progress(first * total + done, len(maps) * total)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LungclsWarning)
            counted = count_map(
                painted,
                chosen.phases,
                image=names.shown[number],
                mask=own_mask,
                cell_um=size or (float(painted.header.stride), float(painted.header.stride)),
                progress=step,
                cancelled=cancelled,
            )
        found.remarks += [str(w.message) for w in caught]
        if counted is None:
            return None
        for counts in counted:
            if spacing is not None:
                counts = _at_points(painted, counts, own_mask, spacing, rng)
            plane = _PlaneReader(painted, counts, chosen, own_mask, size is not None)
            row = _row_of(sections, names.shown[number], plane.image_plane)
            truth, classes, predicted = plane.points(
                [p.select(at == number) for p, at in zip(tables, on_maps, strict=True)], found
            )
            made = MeasuredPlane(
                counts,
                size is not None,
                row,
                truth,
                classes,
                predicted,
                image_plane=plane.image_plane,
            )
            segments_here = [p.select(at == number) for p, at in zip(lined, lines_on, strict=True)]
            if size is not None:
                made = replace(made, lines=plane.lines(segments_here))
                if len(found.designs) == 1:
                    pixel = size[0] * size[1] / painted.header.stride**2
                    area = found.designs[0].area_per_point * pixel
                    made = replace(made, area_per_point_um2=area)
            found.planes.append(made)
    _refuse_twice(found.planes)
    found.remarks = list(dict.fromkeys(found.remarks))
    return found


def _refuse_twice(planes: Sequence[MeasuredPlane]) -> None:
    """Refuse maps of the same plane: what they share would count twice."""
    keys = [(comparable(p.counts.image), p.image_plane) for p in planes]
    if twice := next((key for i, key in enumerate(keys) if key in keys[:i]), None):
        plane = f", plane {' '.join(map(str, twice[1]))}" if twice[1] else ""
        raise InputError(
            f"two maps are of {twice[0]}{plane}, and what both show would count twice; give one"
        )


class _MapImages:
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


@dataclass(frozen=True, eq=False)
class _PlaneReader:
    """Reads what a plane of a map says at test points and along test lines."""

    painted: MapData
    counts: PlaneCounts
    scheme: ClassScheme
    mask: BlockMask | None
    has_size: bool

    @property
    def image_plane(self) -> tuple[int, ...]:
        """Index of the plane in the image."""
        if not self.counts.plane:
            return ()
        first = int(self.painted.header.provenance.get("first_plane") or 0)
        return (self.counts.plane[0] + first, *self.counts.plane[1:])

    def points(self, tables: Sequence[Points], found: Material) -> tuple[Codes, Codes, Floats]:
        """Give the observer's classes, the map's classes and its probabilities at points."""
        k = len(self.scheme)
        truths, places = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.int64)]
        for points in tables:
            points = points.select(self._is_here(points))
            if len(points):
                truths.append(points.codes(self.scheme))
                places.append(self._cells(points.coordinates[:, -2:]))
        truth, cells = np.concatenate(truths), np.concatenate(places)
        values, chances = self._read(cells)
        if (passed := int((values == 0).sum())) and len(values):
            found.remarks.append(
                f"{passed} test points of {self.counts.image} lie where nothing was painted or "
                "outside the mask, and do not count"
            )
        kept = values > 0
        classes = values[kept].astype(np.int64) - 1
        predicted = np.eye(k)[classes] if chances is None else chances[kept]
        return truth[kept], classes, predicted

    def lines(self, tables: Sequence[Points]) -> TestLines | None:
        """Give what the observer counted along lines, and what the map says there."""
        parts = []
        for points in tables:
            points = points.select(self._is_here(points))
            if not len(points):
                continue
            start, end = segments(points)
            said = count_segments(
                self.painted,
                self.scheme.phases,
                start,
                end,
                plane=self.counts.plane,
                mask=self.mask,
                cell_um=self.counts.cell_um,
            )
            stairs = np.divide(
                said.length_um, said.path_um, out=np.ones(len(points)), where=said.path_um > 0
            )
            pixel = np.array(self.counts.cell_um) / self.painted.header.stride
            length = np.hypot(*((end - start) * pixel).T)
            parts.append(
                (
                    length,
                    crossings(points),
                    points.codes(self.scheme),
                    said.intersections * stairs,
                )
            )
        if not parts:
            return None
        return TestLines(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _is_here(self, points: Points) -> NDArray[np.bool_]:
        plane = np.array(self.image_plane, np.int64)
        leading = np.rint(points.coordinates[:, :-2]).astype(np.int64)
        if leading.shape[1] != len(plane):
            raise InputError(
                f"{points.source}: its points have {points.ndim} axes, and the map of "
                f"{self.counts.image} has {len(plane) + 2}"
            )
        here: NDArray[np.bool_] = (leading == plane).all(axis=1)
        return here

    def _cells(self, where: Floats) -> Codes:
        header = self.painted.header
        return np.asarray(map_cell(where - np.array(header.origin), header.stride))

    def _read(self, cells: Codes) -> tuple[NDArray[np.uint8], Floats | None]:
        """Read cells `(n, 2)`, block by block; 0 off the map and outside the mask."""
        header, source = self.painted.header, PhaseMap(self.painted, self.scheme.phases, self.mask)
        values = np.zeros(len(cells), np.uint8)
        chances = None if self.painted.probabilities is None else np.zeros(
            (len(cells), len(self.scheme))
        )  # fmt: skip
        inside = ((cells >= 0) & (cells < np.array(header.shape[-2:]))).all(axis=1)
        for block in np.unique(cells[inside] // BLOCK, axis=0):
            own = np.flatnonzero(inside & (cells // BLOCK == block).all(axis=1))
            low, high = cells[own].min(axis=0), cells[own].max(axis=0) + 1
            rows, columns = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
            y, x = (cells[own] - low).T
            values[own] = source.classes(self.counts.plane, rows, columns)[y, x]
            if chances is not None:
                place = (slice(None), *self.counts.plane, rows, columns)
                chances[own] = np.asarray(self.painted.probabilities[place], np.float64)[:, y, x].T
        return values, chances


def _common_scheme(maps: Sequence[MapData], given: ClassScheme | None) -> ClassScheme:
    """Give the classes of all maps, with their phases and roles.

    Raises
    ------
    InputError
        When there is no map, they differ, or none is parenchyma.
    """
    if not maps:
        raise InputError("there is no map to measure")
    scheme = maps[0].header.scheme
    if other := next((m for m in maps if not m.header.scheme.same_classes(scheme)), None):
        raise InputError(
            f"the maps have different classes: {', '.join(scheme.names)} and "
            f"{', '.join(other.header.scheme.names)}; measure maps of one model together"
        )
    if given is not None:
        if not given.same_classes(scheme):
            raise InputError(
                f"has the classes {', '.join(given.names)}, the maps {', '.join(scheme.names)}",
                setting="classes",
            )
        scheme = given
    elif not scheme.parenchyma.any():
        # Maps of before classes had phases: the presets' are known.
        known = ClassScheme.for_labels(scheme.names)
        if known.same_classes(scheme):
            scheme = known
    if not scheme.parenchyma.any():
        raise InputError(
            f"none of the classes {', '.join(scheme.names)} is parenchyma, so that there is "
            "nothing to measure per parenchyma",
            suggestion=(
                "say the role and phase of each class in a scheme file, and",
                {"classes": ...},
            ),
        )
    return scheme


def _answered(points: Points, found: Material, scheme: ClassScheme) -> Points:
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


def _with_crossings(points: Points, found: Material, scheme: ClassScheme) -> Points:
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


def _refuse_trained_on(points: Points, maps: Sequence[MapData]) -> None:
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


def _at_points(
    painted: MapData,
    counts: PlaneCounts,
    mask: BlockMask | None,
    spacing: float,
    rng: np.random.Generator,
) -> PlaneCounts:
    """Count the cells of a plane at the points of a square grid, each for the area around it.

    The distance is rounded to whole cells; the grid begins anywhere in its first square.
    """
    header = painted.header
    apart = max(1, round(spacing / header.stride))
    if apart > min(header.shape[-2:]):
        raise InputError(f"{spacing:g} pixels are more than the map is large", setting="spacing")
    source, k = PhaseMap(painted, counts.phases, mask), len(counts.phases)
    first = rng.integers(0, apart, 2)
    cells, chances = np.zeros(k, np.int64), np.zeros(k)
    for part in blocks(header.shape[-2:], max(BLOCK, apart)):
        rows, columns = part.rows, part.columns
        block = source.classes(counts.plane, rows, columns)
        y, x = (
            int((o - side.start) % apart) for o, side in zip(first, (rows, columns), strict=True)
        )
        own = block[y::apart, x::apart]
        cells += np.bincount(own.ravel(), minlength=k + 1)[1 : k + 1]
        if painted.probabilities is not None:
            place = (slice(None), *counts.plane, rows, columns)
            told = np.asarray(painted.probabilities[place], np.float64)[:, y::apart, x::apart]
            chances += told[:, own > 0].sum(axis=1)
    return replace(
        counts,
        cells=cells * apart**2,
        probabilities=None if counts.probabilities is None else chances * apart**2,
    )


def _row_of(sections: Sections | None, image: str, plane: tuple[int, ...]) -> SectionInfo:
    """Find the section of a plane; without a table it is one of its own, of no known animal.

    Raises
    ------
    InputError
        When there is a table without such a row.
    """
    if sections is None:
        return SectionInfo(image=image, plane=plane, section=section_name(image, plane), animal="")
    row = sections.find(image, plane)
    if row is None:
        where = f"{image}, plane {' '.join(map(str, plane))}" if plane else image
        raise InputError(
            f"{sections.source or 'the table of sections'}: there is no row for {where}, so that "
            "nobody knows whose it is; add one, or leave its map out"
        )
    return row


def _size_um(painted: MapData) -> tuple[float, float] | None:
    try:
        return cell_size_um(painted.header)
    except InputError:
        return None
