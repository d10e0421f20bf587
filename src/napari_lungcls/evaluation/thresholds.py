"""Where to part two classes: a threshold chosen by what the user wants."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

ThresholdAim = Literal["balanced", "recall"]


class Threshold(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """A threshold, and what it did on the points that it was chosen on.

    Attributes
    ----------
    value
        Probability of the positive class from which a point counts as it.
    aim
        What it was chosen for.
    wanted_recall
        The recall that was to be reached; None for other aims.
    precision
        Share of the points called positive that are; None when none is called so.
    recall
        Share of the positive points that are called so (sensitivity).
    specificity
        Share of the negative points that are called so.
    balanced_accuracy
        Mean of the last two.
    positives, negatives
        Points of the two classes.
    """

    value: float = Field(ge=0, le=1)
    aim: ThresholdAim
    wanted_recall: float | None
    precision: float | None
    recall: float
    specificity: float
    balanced_accuracy: float
    positives: int
    negatives: int


def choose_threshold(
    probabilities: ArrayLike, codes: ArrayLike, aim: ThresholdAim, *, recall: float = 0.95
) -> Threshold:
    """Choose the probability from which a point counts as the second class.

    A threshold lies half-way between two neighbouring probabilities, so that rounding moves
    no point across it.

    Parameters
    ----------
    probabilities
        `(n,)` of the second class, calibrated as the model will give them, at points that the
        network was not trained on.
    codes
        `(n,)` 0 or 1.
    aim
        `balanced`: the largest mean of recall and specificity (Youden's index), of equals
        the one nearest to a half. `recall`: the highest threshold that reaches `recall`.
    recall
        Share of the points of the second class to be found, above 0 and at most 1.

    Raises
    ------
    ValueError
        When one class has no point, values are no probabilities, or `recall` is not in range.

    Notes
    -----
    The figures beside the threshold are of the points that chose it and flatter a little; on
    other tissue recall may be lower than wanted. Youden 1950, Cancer 3, 32-35,
    doi 10.1002/1097-0142(1950)3:1<32::aid-cncr2820030106>3.0.co;2-3.
    """
    values, truth = _checked(probabilities, codes)
    if not 0 < recall <= 1:
        raise ValueError(f"a recall of {recall} cannot be reached; it is above 0, at most 1")
    cuts = _cuts(values)
    hits, false = (_at_least(cuts, values[kind]) for kind in (truth, ~truth))
    positives, negatives = int(truth.sum()), int((~truth).sum())
    found, spared = hits / positives, 1 - false / negatives
    if aim == "recall":
        # Cuts ascend and recall falls with them: the last that still reaches it.
        best = int(np.flatnonzero(hits >= recall * positives - 1e-9)[-1])
    else:
        index = found + spared
        ties = np.flatnonzero(index >= index.max() - 1e-12)
        best = int(ties[np.argmin(np.abs(cuts[ties] - 0.5))])
    answered = hits[best] + false[best]
    return Threshold(
        value=float(cuts[best]),
        aim=aim,
        wanted_recall=recall if aim == "recall" else None,
        precision=float(hits[best] / answered) if answered else None,
        recall=float(found[best]),
        specificity=float(spared[best]),
        balanced_accuracy=float((found[best] + spared[best]) / 2),
        positives=positives,
        negatives=negatives,
    )


def _cuts(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give every way to part the values, ascending: all above, between neighbours, none."""
    distinct = np.unique(values)
    return np.concatenate([[0.0], (distinct[1:] + distinct[:-1]) / 2, [1.0]])


def _at_least(cuts: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Count the values that reach each cut."""
    return len(values) - np.searchsorted(np.sort(values), cuts, side="left")


def _checked(
    probabilities: ArrayLike, codes: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(codes)
    if values.ndim != 1 or truth.shape != values.shape:
        raise ValueError(f"codes {truth.shape} and probabilities {values.shape} are not (n,)")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("probabilities lie between 0 and 1")
    if not np.isin(truth, (0, 1)).all() or len(np.unique(truth)) < 2:
        raise ValueError("a threshold needs points of two classes, with the codes 0 and 1")
    return values, truth == 1
