"""Absolute volumes and surfaces of a lung, and sizes from before it shrank."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.stereology.cavalieri import Smoothness, cavalieri
from napari_lungcls.stereology.estimate import EstimationMethod, StereologyEstimate, undefined
from napari_lungcls.stereology.material import Material, MeasuredPlane, section_of, together
from napari_lungcls.stereology.parameters import Parameters, symbol_of
from napari_lungcls.stereology.section_info import SectionInfo
from napari_lungcls.stereology.shrinkage import linear_shrinkage, unshrunk


def absolute_volumes(
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
        for own in together(planes, section_of)
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
        # Of a product of independent factors.
        ce = math.hypot(*known) if share.ce is not None else None
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


def shrinkage_factors(planes: Sequence[MeasuredPlane], found: Material) -> dict[str, float]:
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


def before_shrinkage(parameters: Parameters, factor: float) -> Parameters:
    """Set lengths and surfaces back to before lengths shrank by a factor."""
    powers = {"L_m": 1, "τ(sep)": 1, "S_V(par)": -1}
    return {
        symbol: {m: unshrunk(v, factor, power) for m, v in parameters[symbol].items()}
        for symbol, power in powers.items()
        if symbol in parameters
    }
