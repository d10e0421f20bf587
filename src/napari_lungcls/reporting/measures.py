"""What was measured, as a folder: a page that needs nothing else, and tables for other programs."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from napari_lungcls.reporting import figures
from napari_lungcls.reporting.page_folder import (
    GENERATOR,
    check_report_folder,
    page_environment,
    write_folder,
)
from napari_lungcls.stereology.estimate import EstimationMethod, StereologyEstimate
from napari_lungcls.stereology.groups import GroupSummary
from napari_lungcls.stereology.measure import Measured, Measures
from napari_lungcls.stereology.units import MeasuredUnit, best
from napari_lungcls.utils.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS: tuple[tuple[EstimationMethod, str, str], ...] = (
    ("difference", "corrected map", "the map, plus its mean error at the test points"),
    ("tuned", "tuned", "the same, trusting the map as far as it deserves"),
    ("manual", "points alone", "the test points, as without any map"),
    ("poststratified", "post-stratified", "a check: answers within each class of the map"),
    ("raw", "raw map", "the map alone, whose errors are not known"),
)

COLUMNS = (
    "level", "group", "animal", "section", "parameter", "symbol", "numerator", "denominator",
    "estimate", "unit", "se", "ce", "df", "ci_low", "ci_high", "ci_method", "method", "target",
    "n_clusters", "n_audit", "sum_p", "sum_i", "l_per_point_um", "a_per_point_um2", "correction",
    "design_id", "seed", "map_sha", "model_sha", "version",
)  # fmt: skip

NAMES = {
    "V_V": "volume fraction",
    "V": "volume",
    "S_V": "surface density",
    "S": "surface",
    "L_m": "mean linear intercept",
    "τ": "septal thickness",
}

FROM_ELSEWHERE = (
    "fixative, its route and pressure",
    "embedding",
    "how sections, blocks and animals were drawn at random",
)
"""What the standard asks for (Hsia et al. 2010) and no program can know."""

_FROM_TABLE = {
    "Reference volume": "the reference volume and how it was measured",
    "Shrinkage (V after / V before)": "shrinkage",
    "Section thickness": "section thickness",
    "Orientation": "orientation of the sections",
    "Animals": "the animals and their groups",
    "Test points": "test points (ΣP)",
    "Test lines": "test lines (ΣI, l/p)",
    "Pixel size": "pixel size",
}


def write_measures(directory: str | os.PathLike[str], measured: Measured) -> Path:
    """Write the page `index.html`, `measures.csv`, `counts.csv` and `prism_<parameter>.csv`.

    Parameters
    ----------
    directory
        Made if it does not exist; an earlier page there is replaced.
    measured
        The figures and the planes.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        When the folder cannot take it.

    Examples
    --------
    >>> found = lc.measure([lc.read_map("map.ome.zarr")])
    >>> lc.write_measures("results", found).name
    'index.html'
    >>> sorted(path.name for path in Path("results").glob("*s.csv"))
    ['counts.csv', 'measures.csv']
    """
    folder = check_report_folder(directory)
    measures = measured.measures
    files = {"measures.csv": measures_csv(measures), "counts.csv": counts_csv(measured)}
    drawn: dict[str, Markup] = {}
    contents: dict[str, bytes] = {}
    for symbol in measures.parameters:
        name = file_name(symbol)
        files[f"prism_{name}.csv"] = prism_csv(measures, symbol)
        figure = parameter_figure(measures, symbol)
        if figure is not None:
            svg = figures.svg_of(figure, name)
            contents[f"{name}.svg"] = figures.svg_file(svg).encode()
            drawn[symbol] = Markup(figures.svg_inline(svg, f"{symbol} of each animal, by group"))
    contents |= {name: printable(text).encode() for name, text in files.items()}
    page = _page(measures, drawn, sorted(contents))
    before = [path.name for pattern in ("prism_*.csv", "*.svg") for path in folder.glob(pattern)]
    return write_folder(folder, contents, page, set(before) - set(contents))


def file_name(symbol: str) -> str:
    """Turn a symbol into a name for files: `V_V(sep/par)` into `V_V_sep_par`."""
    return re.sub(r"\W+", "_", symbol.replace("τ", "tau")).strip("_")


def measures_csv(measures: Measures) -> str:
    """Write every figure as a row: of each section, animal and group, by each method."""
    facts = measures.facts
    rows = []
    for unit in measures.units:
        for symbol, methods in unit.parameters.items():
            above, below = _parts_of(symbol)
            for method, value in methods.items():
                low, high = value.ci or (None, None)
                rows.append(
                    (
                        unit.level,
                        unit.group,
                        unit.animal,
                        unit.section,
                        name_of(symbol),
                        symbol,
                        above,
                        below,
                        value.estimate,
                        value.unit,
                        value.se,
                        value.ce,
                        value.df,
                        low,
                        high,
                        value.ci_method,
                        method,
                        measures.target,
                        value.n_clusters,
                        unit.n_audit,
                        unit.sum_p,
                        unit.sum_i,
                        unit.l_per_point_um,
                        unit.a_per_point_um2,
                        unit.correction,
                        facts.get("Design", ""),
                        facts.get("Seed", ""),
                        facts.get("Fingerprint of maps", ""),
                        facts.get("Model", ""),
                        version("napari-lungcls"),
                    )
                )
    return _csv(COLUMNS, rows)


def counts_csv(measured: Measured) -> str:
    """Write a row per plane: cells, surfaces and length of the map; answers of the observer."""
    names = measured.scheme.names
    header = ["image", "plane", "section", "animal", "group", "cell_y_um", "cell_x_um"]
    header += [f"cells {name}" for name in names] + ["intersections", "line_um"]
    header += [f"points {name}" for name in names] + ["test_line_um", "crossings"]
    rows = []
    for plane in measured.planes:
        counts, row = plane.counts, plane.row
        answered = np.bincount(plane.truth, minlength=len(names))
        size = counts.cell_um if plane.has_size else (None, None)
        lengths = (int(counts.intersections[0].sum()), float(counts.length_um[0].sum()))
        met, length = lengths if plane.has_size else (None, None)
        lines = plane.lines
        rows.append(
            (
                counts.image,
                " ".join(map(str, counts.plane)),
                row.section,
                row.animal,
                row.group,
                *size,
                *counts.cells.tolist(),
                met,
                length,
                *answered.tolist(),
                None if lines is None else float(lines.length_um.sum()),
                None if lines is None else int(lines.crossings.sum()),
            )
        )
    return _csv(header, rows)


def prism_csv(measures: Measures, symbol: str) -> str:
    """Write a column per group and a row per animal; without animals a row per section."""
    columns = {
        group: [math.nan if v.estimate is None else v.estimate for _, v in values]
        for group, values in _by_group(measures, symbol).items()
    }
    longest = max(map(len, columns.values()), default=0)
    rows = [
        [values[i] if i < len(values) and not math.isnan(values[i]) else None
         for values in columns.values()]
        for i in range(longest)
    ]  # fmt: skip
    return _csv(list(columns), rows)


def parameter_figure(measures: Measures, symbol: str) -> Figure | None:
    """Draw every animal as a point, group by group, with the group's mean and interval.

    None when there is nothing to draw.
    """
    from matplotlib.figure import Figure

    groups = {
        name: [(unit, v) for unit, v in values if v.estimate is not None]
        for name, values in _by_group(measures, symbol).items()
    }
    groups = {name: values for name, values in groups.items() if values}
    if not groups:
        return None
    figure = Figure(figsize=(1.6 + 1.1 * len(groups), 3.0), layout="constrained")
    axes = figure.add_subplot()
    figures.style(axes)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    summaries = {unit.group: unit.summaries.get(symbol) for unit in measures.units}
    for place, (name, values) in enumerate(groups.items()):
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0.0]
        for x, (_, value) in zip(place + np.asarray(spread), values, strict=True):
            if value.ci is not None:
                axes.plot([x, x], value.ci, color=_POINT, alpha=0.35, linewidth=1.2)
            axes.plot([x], [value.estimate or 0.0], "o", color=_POINT, markersize=5, clip_on=False)
        group = summaries.get(name)
        if group is not None and group.ci is not None:
            axes.plot([place - 0.3, place + 0.3], [group.mean] * 2, color=figures.INK, linewidth=2)
            axes.plot([place + 0.34] * 2, group.ci, color=figures.INK, linewidth=1.4)
    axes.set_xticks(range(len(groups)), [figures.short(name) or "all" for name in groups])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    # Of few sections an animal's own interval says little and would flatten all the rest.
    axes.set_ylim(*_range(groups, summaries))
    unit = next((v.unit for values in groups.values() for _, v in values), "")
    label = axes.set_ylabel(f"{symbol}{f'  [{unit}]' if unit else ''}", color=figures.INK)
    for text in [label, *axes.get_xticklabels()]:
        text.set_parse_math(False)
    return figure


_POINT = "#2f81f7"


def _range(
    groups: Mapping[str, Sequence[tuple[MeasuredUnit, StereologyEstimate]]],
    summaries: Mapping[str, GroupSummary | None],
) -> tuple[float, float]:
    """Give the axis room for all figures and the groups' intervals; nothing is below 0."""
    ends = [v.estimate or 0.0 for values in groups.values() for _, v in values]
    for name in groups:
        group = summaries.get(name)
        ends += group.ci if group is not None and group.ci is not None else ()
    low, high = max(0.0, min(ends)), max(ends)
    room = 0.15 * (high - low) or 0.1 * high or 1.0
    return max(0.0, low - room), high + room


def name_of(symbol: str) -> str:
    """Say in words what a symbol stands for."""
    return NAMES.get(symbol.partition("(")[0], symbol)


def typeset(symbol: str) -> Markup:
    """Write a symbol with its index: V_V(sep/par) as in a paper."""
    return Markup(re.sub(r"^(\w)_(\w)", r"\1<sub>\2</sub>", str(escape(symbol))))


def shown(value: StereologyEstimate | None) -> str:
    """Write a figure for people: as many digits as its error allows."""
    if value is None or value.estimate is None:
        return "–"
    # Two digits of the standard error; where there is none, an interval spans four of them, and
    # without either the figure has three digits.
    error = value.se or (0.0 if value.ci is None else (value.ci[1] - value.ci[0]) / 4)
    last = math.log10(error) if error > 0 else math.log10(abs(value.estimate) or 1) - 1
    digits = max(0, 1 - math.floor(last))
    return f"{value.estimate:.{min(digits, 6)}f}"


def _shown_interval(value: StereologyEstimate | None) -> str:
    if value is None or value.ci is None:
        return ""
    return " to ".join(shown(value.model_copy(update={"estimate": end})) for end in value.ci)


def _by_group(
    measures: Measures, symbol: str
) -> dict[str, list[tuple[MeasuredUnit, StereologyEstimate]]]:
    """Give the value of every animal by its group; of every section where no animal is known."""
    level = "animal" if any(unit.level == "animal" for unit in measures.units) else "section"
    found: dict[str, list[tuple[MeasuredUnit, StereologyEstimate]]] = {}
    for unit in measures.units:
        value = best(unit.parameters.get(symbol, {}))
        if unit.level == level and value is not None:
            found.setdefault(unit.group or "all", []).append((unit, value))
    return found


def _parts_of(symbol: str) -> tuple[str, str]:
    inside = symbol.partition("(")[2].rstrip(")")
    above, _, below = inside.partition("/")
    return (above, below) if below else ("", inside)


def _page(measures: Measures, drawn: dict[str, Markup], files: Sequence[str]) -> str:
    environment = page_environment()
    environment.filters |= {
        "shown": shown,
        "interval": _shown_interval,
        "named": name_of,
        "typeset": typeset,
    }
    used = [m for m in METHODS if any(m[0] in found for found in measures.parameters.values())]
    return environment.get_template("measures.html").render(
        measures=measures,
        methods=used,
        best=best,
        drawn=drawn,
        files=files,
        animals=[unit for unit in measures.units if unit.level == "animal"],
        groups=[unit for unit in measures.units if unit.level == "group"],
        sections=[unit for unit in measures.units if unit.level == "section"],
        missing=[
            *FROM_ELSEWHERE,
            *(what for name, what in _FROM_TABLE.items() if name not in measures.facts),
        ],
        generator=GENERATOR,
    )


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return buffer.getvalue()
