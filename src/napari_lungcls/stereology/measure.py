"""Measuring: from painted maps and answered test points to the numbers of a paper."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.evaluation.fractions import FractionAgreement, fraction_agreement
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.stereology.cavalieri import Smoothness
from napari_lungcls.stereology.facts import counted_fact, facts_of, observer_fact
from napari_lungcls.stereology.fields import read_material
from napari_lungcls.stereology.groups import audit_points_needed
from napari_lungcls.stereology.material import Material, MeasuredPlane, animal_of, section_of
from napari_lungcls.stereology.parameters import Parameters, measure_parameters
from napari_lungcls.stereology.phase_map import BlockMask
from napari_lungcls.stereology.section_info import Sections
from napari_lungcls.stereology.units import (
    MeasuredUnit,
    measure_animals,
    measure_groups,
    measure_sections,
)
from napari_lungcls.stereology.volumes import shrinkage_factors

Target = Literal["sections", "animal", "group"]

WANTED_CE = 0.05
"""Coefficient of error for which it is said how many test points it takes."""

LEAST_ANIMALS = 3
"""Fewer tell nothing of agreement."""

ERROR_RATES, WANTED = (0.02, 0.05, 0.10), (0.005, 0.01, 0.02)
"""Of the table that says how many test points give which error."""


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
    agreement
        How far map and points alone agree on the animals, by symbol; for three animals or more.
    planning
        `(error rate, standard error, test points)`: how many test points it takes.
    warnings
        What to know before the figures are trusted.
    facts
        Design, seed, versions, maps: what a paper has to report.

    Examples
    --------
    >>> measures = lc.measure([lc.read_map("map.ome.zarr")]).measures
    >>> measures.target, measures.clusters
    ('sections', 1)
    >>> list(measures.document())
    ['target', 'clusters', 'parameters', 'warnings']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Target
    clusters: int
    parameters: Parameters
    units: list[MeasuredUnit]
    agreement: dict[str, FractionAgreement]
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

    Examples
    --------
    >>> found = lc.measure([lc.read_map("map.ome.zarr")])
    >>> septa = found.measures.parameters["V_V(sep/par)"]
    >>> list(septa), septa["raw"].ci
    (['raw'], None)
    >>> found.measures.warnings[0]
    'no audit: these are the raw shares of the map, whose own errors are not known; draw test points, answer them, and measure again'
    """  # noqa: E501
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
    factors = shrinkage_factors(planes, found) if correct_shrinkage else {}
    with warnings.catch_warnings():
        # What they warn of at every section and animal is said of all together.
        warnings.simplefilter("ignore", LungclsWarning)
        units = [
            *measure_sections(planes, scheme),
            *measure_animals(planes, scheme, smoothness, factors),
        ]
        units += measure_groups(planes, scheme, units)
    animals = {plane.row.animal for plane in planes if plane.row.animal}
    target: Target = "group" if len(animals) > 1 else "animal" if animals else "sections"
    by = animal_of if len(animals) > 1 else section_of
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LungclsWarning)
        parameters = measure_parameters(planes, by, scheme)
    found.remarks += [str(warning.message) for warning in caught]
    clusters = len({by(plane) for plane in planes})
    if clusters == 1:
        found.remarks.append(
            "one section only: the errors are those within it, and say nothing of others"
        )
    elif target == "animal":
        found.remarks.append(
            "one animal only: the errors are those between its sections, and say nothing of other "
            "animals"
        )
    return Measured(
        Measures(
            target=target,
            clusters=clusters,
            parameters=parameters,
            units=units,
            agreement=_agreement(units),
            planning=[
                (rate, se, audit_points_needed(se, math.sqrt(rate)))
                for rate in ERROR_RATES
                for se in WANTED
            ],
            warnings=list(dict.fromkeys(found.remarks)),
            facts=_still_needed(parameters, units)
            | facts_of(maps, found, smoothness)
            | counted_fact(spacing, seed)
            | observer_fact(audit, scheme, seed),
        ),
        planes,
        scheme,
    )


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


def _agreement(units: Sequence[MeasuredUnit]) -> dict[str, FractionAgreement]:
    """Compare what the map and the observer's points say of each animal."""
    animals = [unit for unit in units if unit.level == "animal"]
    found = {}
    for symbol in animals[0].parameters if animals else ():
        if not symbol.startswith("V_V"):
            continue
        pairs = [
            (methods["raw"].estimate, methods["manual"].estimate)
            for unit in animals
            if "manual" in (methods := unit.parameters.get(symbol, {}))
        ]
        known = [(one, two) for one, two in pairs if one is not None and two is not None]
        if len(known) >= LEAST_ANIMALS:
            found[symbol] = fraction_agreement(known, ("raw map", "points alone"))
    return found


def _still_needed(parameters: Parameters, units: Sequence[MeasuredUnit]) -> dict[str, str]:
    """Say how many test points bring each fraction to a CE of 5 %, if they err as those here."""
    answered = sum(unit.n_audit for unit in units if unit.level == "section")
    said = [
        f"{symbol} {math.ceil(answered * (value.ce / WANTED_CE) ** 2)}"
        for symbol, methods in parameters.items()
        if symbol.startswith("V_V") and (value := methods.get("difference")) and value.ce
    ]
    return {f"Test points for a CE of {WANTED_CE:.0%}": ", ".join(said)} if said else {}
