"""Sections, animals and groups: what was measured of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.stereology.cavalieri import Smoothness
from napari_lungcls.stereology.estimate import EstimationMethod, StereologyEstimate
from napari_lungcls.stereology.groups import GroupSummary, group_summary
from napari_lungcls.stereology.material import MeasuredPlane, animal_of, section_of, together
from napari_lungcls.stereology.parameters import Parameters, measure_parameters
from napari_lungcls.stereology.volumes import absolute_volumes, before_shrinkage

Level = Literal["section", "animal", "group"]

BEST: tuple[EstimationMethod, ...] = ("difference", "manual", "raw")
"""Which method stands for an animal in its group: the first that it has."""


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


def measure_sections(planes: Sequence[MeasuredPlane], scheme: ClassScheme) -> list[MeasuredUnit]:
    """Measure every section by itself."""
    return [_unit("section", own, section_of, scheme) for own in together(planes, section_of)]


def measure_animals(
    planes: Sequence[MeasuredPlane],
    scheme: ClassScheme,
    smoothness: Smoothness,
    factors: dict[str, float],
) -> list[MeasuredUnit]:
    """Measure every animal from its sections, with its volumes where they are known.

    `factors` are those of `shrinkage_factors`, empty where nothing is to be corrected.
    """
    found = []
    for own in together([plane for plane in planes if plane.row.animal], animal_of):
        unit = _unit("animal", own, section_of, scheme)
        parameters = dict(unit.parameters)
        if factor := factors.get(unit.animal):
            parameters |= before_shrinkage(parameters, factor)
        parameters |= absolute_volumes(own, scheme, smoothness, parameters)
        said = f"shrinkage, f = {factor:.4g}" if factor else ""
        found.append(unit.model_copy(update={"parameters": parameters, "correction": said}))
    return found


def measure_groups(
    planes: Sequence[MeasuredPlane], scheme: ClassScheme, units: Sequence[MeasuredUnit]
) -> list[MeasuredUnit]:
    """Sum up groups: one value per animal, never one per section."""
    found = []
    named = [plane for plane in planes if plane.row.group and plane.row.animal]
    for own in together(named, lambda plane: plane.row.group):
        unit = _unit("group", own, animal_of, scheme)
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
