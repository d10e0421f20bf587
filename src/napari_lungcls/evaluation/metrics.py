"""How good predictions are: the usual metrics of classification, and one table of them.

`METRICS` says how each is computed and how people are told about it; the command line, the
report and the search for settings read it. A new metric is a field of `Metrics` and a row there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.reliability import (
    are_probabilities,
    expected_calibration_error,
    negative_log_likelihood,
)
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from napari_lungcls.network.model_file import ModelDocument


class ClassMetrics(BaseModel, frozen=True, extra="forbid"):
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

    precision: float
    recall: float
    f1: float
    support: int
    auc: float | None = None
    average_precision: float | None = None


class Metrics(BaseModel, frozen=True, extra="forbid"):
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


class Scored(NamedTuple):
    """What metrics are computed from.

    Attributes
    ----------
    codes
        True classes, `(n,)`.
    scores
        `(n, k)` float64.
    sure
        Whether the scores are probabilities.
    confusion
        Counts `(k, k)`: rows are the truth, columns the predictions.
    classes
        The `k` classes, in the order of their codes.
    """

    codes: NDArray[np.int64]
    scores: NDArray[np.float64]
    sure: bool
    confusion: NDArray[np.int64]
    classes: list[ClassMetrics]

    def mean(self, name: str, among: NDArray[np.bool_] | None = None) -> float | None:
        """Average a metric over the classes in which it is defined, or some of those."""
        chosen = [True] * len(self.classes) if among is None else among
        classes = (each for each, is_in in zip(self.classes, chosen, strict=True) if is_in)
        values = [getattr(each, name) for each in classes]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Metric:
    """A metric of a set of points.

    Attributes
    ----------
    name
        The field of `Metrics`.
    title
        What people call it, as within a sentence.
    note
        What it is, in a few words.
    compute
        Gives it, or None where it is not defined.
    headline
        Whether reports, commands and tables of trials show it.
    """

    name: str
    title: str
    note: str
    compute: Callable[[Scored], float | None]
    headline: bool = True


METRICS = (
    Metric(
        "accuracy",
        "accuracy",
        "share of points that are right",
        lambda s: float(np.trace(s.confusion) / len(s.codes)),
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        "mean recall",
        lambda s: s.mean("recall", s.confusion.sum(axis=1) > 0),
    ),
    Metric(
        "f1_macro",
        "macro F1",
        "mean over classes",
        lambda s: s.mean("f1", (s.confusion.sum(axis=0) > 0) | (s.confusion.sum(axis=1) > 0)),
    ),
    Metric("auc_ovr", "AUC", "one class against the rest", lambda s: s.mean("auc")),
    Metric(
        "ece",
        "expected calibration error",
        "15 bins of equal width",
        lambda s: expected_calibration_error(s.scores, s.codes) if s.sure else None,
        headline=False,
    ),
    Metric(
        "nll",
        "negative log likelihood",
        "mean, in nats",
        lambda s: negative_log_likelihood(s.scores, s.codes) if s.sure else None,
        headline=False,
    ),
)

HEADLINES = tuple(metric for metric in METRICS if metric.headline)
"""The metrics that people see; all are shares, and the larger the better."""

CLASS_METRICS = {"precision": "precision", "recall": "recall", "f1": "F1"}
"""Titles of the shares of each class that people see, by the field of `ClassMetrics`."""

Objective = Literal["accuracy", "f1_macro", "auc_ovr"]
"""Metrics by which settings can be searched; none can be too large."""


def validation_of(document: ModelDocument) -> Metrics | None:
    """Give the figures on the points that were held out for validation, if there were any."""
    return None if document.validation is None else Metrics.model_validate(document.validation)


def headlines(values: Mapping[str, Any]) -> str:
    """Write metrics of a set of points in a line: `accuracy 95.7 %, balanced accuracy …`.

    Parameters
    ----------
    values
        `Metrics` as a dictionary.
    """
    return ", ".join(f"{metric.title} {percent(values[metric.name])}" for metric in HEADLINES)


def summary(metrics: Metrics, noun: str) -> str:
    """Write metrics for people, the last lines about each class.

    Parameters
    ----------
    metrics
        What to write.
    noun
        What was classified: points or patches.
    """
    lines = [f"{metrics.n} {noun}: {headlines(metrics.model_dump())}"]
    for name, row in metrics.per_class.items():
        shares = (f"{title} {percent(getattr(row, key))}" for key, title in CLASS_METRICS.items())
        lines.append(f"  {name}: {', '.join(shares)}, {row.support} {noun}")
    return "\n".join(lines)


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
    classes = [
        ClassMetrics(
            precision=float(precision[code]),
            recall=float(recall[code]),
            f1=float(f1[code]),
            support=int(support[code]),
            **_areas(truth == code, values[:, code]),
        )
        for code in labels
    ]
    scored = Scored(truth, values, are_probabilities(values), confusion, classes)
    return Metrics.model_validate(
        {
            "n": len(truth),
            **{metric.name: metric.compute(scored) for metric in METRICS},
            "per_class": dict(zip(names, classes, strict=True)),
            "confusion": confusion.tolist(),
            "classes": list(names),
        }
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


def _areas(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, float]:
    """Give the areas under a class's ROC and precision-recall curves, where there are any."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if positive.all() or not positive.any():
        return {}
    return {
        "auc": float(roc_auc_score(positive, scores)),
        "average_precision": float(average_precision_score(positive, scores)),
    }
