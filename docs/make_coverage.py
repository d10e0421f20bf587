"""Make docs/pictures/coverage.png from what `benchmarks/coverage.py` prints.

python benchmarks/coverage.py >coverage.json
python docs/make_coverage.py coverage.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

PICTURE = Path(__file__).parent / "pictures" / "coverage.png"
CLASSES = {"alveoli": "#0057d9", "septa": "#c9a800", "duct": "#00b386"}
METHODS = {"manual": "s", "difference": "o", "tuned": "^"}
NAMES = {"manual": "points alone", "difference": "corrected map", "tuned": "tuned"}
INK = "#1f2328"


def main() -> None:
    """Draw how often intervals hold the truth, and how far fractions are off."""
    found = json.loads(Path(sys.argv[1]).read_text())
    figure = Figure(figsize=(9.2, 3.6), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    groups = list(found["coverage"])
    left.axhspan(93, 97, color="#8b949e", alpha=0.18, linewidth=0)
    left.axhline(95, color="#8b949e", linewidth=1)
    for c, (name, colour) in enumerate(CLASSES.items()):
        for m, (method, marker) in enumerate(METHODS.items()):
            places = [g + 0.24 * (c - 1) + 0.06 * (m - 1) for g in range(len(groups))]
            held = [100 * found["coverage"][group][name][method]["coverage"] for group in groups]
            left.plot(places, held, marker, color=colour, markersize=6)
    left.set(xticks=range(len(groups)), ylim=(89, 100), xlim=(-0.6, len(groups) - 0.4))
    left.set_xticklabels(groups)
    left.set_ylabel("95 % intervals that hold the truth, %")
    for name, colour in CLASSES.items():
        left.plot([], [], "o", color=colour, label=name)
    for method, marker in METHODS.items():
        left.plot([], [], marker, color=INK, markerfacecolor="white", label=NAMES[method])
    left.legend(ncols=2, frameon=False, fontsize=8.5, loc="lower left")
    biased = found["biased"]
    for c, (name, colour) in enumerate(CLASSES.items()):
        values = [biased[name][method]["bias"] for method in ("raw", "difference")]
        right.bar([c - 0.2, c + 0.2], values, 0.36, color=[colour, "white"], edgecolor=colour)
        for place, value in zip((c - 0.2, c + 0.2), values, strict=True):
            right.annotate(
                f"{value:+.2f}",
                (place, value),
                (0, 4 if value >= 0 else -4),
                textcoords="offset points",
                ha="center",
                va="bottom" if value >= 0 else "top",
                fontsize=8.5,
            )
    right.axhline(0, color=INK, linewidth=1)
    right.set(xticks=range(len(CLASSES)), ylim=(-4.4, 4.4))
    right.set_xticklabels(list(CLASSES))
    right.set_ylabel("bias in points")
    right.set_title(
        "a fifth of the septa called alveoli:\nraw map (full), corrected map (empty)", fontsize=9
    )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)
    print(PICTURE)


if __name__ == "__main__":
    main()
