"""The tables of a report as CSV files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from napari_lungcls.evaluation.metrics import ClassMetrics, Metrics
from napari_lungcls.evaluation.reliability import ReliabilityBin
from napari_lungcls.evaluation.roc_curves import ClassCurves
from napari_lungcls.learning.progress import EpochRecord

if TYPE_CHECKING:
    from napari_lungcls.reporting.mistakes import Mistake


def confusion_csv(metrics: Metrics) -> str:
    """Write the confusion counts: a row per true class, a column per predicted class."""
    rows = zip(metrics.classes, metrics.confusion, strict=True)
    return csv_text(["true class", *metrics.classes], ([name, *counts] for name, counts in rows))


def per_class_csv(metrics: Metrics) -> str:
    """Write precision, recall, F1 and support, a row per class."""
    columns = list(ClassMetrics.model_fields)
    return csv_text(
        ["class", *columns],
        ([name, *figures.model_dump().values()] for name, figures in metrics.per_class.items()),
    )


def history_csv(history: Sequence[EpochRecord]) -> str:
    """Write a row per epoch; fields without a value stay empty."""
    return csv_text(
        [field.name for field in fields(EpochRecord)],
        (list(asdict(row).values()) for row in history),
    )


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as CSV; None becomes an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def reliability_csv(shown: Sequence[tuple[str, Sequence[ReliabilityBin]]]) -> str:
    """Write the bins of a reliability diagram; bins without points have no figures."""
    columns = ["low", "high", "n", "confidence", "accuracy"]
    rows: list[list[object]] = []
    for name, bins in shown:
        for row in bins:
            values = [getattr(row, column) for column in columns]
            rows.append([name, *values, *(row.interval or (None, None))])
    return csv_text(["predictions", *columns, "accuracy_low", "accuracy_high"], rows)


def one_vs_rest_csv(curves: Sequence[ClassCurves]) -> str:
    """Write the areas under the curves with their intervals, a row per class."""
    header = ["class", "positives", "n", "auc", "auc_low", "auc_high"]
    header += ["average_precision", "average_precision_low", "average_precision_high"]
    return csv_text(
        header,
        (
            [
                *(c.name, c.positives, c.n),
                *(c.auc, *c.auc_interval),
                *(c.average_precision, *c.average_precision_interval),
            ]
            for c in curves
        ),
    )


def roc_csv(curves: Sequence[ClassCurves]) -> str:
    """Write the corners of the ROC curves; where none is called so, the threshold is empty."""
    header = ["class", "false_positive_rate", "true_positive_rate", "threshold"]
    return csv_text(
        header,
        (
            [c.name, false, true, at if math.isfinite(at) else ""]
            for c in curves
            for false, true, at in zip(
                c.false_positive_rate.tolist(),
                c.true_positive_rate.tolist(),
                c.roc_thresholds.tolist(),
                strict=True,
            )
        ),
    )


def precision_recall_csv(curves: Sequence[ClassCurves]) -> str:
    """Write the corners of the precision-recall curves; the last of each has no threshold."""
    return csv_text(
        ["class", "recall", "precision", "threshold"],
        (
            [c.name, recall, precision, at]
            for c in curves
            for recall, precision, at in zip(
                c.recall.tolist(),
                c.precision.tolist(),
                [*c.precision_thresholds.tolist(), ""],
                strict=True,
            )
        ),
    )


def counts_csv(counts: Mapping[str, Sequence[int]], names: Sequence[str]) -> str:
    """Write how many points each class has, a column per part."""
    return csv_text(
        ["class", *counts],
        ([name, *numbers] for name, *numbers in zip(names, *counts.values(), strict=True)),
    )


def mistakes_csv(found: Sequence[Mistake]) -> str:
    """Write every mistake, the worst first."""
    axes = max((len(mistake.where) for mistake in found), default=2)
    header = ["image", *(f"axis-{k}" for k in range(axes)), "class", "predicted"]
    return csv_text(
        [*header, "p_class", "p_predicted"],
        (
            [
                *(m.image, *m.where, *[""] * (axes - len(m.where))),
                *(m.truth, m.predicted, m.p_truth, m.p_predicted),
            ]
            for m in found
        ),
    )
