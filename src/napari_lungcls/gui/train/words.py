"""What the training window says: results, and messages of the core in the window's terms."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.intervals import wilson
from napari_lungcls.evaluation.metrics import Metrics, validation_of
from napari_lungcls.gui.titles import FIELDS
from napari_lungcls.learning.schedule import BestEpoch
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.humanize import count, duration, percent
from napari_lungcls.utils.names import numbered

NO_FIGURE = (
    "There is no honest figure of its accuracy, because every point was trained on. Set the "
    "validation share to 0.2, or evaluate the model on a section with points of its own."
)


@dataclass(frozen=True)
class Remedy:
    """A value of one setting that a message proposes.

    Attributes
    ----------
    field
        The setting.
    value
        The value.
    label
        What a button says that applies it.
    """

    field: str
    value: Any
    label: str


def result(document: ModelDocument, planned: int | None = None, *, cancelled: bool = False) -> str:
    """Say in plain words what a training run achieved.

    Parameters
    ----------
    document
        Of the trained model.
    planned
        Epochs that the run was to have, if known.
    cancelled
        Whether the user ended it.
    """
    sentences = [_validation(document), _run(document, planned, cancelled=cancelled)]
    return " ".join(sentence for sentence in sentences if sentence)


def kept_epoch(history: Collection[Mapping[str, Any]], points: int) -> int | None:
    """Give the number of the epoch that was kept, from 1; None without validation points."""
    if not points:
        return None
    best = BestEpoch(points, patience=len(history) + 1)
    for record in history:
        if record.get("val_accuracy") is None or record.get("val_loss") is None:
            return None
        best.keeps(int(record["epoch"]), record["val_accuracy"], record["val_loss"])
    return best.epoch if history else None


def kept_epoch_of(document: ModelDocument) -> int | None:
    """Give the number of the epoch that a model is from, as `kept_epoch` does."""
    return kept_epoch(document.history, int(document.split.get("validation", 0)))


def remedies(refusal: InputError) -> tuple[Remedy, ...]:
    """Find the values of settings that a refusal of the core proposes."""
    return tuple(
        Remedy(name, value, f"Use {FIELDS[name].title.lower()} {FIELDS[name].shown(value)}")
        for name, value in refusal.remedies.items()
        if name in FIELDS
    )


def model_name(scheme: str, taken: Collection[str], now: datetime | None = None) -> str:
    """Name a new model after its classes and the time: `lung 14:05`."""
    base = f"{scheme} {now or datetime.now():%H:%M}"
    return next(name for name in numbered(base) if name not in taken)


def _validation(document: ModelDocument) -> str:
    metrics = validation_of(document)
    split = document.split
    # Models of earlier versions have a switch there.
    if metrics is None and document.settings.get("freeze") in ("yes", True):
        return "A preview: heads on a frozen backbone, fitted to every point. Train for more."
    if metrics is None:
        known = split.get("validation")
        return NO_FIGURE if known == 0 else "" if document.history else "It says no accuracy."
    said = [f"Validation: {_accuracy(metrics)}."]
    if len(document.history) > 1 and kept_epoch_of(document):
        said.append("The epoch was chosen on these points, so this flatters a little.")
    if lost := split.get("n_buffered", 0):
        said.append(f"{count(lost, 'point')} left out, in no region of the split.")
    if folds := split.get("folds"):
        said.append(f"Over {len(folds)} folds.")
    if document.test is not None:
        said.append(f"Test: {_accuracy(Metrics.model_validate(document.test))}.")
    if split.get("final"):
        said.append(f"The model then learned from all {split['final']} points.")
    return " ".join(said)


def _accuracy(metrics: Metrics) -> str:
    low, high = (100 * end for end in wilson(metrics.accuracy, metrics.n))
    return (
        f"{percent(metrics.accuracy)} of {count(metrics.n, 'point')} right "
        f"(95 % interval {low:.1f} to {high:.1f} %)"
    )


def _run(document: ModelDocument, planned: int | None, *, cancelled: bool) -> str:
    ran = len(document.history)
    if not ran:
        return ""
    took = duration(sum(float(record.get("seconds", 0)) for record in document.history))
    epoch = kept_epoch_of(document)
    of = f" of {planned}" if planned and planned > ran else ""
    which = f"epoch {epoch}" if epoch else "the last epoch"
    if cancelled:
        return f"Cancelled after epoch {ran}{of}, {took}. Keep the network of {which}?"
    kept = f"{which} is kept"
    if epoch is None:
        return f"{count(ran, 'epoch')}, {took}; {kept}."
    early = " Stopped early: it did not get better." if of else ""
    return f"{count(ran, 'epoch')}, {took}; {kept}.{early}"
