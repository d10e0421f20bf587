"""The sections that `maps.py` compares on, with their points and their exact classes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import napari_lungcls as lc
from napari_lungcls.demo import points_at_random
from napari_lungcls.synthetic import LungParameters, make_section

Bytes = NDArray[np.uint8]

PARENCHYMA, WHOLE = LungParameters(airway_spacing=None, vessel_spacing=None), LungParameters()
USUAL, WITH_AIRWAYS = ("1:2", "11:12"), ("7:26", "24:18")
"""Seeds of a studied and an unseen section; airways or vessels lie in each of the latter four."""
CASES = {
    "lung-1": (1.0, PARENCHYMA, USUAL),
    "lung-0.5": (0.5, PARENCHYMA, USUAL),
    "lung-full-1": (1.0, WHOLE, WITH_AIRWAYS),
    "lung-full-0.5": (0.5, WHOLE, WITH_AIRWAYS),
}
"""Micrometres per pixel, the lung, and the pairs of sections."""
SECTION = "section"


@dataclass(frozen=True, eq=False)
class Pair:
    """An image to learn from and one to answer.

    Attributes
    ----------
    name
        Which draw it is.
    seed
        For what is random in learning.
    pixel_size
        Micrometres per pixel.
    scheme
        All classes that there may be.
    studied, unseen
        `(y, x, 3)` uint8.
    truth
        `(y, x)` of `unseen`: code in `scheme` plus 1, 0 where there is no class.
    tables
        By their number, points at pixel centres of `studied`.
    """

    name: str
    seed: int
    pixel_size: float
    scheme: lc.ClassScheme
    studied: Bytes
    tables: dict[int, lc.Points]
    unseen: Bytes
    truth: Bytes

    def codes(self, size: int) -> NDArray[np.int64]:
        """Class codes plus 1 of the points of a table."""
        return np.array([self.scheme.code(name) + 1 for name in self.tables[size].labels])


@dataclass(frozen=True)
class Answer:
    """Classes at every `stride`-th pixel `(y, x)`, code plus 1, and the seconds it took."""

    classes: Bytes
    train_seconds: float
    paint_seconds: float
    stride: int = 1
    note: str = ""


def pairs(case: str, args: argparse.Namespace) -> Iterator[Pair]:
    """Make the pairs of a case, one after the other."""
    if case == SECTION:
        yield from (_real_pair(args, draw) for draw in range(args.draws))
        return
    pixel_size, lung, names = CASES[case]
    for i, name in enumerate((args.pairs or names)[: args.draws]):
        first, second = (int(seed) for seed in name.split(":"))
        studied, unseen = (
            make_section((edge, edge), pixel_size=pixel_size, seed=seed, parameters=lung)
            for edge, seed in ((args.studied, first), (args.unseen, second))
        )
        tables = {n: points_at_random(studied, n, first) for n in args.points_counts}
        images = (studied.image, tables, unseen.image, unseen.truth)
        yield Pair(name, i, pixel_size, studied.scheme, *images)


def _real_pair(args: argparse.Namespace, draw: int) -> Pair:
    """Give the real section's upper part with its points, and its lower part with the rule's."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from real_section import IMAGE, MICROMETRES_PER_PIXEL, TISSUE, rule

    if args.section.resolve() != IMAGE.resolve():
        raise SystemExit(f"{args.section}: the rule is that of {IMAGE.resolve()}")
    image = np.asarray(lc.open_image(args.section).levels[0])
    points, first, last, margin = lc.read_points(args.points), 2780, 4200, 128
    where = points.coordinates
    y, x = (where.min(0) - margin).clip(min=0).astype(int)
    end = where.max(0).astype(int) + margin
    end[0] = min(end[0], first)
    moved = lc.Points.build(where - [y, x], points.labels)
    sizes = sorted({min(n, len(points)) for n in args.points_counts})
    tables = {n: _balanced(moved, n, draw) for n in sizes}
    studied, unseen = image[y : end[0], x : end[1]], image[first:last, TISSUE]
    scheme, truth = lc.ClassScheme.preset("lung"), rule(first, last)
    images = (studied, tables, unseen, truth)
    return Pair(f"draw {draw}", draw, MICROMETRES_PER_PIXEL, scheme, *images)


def _balanced(points: lc.Points, size: int, seed: int) -> lc.Points:
    """Draw as many points of each class."""
    rng, labels = np.random.default_rng(seed), np.asarray(points.labels)
    names = np.unique(labels)
    rows = [rng.permutation(np.flatnonzero(labels == n))[: size // len(names)] for n in names]
    return points.select(np.sort(np.concatenate(rows)))
