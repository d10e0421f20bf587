"""Against a random forest on multi-scale features, the way of ilastik, Labkit and QuPath.

Both learn from the same points and answer the same fresh ones: ours off the map painted at
stride 2, with default settings; the forest at the pixels, from scikit-image's multi-scale
features. On a real section, where it is given, and on the synthetic lung at two pixel sizes.

    python benchmarks/baselines.py [--section IMAGE --points CSV] [--sizes 30 90 300 900]

prints JSON: for each image and number of points the accuracy and the seconds of both, and the
expected calibration error of ours. The fresh
points of the section are drawn by the rule that its own points follow (tests/real_section.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

import napari_lungcls as lc
from napari_lungcls.synthetic import LungParameters, LungSection, make_section, sample_points

LUNG = LungParameters(airway_spacing=None, vessel_spacing=None)
COARSEST = 16.0
"""Largest standard deviation of the forest's Gaussians, in pixels."""
MARGIN = 128
"""Pixels around the points for which the forest's features are made."""


@dataclass(frozen=True)
class Case:
    """One image to learn from and one to answer."""

    name: str
    studied: lc.ImageStack
    points: lc.Points
    asked: lc.ImageStack
    fresh: lc.Points


def main() -> None:
    """Compare both on every image and number of points."""
    parser = argparse.ArgumentParser(description="against a random forest")
    parser.add_argument("--section", help="a real section")
    parser.add_argument("--points", help="its 900 points")
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 90, 300, 900])
    parser.add_argument("--draws", type=int, default=1, help="draws of the points, averaged")
    parser.add_argument("--edge", type=int, default=2560, help="pixels of the made sections")
    args = parser.parse_args()
    result: dict[str, dict[str, object]] = {}
    for case in _cases(args):
        seen, asked = (_features(s, p) for s, p in _sides(case))
        for size in args.sizes:
            found = []
            for draw in range(args.draws if size < len(case.points) else 1):
                table = _drawn(case.points, size, draw)
                found.append((*_ours(case, table, draw), *_forest(case, table, seen, asked, draw)))
            names = ("ours", "ours_seconds", "ours_ece", "forest", "forest_seconds")
            means = np.mean(found, 0).round(4).tolist()
            result.setdefault(case.name, {})[str(size)] = dict(zip(names, means, strict=True))
            print(case.name, size, result[case.name][str(size)], file=sys.stderr, flush=True)
    print(json.dumps(result, indent=2))


def _cases(args: argparse.Namespace) -> Iterator[Case]:
    if args.section:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        from real_section import fresh_points

        section = lc.open_image(args.section)
        yield Case(
            "section, 1.8 um", section, lc.read_points(args.points), section, fresh_points(300)
        )
    for pixel_size, margin in ((1.0, 12.0), (0.4, 40.0)):
        studied, asked = (
            make_section((args.edge, args.edge), pixel_size=pixel_size, seed=s, parameters=LUNG)
            for s in (1, 2)
        )
        tables = [_sampled(made, margin) for made in (studied, asked)]
        stacks = [_stack(made) for made in (studied, asked)]
        name = f"synthetic lung, {pixel_size:g} um"
        yield Case(name, stacks[0], tables[0], stacks[1], tables[1])


def _stack(section: LungSection) -> lc.ImageStack:
    return lc.ImageStack(section.image, rgb=True, pixel_size=section.pixel_size)


def _sampled(section: LungSection, margin: float) -> lc.Points:
    air = sample_points(section, 300, classes=("alveoli", "duct"), margin=margin, seed=3)
    septa = sample_points(section, 300, classes=("septa",), margin=2.0, seed=3)
    return lc.Points.build(
        np.concatenate([air.coordinates, septa.coordinates]),
        np.concatenate([np.asarray(air.labels), np.asarray(septa.labels)]),
    )


def _drawn(points: lc.Points, size: int, seed: int) -> lc.Points:
    """Draw as many points of each class."""
    rng, labels = np.random.default_rng(seed), np.asarray(points.labels)
    names = np.unique(labels)
    share = size // len(names)
    rows = [rng.permutation(np.flatnonzero(labels == name))[:share] for name in names]
    return points.select(np.sort(np.concatenate(rows)))


def _ours(case: Case, points: lc.Points, seed: int) -> tuple[float, float, float]:
    began = time.perf_counter()
    try:
        model = lc.train(case.studied, points, lc.TrainingSettings(seed=seed))
    except lc.InputError:
        # So few points that no honest split exists: then there are no figures, but a model.
        model = lc.train(case.studied, points, lc.TrainingSettings(seed=seed, val_fraction=0))
    seconds = time.perf_counter() - began
    found = model.evaluate(case.asked, case.fresh, painted=True, stride=2)
    assert found.ece is not None
    return found.accuracy, seconds, found.ece


def _sides(case: Case) -> tuple[tuple[lc.ImageStack, lc.Points], tuple[lc.ImageStack, lc.Points]]:
    return (case.studied, case.points), (case.asked, case.fresh)


Features = tuple[NDArray[np.float32], NDArray[np.int64], float]


def _features(stack: lc.ImageStack, points: lc.Points) -> Features:
    """Make the forest's features around all points: `(y, x, feature)`, their origin, seconds."""
    began = time.perf_counter()
    where = points.coordinates.round().astype(int)
    first = np.maximum(where.min(0) - MARGIN, 0)
    last = where.max(0) + MARGIN
    part = np.asarray(stack.levels[0][first[0] : last[0], first[1] : last[1]])
    made = multiscale_basic_features(part, sigma_max=COARSEST, channel_axis=-1)
    return made.astype(np.float32), first, time.perf_counter() - began


def _forest(
    case: Case, points: lc.Points, seen: Features, asked: Features, seed: int
) -> tuple[float, float]:
    began = time.perf_counter()
    forest = RandomForestClassifier(300, n_jobs=-1, random_state=seed)
    forest.fit(_at(seen, points), np.asarray(points.labels, str))
    found = forest.predict(_at(asked, case.fresh))
    seconds = time.perf_counter() - began + seen[2]
    return float((found == np.asarray(case.fresh.labels, str)).mean()), seconds


def _at(features: Features, points: lc.Points) -> NDArray[np.float32]:
    made, first, _ = features
    y, x = (points.coordinates.round().astype(int) - first).T
    return made[y, x]


if __name__ == "__main__":
    main()
