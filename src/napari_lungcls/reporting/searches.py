"""The figures of a search for settings: values over the trials, importance of the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_lungcls.reporting.figures import INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TRIAL, _BEST, _MUTED = "#2f81f7", "#c77700", "#8b949e"
_BAR = 0.34  # inches per setting


def history_figure(numbers: Sequence[int], values: Sequence[float], objective: str) -> Figure:
    """Draw the value of each complete trial, and the best until then.

    Parameters
    ----------
    numbers, values
        Of the complete trials, in their order.
    objective
        What the value is, as the axis names it.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    _plain(axes)
    best = np.maximum.accumulate(values)
    axes.step(numbers, best, where="post", color=_BEST, linewidth=1.8, label="best so far")
    axes.plot(
        numbers, values, "o", color=_TRIAL, markersize=4, clip_on=False, zorder=3, label="trial"
    )
    axes.set_xlabel("trial", color=INK)
    axes.set_ylabel(objective, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(-0.5, max(numbers) + 0.5)
    axes.grid(axis="y", color=_MUTED, alpha=0.35, linewidth=0.6)
    legend = figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_color(INK)
    return figure


def importance_figure(shares: Mapping[str, float]) -> Figure:
    """Draw which settings mattered, the largest share on top.

    Parameters
    ----------
    shares
        Share of the variance by the name of the setting.
    """
    from matplotlib.figure import Figure

    ordered = sorted(shares.items(), key=lambda each: each[1])
    figure = Figure(figsize=(7.2, 1.0 + _BAR * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    _plain(axes)
    names = [name.replace("_", " ") for name, _ in ordered]
    axes.barh(names, [100 * share for _, share in ordered], height=0.62, color=_TRIAL)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("share of the variance of the value, %", color=INK)
    axes.grid(axis="x", color=_MUTED, alpha=0.35, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _plain(axes: Axes) -> None:
    style(axes)
    axes.spines[["top", "right"]].set_visible(False)
