"""Measuring: from painted maps and answered test points to the numbers of a paper."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.stereology.audit import repeatability
from napari_lungcls.stereology.cavalieri import Smoothness, cavalieri
from napari_lungcls.stereology.estimate import EstimationMethod, StereologyEstimate, undefined
from napari_lungcls.stereology.fields import Material, MeasuredPlane, read_material
from napari_lungcls.stereology.groups import GroupSummary, audit_points_needed, group_summary
from napari_lungcls.stereology.jackknife import propagated_ce
from napari_lungcls.stereology.parameters import Parameters, measure_parameters, symbol_of
from napari_lungcls.stereology.phase_map import BlockMask
from napari_lungcls.stereology.provenance import GridDesign
from napari_lungcls.stereology.raster_surface import measure_surface
from napari_lungcls.stereology.section_info import SectionInfo, Sections
from napari_lungcls.stereology.shrinkage import linear_shrinkage, overprojection, unshrunk

Target = Literal["sections", "animal", "group"]
Level = Literal["section", "animal", "group"]

BEST: tuple[EstimationMethod, ...] = ("difference", "manual", "raw")
"""Which method stands for an animal in its group: the first that it has."""

ERROR_RATES, WANTED = (0.02, 0.05, 0.10), (0.005, 0.01, 0.02)
"""Of the table that says how many test points give which error."""


class MeasuredUnit(BaseModel):
    """A section, an animal or a group, and what was measured of it.

    Attributes
    ----------
    level
        What it is.
    group, animal, section
        Whose it is; empty where it is above that.
    parameters
        By symbol, what each method says.
    n_clusters, n_audit
        Units and answered test points behind it.
    sum_p, sum_i
        ΣP, answered test points in the parenchyma, and ΣI, surfaces on test lines.
    l_per_point_um, a_per_point_um2
        Length of test line, and area, per point.
    correction
        What lengths and surfaces were corrected for.
    summaries
        Of a group: one value per animal, by symbol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    group: str = ""
    animal: str = ""
    section: str = ""
    parameters: Parameters
    n_clusters: int
    n_audit: int
    sum_p: int | None = None
    sum_i: int | None = None
    l_per_point_um: float | None = None
    a_per_point_um2: float | None = None
    correction: str = ""
    summaries: dict[str, GroupSummary] = {}


class Measures(BaseModel):
    """Everything that was measured.

    Attributes
    ----------
    target
        What the figures of `parameters` hold for: these `sections`, one `animal`, or the `group`
        that the animals come from.
    clusters
        Independent units behind them.
    parameters
        By symbol, what each method says of all together.
    units
        The same for every section, animal and group.
    planning
        `(error rate, standard error, test points)`: how many test points it takes.
    warnings
        What to know before the figures are trusted.
    facts
        Design, seed, versions, maps: what a paper has to report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Target
    clusters: int
    parameters: Parameters
    units: list[MeasuredUnit]
    planning: list[tuple[float, float, int]]
    warnings: list[str]
    facts: dict[str, str]

    def document(self) -> dict[str, Any]:
        """Give what the command line prints as JSON."""
        whole = self.model_dump(mode="json")
        return {name: whole[name] for name in ("target", "clusters", "parameters", "warnings")}


@dataclass(frozen=True, eq=False)
class Measured:
    """The figures, and the planes that they are of.

    Attributes
    ----------
    measures
        The figures.
    planes
        What was counted on each plane.
    scheme
        The classes.
    """

    measures: Measures
    planes: Sequence[MeasuredPlane]
    scheme: ClassScheme


def measure(
    maps: Sequence[MapData],
    audit: Sequence[Points] = (),
    lines: Sequence[Points] = (),
    sections: Sections | None = None,
    *,
    classes: ClassScheme | None = None,
    mask: Callable[[MapData], BlockMask] | None = None,
    smoothness: Smoothness = 1,
    correct_shrinkage: bool = False,
    spacing: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Measured | None:
    """Measure fractions, surfaces and lengths per parenchyma, with their errors.

    Parameters
    ----------
    maps
        Painted maps of one model; read block by block.
    audit
        Answered test points of a design. Without them only raw shares can be given.
    lines
        Answered test lines of a design.
    sections
        Whose the planes are. Without it every plane is a section of its own.
    classes
        Phases and roles of the classes, in place of those that the maps carry.
    mask
        Gives the mask of a map.
    smoothness
        Of the Cavalieri estimator.
    correct_shrinkage
        Whether lengths and surfaces are set back to before the tissue shrank.
    spacing, seed
        See `read_material`; the seed is also that of the bootstrap of the observer's agreement.
    progress
        Called with the steps done and in all.
    cancelled
        Asked between blocks.

    Returns
    -------
    Measured or None
        None if cancelled.

    Raises
    ------
    InputError
        When something does not belong together; see `read_material`.
    """
    if correct_shrinkage and sections is None:
        raise InputError(
            "nobody says by how much the tissue shrank",
            setting="correct_shrinkage",
            suggestion="give a table of sections with the column 'volume_shrinkage'",
        )
    found = read_material(
        maps,
        audit,
        lines,
        sections,
        scheme=classes,
        mask=mask,
        spacing=spacing,
        seed=seed,
        progress=progress,
        cancelled=cancelled,
    )
    if found is None:
        return None
    scheme, planes = found.scheme, found.planes
    assert scheme is not None
    _remark(found, scheme, audited=bool(audit))
    factors = _shrinkage_factors(planes, found) if correct_shrinkage else {}
    with warnings.catch_warnings():
        # What they warn of at every section and animal is said of all together.
        warnings.simplefilter("ignore", LungclsWarning)
        units = [*_sections(planes, scheme), *_animals(planes, scheme, smoothness, factors)]
        units += _groups(planes, scheme, units)
    animals = {plane.row.animal for plane in planes if plane.row.animal}
    target: Target = "group" if len(animals) > 1 else "animal" if animals else "sections"
    by = _animal if len(animals) > 1 else _section
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LungclsWarning)
        parameters = measure_parameters(planes, by, scheme)
    found.remarks += [str(warning.message) for warning in caught]
    clusters = len({by(plane) for plane in planes})
    if clusters == 1:
        what = "animal" if len(animals) > 1 else "section"
        found.remarks.append(
            f"one {what} only: the errors are those within it, and say nothing of others"
        )
    return Measured(
        Measures(
            target=target,
            clusters=clusters,
            parameters=parameters,
            units=units,
            planning=[
                (rate, se, audit_points_needed(se, math.sqrt(rate)))
                for rate in ERROR_RATES
                for se in WANTED
            ],
            warnings=list(dict.fromkeys(found.remarks)),
            facts=_facts(maps, found, smoothness)
            | _counted(spacing, seed)
            | _observer(audit, scheme, seed),
        ),
        planes,
        scheme,
    )


def _section(plane: MeasuredPlane) -> tuple[str, str]:
    return plane.row.animal, plane.row.section


def _animal(plane: MeasuredPlane) -> str:
    return plane.row.animal


def _remark(found: Material, scheme: ClassScheme, *, audited: bool) -> None:
    """Say what the reader has to know of these planes."""
    if not audited:
        found.remarks.append(
            "no audit: these are the raw shares of the map, whose own errors are not known; draw "
            "test points, answer them, and measure again"
        )
    empty = [p.counts.image for p in found.planes if not p.counts.cells[scheme.parenchyma].any()]
    if len(empty) == len(found.planes):
        raise InputError("no cell of the maps is parenchyma, so that there is nothing to measure")
    found.remarks += [f"{image}: a plane has no parenchyma and counts for nothing"
                      for image in dict.fromkeys(empty)]  # fmt: skip
    if not all(plane.has_size for plane in found.planes):
        found.remarks.append(
            "a map has no pixel size, so that surfaces and lengths are left out; paint an image "
            "with a pixel size"
        )
    if not (scheme.lung & ~scheme.parenchyma).any():
        found.remarks.append(
            "no class is lung without being parenchyma, so that V_V(par/lung) is not known; the "
            "preset lung-full has one"
        )
    without = [p.row.section for p in found.planes if audited and not len(p.truth)]
    if without:
        found.remarks.append(
            f"{len(without)} of {len(found.planes)} planes have no test points; corrected figures "
            "leave them out"
        )
    pairs = [(p.row.group, p.row.animal) for p in found.planes if p.row.group]
    for group in dict.fromkeys(group for group, _ in pairs):
        if len({animal for own, animal in pairs if own == group}) == 1:
            found.remarks.append(f"group {group} is one animal: it has no mean with an error")


def _unit(
    level: Level,
    planes: Sequence[MeasuredPlane],
    by: Callable[[MeasuredPlane], Any],
    scheme: ClassScheme,
) -> MeasuredUnit:
    row = planes[0].row
    audited = sum(len(plane.truth) for plane in planes)
    lines = [plane.lines for plane in planes if plane.lines is not None]
    return MeasuredUnit(
        sum_p=sum(int(scheme.parenchyma[p.truth].sum()) for p in planes) if audited else None,
        sum_i=int(sum(own.crossings.sum() for own in lines)) if lines else None,
        l_per_point_um=float(np.concatenate([own.length_um for own in lines]).mean())
        if lines
        else None,
        a_per_point_um2=planes[0].area_per_point_um2,
        level=level,
        group=row.group,
        animal="" if level == "group" else row.animal,
        section=row.section if level == "section" else "",
        parameters=measure_parameters(planes, by, scheme),
        n_clusters=len({by(plane) for plane in planes}),
        n_audit=audited,
    )


def _sections(planes: Sequence[MeasuredPlane], scheme: ClassScheme) -> list[MeasuredUnit]:
    return [_unit("section", own, _section, scheme) for own in _together(planes, _section)]


def _animals(
    planes: Sequence[MeasuredPlane],
    scheme: ClassScheme,
    smoothness: Smoothness,
    factors: dict[str, float],
) -> list[MeasuredUnit]:
    found = []
    for own in _together([plane for plane in planes if plane.row.animal], _animal):
        unit = _unit("animal", own, _section, scheme)
        parameters = dict(unit.parameters)
        if factor := factors.get(unit.animal):
            parameters |= _unshrunk(parameters, factor)
        parameters |= _volumes(own, scheme, smoothness, parameters)
        said = f"shrinkage, f = {factor:.4g}" if factor else ""
        found.append(unit.model_copy(update={"parameters": parameters, "correction": said}))
    return found


def _groups(
    planes: Sequence[MeasuredPlane], scheme: ClassScheme, units: Sequence[MeasuredUnit]
) -> list[MeasuredUnit]:
    """Sum up groups: one value per animal, never one per section."""
    found = []
    named = [plane for plane in planes if plane.row.group and plane.row.animal]
    for own in _together(named, lambda plane: plane.row.group):
        unit = _unit("group", own, _animal, scheme)
        members = [u for u in units if u.level == "animal" and u.group == unit.group]
        summaries = {}
        for symbol in dict.fromkeys(s for member in members for s in member.parameters):
            values = [best(member.parameters.get(symbol, {})) for member in members]
            known = [v for v in values if v is not None and v.estimate is not None]
            if known:
                summaries[symbol] = group_summary(
                    [v.estimate for v in known if v.estimate is not None], [v.ce for v in known]
                )
        found.append(unit.model_copy(update={"summaries": summaries}))
    return found


def best(methods: dict[EstimationMethod, StereologyEstimate]) -> StereologyEstimate | None:
    """Give the value that stands for a unit: corrected where there are test points."""
    return next((methods[name] for name in BEST if name in methods), None)


def _together(
    planes: Sequence[MeasuredPlane], by: Callable[[MeasuredPlane], Any]
) -> list[list[MeasuredPlane]]:
    found: dict[Any, list[MeasuredPlane]] = {}
    for plane in planes:
        found.setdefault(by(plane), []).append(plane)
    return list(found.values())


def _volumes(
    planes: Sequence[MeasuredPlane],
    scheme: ClassScheme,
    smoothness: Smoothness,
    parameters: Parameters,
) -> Parameters:
    """Give absolute volumes and surfaces of an animal, where its reference volume is known.

    `V(x) = V_V(x/par) · V_V(par/lung) · V(lung)`, errors of independent factors added as squares;
    V(lung) as measured, else by Cavalieri from systematic sections.
    """
    row = planes[0].row
    reference, name = _reference_volume(planes, scheme, smoothness, row)
    if reference is None or reference.estimate is None:
        return {}
    found: Parameters = {name: {"raw": reference}}
    within = found[name]
    if name == "V(lung)":
        if "V_V(par/lung)" not in parameters:
            return found
        within = found["V(par,lung)"] = _products(parameters["V_V(par/lung)"], reference, "cm³")
    for code in np.flatnonzero(scheme.parenchyma):
        symbol = symbol_of(scheme.names[code])
        shares = parameters[f"V_V({symbol}/par)"]
        found[f"V({symbol},lung)"] = _each_product(shares, within, "cm³")
    if "S_V(par)" in parameters:
        surface = _each_product(parameters["S_V(par)"], within, "cm²")
        found["S(alvair,lung)"] = surface
    return found


def _reference_volume(
    planes: Sequence[MeasuredPlane], scheme: ClassScheme, smoothness: Smoothness, row: SectionInfo
) -> tuple[StereologyEstimate | None, str]:
    if row.lung_volume_cm3 is not None:
        given = undefined("raw", 1, "cm³").model_copy(update={"estimate": row.lung_volume_cm3})
        return given, "V(lung)"
    if row.section_spacing_um is None or not all(plane.has_size for plane in planes):
        return None, ""
    has_rest = bool((scheme.lung & ~scheme.parenchyma).any())
    chosen, name = (scheme.lung, "V(lung)") if has_rest else (scheme.parenchyma, "V(par)")
    areas = [
        sum(float(plane.counts.area_um2[chosen].sum()) for plane in own)
        for own in _together(planes, _section)
    ]
    # Areas of maps are all but exact, so that counting adds no noise.
    volume = cavalieri(
        areas, row.section_spacing_um, 1.0, shape=0, smoothness=smoothness, method="raw"
    )
    return volume, name


def _products(
    shares: dict[EstimationMethod, StereologyEstimate], volume: StereologyEstimate, unit: str
) -> dict[EstimationMethod, StereologyEstimate]:
    found: dict[EstimationMethod, StereologyEstimate] = {}
    for method, share in shares.items():
        if share.estimate is None or volume.estimate is None:
            continue
        value = share.estimate * volume.estimate
        known = [each.ce for each in (share, volume) if each.ce is not None]
        ce = propagated_ce(*known) if share.ce is not None else None
        found[method] = undefined(method, share.n_clusters, unit).model_copy(
            update={"estimate": value, "ce": ce, "se": None if ce is None else ce * abs(value)}
        )
    return found


def _each_product(
    shares: dict[EstimationMethod, StereologyEstimate],
    volumes: dict[EstimationMethod, StereologyEstimate],
    unit: str,
) -> dict[EstimationMethod, StereologyEstimate]:
    """Multiply method by method; a volume that is known one way only serves all."""
    found: dict[EstimationMethod, StereologyEstimate] = {}
    for method, share in shares.items():
        volume = volumes.get(method) or next(iter(volumes.values()))
        found |= _products({method: share}, volume, unit)
    return found


def _shrinkage_factors(planes: Sequence[MeasuredPlane], found: Material) -> dict[str, float]:
    """Give the factor of lengths for each animal whose shrinkage is known."""
    factors = {}
    for plane in planes:
        shrunk = plane.row.volume_shrinkage
        if shrunk is not None and plane.row.animal:
            factors[plane.row.animal] = linear_shrinkage(1.0, shrunk)
    without = {p.row.animal for p in planes if p.row.animal} - set(factors)
    if without or not factors:
        raise InputError(
            "the shrinkage of "
            + (", ".join(sorted(without)) or "the animals")
            + " is not known; fill the column 'volume_shrinkage' of the table of sections",
            setting="correct_shrinkage",
        )
    found.remarks.append("lengths and surfaces of animals are set back to before shrinkage")
    return factors


def _unshrunk(parameters: Parameters, factor: float) -> Parameters:
    powers = {"L_m": 1, "τ(sep)": 1, "S_V(par)": -1}
    return {
        symbol: {m: unshrunk(v, factor, power) for m, v in parameters[symbol].items()}
        for symbol, power in powers.items()
        if symbol in parameters
    }


def _facts(maps: Sequence[MapData], found: Material, smoothness: Smoothness) -> dict[str, str]:
    """Say what a paper has to report, as far as it is known."""
    headers = [painted.header for painted in maps]
    said = [header.provenance for header in headers]

    def listed(values: Sequence[Any]) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))

    rows = [plane.row for plane in found.planes]
    cells = [plane.counts.cell_um for plane in found.planes if plane.has_size]
    points = sum(len(plane.truth) for plane in found.planes)
    lines = [plane.lines for plane in found.planes if plane.lines is not None]
    facts = {
        "Images": listed([each.get("image") for each in said]),
        "Planes": str(len(found.planes)),
        "Animals": str(len({row.animal for row in rows if row.animal}) or ""),
        "Groups": listed([row.group for row in rows]),
        "Map": f"{listed([h.stride for h in headers])} image pixels between cells",
        "Cells": listed([f"{y:.3g} × {x:.3g} µm" for y, x in cells]),
        "Pixel size": listed([f"{s:g} µm" for s in (e.get("pixel_size") for e in said) if s]),
        "Model": listed([f"of {each.get('model_created', '')}" for each in said]),
        "Fingerprint of maps": _fingerprint(maps, found),
        "Test points": f"ΣP = {points}" if points else "",
        "Test lines": f"{sum(len(part.crossings) for part in lines)}, "
        f"ΣI = {int(sum(part.crossings.sum() for part in lines))}"
        if lines
        else "",
        "Design": listed([design.design_id for design in found.designs]),
        "Seed": listed([design.seed for design in found.designs]),
        "Grid": listed([_grid(design) for design in found.designs]),
        "Section thickness": listed(
            [r.section_thickness_um and f"{r.section_thickness_um:g} µm" for r in rows]
        ),
        "Section spacing": listed(
            [r.section_spacing_um and f"{r.section_spacing_um:g} µm" for r in rows]
        ),
        "Orientation": listed([row.orientation for row in rows]),
        "Reference volume": listed([row.volume_method for row in rows]),
        "Shrinkage (V after / V before)": listed([row.volume_shrinkage for row in rows]),
        "Smoothness (Cavalieri)": str(smoothness),
        "Software": listed([each.get("software") for each in said]),
    }
    facts["Overprojection of septa"] = _overprojection(found)
    return {name: value for name, value in facts.items() if value}


def _counted(spacing: float | None, seed: int) -> dict[str, str]:
    if spacing is None:
        return {}
    return {"Maps counted": f"at points {spacing:g} pixels apart, random offset, seed {seed}"}


def _observer(audit: Sequence[Points], scheme: ClassScheme, seed: int) -> dict[str, str]:
    """Say how often observers agreed with themselves at points that were asked twice."""
    said = []
    for points in audit:
        with warnings.catch_warnings():
            # Reading the material has said it.
            warnings.simplefilter("ignore", LungclsWarning)
            found = repeatability(points, scheme, seed)
        if found is not None and found.agreement.value is not None:
            said.append(f"{found.agreement.value:.0%} of {found.n} points asked twice")
    return {"Agreement of the observer": "; ".join(said)} if said else {}


def _grid(design: GridDesign) -> str:
    """Say how test points were drawn."""
    y, x = design.spacing
    said = f"a point every {y:g} × {x:g} pixels, random offset"
    if design.field_size is not None:
        said += f", in fields of {design.field_size} pixels every {design.field_spacing:.0f}"
    if design.line_length is not None:
        said += f", lines of {design.line_length:g} pixels in random directions"
    return f"{said}, {design.repeat_fraction:.0%} asked twice"


def _overprojection(found: Material) -> str:
    """Say by how much thick sections make septa seem too much, where that is known."""
    shares = [
        overprojection(plane.row.section_thickness_um, surface.mean_surface_density)
        for plane in found.planes
        if plane.has_size and plane.row.section_thickness_um
        for surface in measure_surface(plane.counts)[:1]
        if np.isfinite(surface.mean_surface_density)
    ]
    return f"about +{100 * float(np.mean(shares)):.1f} points, not corrected" if shares else ""


def _fingerprint(maps: Sequence[MapData], found: Material) -> str:
    """Name these maps: headers and what was counted on them."""
    digest = hashlib.sha256()
    for painted in maps:
        digest.update(painted.header.model_dump_json().encode())
    for plane in found.planes:
        digest.update(plane.counts.cells.tobytes() + plane.counts.intersections.tobytes())
    return digest.hexdigest()[:16]
