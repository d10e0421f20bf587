"""How well each class is told from the rest, at every threshold: ROC and precision-recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.evaluation.intervals import Interval, wilson, wilson_auc

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassCurves:
    """The curves of one class against the rest.

    Attributes
    ----------
    name
        Of the class.
    positives, n
        Points of the class, and in all.
    false_positive_rate, true_positive_rate
        The ROC curve, from (0, 0) to (1, 1).
    roc_thresholds
        Where its corners are; the first is infinite.
    auc, auc_interval
        Area under it, and the 95 % interval of Newcombe; see `wilson_auc`.
    recall, precision
        The precision-recall curve, by falling recall; its last corner is (0, 1).
    precision_thresholds
        Where its corners are; one fewer, as the last has none.
    average_precision, average_precision_interval
        Area under it by scikit-learn's step rule, and the 95 % Wilson interval for as many
        points as the class has, after the binomial interval of Boyd, Eng and Page 2013,
        doi 10.1007/978-3-642-40994-3_29.
    """

    name: str
    positives: int
    n: int
    false_positive_rate: Floats
    true_positive_rate: Floats
    roc_thresholds: Floats
    auc: float
    auc_interval: Interval
    recall: Floats
    precision: Floats
    precision_thresholds: Floats
    average_precision: float
    average_precision_interval: Interval


def class_curves(
    codes: NDArray[np.int64], probabilities: NDArray[np.float32], names: Sequence[str]
) -> list[ClassCurves]:
    """Draw up the curves of every class that has points and is not alone.

    Parameters
    ----------
    codes
        `(n,)` true classes.
    probabilities
        `(n, k)`.
    names
        The `k` classes.
    """
    from sklearn.metrics import auc as area
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

    curves = []
    for code, name in enumerate(names):
        positive = codes == code
        if positive.all() or not positive.any():
            continue
        scores, count = probabilities[:, code].astype(np.float64), int(positive.sum())
        false, true, at = roc_curve(positive, scores)
        precision, recall, cuts = precision_recall_curve(positive, scores, drop_intermediate=True)
        under = min(1.0, float(area(false, true)))
        average = min(1.0, float(average_precision_score(positive, scores)))
        curves.append(
            ClassCurves(
                name, count, len(codes), false, true, at, under,
                wilson_auc(under, count, len(codes) - count),
                recall, precision, cuts, average, wilson(average, count),
            )
        )  # fmt: skip
    return curves
