"""Numbers, progress and predictions as text for the windows. No Qt."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.decision import predicted_class
from napari_lungcls.utils.humanize import count, percent

if TYPE_CHECKING:
    from napari_lungcls.inference.watching import PaintingStep

MOST_NAMED = 4
"""Most classes named in one line."""


def cells(shape: tuple[int, ...]) -> str:
    """Format the shape of a map: `512 × 512 cells in 20 planes`."""
    planes = int(np.prod(shape[:-2], dtype=np.int64))
    flat = f"{shape[-2]:,} × {shape[-1]:,} cells"
    return flat if planes == 1 else f"{flat} in {planes:,} planes"


def remaining(seconds: float) -> str:
    """Format the time left: `about 2 min left`."""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 90:
        return f"about {5 * max(1, round(seconds / 5))} s left"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def painting_result(last: "PaintingStep", seconds: float) -> str:
    """Say how painting ended.

    Parameters
    ----------
    last
        Its last report.
    seconds
        How long it took.
    """
    if last.done < last.total:
        return f"Cancelled: {percent(last.visited, 0)} painted; the layer keeps this part."
    said = f"Painted {cells(last.map.header.shape)} in {seconds:.1f}\N{NO-BREAK SPACE}s."
    if left_out := sum(last.left_out.values()):
        share = percent(left_out / last.counts.sum(), 0)
        said += f" {share} left empty: {' and '.join(last.left_out)}."
    if blind := int(last.counts[0]) - left_out:
        said += f" {blind:,} cells without valid pixels were left empty."
    return said


def one_prediction(
    probabilities: NDArray[np.float32], names: Sequence[str], threshold: float | None = None
) -> str:
    """Name the class of one point: `septa, 93 % (alveoli 5 %, duct 2 %)`.

    Parameters
    ----------
    probabilities
        Shape `(classes,)`, adding up to 1.
    names
        Class names.
    threshold
        Of the model, see `predicted_class`.
    """
    first = int(predicted_class(probabilities, threshold))
    rest = [k for k in np.argsort(-probabilities, kind="stable") if k != first]
    said = [percent(float(p), 0) for p in probabilities]
    others = ", ".join(f"{names[k]} {said[k]}" for k in rest[: MOST_NAMED - 1])
    return f"{names[first]}, {said[first]}" + (f" ({others})" if others else "")


def many_predictions(
    probabilities: NDArray[np.float32], names: Sequence[str], threshold: float | None = None
) -> str:
    """Give the share of each class: `221 points: 61 % alveoli, 28 % septa, 11 % duct`.

    Parameters
    ----------
    probabilities
        Shape `(n, classes)`.
    names
        Class names.
    threshold
        Of the model, see `predicted_class`.
    """
    counts = np.bincount(predicted_class(probabilities, threshold), minlength=len(names))
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
    parts = [f"{percent(counts[k] / len(probabilities), 0)} {names[k]}" for k in order[:MOST_NAMED]]
    if len(order) > MOST_NAMED:
        parts.append(f"{len(order) - MOST_NAMED} more classes")
    return f"{count(len(probabilities), 'point')}: {', '.join(parts)}"


def too_many_points(points: int, limit: int, spacing: int) -> str:
    """Say that a grid has too many points; `spacing` pixels would be coarse enough."""
    return (
        f"{count(points, 'point')} are too many for one rectangle (at most {limit:,}); "
        f"set the spacing to {spacing} px or more, or drag a smaller rectangle"
    )
