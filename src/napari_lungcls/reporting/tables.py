"""The tables of a report as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

from napari_lungcls.learning.history import EpochRecord
from napari_lungcls.learning.metrics import ClassMetrics, Metrics


def confusion_csv(metrics: Metrics) -> str:
    """Write the confusion counts: a row per true class, a column per predicted class."""
    rows = zip(metrics.classes, metrics.confusion, strict=True)
    return _csv(["true class", *metrics.classes], ([name, *counts] for name, counts in rows))


def per_class_csv(metrics: Metrics) -> str:
    """Write precision, recall, F1 and support, a row per class."""
    columns = list(ClassMetrics.model_fields)
    return _csv(
        ["class", *columns],
        ([name, *figures.model_dump().values()] for name, figures in metrics.per_class.items()),
    )


def history_csv(history: Sequence[EpochRecord]) -> str:
    """Write a row per epoch; fields without a value stay empty."""
    return _csv(
        [field.name for field in fields(EpochRecord)],
        (["" if value is None else value for value in asdict(row).values()] for row in history),
    )


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
