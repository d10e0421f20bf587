"""What the panel says about answers and grids, in words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.decision import predicted_class
from napari_lungcls.utils.humanize import count, percent

MOST_NAMED = 4
"""Classes named in a line; more would not be read."""


def one_answer(
    probabilities: NDArray[np.float32], names: Sequence[str], threshold: float | None = None
) -> str:
    """Say what a point is: `septa, 93 % sure (alveoli 5 %, duct 2 %)`.

    Parameters
    ----------
    probabilities
        `(classes,)`, adding up to 1.
    names
        Names of the classes.
    threshold
        Of the model, see `predicted_class`.
    """
    first = int(predicted_class(probabilities, threshold))
    rest = [k for k in np.argsort(-probabilities, kind="stable") if k != first]
    others = [f"{names[k]} {percent(probabilities[k], 0)}" for k in rest[: MOST_NAMED - 1]]
    more = f" ({', '.join(others)})" if others else ""
    return f"{names[first]}, {percent(probabilities[first], 0)} sure{more}"


def many_answers(
    probabilities: NDArray[np.float32], names: Sequence[str], threshold: float | None = None
) -> str:
    """Say how points share out: `221 points: 61 % alveoli, 28 % septa, 11 % duct`.

    Parameters
    ----------
    probabilities
        `(n, classes)`.
    names
        Names of the classes.
    threshold
        Of the model, see `predicted_class`.
    """
    counts = np.bincount(predicted_class(probabilities, threshold), minlength=len(names))
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
    parts = [f"{percent(counts[k] / len(probabilities), 0)} {names[k]}" for k in order[:MOST_NAMED]]
    if len(order) > MOST_NAMED:
        parts.append(f"{len(order) - MOST_NAMED} more classes")
    return f"{count(len(probabilities), 'point')}: {', '.join(parts)}"


def too_many(points: int, limit: int, spacing: int) -> str:
    """Say that a grid is too fine, and what to do: `spacing` pixels would be coarse enough."""
    return (
        f"{count(points, 'point')} are more than the {limit:,} that one rectangle may have; set "
        f"the spacing to {spacing} px or more, or drag a smaller rectangle"
    )
