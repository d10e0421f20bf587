"""Two models at the same points: which is right where the other is wrong, and by chance or not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.held_out_points import PointPlace
from napari_lungcls.images.pairs import Pair
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.network.known_points import ImageKey
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.humanize import count
from napari_lungcls.utils.names import comparable
from napari_lungcls.utils.printable import printable

TOGETHER = 128
"""Points that are classified between two reports of progress."""

LEVEL = 0.05
"""Probability by chance below which a difference is called one."""

FEW = 20
"""Points at which one model alone is right that are called few."""


class Classifier(Protocol):
    """What is compared, as `Model` is."""

    @property
    def document(self) -> ModelDocument:
        """What the model file says."""

    def classify(self, image: Any, coordinates: ArrayLike) -> NDArray[np.float32]:
        """Give the probabilities `(n, k)` of the classes at points."""


class ModelComparison(BaseModel, frozen=True, extra="forbid"):
    """Two models at points that neither has learned from.

    Attributes
    ----------
    a, b
        What they are called.
    n
        Points that are counted.
    both_right, both_wrong
        Points at which both are right, or wrong.
    only_a, only_b
        Points at which one is right and the other wrong.
    same_error
        Of those where both are wrong, points at which both say the same class.
    p
        Probability that chance alone parts `only_a` and `only_b` at least so far, if the models
        were equally good: exact McNemar test, two-sided.
    per_class
        By class name: points, and how many of them each has right.
    recorded_a, recorded_b
        Points whose prediction is the one that training recorded, by a network that had not
        seen them, because the model has learned from them since.
    learned_a, learned_b
        Points left out because that model learned from them.
    knows_a, knows_b
        Whether that model tells which points it learned from. If not, some of those that are
        counted may be among them, and it looks better than it is.
    """

    a: str
    b: str
    n: int
    both_right: int
    both_wrong: int
    only_a: int
    only_b: int
    same_error: int
    p: float
    per_class: dict[str, tuple[int, int, int]]
    recorded_a: int
    recorded_b: int
    learned_a: int
    learned_b: int
    knows_a: bool
    knows_b: bool

    def lines(self) -> list[str]:
        """Say it in plain words, a sentence or two each."""
        said = [
            f"{self.a}: {self.both_right + self.only_a} of {self.n} points right. "
            f"{self.b}: {self.both_right + self.only_b} of {self.n}.",
            self.verdict(),
        ]
        if self.both_wrong:
            said.append(
                f"Both are wrong at {count(self.both_wrong, 'point')}, "
                f"at {self.same_error} of them in the same way."
            )
        if self.recorded_a or self.recorded_b:
            said.append(
                "Where a model has learned from a point after its test, its prediction from "
                "before counts."
            )
        for name, learned, knows in (
            (self.a, self.learned_a, self.knows_a),
            (self.b, self.learned_b, self.knows_b),
        ):
            if learned:
                said.append(f"{count(learned, 'point')} not counted: {name} learned from them.")
            if not knows:
                said.append(
                    f"{name} does not tell all points that it learned from. If these are among "
                    "them, it looks better than it is."
                )
        return said

    def verdict(self) -> str:
        """Say which model is better, or that it cannot be told."""
        if not self.only_a and not self.only_b:
            return "They are right and wrong at the same points."
        said = (
            f"{self.b} is right at {count(self.only_b, 'point')} where {self.a} is wrong, "
            f"{self.a} at {self.only_a} where {self.b} is wrong"
        )
        if self.p < LEVEL:
            better = self.b if self.only_b > self.only_a else self.a
            return f"{said}: {better} is better at such points (p = {self.p:.2g}, exact McNemar)."
        few = self.only_a + self.only_b < FEW
        means = "too few to tell them apart" if few else "that may well be chance"
        return f"{said}: {means} (p = {self.p:.2g}, exact McNemar)."


@dataclass(frozen=True, eq=False)
class ComparedPoints:
    """Points at which two models were compared.

    Attributes
    ----------
    summary
        The figures.
    places
        Where each of the `n` points lies.
    truth, predicted_a, predicted_b
        `(n,)` codes in the order of the classes of the first model.
    scheme
        Those classes.
    """

    summary: ModelComparison
    places: tuple[PointPlace, ...]
    truth: NDArray[np.int64]
    predicted_a: NDArray[np.int64]
    predicted_b: NDArray[np.int64]
    scheme: ClassScheme

    def rows(self, *, a: bool, b: bool) -> NDArray[np.intp]:
        """Give the rows of the points at which each model is right or not."""
        right_a, right_b = self.predicted_a == self.truth, self.predicted_b == self.truth
        return np.flatnonzero((right_a == a) & (right_b == b))


def comparing(
    a: tuple[str, Classifier],
    b: tuple[str, Classifier],
    pairs: Sequence[Pair],
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[tuple[int, int], None, ComparedPoints | None]:
    """Compare two models at labelled points, yielding the points done and in all.

    A point that a model learned from is no test of it. If it was held out first, the prediction
    of then counts; otherwise it is left out, for both models.

    Parameters
    ----------
    a, b
        Name and model.
    pairs
        Images with labelled points.
    cancelled
        Asked between points; None is returned then.

    Raises
    ------
    InputError
        When the models have other classes, a label is unknown, points do not suit the image, or
        none is left that neither model has learned from.
    """
    scheme = a[1].document.scheme
    codes_of_b = class_order(scheme, b[1].document.scheme)
    codes = np.concatenate([points.codes(scheme) for _, points in pairs])
    known = [_Known.of(model.document, pairs) for _, model in (a, b)]
    fair = ~(known[0].learned | known[1].learned)
    if not fair.any():
        raise InputError(
            f"{a[0]} or {b[0]} learned from each of these {len(codes)} points, so that none is a "
            "test of both; label points that neither has seen, best in another section"
        )
    todo = [fair & ~each.recorded for each in known]
    total, done = sum(int(each.sum()) for each in todo), 0
    yield done, total
    for (_, model), each, wanted in zip((a, b), known, todo, strict=True):
        first = 0
        for stack, points in pairs:
            rows = np.flatnonzero(wanted[first : first + len(points)])
            for start in range(0, len(rows), TOGETHER):
                if cancelled():
                    return None
                part = rows[start : start + TOGETHER]
                each.probabilities[first + part] = model.classify(stack, points.coordinates[part])
                done += len(part)
                yield done, total
            first += len(points)
    predicted = [
        predicted_class(each.probabilities[fair], model.document.threshold).astype(np.int64)
        for (_, model), each in zip((a, b), known, strict=True)
    ]
    places = [
        PointPlace(printable(stack.name), stack.shape, tuple(at))
        for stack, points in pairs
        for at in points.coordinates.tolist()
    ]
    truth, said = codes[fair], (predicted[0], codes_of_b[predicted[1]])
    return ComparedPoints(
        _summary((a[0], b[0]), scheme, truth, said, known, fair),
        tuple(place for place, counts in zip(places, fair.tolist(), strict=True) if counts),
        truth,
        *said,
        scheme,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Give the two-sided p of the exact McNemar test.

    Parameters
    ----------
    only_a, only_b
        Points at which one model is right and the other wrong.

    Notes
    -----
    The binomial test of `only_a` in `only_a + only_b` at a half: McNemar 1947, Psychometrika 12,
    153-157, doi 10.1007/bf02295996.
    """
    from scipy.stats import binomtest

    total = only_a + only_b
    return float(binomtest(only_a, total, 0.5).pvalue) if total else 1.0


def class_order(scheme: ClassScheme, other: ClassScheme) -> NDArray[np.int64]:
    """Give the code in `scheme` of each class of another scheme, `(k,)`.

    Raises
    ------
    InputError
        When they do not have the same classes.
    """
    places = {comparable(name): code for code, name in enumerate(scheme.names)}
    found = [places.get(comparable(name), -1) for name in other.names]
    if sorted(found) != list(range(len(scheme))):
        raise InputError(
            f"one model knows the classes {', '.join(scheme.names)}, the other "
            f"{', '.join(other.names)}; compare models of the same classes"
        )
    return np.array(found, np.int64)


@dataclass(frozen=True, eq=False)
class _Known:
    """What a model tells of some points.

    Attributes
    ----------
    recorded
        `(n,)` whether training recorded a prediction before learning from the point.
    learned
        `(n,)` whether it learned from the point, with none recorded.
    probabilities
        `(n, k)`, filled where recorded.
    complete
        Whether it tells all points that it learned from.
    """

    recorded: NDArray[np.bool_]
    learned: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    complete: bool

    @classmethod
    def of(cls, document: ModelDocument, pairs: Sequence[Pair]) -> _Known:
        n = sum(len(points) for _, points in pairs)
        recorded, learned = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        shares = np.zeros((n, len(document.scheme)), np.float32)
        known, first = document.points, 0
        if known is None:
            return cls(recorded, learned, shares, complete=False)
        for stack, points in pairs:
            where, mine = points.coordinates, slice(first, first + len(points))
            image = ImageKey.of(stack)
            learned[mine] = known.trained_at(image, where)
            rows, found = known.held_out_at(image, where)
            if len(rows):
                recorded[first + rows] = True
                shares[first + rows] = found
            first += len(points)
        return cls(recorded, learned & ~recorded, shares, known.complete)


def _summary(
    names: tuple[str, str],
    scheme: ClassScheme,
    truth: NDArray[np.int64],
    predicted: tuple[NDArray[np.int64], NDArray[np.int64]],
    known: Sequence[_Known],
    fair: NDArray[np.bool_],
) -> ModelComparison:
    a, b = (each == truth for each in predicted)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return ModelComparison(
        a=names[0],
        b=names[1],
        n=len(truth),
        both_right=int((a & b).sum()),
        both_wrong=int((~a & ~b).sum()),
        only_a=only_a,
        only_b=only_b,
        same_error=int((~a & (predicted[0] == predicted[1])).sum()),
        p=mcnemar(only_a, only_b),
        per_class={
            name: (int(mine.sum()), int(a[mine].sum()), int(b[mine].sum()))
            for code, name in enumerate(scheme.names)
            for mine in [truth == code]
        },
        recorded_a=int((known[0].recorded & fair).sum()),
        recorded_b=int((known[1].recorded & fair).sum()),
        learned_a=int(known[0].learned.sum()),
        learned_b=int(known[1].learned.sum()),
        knows_a=known[0].complete,
        knows_b=known[1].complete,
    )
