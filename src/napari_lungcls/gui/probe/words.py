"""What the panel says about answers and grids, in words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.decision import predicted_class

MOST_NAMED = 4
"""Classes named in a line; more would not be read."""


def percent(share: float) -> str:
    """Write a share as a whole percentage; what is neither nothing nor all does not look so."""
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1:
        return ">99 %"
    return f"{share:.0%}".replace("%", " %")


def points(count: int) -> str:
    """Write a number of points: `1 point`, `12,000 points`."""
    return "1 point" if count == 1 else f"{count:,} points"


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
    others = [f"{names[k]} {percent(float(probabilities[k]))}" for k in rest[: MOST_NAMED - 1]]
    more = f" ({', '.join(others)})" if others else ""
    return f"{names[first]}, {percent(float(probabilities[first]))} sure{more}"


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
    parts = [f"{percent(counts[k] / len(probabilities))} {names[k]}" for k in order[:MOST_NAMED]]
    if len(order) > MOST_NAMED:
        parts.append(f"{len(order) - MOST_NAMED} more classes")
    return f"{points(len(probabilities))}: {', '.join(parts)}"


def too_many(count: int, limit: int, spacing: int) -> str:
    """Say that a grid is too fine, and what to do: `spacing` pixels would be coarse enough."""
    return (
        f"{points(count)} are more than the {limit:,} that one rectangle may have; set the "
        f"spacing to {spacing} px or more, or drag a smaller rectangle"
    )
