"""Whether 95 % intervals of fractions hold the truth 95 times in 100, on synthetic animals.

A pool of synthetic animals, each with two sections, is made once, and a map of each: the truth
with shifted borders and blobs of wrong class, more of them in some animals than in others. Then,
again and again, animals are drawn from the pool with replacement, and an audit grid is laid at
random over each of their sections. The pool is the population, so its fractions are the truth.

    python benchmarks/coverage.py [--repetitions 1000] [--seed 0] [--animals 24]

prints JSON:

- `coverage`: by number of animals, class and method, how often the interval of the population
  held the truth, the mean half-width in points, and the interval that was used most;
  "exact" measures the drawn animals without any error, so that only their choice is left: no
  method can be expected to do better where a class lies in few animals of the population;
- `coverage_of_sections`: the same for the sections themselves (`target="sections"`);
- `gain`: variance of counting by hand over that of the corrected map, for the same sections:
  how many times more points counting by hand would need;
- `biased`: the same maps with 20 % of septa called alveoli: bias in points, against the sections
  that were drawn, of the map itself and of the corrected map.

"rare" is a class of small foci, about 1 % of the lung.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_lungcls.stereology.audited_clusters import AuditedClusters
from napari_lungcls.stereology.corrections import difference, manual, poststratified, raw, tuned
from napari_lungcls.stereology.estimate import StereologyEstimate
from napari_lungcls.stereology.ratios import ratio
from napari_lungcls.synthetic import LungParameters, make_section

CLASSES = ("alveoli", "septa", "duct", "rare", "non-parenchyma")
ALVEOLI, SEPTA, DUCT, RARE, OTHER = range(5)
PARENCHYMA = np.array([True, True, True, True, False])
LUNG = np.ones(5, dtype=bool)
EDGE, SECTIONS, SPACING = 384, 2, 84
"""Pixels of a section, sections of an animal, pixels between audit points: about 42 points."""
GROUPS = (5, 8, 12)
METHODS: dict[str, Callable[..., StereologyEstimate]] = {
    "manual": manual,
    "difference": difference,
    "tuned": tuned,
    "poststratified": poststratified,
}
Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Row = tuple[StereologyEstimate, StereologyEstimate | None, float]
"""An estimate of the population, one of the sections, and the truth of the sections."""
Rows = dict[tuple[str, str], list[Row]]


@dataclass(frozen=True, eq=False)
class Animal:
    """Sections of one animal: truth, map and its probabilities, `(sections, y, x[, k])`."""

    truth: Codes
    map: Codes
    probabilities: NDArray[np.float32]

    @cached_property
    def cells(self) -> Floats:
        """Cells of each class in truth."""
        return counts(self.truth)

    @cached_property
    def map_cells(self) -> Floats:
        """Cells of each class on the map."""
        return counts(self.map)

    @cached_property
    def map_sums(self) -> Floats:
        """Sums of probability over the map."""
        return np.asarray(self.probabilities.sum(axis=(0, 1, 2), dtype=np.float64))


def main() -> None:
    """Make the pool, draw from it, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--animals", type=int, default=24)
    args = parser.parse_args()
    # Classes of the map without an audited point are joined with others; here it is no news.
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    rng = np.random.default_rng(args.seed)
    pool = [animal(args.seed * 1000 + i, rng) for i in range(args.animals)]
    biased = [with_lost_septa(one, rng) for one in pool]
    made = time.perf_counter() - began
    found = {
        "repetitions": args.repetitions,
        "seed": args.seed,
        "truth": fractions_of(pool),
        "accuracy": float(np.mean([one.map == one.truth for one in pool])),
        "animal_sd": {
            name: float(np.std([fractions_of([one])[name] for one in pool])) for name in targets()
        },
        **measured(pool, args.repetitions, rng),
        "biased": biases(biased, args.repetitions, rng),
        "seconds_for_sections": round(made),
    }
    found["seconds"] = round(time.perf_counter() - began)
    print(json.dumps(found, indent=1))


def targets() -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Give part and reference of every fraction."""
    one = np.eye(len(CLASSES), dtype=bool)
    within = {name: (one[i], PARENCHYMA) for i, name in enumerate(CLASSES) if PARENCHYMA[i]}
    return {**within, "parenchyma": (PARENCHYMA, LUNG)}


def animal(seed: int, rng: np.random.Generator) -> Animal:
    """Make an animal's sections and map them with its own error."""
    parameters = LungParameters(
        septal_thickness=rng.uniform(4.5, 8.0),
        alveolar_diameter=rng.uniform(70, 100),
        duct_spacing=rng.uniform(300, 380),
    )
    truths, maps, shares = [], [], []
    skill, foci = rng.uniform(0.6, 1.6), rng.uniform(0.004, 0.018)
    for i in range(SECTIONS):
        section = make_section((EDGE, EDGE), seed=seed, z=400.0 * i, parameters=parameters)
        names = ("alveoli", "septa", "duct", "non-parenchyma")
        code = np.zeros(256, dtype=np.uint8)
        for name, to in zip(names, (ALVEOLI, SEPTA, DUCT, OTHER), strict=True):
            code[section.scheme.code(name) + 1] = to
        truth = code[section.truth]
        truth[noise_above(rng, 6.0, foci)] = RARE
        odds = classified(truth, rng, skill)
        truths.append(truth)
        maps.append(odds.argmax(axis=-1).astype(np.uint8))
        shares.append(odds)
    return Animal(np.stack(truths), np.stack(maps), np.stack(shares))


def classified(truth: Codes, rng: np.random.Generator, skill: float) -> NDArray[np.float32]:
    """Give probabilities of a classifier that shifts borders and mistakes whole patches."""
    shape = truth.shape
    shift = [0.5 * skill * smooth(rng, 8.0) for _ in shape]
    at = [g + s for g, s in zip(np.indices(shape), shift, strict=True)]
    seen = ndimage.map_coordinates(truth, at, order=0, mode="nearest")
    for a, b, share in ((DUCT, ALVEOLI, 0.1), (ALVEOLI, DUCT, 0.04), (ALVEOLI, SEPTA, 0.02),
                        (SEPTA, OTHER, 0.02), (RARE, SEPTA, 0.15)):  # fmt: skip
        seen[noise_above(rng, 12.0, skill * share) & (seen == a)] = b
    planes = [ndimage.gaussian_filter((seen == c).astype(np.float32), 0.6) for c in range(5)]
    stacked = np.stack(planes, axis=-1)
    return np.asarray(stacked / stacked.sum(axis=-1, keepdims=True), dtype=np.float32)


def with_lost_septa(one: Animal, rng: np.random.Generator, share: float = 0.2) -> Animal:
    """Let the map call a share of what it called septa alveoli, in patches."""
    changed, odds = one.map.copy(), one.probabilities.copy()
    for i in range(len(changed)):
        lost = (changed[i] == SEPTA) & noise_above(rng, 6.0, share)
        changed[i][lost] = ALVEOLI
        odds[i][lost, ALVEOLI] += odds[i][lost, SEPTA]
        odds[i][lost, SEPTA] = 0
    return Animal(one.truth, changed, odds)


def smooth(rng: np.random.Generator, scale: float) -> Floats:
    """Give a smooth random field of standard deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal((EDGE, EDGE)), scale, mode="wrap")
    return np.asarray(field / field.std())


def noise_above(rng: np.random.Generator, scale: float, share: float) -> NDArray[np.bool_]:
    """Give blobs that cover a share of the section."""
    field = smooth(rng, scale)
    return np.asarray(field > np.quantile(field, 1 - min(share, 1.0)))


def counts(codes: Codes) -> Floats:
    """Count the cells of each class."""
    return np.bincount(codes.ravel(), minlength=len(CLASSES)).astype(np.float64)


def fractions_of(animals: list[Animal]) -> dict[str, float]:
    """Give the true fractions of these animals."""
    cells = np.sum([one.cells for one in animals], axis=0)
    return {name: float(cells @ a / (cells @ b)) for name, (a, b) in targets().items()}


def draws(
    pool: list[Animal], groups: int, repetitions: int, rng: np.random.Generator
) -> Iterator[tuple[list[Animal], AuditedClusters]]:
    """Draw animals, and an audit grid on every section of each, again and again."""
    for _ in range(repetitions):
        animals = [pool[i] for i in rng.integers(len(pool), size=groups)]
        parts: list[tuple[NDArray[np.int64], ...]] = []
        sums = []
        for g, one in enumerate(animals):
            for i in range(SECTIONS):
                y, x = rng.integers(SPACING, size=2)
                at = np.s_[i, y::SPACING, x::SPACING]
                truth = one.truth[at].ravel()
                parts.append((np.full(len(truth), g), truth, one.map[at].ravel(),
                              one.probabilities[at].reshape(len(truth), -1)))  # fmt: skip
            sums.append((one.map_cells, one.map_sums))
        cluster, truth, said, odds = (np.concatenate(p) for p in zip(*parts, strict=True))
        cells, shares = (np.stack(s) for s in zip(*sums, strict=True))
        yield (
            animals,
            AuditedClusters(
                cells, cluster, truth.astype(np.int64), said.astype(np.int64), shares, odds
            ),
        )


def exactly(
    animals: list[Animal], part: NDArray[np.bool_], whole: NDArray[np.bool_]
) -> StereologyEstimate:
    """Estimate from the true cells of the animals."""
    cells = np.stack([one.cells for one in animals])
    return ratio(cells @ part, cells @ whole, limits=(0, 1))


def measured(pool: list[Animal], repetitions: int, rng: np.random.Generator) -> dict[str, object]:
    """Measure coverage of population and sections, and the gain in points."""
    truth = fractions_of(pool)
    population: dict[str, object] = {}
    sections: dict[str, object] = {}
    gains: dict[str, object] = {}
    for groups in GROUPS:
        rows: Rows = {}
        for animals, data in draws(pool, groups, repetitions, rng):
            here = fractions_of(animals)
            for name, masks in targets().items():
                exact = rows.setdefault((name, "exact"), [])
                exact.append((exactly(animals, *masks), None, here[name]))
                for method, of in METHODS.items():
                    pair = of(data, *masks), of(data, *masks, target="sections")
                    rows.setdefault((name, method), []).append((*pair, here[name]))
        key = f"{groups} animals"
        population[key] = table(rows, lambda row, n: (row[0], truth[n]))
        audited = {at: found for at, found in rows.items() if at[1] != "exact"}
        sections[key] = table(audited, lambda row, n: (row[1], row[2]))
        variances = {
            at: np.mean([(value(row[0]) - row[2]) ** 2 for row in found])
            for at, found in audited.items()
        }
        gains[key] = {
            name: {m: round(float(variances[name, "manual"] / variances[name, m]), 2)
                   for m in METHODS if m != "manual"}
            for name in truth
        }  # fmt: skip
    return {"coverage": population, "coverage_of_sections": sections, "gain": gains}


def value(found: StereologyEstimate) -> float:
    """Give an estimate that is known to exist."""
    assert found.estimate is not None
    return found.estimate


def table(
    rows: Rows, pick: Callable[[Row, str], tuple[StereologyEstimate | None, float]]
) -> dict[str, dict[str, object]]:
    """Say for each fraction and method how often the interval held the truth."""
    found: dict[str, dict[str, object]] = {}
    for (name, method), each in rows.items():
        picked = [pick(row, name) for row in each]
        pairs = [(estimate, true) for estimate, true in picked if estimate is not None]
        ends = [(estimate.ci or (np.nan, np.nan), true) for estimate, true in pairs]
        held = [low <= true <= high for (low, high), true in ends]
        half = [(high - low) / 2 for (low, high), _ in ends]
        found.setdefault(name, {})[method] = {
            "coverage": round(float(np.mean(held)), 3),
            "half_width_points": round(100 * float(np.nanmean(half)), 2),
            "interval": Counter(estimate.ci_method for estimate, _ in pairs).most_common(1)[0][0],
        }
    return found


def biases(pool: list[Animal], repetitions: int, rng: np.random.Generator) -> dict[str, object]:
    """Measure bias in points against the sections that were drawn, with a bad map."""
    methods = {"raw": raw, **METHODS}
    off: dict[tuple[str, str], list[float]] = {}
    for animals, data in draws(pool, 8, repetitions, rng):
        here = fractions_of(animals)
        for name, masks in targets().items():
            for method, of in methods.items():
                estimate = value(of(data, *masks))
                off.setdefault((name, method), []).append(100 * (estimate - here[name]))
    return {
        name: {
            m: {"bias": round(float(np.mean(off[name, m])), 3),
                "se": round(float(np.std(off[name, m]) / np.sqrt(repetitions)), 3)}
            for m in methods
        }
        for name in targets()
    }  # fmt: skip


if __name__ == "__main__":
    main()
