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
from napari_lungcls.utils.humanize import count, duration
from napari_lungcls.utils.names import numbered

NO_FIGURE = (
    "The accuracy is unknown, because every point was trained on. Set the validation share to "
    "0.2, or evaluate the model on a section with points of its own."
)

UNKNOWN = "The accuracy is unknown."

FLATTERS = "The best epoch was chosen on these same points, so this flatters a little."

FEW, MANY = 100, 1000
"""Held-out points below which a figure is called unsure, and from which it has a decimal."""


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


@dataclass(frozen=True)
class Card:
    """What a training run achieved.

    Attributes
    ----------
    headline
        The one figure, or that there is none.
    lines
        What to know about it, a sentence or two each.
    """

    headline: str
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it in one paragraph."""
        return " ".join(line for line in (self.headline, *self.lines) if line)


def result(document: ModelDocument, planned: int | None = None, *, cancelled: bool = False) -> str:
    """Say in plain words what a training run achieved; see `card`."""
    return card(document, planned, cancelled=cancelled).text


def card(document: ModelDocument, planned: int | None = None, *, cancelled: bool = False) -> Card:
    """Say in plain words what a training run achieved, sentence by sentence.

    All figures are those of the network that is kept.

    Parameters
    ----------
    document
        Of the trained model.
    planned
        Epochs that the run was to have, if known.
    cancelled
        Whether the user ended it.
    """
    first, *rest = _validation(document)
    run = _run(document, planned, cancelled=cancelled)
    return Card(first, tuple(line for line in (*rest, _zooms(document), run) if line))


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


def _validation(document: ModelDocument) -> list[str]:
    metrics = validation_of(document)
    split = document.split
    # Models of earlier versions have a switch there.
    if metrics is None and document.settings.get("freeze") in ("yes", True):
        return ["A preview: only the last layer was fitted, to all points. Train for more."]
    if metrics is None:
        known = split.get("validation")
        return [NO_FIGURE if known == 0 else "" if document.history else UNKNOWN]
    said = [f"{right(metrics)} held-out points right.", interval(metrics), weakest(metrics)]
    if len(document.history) > 1 and kept_epoch_of(document):
        said.append(FLATTERS)
    if lost := split.get("n_buffered", 0):
        said.append(f"{count(lost, 'point')} not used: too near the border to held-out tissue.")
    if folds := split.get("folds"):
        said.append(f"Added up over {len(folds)} folds.")
    if document.test is not None:
        test = Metrics.model_validate(document.test)
        said.append(f"Test points, which chose nothing: {right(test)} right. {interval(test)}")
    if split.get("final"):
        said.append(f"The model then learned from all {split['final']} points.")
    return said


def right(metrics: Metrics) -> str:
    """Count the points that were right: `49 of 52`."""
    return f"{sum(metrics.confusion[i][i] for i in range(len(metrics.classes))):,} of {metrics.n:,}"


def interval(metrics: Metrics) -> str:
    """Say between which shares the accuracy lies, with 95 % confidence."""
    low, high = wilson(metrics.accuracy, metrics.n)
    digits = 0 if metrics.n < MANY else 1
    ends = f"{100 * low:.{digits}f} and {100 * high:.{digits}f} %"
    if metrics.n < FEW:
        return f"With so few points, the true accuracy could be anywhere between {ends}."
    return f"The true accuracy is probably between {ends}."


def weakest(metrics: Metrics) -> str:
    """Name the class that is recognised worst, and what it is taken for; empty if none errs."""
    names = metrics.classes
    erring = [
        (row[i] / sum(row), -sum(row), i)
        for i, row in enumerate(metrics.confusion)
        if sum(row) and row[i] < sum(row)
    ]
    if not erring:
        return ""
    i = min(erring)[-1]
    row = metrics.confusion[i]
    wrong = sum(row) - row[i]
    taken = max((j for j in range(len(names)) if j != i), key=lambda j: row[j])
    called = f"{row[taken]} of {sum(row)} points called {names[taken]}"
    if wrong > row[taken]:
        called = f"{wrong} of {sum(row)} points wrong, {row[taken]} of them called {names[taken]}"
    return f"Weakest: {names[i]}, {called}."


def _zooms(document: ModelDocument) -> str:
    zooms, size = document.network.zooms, document.pixel_size
    what = f"Looks at zoom{'s' if len(zooms) > 1 else ''} {', '.join(map(str, zooms))}"
    if size is None:
        return f"{what}; the pixel size is unknown."
    return f"{what}: {', '.join(f'{zoom * size:.3g}' for zoom in zooms)} µm per pixel."


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
