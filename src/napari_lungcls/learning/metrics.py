"""How good predictions are: the usual figures of classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_lungcls.errors import InputError
from napari_lungcls.learning.reliability import (
    are_probabilities,
    expected_calibration_error,
    negative_log_likelihood,
)
from napari_lungcls.network.decision import predicted_class

_CONFIG = ConfigDict(frozen=True, extra="forbid")


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
    auc
        Area under its ROC curve; None when all points, or none, are of it, or in an older
        model file.
    average_precision
        Area under its precision-recall curve, by scikit-learn's step rule; None as `auc`.
    """

    model_config = _CONFIG

    precision: float
    recall: float
    f1: float
    support: int
    auc: float | None = None
    average_precision: float | None = None


class Metrics(BaseModel):
    """Figures of a set of points with known classes.

    Attributes
    ----------
    n
        Points.
    accuracy
        Share of points whose answer is the true class.
    balanced_accuracy
        Mean recall of the classes that the truth has.
    f1_macro
        Mean F1 of the classes that occur in the truth or among the predictions.
    auc_ovr
        Mean area under the one-against-rest ROC curves of the classes that the truth has;
        None when the truth has one class only, because no curve exists then.
    ece
        Expected calibration error, 15 bins of equal width; None when scores are no
        probabilities, or in an older model file.
    nll
        Mean negative log likelihood of the true classes in nats; None as `ece`.
    per_class
        Figures by class name, of all classes of the scheme, in its order.
    confusion
        Counts, `(k, k)`: rows are the truth, columns the predictions, of all classes.
    classes
        Names in the order of their codes.

    Examples
    --------
    >>> metrics = lc.load("lung.safetensors").evaluate("section.ome.tif", "section.csv")
    >>> metrics.n, metrics.classes
    (60, ['alveoli', 'septa', 'duct'])
    >>> [sum(row) for row in metrics.confusion]  # true points of each class
    [20, 20, 20]
    >>> metrics.accuracy > 0.5
    True
    >>> metrics.per_class["septa"].support
    20
    """

    model_config = _CONFIG

    n: int = Field(ge=1)
    accuracy: float
    balanced_accuracy: float
    f1_macro: float
    auc_ovr: float | None
    ece: float | None = None
    nll: float | None = None
    per_class: dict[str, ClassMetrics]
    confusion: list[list[int]]
    classes: list[str]


def score(
    codes: ArrayLike,
    probabilities: ArrayLike,
    names: Sequence[str],
    threshold: float | None = None,
) -> Metrics:
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
    threshold
        For two classes, see `predicted_class`.

    Raises
    ------
    InputError
        When there are no points.
    ValueError
        When shapes or codes do not fit `names`, or a probability is NaN.
    """
    truth, values = _checked(codes, probabilities, len(names))
    from sklearn.metrics import precision_recall_fscore_support

    predicted = predicted_class(values, threshold)
    labels = np.arange(len(names))
    # confusion_matrix of scikit-learn warns about schemes of one class.
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    in_truth = support > 0
    sure = are_probabilities(values)
    areas = [_areas(truth == code, values[:, code]) for code in labels]
    occurs = in_truth | (confusion.sum(axis=0) > 0)
    return Metrics(
        n=len(truth),
        accuracy=float(np.trace(confusion) / len(truth)),
        balanced_accuracy=float(recall[in_truth].mean()),
        f1_macro=float(f1[occurs].mean()),
        auc_ovr=_mean([auc for auc, _ in areas]),
        ece=expected_calibration_error(values, truth) if sure else None,
        nll=negative_log_likelihood(values, truth) if sure else None,
        per_class={
            name: ClassMetrics(
                precision=float(precision[code]),
                recall=float(recall[code]),
                f1=float(f1[code]),
                support=int(support[code]),
                auc=areas[code][0],
                average_precision=areas[code][1],
            )
            for code, name in enumerate(names)
        },
        confusion=confusion.tolist(),
        classes=list(names),
    )


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


def _areas(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """Give the areas under a class's ROC and precision-recall curves."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if positive.all() or not positive.any():
        return None, None
    return float(roc_auc_score(positive, scores)), float(average_precision_score(positive, scores))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
