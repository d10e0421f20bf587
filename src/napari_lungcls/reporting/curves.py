"""Figures of predictions, how sure, how selective: reliability, ROC, precision-recall, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_lungcls.evaluation.reliability import ReliabilityBin
from napari_lungcls.evaluation.roc_curves import ClassCurves
from napari_lungcls.reporting.figures import INK, NO_COLOR, add_note, short, style
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GRID = "#8b949e"
_BEFORE, _AFTER = "#c77700", "#2f81f7"
_MOST_NAMED = 10  # lines; with more, only the table tells them apart
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
Labelled = tuple[str, Sequence[ReliabilityBin]]
Corner = Literal["lower left", "lower right"]


def reliability_figure(tables: Sequence[Labelled], note: str = "") -> Figure:
    """Draw accuracy against confidence, and below it where the points are.

    Parameters
    ----------
    tables
        What each table is called in the legend, and its bins; one or two of them.
    note
        On how many points it rests.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for axes in (upper, lower):
        style(axes)
        _open(axes)
    upper.plot([0, 1], [0, 1], color=_GRID, linewidth=1, linestyle=(0, (4, 3)))
    looks = ((_AFTER, "o"),) if len(tables) == 1 else ((_BEFORE, "s"), (_AFTER, "o"))
    for k, ((name, bins), (ink, marker)) in enumerate(zip(tables, looks, strict=True)):
        _draw_bins(upper, [row for row in bins if row.n], name, ink, marker)
        width = (bins[0].high - bins[0].low) / len(tables) * 0.86
        middles = np.array([(row.low + row.high) / 2 for row in bins])
        places = middles + (k - (len(tables) - 1) / 2) * width
        lower.bar(places, [row.n for row in bins], width, color=ink)
    # The likeliest of k classes has 1 / k at least: nothing is to be seen further left.
    used = [row.low for _, bins in tables for row in bins if row.n]
    upper.set(xlim=(max(0.0, min(used, default=0.0) - 0.05), 1), ylim=(0, 1.005))
    upper.set_ylabel("share that is right", color=INK)
    lower.set_ylabel("points", color=INK)
    lower.set_xlabel("probability of the answer", color=INK)
    # Above the frame, as points may lie anywhere in it.
    legend = upper.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9
    )
    for text in legend.get_texts():
        text.set_color(INK)
    add_note(figure, note)
    return figure


def _draw_bins(
    axes: Axes, bins: Sequence[ReliabilityBin], name: str, ink: str, marker: str
) -> None:
    """Draw a marker and its interval for each bin; lines between them would only show noise."""
    at = np.array([row.confidence for row in bins], dtype=float)
    right = np.array([row.accuracy for row in bins], dtype=float)
    ends = np.array([row.interval for row in bins], dtype=float).reshape(-1, 2)
    axes.vlines(at, ends[:, 0], ends[:, 1], color=ink, linewidth=1.4, alpha=0.75)
    axes.plot(
        at, right, label=name, zorder=3, color=ink, marker=marker, markersize=6, linewidth=0,
        clip_on=False,
    )  # fmt: skip


def roc_figure(curves: Sequence[ClassCurves], colors: Mapping[str, str], note: str = "") -> Figure:
    """Draw true against false positive rates, a line per class against the rest."""
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=_GRID, linewidth=1, linestyle=(0, (4, 3)))
    for k, curve in enumerate(curves):
        low, high = curve.auc_interval
        label = f"{short(curve.name)}  {curve.auc:.3f} ({low:.3f}–{high:.3f})"
        _draw_line(
            axes, curve.false_positive_rate, curve.true_positive_rate, colors, curve.name, k, label
        )
    axes.set_xlabel("false positive rate (1 − specificity)", color=INK)
    axes.set_ylabel("true positive rate (recall)", color=INK)
    return _finished(figure, len(curves), "lower right", "area under the curve", note)


def precision_recall_figure(
    curves: Sequence[ClassCurves], colors: Mapping[str, str], note: str = ""
) -> Figure:
    """Draw precision against recall, in steps, a line per class against the rest."""
    figure, axes = _square()
    for k, curve in enumerate(curves):
        low, high = curve.average_precision_interval
        label = f"{short(curve.name)}  {curve.average_precision:.3f} ({low:.3f}–{high:.3f})"
        # From recall 1 downwards a precision holds until the next higher threshold.
        recall, precision = np.repeat(curve.recall, 2)[1:], np.repeat(curve.precision, 2)[:-1]
        _draw_line(axes, recall, precision, colors, curve.name, k, label)
    axes.set_xlabel("recall", color=INK)
    axes.set_ylabel("precision", color=INK)
    return _finished(figure, len(curves), "lower left", "average precision", note)


def counts_figure(
    counts: Mapping[str, Sequence[int]],
    names: Sequence[str],
    colors: Mapping[str, str],
    note: str = "",
) -> Figure:
    """Draw how many points each class has, in each part of the points.

    Parameters
    ----------
    counts
        Counts in the order of `names`, by part ("training", "validation").
    names, colors
        The classes.
    note
        What is counted.
    """
    from matplotlib.figure import Figure

    # Beside each other, so that a small part can be read as well as a large one.
    height = 0.9 + 0.34 * len(names)
    figure = Figure(figsize=(1.6 + 3.2 * len(counts), min(40.0, height)), layout="constrained")
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    places = np.arange(len(names))
    inks = [colors.get(name, NO_COLOR) for name in names]
    for axes, (part, numbers) in zip(panels, counts.items(), strict=True):
        style(axes)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.barh(places, numbers, 0.62, color=inks, edgecolor=_GRID, linewidth=0.8)
        total, most = max(1, sum(numbers)), max(1, *numbers)
        for place, number in zip(places, numbers, strict=True):
            axes.text(
                number + 0.02 * most, place, f"{number} ({percent(number / total, 0)})",
                va="center", ha="left", color=INK, fontsize=9,
            )  # fmt: skip
        axes.set(xlim=(0, 1.32 * most), ylim=(len(names) - 0.5, -0.5))
        axes.tick_params(axis="x", bottom=False, labelbottom=False)
        axes.tick_params(axis="y", length=0)
        axes.set_title(f"{part}: {sum(numbers)}", loc="left", fontsize=9.5, color=INK)
    panels[0].set_yticks(places, [short(name) for name in names])
    for label in panels[0].get_yticklabels():
        label.set_parse_math(False)
    add_note(figure, note)
    return figure


def _square() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0, 4.9), layout="constrained")
    axes = figure.add_subplot()
    style(axes)
    _open(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.005))
    axes.set_aspect("equal")
    return figure, axes


def _open(axes: Axes) -> None:
    axes.grid(color=_GRID, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_line(
    axes: Axes,
    x: np.ndarray[tuple[int], np.dtype[np.float64]],
    y: np.ndarray[tuple[int], np.dtype[np.float64]],
    colors: Mapping[str, str],
    name: str,
    number: int,
    label: str,
) -> None:
    """Draw a class's line, cased in grey, so that yellow shows on white and black on black."""
    from matplotlib.patheffects import Normal, Stroke

    axes.plot(
        x, y, color=colors.get(name, NO_COLOR), linewidth=2.2, label=label, clip_on=False,
        linestyle=_DASHES[number % len(_DASHES)],
        path_effects=[Stroke(linewidth=3.6, foreground="#5b636d"), Normal()],
    )  # fmt: skip


def _finished(figure: Figure, curves: int, place: Corner, title: str, note: str) -> Figure:
    """Add a legend, where the lines can be told apart, and the note."""
    if curves <= _MOST_NAMED:
        legend = figure.axes[0].legend(
            loc=place, frameon=False, fontsize=9, title=title, title_fontsize=9, alignment="left",
            handlelength=2.6,
        )  # fmt: skip
        for text in [*legend.get_texts(), legend.get_title()]:
            text.set_color(INK)
            text.set_parse_math(False)
    add_note(figure, note)
    return figure
