"""Draw `pictures/architecture.svg`: the packages and which of them import which, from the code.

    python docs/make_architecture.py

A package stands above all that it imports. Imports inside functions and those for types count as
well; an arrow that would point upwards is drawn in red, and there should be none.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from matplotlib.figure import Figure

import napari_lungcls

SOURCES = Path(napari_lungcls.__file__).parent
PICTURE = Path(__file__).parent / "pictures" / "architecture.svg"

LAYERS = (
    ("gui", "cli"),
    ("serving", "remote", "export", "sharing"),
    ("demo", "train_model", "model", "active_learning"),
    ("any_model",),
    ("reporting", "hyperparameter_search", "patch_datasets"),
    ("stereology",),
    ("inference", "learning"),
    ("evaluation", "network", "run_identity"),
    ("synthetic", "images", "annotation"),
    ("utils", "errors"),
)
"""From the top; a package may import what is in its own layer or below it."""

WIDTH, HEIGHT, ROW = 1.7, 0.42, 1.0


def package_of(module: str) -> str:
    """Return the first part of a module's name below the package."""
    return module.split(".")[1]


def imports() -> Counter[tuple[str, str]]:
    """Count the imports from package to package."""
    found: Counter[tuple[str, str]] = Counter()
    for path in SOURCES.rglob("*.py"):
        own = path.relative_to(SOURCES).with_suffix("").parts[0]
        if own == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "napari_lungcls."
            ):
                found[own, package_of(str(node.module))] += 1
    return Counter({pair: n for pair, n in found.items() if pair[0] != pair[1]})


def draw() -> None:
    """Write the picture."""
    places = {
        name: (3.2 * (i - (len(row) - 1) / 2), -ROW * level)
        for level, row in enumerate(LAYERS)
        for i, name in enumerate(row)
    }
    figure = Figure(figsize=(9, 6.2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for (above, below), n in sorted(imports().items()):
        if below in LAYERS[-1]:
            continue  # everything uses these
        (x0, y0), (x1, y1) = places[above], places[below]
        upwards = y1 > y0
        axes.annotate(
            "",
            (x1, y1 + (HEIGHT / 2 if y1 < y0 else 0)),
            (x0, y0 - (HEIGHT / 2 if y1 < y0 else 0)),
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#c0392b" if upwards else "#8395a7",
                "linewidth": 0.5 + min(2.0, n / 20),
                "alpha": 0.9 if upwards else 0.55,
                "shrinkA": 0,
                "shrinkB": 0,
                "connectionstyle": "arc3,rad=0.08",
            },
        )
    for name, (x, y) in places.items():
        axes.text(
            x,
            y,
            name,
            ha="center",
            va="center",
            family="monospace",
            size=10,
            bbox={"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": "#2c3e50"},
        )
    axes.set_xlim(-6.2, 6.2)
    axes.set_ylim(-ROW * (len(LAYERS) - 0.5), 0.5)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    draw()
