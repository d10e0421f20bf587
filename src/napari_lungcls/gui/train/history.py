"""The figures behind the live curves of a training run, without Qt."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_lungcls.learning.progress import TrainingProgress

Line = tuple[list[float], list[float]]
"""Epochs, and the values there."""


@dataclass
class History:
    """Collects what a run reports and gives the lines to draw.

    Attributes
    ----------
    records
        Figures of the epochs that have ended.
    planned
        Epochs that the first training of the run is to have, as far as it has said so.
    part
        Which of several trainings these are; the next one begins anew.
    kept
        The epoch whose network is kept, from 1; None while that is not known.
    """

    records: list[Mapping[str, Any]] = field(default_factory=list)
    planned: int = 0
    part: str = ""
    kept: int | None = None
    _first: list[tuple[float, float]] = field(default_factory=list)
    _now: tuple[float, float] | None = None
    _epochs: int = 0

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]], kept: int | None = None) -> "History":
        """Take the history of a finished run."""
        return cls(list(records), kept=kept)

    def add(self, progress: TrainingProgress) -> bool:
        """Take a report in; tell whether there is something new to draw."""
        if progress.part != self.part:
            self.part, self.records, self._first, self._now = progress.part, [], [], None
            self._epochs = 0
        self._epochs = progress.epochs or self._epochs
        self.planned = self.planned or progress.epochs
        if progress.record is not None:
            self.records.append(asdict(progress.record))
            self._now = None
            return True
        if progress.loss is None or not progress.total:
            return False
        now = (progress.epoch + progress.share_of_epoch, progress.loss)
        if not self.records:
            self._first.append(now)
        self._now = now
        return True

    @property
    def epochs(self) -> int:
        """Epochs to make room for."""
        return max(self._epochs, len(self.records), 1)

    def loss(self) -> Line:
        """Training loss: within the first epoch as it falls, then after every epoch, then now."""
        ended = [(float(r["epoch"]), float(r["train_loss"])) for r in self.records]
        points = [*self._first, *ended]
        if self._now is not None and self.records:
            points.append(self._now)
        return [x for x, _ in points], [y for _, y in points]

    def line(self, name: str, times: float = 1.0) -> Line:
        """Give a figure of the epochs that have ended, where they have it."""
        known = [record for record in self.records if record.get(name) is not None]
        return [float(r["epoch"]) for r in known], [times * float(r[name]) for r in known]


def loss_ceiling(training: Sequence[float], validation: Sequence[float]) -> float:
    """Give where the axis of the loss ends.

    Before it has settled, a network may be confidently wrong about the validation points for
    an epoch. That leaves the picture rather than flattening all the rest of it.
    """
    limit = 3 * max(training, default=math.inf)
    return ceiling([*training, *(value for value in validation if value <= limit)])


def epoch_ticks(epochs: float) -> list[int]:
    """Give the epochs that an axis names: whole ones, seven steps at most."""
    step = int(max(1.0, ceiling([epochs / 7])))
    return list(range(0, int(epochs) + 1, step))


def ceiling(values: Iterable[float]) -> float:
    """Give the round number (1, 2 or 5 times a power of ten) that no value exceeds."""
    highest = max((value for value in values if math.isfinite(value)), default=1.0)
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next((step * power for step in (1, 2, 5) if step * power >= highest), 10 * power)
