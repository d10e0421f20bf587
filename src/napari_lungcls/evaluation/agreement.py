"""How far observers agree: kappa, agreement on each class, and how sure these figures are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel

RESAMPLES = 2000
LEVEL = 0.95

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Estimate(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """A figure with its bootstrap interval; None where it is not defined."""

    value: float | None
    interval: tuple[float, float] | None


class PairAgreement(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Two observers at the same points.

    Attributes
    ----------
    a, b
        Who they are.
    n
        Points that both have labelled.
    unmatched_a, unmatched_b
        Points that only one of them has.
    agreement
        Share of the points that both call the same.
    kappa
        Cohen's kappa: agreement beyond what their class frequencies would give by chance.
    per_class
        Positive specific agreement by class name: of the answers "this class" of either, the
        share in which the other agrees.
    confusion
        `(k, k)` counts: rows are the answers of `a`, columns those of `b`.
    """

    a: str
    b: str
    n: int
    unmatched_a: int
    unmatched_b: int
    agreement: Estimate
    kappa: Estimate
    per_class: dict[str, Estimate]
    confusion: list[list[int]]


class GroupAgreement(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Three or more observers at the points that all of them have.

    Attributes
    ----------
    observers
        Who they are.
    n
        Points that all have labelled.
    kappa
        Fleiss' kappa.
    per_class
        Fleiss' kappa of each class against the rest.
    """

    observers: list[str]
    n: int
    kappa: Estimate
    per_class: dict[str, Estimate]


def cohen_kappa(confusion: ArrayLike) -> Floats:
    """Compute Cohen's kappa of counts `(…, k, k)`; NaN where both know one class only.

    Notes
    -----
    `(p_o - p_e) / (1 - p_e)`: Cohen 1960, Educ. Psychol. Meas. 20, 37-46,
    doi 10.1177/001316446002000104. scikit-learn's `cohen_kappa_score` gives the same; this
    one takes all resamples of a bootstrap at once.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    n = counts.sum(axis=(-1, -2))
    observed = np.trace(counts, axis1=-2, axis2=-1) / n
    expected = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1) / n**2
    return _beyond_chance(observed, expected)


def specific_agreement(confusion: ArrayLike) -> Floats:
    """Compute the positive specific agreement of each class, `(…, k)` from `(…, k, k)`.

    Notes
    -----
    `2 n_cc / (n_c. + n_.c)`, NaN where neither names the class: Cicchetti and Feinstein 1990,
    J. Clin. Epidemiol. 43, 551-558, doi 10.1016/0895-4356(90)90159-m.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    named = counts.sum(axis=-1) + counts.sum(axis=-2)
    return np.where(named > 0, 2 * both / np.maximum(named, 1), np.nan)


def fleiss_kappa(ratings: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Compute Fleiss' kappa of `ratings`, `(n, k)`: how many observers call point i class j.

    Parameters
    ----------
    ratings
        Every row adds up to the number of observers, at least two.
    weights
        `(…, n)` how often each row counts; once if not given.

    Returns
    -------
    ndarray, (…)
        NaN where only one class occurs.

    Raises
    ------
    ValueError
        When the rows do not add up to the same number.

    Notes
    -----
    Fleiss 1971, Psychol. Bull. 76, 378-382, doi 10.1037/h0031619.
    """
    counts = np.asarray(ratings, dtype=np.float64)
    observers = counts.sum(axis=1)
    if len(counts) == 0 or observers[0] < 2 or (observers != observers[0]).any():
        raise ValueError("every point needs the same number of observers, at least two")
    m = observers[0]
    often = np.ones(len(counts)) if weights is None else np.asarray(weights, dtype=np.float64)
    n = often.sum(axis=-1)
    of_point = ((counts**2).sum(axis=1) - m) / (m * (m - 1))
    share = often @ counts / (n[..., np.newaxis] * m)
    return _beyond_chance(often @ of_point / n, (share**2).sum(axis=-1))


def pair_agreement(
    a: tuple[str, Counts],
    b: tuple[str, Counts],
    names: Sequence[str],
    *,
    unmatched: tuple[int, int] = (0, 0),
    seed: int = 0,
) -> PairAgreement:
    """Compare two observers at the same points.

    Parameters
    ----------
    a, b
        Name and codes `(n,)` of each.
    names
        The classes.
    unmatched
        Points that only one has.
    seed
        Of the bootstrap: 2000 times as many points are drawn with replacement, and the middle
        95 % of the figures make the interval. It takes points as independent; neighbours are
        not, so the truth is wider.
    """
    k, n = len(names), len(a[1])
    confusion = np.bincount(k * a[1] + b[1], minlength=k * k).reshape(k, k)
    # Drawing points is drawing cells of the table, each as likely as it is full.
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, confusion.ravel() / n, RESAMPLES).reshape(-1, k, k)

    def estimate(of: Callable[[ArrayLike], Floats]) -> Estimate:
        return _estimate(of(confusion), of(drawn))

    classes = zip(specific_agreement(confusion), specific_agreement(drawn).T, strict=True)
    return PairAgreement(
        a=a[0],
        b=b[0],
        n=n,
        unmatched_a=unmatched[0],
        unmatched_b=unmatched[1],
        agreement=estimate(lambda x: np.trace(np.asarray(x), axis1=-2, axis2=-1) / n),
        kappa=estimate(cohen_kappa),
        per_class={name: _estimate(*found) for name, found in zip(names, classes, strict=True)},
        confusion=confusion.tolist(),
    )


def group_agreement(
    observers: Sequence[str], codes: Counts, names: Sequence[str], *, seed: int = 0
) -> GroupAgreement:
    """Compare three or more observers at the points that all have.

    Parameters
    ----------
    observers
        Their names.
    codes
        `(n, observers)`.
    names
        The classes.
    seed
        Of the bootstrap, see `pair_agreement`.
    """
    n, k = len(codes), len(names)
    ratings = (codes[:, :, np.newaxis] == np.arange(k)).sum(axis=1)
    patterns, often = np.unique(ratings, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(n, often / n, RESAMPLES)

    def estimate(table: Counts) -> Estimate:
        return _estimate(fleiss_kappa(table, often), fleiss_kappa(table, drawn))

    return GroupAgreement(
        observers=list(observers),
        n=n,
        kappa=estimate(patterns),
        per_class={
            name: estimate(np.stack([patterns[:, c], len(observers) - patterns[:, c]], axis=1))
            for c, name in enumerate(names)
        },
    )


def _beyond_chance(observed: Floats, expected: Floats) -> Floats:
    rest = 1 - expected
    possible = rest > 1e-12
    return np.where(possible, (observed - expected) / np.where(possible, rest, 1), np.nan)


def _estimate(value: Floats, resampled: Floats) -> Estimate:
    """Give a figure with the percentiles of its resamples in which it is defined."""
    if np.isnan(value):
        return Estimate(value=None, interval=None)
    known = resampled[~np.isnan(resampled)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (value, value)
    return Estimate(value=float(value), interval=(float(low), float(high)))
