"""The worst mistakes with the tissue around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.evaluation.predictions import Predictions
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import Normalisation
from napari_lungcls.reporting.figures import INK, NO_COLOR, short
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 24
"""Mistakes with a picture; the table has all."""

_SIDE = 192  # screen pixels that a picture should have


@dataclass(frozen=True, eq=False)
class Mistake:
    """A point or patch that the model got wrong.

    Attributes
    ----------
    image
        Name of the image.
    where
        `(…, y, x)` in pixels, or its number; empty where the image's name says it.
    truth, predicted
        Names of classes.
    p_truth, p_predicted
        Their probabilities.
    pictures
        `(side, side, 3)` uint8 for each zoom, with the point marked; empty if not read.
    """

    image: str
    where: tuple[float, ...]
    truth: str
    predicted: str
    p_truth: float
    p_predicted: float
    pictures: Sequence[NDArray[np.uint8]] = ()

    @property
    def place(self) -> str:
        """The coordinates in words."""
        return "(" + ", ".join(f"{value:g}" for value in self.where) + ")" if self.where else ""


def worst_mistakes(
    predictions: Predictions, document: ModelDocument, shown: int = SHOWN
) -> list[Mistake]:
    """Give every mistake, the least probable truth first, and pictures of the first ones.

    Parameters
    ----------
    predictions
        Of a model.
    document
        Of the same model: its zooms.
    shown
        How many get pictures, so that memory and page stay small.
    """
    predicted, names = predictions.predicted, predictions.scheme.names
    truth_probabilities = predictions.probabilities[np.arange(len(predictions)), predictions.codes]
    wrong = np.flatnonzero(predicted != predictions.codes)
    order = wrong[np.argsort(truth_probabilities[wrong], kind="stable")]
    scale = document.network.normalisation
    seen = {
        row: [
            _marked(_visible(square, scale), at) for square, at in zip(squares, where, strict=True)
        ]
        for row, squares, where in predictions.seen(document, order[:shown])
    }
    return [
        Mistake(
            place.image,
            place.where,
            names[predictions.codes[row]],
            names[predicted[row]],
            float(truth_probabilities[row]),
            float(predictions.probabilities[row, predicted[row]]),
            seen.get(int(row), ()),
        )
        for row, place in zip(order, predictions.places(order), strict=True)
    ]


def gallery_figure(
    mistakes: Sequence[Mistake], zooms: Sequence[int], colors: Mapping[str, str], note: str = ""
) -> Figure:
    """Draw mistakes with their pictures on one sheet."""
    from matplotlib.figure import Figure

    from napari_lungcls.reporting.figures import add_note

    across = max(1, 6 // len(zooms))
    down = -(-len(mistakes) // across)
    columns = min(across, len(mistakes)) * len(zooms)
    figure = Figure(figsize=(1.75 * max(columns, 2), 2.3 * down), layout="constrained")
    grid = figure.subplots(down, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for k, mistake in enumerate(mistakes):
        row, first = k // across, k % across * len(zooms)
        for z, picture in enumerate(mistake.pictures):
            axes = grid[row, first + z]
            axes.imshow(picture, interpolation="nearest")
        head = grid[row, first]
        rows = (
            ("said", mistake.predicted, mistake.p_predicted, 13),
            ("is", mistake.truth, mistake.p_truth, 2),
        )
        for verb, name, share, up in rows:
            head.annotate(
                "■", (0, 1), (0, up), xycoords="axes fraction", textcoords="offset points",
                color=colors.get(name, NO_COLOR), fontsize=9, va="bottom", annotation_clip=False,
            )  # fmt: skip
            drawn = head.annotate(
                f"{verb} {short(name)} {percent(share, 0)}", (0, 1), (10, up),
                xycoords="axes fraction", textcoords="offset points",
                color=INK, fontsize=7.5, va="bottom",
            )  # fmt: skip
            drawn.set_parse_math(False)
        place = head.annotate(
            f"{short(mistake.image)} {mistake.place}", (0, 0), (0, -3), xycoords="axes fraction",
            textcoords="offset points", color=INK, fontsize=6.5, va="top",
        )  # fmt: skip
        place.set_parse_math(False)
    add_note(figure, note)
    return figure


def _visible(square: NDArray[Any], normalisation: Normalisation) -> NDArray[np.uint8]:
    """Bring intensities of any type into what a screen shows."""
    if square.dtype == np.uint8:
        return square
    mean, std = np.asarray(normalisation.mean), np.asarray(normalisation.std)
    scaled = 128 + 50 * (square.astype(np.float32) - mean) / std
    shown: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return shown


def _marked(square: NDArray[np.uint8], place: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Enlarge a picture by a whole factor and put four ticks around the point."""
    factor = max(1, round(_SIDE / len(square)))
    large = square.repeat(factor, 0).repeat(factor, 1)
    y, x = (int(v) for v in np.floor((place + 0.5) * factor))
    near, far = 7, 17
    # Dark around light: one of them shows on any tissue.
    for width, value in ((2, 0), (1, 255)):
        grow = width - 1
        for first, last in ((-far, -near), (near, far)):
            a, b = first - grow, last + grow
            large[max(0, y + a) : max(0, y + b), max(0, x - width) : x + width] = value
            large[max(0, y - width) : y + width, max(0, x + a) : max(0, x + b)] = value
    return large
