"""Reading maps, and putting test points, lines and sections to their planes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.stereology.audited_points import (
    MapImages,
    answered_lines,
    answered_points,
    refuse_trained_on,
)
from napari_lungcls.stereology.material import Material, MeasuredPlane
from napari_lungcls.stereology.phase_map import BlockMask, cell_size_um
from napari_lungcls.stereology.plane_reading import PlaneReader, count_at_points
from napari_lungcls.stereology.raster import count_map
from napari_lungcls.stereology.section_info import SectionInfo, Sections, section_name
from napari_lungcls.utils.names import comparable

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


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
    names = MapImages(maps)
    tables = [answered_points(points, found, chosen) for points in audits]
    lined = [answered_lines(points, found, chosen) for points in lines]
    for points in (*audits, *lines):
        refuse_trained_on(points, maps)
    rng = np.random.default_rng(seed)
    on_maps = [names.places(points, found) for points in tables]
    lines_on = [names.places(points, found) for points in lined]
    for number, painted in enumerate(maps):
        own_mask = None if mask is None else mask(painted)
        size = _size_um(painted, sections, names.shown[number])

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
                counts = count_at_points(painted, counts, own_mask, spacing, rng)
            plane = PlaneReader(painted, counts, chosen, own_mask, size is not None)
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


def _size_um(painted: MapData, sections: Sections | None, image: str) -> tuple[float, float] | None:
    """Give the size of a map's cells: of the table, else of the map; None if nobody knows."""
    first = int(painted.header.provenance.get("first_plane") or 0)
    plane = (first, *[0] * (len(painted.header.shape) - 3)) if len(painted.header.shape) > 2 else ()
    row = None if sections is None else sections.find(image, plane)
    if row is not None and row.pixel_size_um is not None:
        cell = row.pixel_size_um * painted.header.stride
        return cell, cell
    try:
        return cell_size_um(painted.header)
    except InputError:
        return None
