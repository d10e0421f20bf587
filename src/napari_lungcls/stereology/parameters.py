"""The parameters of a lung, from planes that belong together: fractions, surfaces, lengths."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.stereology.corrections import (
    AuditedMaps,
    difference_share,
    manual_share,
    poststratified_share,
    raw_share,
    tuned_share,
)
from napari_lungcls.stereology.estimate import MeasuredValue, Method
from napari_lungcls.stereology.fields import MeasuredPlane, TestLines
from napari_lungcls.stereology.raster_surface import PER_CM, direction_weights
from napari_lungcls.stereology.ratios import ratio

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Estimates = dict[Method, MeasuredValue]
Parameters = dict[str, Estimates]
"""By symbol, what each method says."""

SHORT = {"alveoli": "alvair", "septa": "sep", "duct": "ductair"}
"""What the standard calls the classes of the presets (Hsia et al. 2010,
doi 10.1164/rccm.200809-1522ST)."""

RAW_ONLY = "no interval: without test lines the map's own errors are not known"


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
    plain, sure = (_audited(planes, own, len(keys), chances=chances) for chances in (False, True))
    found: Parameters = {}
    parenchyma, lung = scheme.parenchyma, scheme.lung
    for code in np.flatnonzero(parenchyma):
        wanted = np.arange(len(scheme)) == code
        name = f"V_V({symbol_of(scheme.names[code])}/par)"
        found[name] = _shares(plain, sure, wanted, parenchyma)
    if (lung & ~parenchyma).any():
        found["V_V(par/lung)"] = _shares(plain, sure, parenchyma, lung)
    phases = np.array(scheme.phases)
    if {"air", "tissue"} <= set(scheme.phases) and all(plane.has_size for plane in planes):
        found |= _surfaces(planes, own, len(keys), plain, phases)
    return found


def _audited(
    planes: Sequence[MeasuredPlane], own: Sequence[int], clusters: int, *, chances: bool
) -> AuditedMaps:
    """Put planes together by cluster; with `chances`, probabilities where all maps have them."""
    chances = chances and all(plane.counts.probabilities is not None for plane in planes)
    k = len(planes[0].counts.cells)
    areas = np.zeros((clusters, k))
    for plane, place in zip(planes, own, strict=True):
        height, width = plane.counts.cell_um
        told = plane.counts.probabilities if chances else plane.counts.cells
        assert told is not None
        areas[place] += told * height * width
    eye = np.eye(k)
    return AuditedMaps(
        areas,
        np.concatenate(
            [np.full(len(p.truth), place, np.int64) for p, place in zip(planes, own, strict=True)]
        ),
        np.concatenate([p.truth for p in planes]),
        np.concatenate([p.predicted if chances else eye[p.classes] for p in planes]),
        np.concatenate([p.classes for p in planes]),
    )


def _shares(plain: AuditedMaps, sure: AuditedMaps, wanted: Bools, reference: Bools) -> Estimates:
    found: Estimates = {"raw": raw_share(plain, wanted, reference)}
    if len(plain.truth):
        found |= {
            "manual": manual_share(plain, wanted, reference),
            "difference": difference_share(plain, wanted, reference),
            "tuned": tuned_share(sure, wanted, reference),
            "poststratified": poststratified_share(plain, wanted, reference),
        }
    return found


@dataclass(frozen=True, eq=False)
class _Rates:
    """Sums over each cluster, `(clusters,)`: surfaces, and length of lines in each reference."""

    surfaces: Floats
    parenchyma: Floats
    air: Floats
    tissue: Floats

    def estimates(self) -> dict[str, MeasuredValue]:
        """Give S_V, L_m and τ: `2ΣI/ΣL(par)`, `2ΣL(air)/ΣI`, `ΣL(sep)/ΣI`.

        Tomkeieff 1945; Weibel 1979; Knudsen et al. 2010, doi 10.1152/japplphysiol.01100.2009.
        A line of length l with one point in its middle stands for `l/p` = l.
        """
        met = np.maximum(self.surfaces, 0)
        length = np.maximum(self.parenchyma, 0)
        return {
            "S_V(par)": ratio(2 * PER_CM * self.surfaces, length).scaled(1, "cm⁻¹"),
            "L_m": ratio(2 * self.air, met).scaled(1, "µm"),
            "τ(sep)": ratio(self.tissue, met).scaled(1, "µm"),
        }


def _surfaces(
    planes: Sequence[MeasuredPlane],
    own: Sequence[int],
    clusters: int,
    audit: AuditedMaps,
    phases: NDArray[np.str_],
) -> Parameters:
    told = _Rates(*np.zeros((4, clusters)))
    for plane, place in zip(planes, own, strict=True):
        met, length, air = _lines_of(plane)
        told.surfaces[place] += met
        told.parenchyma[place] += length
        told.air[place] += air
        told.tissue[place] += length - air
    found: Parameters = {
        name: {
            "raw": MeasuredValue(
                estimate=value.estimate, unit=value.unit, n_clusters=clusters, ci_method=RAW_ONLY
            )
        }
        for name, value in told.estimates().items()
    }
    lined = [(p.lines, place) for p, place in zip(planes, own, strict=True) if p.lines is not None]
    if not lined:
        return found
    manual = _Rates(*np.zeros((4, clusters)))
    extra, total = np.zeros((2, clusters))
    inside, air, tissue = (phases != "none"), phases == "air", phases == "tissue"
    for lines, place in lined:
        _add_lines(manual, lines, place, (inside, air, tissue))
        extra[place] += (lines.crossings - lines.expected).sum()
        total[place] += lines.length_um.sum()
    for name, value in manual.estimates().items():
        found[name]["manual"] = value
    corrected = _corrected(told, audit, (inside, air, tissue), extra, total)
    if corrected is not None:
        for name, value in corrected.estimates().items():
            found[name]["difference"] = value
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


def _add_lines(rates: _Rates, lines: TestLines, place: int, phases: Sequence[Bools]) -> None:
    inside, air, tissue = phases
    rates.surfaces[place] += lines.crossings.sum()
    rates.parenchyma[place] += (lines.length_um * inside[lines.truth]).sum()
    rates.air[place] += (lines.length_um * air[lines.truth]).sum()
    rates.tissue[place] += (lines.length_um * tissue[lines.truth]).sum()


def _corrected(
    told: _Rates, audit: AuditedMaps, phases: Sequence[Bools], extra: Floats, total: Floats
) -> _Rates | None:
    """Correct surfaces by test lines and volumes by test points, per painted length.

    `T = map + mean(observer − map)` in each cluster, as for shares; clusters without lines or
    points are left out.
    """
    points = audit.sums(np.ones(len(audit.truth)))
    used = (points > 0) & (total > 0) & (told.parenchyma > 0)
    if not used.any():
        return None
    weights = audit.weights[used]

    def share(chosen: Bools) -> Floats:
        map_says = audit.areas[:, chosen].sum(axis=1)[used] / weights
        left = chosen[audit.truth] - audit.predicted[:, chosen].sum(axis=1)
        corrected: Floats = map_says + audit.sums(left)[used] / points[used]
        return corrected

    inside, air, tissue = phases
    on_map = audit.areas[:, inside].sum(axis=1)[used] / weights
    met = told.surfaces[used] / told.parenchyma[used] * on_map + extra[used] / total[used]
    return _Rates(weights * met, *(weights * share(chosen) for chosen in (inside, air, tissue)))
