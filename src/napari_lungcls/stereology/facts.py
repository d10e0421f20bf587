"""What a paper has to report of its measurements, as far as it is known here."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import LungclsWarning
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.stereology.audit import repeatability
from napari_lungcls.stereology.cavalieri import Smoothness
from napari_lungcls.stereology.material import Material
from napari_lungcls.stereology.plane_counts import total
from napari_lungcls.stereology.provenance import GridDesign
from napari_lungcls.stereology.raster_surface import measure_surface
from napari_lungcls.stereology.shrinkage import overprojection
from napari_lungcls.utils.humanize import percent


def facts_of(maps: Sequence[MapData], found: Material, smoothness: Smoothness) -> dict[str, str]:
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
        "Map": f"a cell every {listed([h.stride for h in headers])} pixels of the image",
        "Cells": listed([f"{y:.3g} × {x:.3g} µm" for y, x in cells]),
        "Pixel size": listed([f"{s:g} µm" for s in (e.get("pixel_size") for e in said) if s]),
        "Model": listed(
            [each.get("model_created") and f"of {each['model_created']}" for each in said]
        ),
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
    facts |= _surface_facts(found)
    return {name: value for name, value in facts.items() if value}


def counted_fact(spacing: float | None, seed: int) -> dict[str, str]:
    """Say that maps were counted at points only, if they were."""
    if spacing is None:
        return {}
    return {"Maps counted": f"at points {spacing:g} pixels apart, random offset, seed {seed}"}


def observer_fact(audit: Sequence[Points], scheme: ClassScheme, seed: int) -> dict[str, str]:
    """Say how often observers agreed with themselves at points that were asked twice."""
    said = []
    for points in audit:
        with warnings.catch_warnings():
            # Reading the material has said it.
            warnings.simplefilter("ignore", LungclsWarning)
            found = repeatability(points, scheme, seed)
        if found is not None and found.agreement.value is not None:
            said.append(f"{percent(found.agreement.value, 0)} of {found.n} points asked twice")
    return {"Agreement of the observer": "; ".join(said)} if said else {}


def _grid(design: GridDesign) -> str:
    """Say how test points were drawn."""
    y, x = design.spacing
    said = f"a point every {y:g} × {x:g} pixels, random offset"
    if design.field_size is not None:
        said += f", in fields of {design.field_size} pixels every {design.field_spacing:.0f}"
    if design.line_length is not None:
        said += f", lines of {design.line_length:g} pixels in random directions"
    return f"{said}, {percent(design.repeat_fraction, 0)} asked twice"


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


def _surface_facts(found: Material) -> dict[str, str]:
    """Say how S_V depends on the size of cells, and I_L on direction; pixels must be alike."""
    planes = [plane.counts for plane in found.planes if plane.has_size]
    sizes = {tuple(np.round(counts.cell_um, 6)) for counts in planes}
    if len(planes) < len(found.planes) or len(sizes) != 1:
        return {}
    with warnings.catch_warnings():
        # Reading each plane has said it.
        warnings.simplefilter("ignore", LungclsWarning)
        surfaces = measure_surface(total(planes))
    finest = surfaces[0]
    if not np.isfinite(finest.mean_surface_density) or not finest.mean_surface_density:
        return {}
    density = ", ".join(f"{s.mean_surface_density:.0f}" for s in surfaces)
    along = ", ".join(f"{1000 * met:.1f}" for met in finest.intercepts)
    return {
        f"S_V of the map, cells compared {', '.join(str(s.stride) for s in surfaces)} apart": (
            f"{density} cm⁻¹: surfaces are rough at every scale"
        ),
        "I_L of the map along 0, 45, 90, 135°": (
            f"{along} per mm; largest over smallest {finest.anisotropy:.2f}, CE "
            f"{percent(finest.direction_ce, 1)}"
        ),
    }
