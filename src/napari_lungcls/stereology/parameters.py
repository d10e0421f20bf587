"""The parameters of a lung, from planes that belong together: fractions, surfaces, lengths."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.stereology.audited_clusters import AuditedClusters
from napari_lungcls.stereology.corrected_pair import Target
from napari_lungcls.stereology.corrections import (
    corrected_totals,
    difference,
    manual,
    poststratified,
    tuned,
)
from napari_lungcls.stereology.estimate import EstimationMethod, StereologyEstimate
from napari_lungcls.stereology.material import MeasuredPlane
from napari_lungcls.stereology.raster_surface import direction_weights
from napari_lungcls.stereology.ratios import ratio
from napari_lungcls.stereology.surface import (
    corrected_intersections,
    mean_linear_intercept,
    septal_thickness,
    surface_density,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Estimates = dict[EstimationMethod, StereologyEstimate]
Parameters = dict[str, Estimates]
"""By symbol, what each method says."""

SHORT = {"alveoli": "alvair", "septa": "sep", "duct": "ductair"}
"""What the standard calls the classes of the presets (Hsia et al. 2010,
doi 10.1164/rccm.200809-1522ST)."""


def symbol_of(name: str) -> str:
    """Write a class as the standard does, where it has a name for it."""
    return SHORT.get(name, name)


def measure_parameters(
    planes: Sequence[MeasuredPlane],
    cluster: Callable[[MeasuredPlane], Hashable],
    scheme: ClassScheme,
) -> Parameters:
    """Estimate everything that some planes tell, by every method that they allow.

    Parameters
    ----------
    planes
        Of one target: a section, an animal, a group.
    cluster
        Names the independent unit that a plane belongs to.
    scheme
        The classes.

    Returns
    -------
    dict
        By symbol. `V_V(x/par)` for every class of the parenchyma, `V_V(par/lung)` where
        there is a class that is lung and no parenchyma, and where cells have a size and there is
        air and tissue, `S_V(par)` in cm⁻¹, `L_m` and `τ(sep)` in µm.
    """
    keys = list(dict.fromkeys(cluster(plane) for plane in planes))
    own = [keys.index(cluster(plane)) for plane in planes]
    areas, chances = _areas(planes, own, len(keys))
    audit = _audited(planes, own, areas, chances)
    found: Parameters = {}
    parenchyma, lung = scheme.parenchyma, scheme.lung
    for code in np.flatnonzero(parenchyma):
        wanted = np.arange(len(scheme)) == code
        name = f"V_V({symbol_of(scheme.names[code])}/par)"
        found[name] = _shares(areas, audit, wanted, parenchyma)
    if (lung & ~parenchyma).any():
        found["V_V(par/lung)"] = _shares(areas, audit, parenchyma, lung)
    if {"air", "tissue"} <= set(scheme.phases) and all(plane.has_size for plane in planes):
        found |= _surfaces(planes, own, areas, audit, np.array(scheme.phases))
    return found


def _areas(
    planes: Sequence[MeasuredPlane], own: Sequence[int], clusters: int
) -> tuple[Floats, Floats | None]:
    """Add up what each class covers `(clusters, k)`, by classes, and by probabilities."""
    k = len(planes[0].counts.cells)
    areas, chances = np.zeros((clusters, k)), np.zeros((clusters, k))
    for plane, place in zip(planes, own, strict=True):
        cell = plane.counts.cell_um[0] * plane.counts.cell_um[1]
        areas[place] += plane.counts.cells * cell
        if plane.counts.probabilities is not None:
            chances[place] += plane.counts.probabilities * cell
    return areas, chances if all(p.counts.probabilities is not None for p in planes) else None


def _audited(
    planes: Sequence[MeasuredPlane], own: Sequence[int], areas: Floats, chances: Floats | None
) -> AuditedClusters | None:
    """Put the test points together by cluster; clusters without any are left out."""
    cluster = np.concatenate(
        [np.full(len(p.truth), place, np.int64) for p, place in zip(planes, own, strict=True)]
    )
    kept = (np.bincount(cluster, minlength=len(areas)) > 0) & (areas.sum(axis=1) > 0)
    if not kept.any():
        return None
    place = np.cumsum(kept) - 1
    return AuditedClusters(
        areas[kept],
        place[cluster],
        np.concatenate([p.truth for p in planes]),
        np.concatenate([p.classes for p in planes]),
        None if chances is None else chances[kept],
        None if chances is None else np.concatenate([p.predicted for p in planes]),
    )


def _shares(
    areas: Floats, audit: AuditedClusters | None, wanted: Bools, reference: Bools
) -> Estimates:
    found: Estimates = {
        "raw": _alone(ratio(areas[:, wanted].sum(1), areas[:, reference].sum(1), method="raw"))
    }
    if audit is not None:
        # Of one cluster there is no more to know than how its points vary.
        target: Target = "population" if audit.n_clusters > 1 else "sections"
        found |= {
            "manual": manual(audit, wanted, reference, target=target),
            "difference": difference(audit, wanted, reference, target=target),
            "tuned": tuned(audit, wanted, reference, target=target),
            "poststratified": poststratified(audit, wanted, reference, target=target),
        }
    return found


def _alone(found: StereologyEstimate) -> StereologyEstimate:
    """Take the errors from what maps say alone: how clusters vary is not how maps err."""
    return found.model_copy(
        update={"se": None, "ce": None, "df": None, "ci": None, "ci_method": "none"}
    )


@dataclass(frozen=True, eq=False)
class _Lines:
    """Sums over each cluster, `(clusters,)`: surfaces, and µm of test line in each reference."""

    surfaces: Floats
    parenchyma: Floats
    air: Floats
    tissue: Floats

    @classmethod
    def none(cls, clusters: int) -> _Lines:
        """Begin with nothing."""
        return cls(*np.zeros((4, clusters)))

    def estimates(self, method: EstimationMethod) -> dict[str, StereologyEstimate]:
        """Give S_V, L_m and τ; lengths are points with one micrometre of line each."""
        met = np.maximum(self.surfaces, 0)
        inside, air, tissue = (
            np.maximum(own, 0) for own in (self.parenchyma, self.air, self.tissue)
        )
        return {
            "S_V(par)": surface_density(met, inside, 1.0, method=method).scaled(1, "cm⁻¹"),
            "L_m": mean_linear_intercept(air, met, 1.0, method=method),
            "τ(sep)": septal_thickness(tissue, met, 1.0, method=method),
        }


def _surfaces(
    planes: Sequence[MeasuredPlane],
    own: Sequence[int],
    areas: Floats,
    audit: AuditedClusters | None,
    phases: NDArray[np.str_],
) -> Parameters:
    clusters = len(areas)
    told, counted = _Lines.none(clusters), _Lines.none(clusters)
    expected, length = np.zeros((2, clusters))
    inside = (phases != "none", phases == "air", phases == "tissue")
    for plane, place in zip(planes, own, strict=True):
        met, whole, in_air = _lines_of(plane)
        told.surfaces[place] += met
        told.parenchyma[place] += whole
        told.air[place] += in_air
        told.tissue[place] += whole - in_air
        if (lines := plane.lines) is not None:
            counted.surfaces[place] += lines.crossings.sum()
            sums = (counted.parenchyma, counted.air, counted.tissue)
            for total, chosen in zip(sums, inside, strict=True):
                total[place] += (lines.length_um * chosen[lines.truth]).sum()
            expected[place] += lines.expected.sum()
            length[place] += lines.length_um.sum()
    found: Parameters = {s: {"raw": _alone(v)} for s, v in told.estimates("raw").items()}
    if not length.any():
        return found
    for symbol, value in counted.estimates("manual").items():
        found[symbol]["manual"] = value
    points = np.zeros(clusters)
    for plane, place in zip(planes, own, strict=True):
        points[place] += len(plane.truth)
    kept = (points > 0) & (areas.sum(axis=1) > 0)
    used = kept & (length > 0) & (told.parenchyma > 0)
    if audit is None or not used.any():
        return found
    # Of all the lines of the map, in the parenchyma or not.
    every = told.parenchyma[used] / (areas[:, inside[0]].sum(1) / areas.sum(1))[used]
    surfaces = corrected_intersections(
        told.surfaces[used],
        counted.surfaces[used],
        expected[used],
        np.minimum(length[used] / every, 1.0),
    )
    shares = [(corrected_totals(audit, chosen) / audit.size)[used[kept]] for chosen in inside]
    corrected = _Lines(surfaces, *(every * share for share in shares))
    for symbol, value in corrected.estimates("difference").items():
        found[symbol]["difference"] = value
    return found


def _lines_of(plane: MeasuredPlane) -> tuple[float, float, float]:
    """Give surfaces, length and length in air of a plane's own lines, over all directions."""
    counts = plane.counts
    finest = counts.strides.index(min(counts.strides))
    met, length, air = (
        row[finest] for row in (counts.intersections, counts.length_um, counts.air_um)
    )
    if not length.all():
        return 0.0, 0.0, 0.0
    weights, whole = direction_weights(counts.angles), float(length.mean())
    return float(weights @ (met / length)) * whole, whole, float(weights @ (air / length)) * whole
