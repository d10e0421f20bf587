"""How good predictions are: the usual figures of classification, and their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_lungcls.errors import InputError

_CONFIG = ConfigDict(frozen=True, extra="forbid")
_NORMAL_975 = 1.959963984540054


class ClassMetrics(BaseModel):
    """Figures of one class against all others.

    Attributes
    ----------
    precision
        Share of the points called this class that are of it; 0 when none is called so.
    recall
        Share of the points of this class that are called so; 0 when there are none.
    f1
        Harmonic mean of the two; 0 when both are.
    support
        Points of this class.
    """

    model_config = _CONFIG

    precision: float
    recall: float
    f1: float
    support: int


class Metrics(BaseModel):
    """Figures of a set of points with known classes.

    Attributes
    ----------
    n
        Points.
    accuracy
        Share of points whose most probable class is the true one.
    balanced_accuracy
        Mean recall of the classes that the truth has.
    f1_macro
        Mean F1 of the classes that occur in the truth or among the predictions.
    auc_ovr
        Mean area under the one-against-rest ROC curves of the classes that the truth has;
        None when the truth has one class only, because no curve exists then.
    per_class
        Figures by class name, of all classes of the scheme, in its order.
    confusion
        Counts, `(k, k)`: rows are the truth, columns the predictions, of all classes.
    classes
        Names in the order of their codes.
    """

    model_config = _CONFIG

    n: int = Field(ge=1)
    accuracy: float
    balanced_accuracy: float
    f1_macro: float
    auc_ovr: float | None
    per_class: dict[str, ClassMetrics]
    confusion: list[list[int]]
    classes: list[str]


def score(codes: ArrayLike, probabilities: ArrayLike, names: Sequence[str]) -> Metrics:
    """Compare predictions with the truth.

    Classes without a point raise no warning and no error: they count as 0 in `per_class`
    and are left out of the means as `Metrics` says, so that a scheme may be larger than
    what a sample shows. The means agree with scikit-learn's `balanced_accuracy_score`,
    `f1_score(average="macro")` and, where all classes are present,
    `roc_auc_score(multi_class="ovr", average="macro")`.

    Parameters
    ----------
    codes
        True classes, `(n,)` integers, the 0-based places in `names`.
    probabilities
        `(n, k)`, or any scores of which the largest marks the predicted class.
    names
        The `k` classes of the scheme.

    Raises
    ------
    InputError
        When there are no points.
    ValueError
        When shapes or codes do not fit `names`, or a probability is NaN.
    """
    truth, values = _checked(codes, probabilities, len(names))
    from sklearn.metrics import precision_recall_fscore_support

    predicted = values.argmax(axis=1)
    labels = np.arange(len(names))
    # confusion_matrix of scikit-learn warns about schemes of one class.
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    in_truth = support > 0
    occurs = in_truth | (confusion.sum(axis=0) > 0)
    return Metrics(
        n=len(truth),
        accuracy=float(np.trace(confusion) / len(truth)),
        balanced_accuracy=float(recall[in_truth].mean()),
        f1_macro=float(f1[occurs].mean()),
        auc_ovr=_auc_ovr(truth, values),
        per_class={
            name: ClassMetrics(
                precision=float(precision[code]),
                recall=float(recall[code]),
                f1=float(f1[code]),
                support=int(support[code]),
            )
            for code, name in enumerate(names)
        },
        confusion=confusion.tolist(),
        classes=list(names),
    )


def standard_error(p: float, n: int) -> float:
    """Give the binomial standard error `sqrt(p (1 - p) / n)` of a share `p` of `n` points.

    Raises
    ------
    ValueError
        When `p` is not a share or `n` is not positive.
    """
    _check_share(p, n)
    return math.sqrt(p * (1 - p) / n)


def wilson(accuracy: float, n: int, z: float = _NORMAL_975) -> tuple[float, float]:
    """Give the Wilson score interval of an accuracy that was measured on `n` points.

    Unlike `accuracy ± 2 standard errors` it stays inside 0 to 1 and has a width when all
    points are right. It supposes independent points; neighbours are not quite.

    Parameters
    ----------
    accuracy
        Share of points that are right.
    n
        Points.
    z
        Quantile of the normal distribution; 1.96, the default, makes a 95 % interval.

    Returns
    -------
    tuple
        Lower and upper end.

    Raises
    ------
    ValueError
        When `accuracy` is not a share or `n` is not positive.

    Notes
    -----
    Wilson 1927, J. Am. Stat. Assoc. 22, 209-212, doi 10.1080/01621459.1927.10502953.
    """
    _check_share(accuracy, n)
    weight = z * z / n
    centre = accuracy + weight / 2
    half = z * math.sqrt(accuracy * (1 - accuracy) / n + weight / (4 * n))
    low, high = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
    # With none or all right an end is exactly 0 or 1; rounding must not cross it.
    return max(0.0, min(low, accuracy)), min(1.0, max(high, accuracy))


def _check_share(p: float, n: int) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{p} is not a share between 0 and 1")
    if n < 1:
        raise ValueError(f"a share of {n} points has no error")


def _checked(
    codes: ArrayLike, probabilities: ArrayLike, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth = np.asarray(codes)
    values = np.asarray(probabilities, dtype=np.float64)
    if truth.size == 0:
        raise InputError("there are no points to evaluate; give a points file with classes")
    if truth.ndim != 1 or values.shape != (len(truth), count):
        raise ValueError(
            f"codes {truth.shape} and probabilities {values.shape} do not fit {count} classes"
        )
    if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= count:
        raise ValueError(f"codes must be integers from 0 to {count - 1}")
    if np.isnan(values).any():
        raise ValueError("probabilities hold NaN")
    return truth.astype(np.int64), values


def _auc_ovr(truth: NDArray[np.int64], values: NDArray[np.float64]) -> float | None:
    from sklearn.metrics import roc_auc_score

    present = np.unique(truth)
    if len(present) < 2:
        return None
    return float(np.mean([roc_auc_score(truth == code, values[:, code]) for code in present]))
