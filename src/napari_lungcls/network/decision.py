"""From probabilities to the predicted class, with or without a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def predicted_class(
    probabilities: ArrayLike, threshold: float | None = None, *, axis: int = -1
) -> NDArray[np.intp]:
    """Predict the class of each point or cell.

    Parameters
    ----------
    probabilities
        With the classes along `axis`. Without a threshold any scores will do of which the
        largest marks the class.
    threshold
        Probability of the second class from which a point counts as it; for two classes
        only. None: the likeliest class, of equals the first.
    axis
        Where the classes are.

    Returns
    -------
    ndarray of int
        Codes, without that axis.

    Raises
    ------
    ValueError
        When a threshold meets more or fewer than two classes.
    """
    values: NDArray[Any] = np.asarray(probabilities)
    if threshold is None:
        likeliest: NDArray[np.intp] = values.argmax(axis=axis)
        return likeliest
    if values.shape[axis] != 2:
        raise ValueError(f"a threshold parts two classes, not {values.shape[axis]}")
    # As Python numbers compare: float16 and float32 must not round the threshold first.
    second: NDArray[np.float64] = values.take(1, axis=axis).astype(np.float64)
    return (second >= threshold).astype(np.intp)


def predicted_counts(
    probabilities: ArrayLike, names: Sequence[str], threshold: float | None = None
) -> dict[str, int]:
    """Count the points `(n, k)` that are predicted to be each class; see `predicted_class`."""
    counts = np.bincount(predicted_class(probabilities, threshold), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))
