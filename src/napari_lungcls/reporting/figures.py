"""The figures of a report, drawn without pyplot and without touching global settings."""

from __future__ import annotations

import html
import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_lungcls.evaluation.intervals import wilson
from napari_lungcls.evaluation.metrics import Metrics
from napari_lungcls.learning.progress import TRAINING, VALIDATION, EpochRecord
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2328"
_MUTED = "#8b949e"
_FAINT = "#59636e"  # on _LOW: contrast 5.5
_LOW, _HIGH = (0xEE, 0xF3, 0xFA), (0x0B, 0x3D, 0x91)
NO_COLOR = "#b0b0b0"
_LONGEST_NAME = 22
_MOST_NUMBERED = 20  # classes; with more, cells are too small for numbers
_STRIP = 6.0  # points between the matrix and the colours of its classes


def confusion_figure(metrics: Metrics, colors: Mapping[str, str], note: str = "") -> Figure:
    """Draw the confusion matrix: counts, and their shares of the true class.

    Parameters
    ----------
    metrics
        What to show; rows are the truth, columns the predictions.
    colors
        `#rrggbb` by class name; a class without one is marked grey.
    note
        On how many points it rests.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    counts = np.array(metrics.confusion)
    support = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(support, 1)
    count = len(counts)
    numbered = count <= _MOST_NUMBERED
    cell = min(0.95, max(0.66, 4.2 / count)) if numbered else 13 / count
    # Inches for the labels, by the longest; the layout then fits the cells exactly.
    longest = max(len(short(name)) for name in metrics.classes)
    width, height = cell * count + 0.8 + 0.08 * longest, cell * count + 0.8 + 0.055 * longest
    figure = Figure(figsize=(max(3.0, width), max(2.2, height)), layout="constrained")
    axes = figure.add_subplot()
    style(axes)
    if numbered:
        for row, column in np.ndindex(count, count):
            share = float(shares[row, column]) if support[row] else None
            _draw_cell(axes, (row, column), int(counts[row, column]), share, cell)
    else:
        ramp = LinearSegmentedColormap.from_list("shares", [_face(0), _face(1)])
        ticks = np.arange(count)
        axes.pcolormesh(ticks, ticks, shares, cmap=ramp, vmin=0, vmax=1, rasterized=True)
    _mark_classes(axes, metrics.classes, colors)
    axes.tick_params(labelsize=min(9.0, 60 * cell))
    axes.set_xlabel("predicted class", color=INK, labelpad=8)
    axes.set_ylabel("true class", color=INK, labelpad=8)
    add_note(figure, note)
    return figure


def _draw_cell(
    axes: Axes, place: tuple[int, int], number: int, share: float | None, cell: float
) -> None:
    """Draw one cell; its colour and second line tell the share of the true class."""
    from matplotlib.patches import Rectangle

    row, column = place
    corner = (column - 0.48, row - 0.48)
    axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=_face(share or 0), linewidth=0))
    # Of the two inks, the one that contrasts more with the face.
    ink = "#ffffff" if share is not None and share > 0.66 else "#10151c"
    size = 13 * min(1.0, cell / 0.8)
    if share is None or number == 0:
        text = "—" if share is None else "0"
        axes.text(column, row, text, ha="center", va="center", color=_FAINT, fontsize=size)
        return
    axes.text(column, row - 0.06, str(number), ha="center", va="bottom", color=ink, fontsize=size)
    axes.text(
        column,
        row + 0.08,
        percent(share, 1 if cell > 0.75 else 0),
        ha="center",
        va="top",
        color=ink,
        fontsize=max(7.0, 0.66 * size),
    )


def _face(share: float) -> tuple[float, float, float]:
    """Give the colour of a cell, red, green and blue from 0 to 1."""
    red, green, blue = (
        (low + (high - low) * share) / 255 for low, high in zip(_LOW, _HIGH, strict=True)
    )
    return red, green, blue


def _mark_classes(axes: Axes, names: Sequence[str], colors: Mapping[str, str]) -> None:
    """Label both axes with the classes' names, and a strip of their colours."""
    count = len(names)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=2 * _STRIP + 2)
    shown = [short(name) for name in names]
    slanted = max(len(name) for name in shown) > 9 or count > 6
    axes.set_xticks(range(count), shown)
    axes.set_yticks(range(count), shown)
    for label in axes.get_xticklabels():
        label.set(rotation=40 if slanted else 0, ha="right" if slanted else "center")
        label.set_rotation_mode("anchor" if slanted else "default")
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        label.set_parse_math(False)
    for code, name in enumerate(names):
        _draw_strip(axes, code, count, colors.get(name, NO_COLOR))


def _draw_strip(axes: Axes, code: int, count: int, color: str) -> None:
    """Draw the colour of a class beside its row and under its column.

    The distance is in points, as that of the labels is, so that the two never meet.
    """
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None
    dots = figure.dpi_scale_trans
    span, edge = (code - 0.46, code + 0.46), (-0.5, -0.5)
    under = (count - 0.5, count - 0.5)
    for xs, ys, shift in ((edge, span, (-_STRIP, 0)), (span, under, (0, -_STRIP))):
        place = axes.transData + ScaledTranslation(shift[0] / 72, shift[1] / 72, dots)
        for width, ink in ((6, _MUTED), (5, color)):
            axes.plot(
                *(xs, ys),
                color=ink,
                linewidth=width,
                solid_capstyle="butt",
                transform=place,
                clip_on=False,
            )


def curves_figure(
    history: Sequence[EpochRecord], note: str = "", validation_points: int | None = None
) -> Figure:
    """Draw loss and accuracy over the epochs, training against validation.

    Parameters
    ----------
    history
        The epochs.
    note
        On how many points they rest.
    validation_points
        For the band of 95 % Wilson intervals around the validation accuracy; none if unknown.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(10.8, 3.4), layout=ConstrainedLayoutEngine(wspace=0.06))
    loss, accuracy = figure.subplots(1, 2)
    epochs = [record.epoch for record in history]
    _draw_curves(loss, epochs, [r.train_loss for r in history], [r.val_loss for r in history])
    _draw_curves(
        accuracy, epochs, [r.train_accuracy for r in history], [r.val_accuracy for r in history]
    )
    if validation_points:
        _draw_band(accuracy, history, validation_points)
    loss.set_ylabel("loss", color=INK)
    loss.set_ylim(bottom=0)
    accuracy.set_ylabel("accuracy", color=INK)
    accuracy.set_ylim(_accuracy_floor(history), 1.0)
    # Losses fall, so the upper right corner is free.
    legend = loss.legend(loc="upper right", frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_color(INK)
    add_note(figure, note)
    return figure


def _draw_band(axes: Axes, history: Sequence[EpochRecord], points: int) -> None:
    known = [(r.epoch, wilson(r.val_accuracy, points)) for r in history if r.val_accuracy]
    if known:
        epochs, ends = zip(*known, strict=True)
        low, high = zip(*ends, strict=True)
        axes.fill_between(epochs, low, high, color=VALIDATION, alpha=0.16, linewidth=0)


def _draw_curves(
    axes: Axes, epochs: Sequence[int], training: Sequence[float], validation: Sequence[float | None]
) -> None:
    from matplotlib.ticker import MaxNLocator

    style(axes)
    values = [math.nan if value is None else value for value in validation]
    marker = "o" if len(epochs) <= 30 else ""
    # A curve may touch the frame (accuracy 1), where a clipped marker would look cut.
    look: dict[str, Any] = {
        "marker": marker,
        "markersize": 3.5,
        "linewidth": 1.8,
        "clip_on": False,
        "zorder": 3,
    }
    axes.plot(epochs, training, color=TRAINING, label="training", **look)
    if not np.isnan(values).all():
        axes.plot(epochs, values, color=VALIDATION, label="validation", **look)
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.grid(axis="y", color=_MUTED, alpha=0.35, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _accuracy_floor(history: Sequence[EpochRecord]) -> float:
    """Begin the axis at the tenth below the lowest value, to show what differs near 1."""
    values = [v for r in history for v in (r.train_accuracy, r.val_accuracy) if v is not None]
    lowest = min((value for value in values if math.isfinite(value)), default=0.0)
    return min(0.9, max(0.0, math.floor(10 * lowest - 0.2) / 10))


def add_note(figure: Figure, note: str) -> None:
    """Write above a figure on what it rests, in lines that it is wide enough for."""
    if not note:
        return
    # 8.5 points are about 15 letters to the inch.
    lines = textwrap.wrap(note, max(24, int(15.5 * figure.get_figwidth())))
    height = figure.get_figheight() + 0.16 * len(lines)
    figure.set_figheight(height)
    title = figure.suptitle("\n".join(lines), x=0.02, ha="left", fontsize=8.5, color=INK)
    title.set_parse_math(False)


def style(axes: Axes) -> None:
    """Set every colour, because a user's own matplotlib settings may say otherwise."""
    axes.patch.set_alpha(0)
    axes.tick_params(colors=INK, labelsize=9)
    for spine in axes.spines.values():
        spine.set_color(_MUTED)


def short(name: str) -> str:
    """Cut a name that is too long for a figure."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def png_of(figure: Figure) -> bytes:
    """Render a figure as PNG on white, 160 dots per inch."""
    buffer = io.BytesIO()
    with _any_script():
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()


def svg_of(figure: Figure, prefix: str) -> str:
    """Render a figure as SVG without a background; the same figure gives the same text.

    Parameters
    ----------
    figure
        What to draw.
    prefix
        Begins every id, so that several figures can stand in one page.
    """
    buffer = io.StringIO()
    with _any_script():
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None})
    # Comments repeat texts of the user; nothing needs them.
    svg = re.sub(r"<!--.*?-->\n?", "", buffer.getvalue(), flags=re.DOTALL)
    ids = {name: f"{prefix}-{i}" for i, name in enumerate(re.findall(r'\bid="([^"]+)"', svg))}
    return re.sub(r'(\bid="|url\(#|href="#)([^")]+)', lambda m: m[1] + ids.get(m[2], m[2]), svg)


def svg_file(svg: str) -> str:
    """Put a figure on white, for a file of its own."""
    return re.sub(r"<svg[^>]*>", r'\g<0>\n <rect width="100%" height="100%" fill="#fff"/>', svg)


def svg_inline(svg: str, description: str) -> str:
    """Make a figure an element of a page, in whose text colour it is drawn, light or dark."""
    label = html.escape(description)
    element = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return element.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


@contextmanager
def _any_script() -> Iterator[None]:
    """Let names in scripts that matplotlib's font lacks be drawn as boxes, without a word.

    The page itself gives every name as text.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield
