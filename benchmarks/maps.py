"""Whole maps against exact truth: ours, and what other programs do, on the same points.

Each learns from points at random places of one section and predicts every pixel of another that
it has never seen. The rivals:

- `forest`: a random forest on scikit-image's multi-scale features to σ = 32, the way of ilastik,
  Labkit and QuPath;
- `imagenet_forest`, `imagenet_linear`: features of a frozen ResNet-18 (stem to layer3 at zooms 1,
  2 and 4, read bilinearly) with a random forest, the way of convpaint, and with a logistic
  regression. They learn from eight exact copies of each point, turned by right angles and flipped.
  They need a file of ImageNet weights and are left out without one.

    python benchmarks/maps.py [--cases lung-1 lung-full-0.5] [--weights FILE]
        [--section IMAGE --points CSV] [--set name=value] [--quick]

prints JSON: `{case: {number of points: {who: figures}}}`, means over the pairs of sections and, as
`draws`, each of them: accuracy, intersection over union (IoU) of each class and their mean, the
error of each class's share in percentage points (painted minus true), accuracy within 6 µm of a
border and elsewhere, seconds of training and of painting. Results go to stderr as they arrive.

A case is a synthetic lung at 1 or 0.5 µm per pixel, `lung-full` with airways and vessels, or the
real section. `imagenet_forest` may predict only every second pixel, to save time
(`--imagenet-stride 2`); `stride` in its figures says so.

The real section is judged by the rule that its points follow (tests/real_section.py), wherever that
defines a class. The synthetic lung has no class where cells float in the air; such pixels are not
counted. A class that no point has cannot be learned: its pixels count as wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from map_cases import CASES, SECTION, Answer, Bytes, Pair, pairs
from map_rivals import forest, imagenet
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

import napari_lungcls as lc

WHO = ("ours", "forest", "imagenet_forest", "imagenet_linear")
BORDER = 6.0
"""Micrometres to either side of a border that count as near it."""

Figures = dict[str, Any]


def main() -> None:
    """Compare all of them on every case, number of points and pair."""
    args = _arguments()
    result: dict[str, dict[str, dict[str, Figures]]] = {}
    for case in args.cases:
        draws: dict[tuple[int, str], list[Figures]] = {}
        for pair in pairs(case, args):
            for size, who, answer in _answers(pair, args):
                found = {"pair": pair.name, **_scored(pair, size, answer)}
                draws.setdefault((size, who), []).append(found)
                print(case, size, who, json.dumps(found), file=sys.stderr, flush=True)
        result[case] = {}
        for size, who in sorted(draws, key=lambda key: (key[0], WHO.index(key[1]))):
            found = draws[size, who]
            result[case].setdefault(str(size), {})[who] = _mean(found) | {"draws": found}
    print(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="whole maps against exact truth")
    add = parser.add_argument
    add("--cases", nargs="+", choices=[*CASES, SECTION], help="default: all that can be had")
    add("--points-counts", type=int, nargs="+", default=[100, 400, 1400])
    add("--pairs", nargs="+", metavar="STUDIED:UNSEEN", help="seeds; default: those of the case")
    add("--draws", type=int, default=2, help="so many pairs, or draws of the real section's points")
    add("--who", nargs="+", choices=WHO, default=WHO)
    add("--weights", type=Path, help="torchvision's ResNet-18, for the imagenet rivals")
    add("--pretrained", help="this setting of ours")
    add("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="ours")
    add("--trees", type=int, default=100, help="of the forests; ilastik and Labkit have 100")
    add("--imagenet-stride", type=int, default=1, help="imagenet_forest answers every so many")
    add("--section", type=Path, help="the real section")
    add("--points", type=Path, help="its points")
    add("--studied", type=int, default=2048, help="edge of the synthetic sections, in pixels")
    add("--unseen", type=int, default=1280)
    add("--quick", action="store_true", help="small sections, one pair, 100 points")
    args = parser.parse_args()
    if args.quick:
        args.studied, args.unseen, args.draws, args.points_counts = 640, 320, 1, [100]
        args.cases = args.cases or ["lung-1"]
    if (args.section is None) != (args.points is None):
        parser.error("--section and --points go together")
    args.cases = args.cases or [*CASES, *([SECTION] if args.section else [])]
    if SECTION in args.cases and not args.section:
        parser.error("the case section needs --section and --points")
    if args.weights is None and set(args.who) & set(WHO[2:]):
        print("without --weights the imagenet rivals are left out", file=sys.stderr)
        args.who = [who for who in args.who if who not in WHO[2:]]
    return args


def _answers(pair: Pair, args: argparse.Namespace) -> Iterator[tuple[int, str, Answer]]:
    """Ask everybody, one after the other; what does not depend on the points is made once."""
    if "forest" in args.who:
        yield from forest(pair, args.trees)
    if whom := [who for who in WHO[2:] if who in args.who]:
        yield from imagenet(pair, whom, args.weights, args.trees, args.imagenet_stride)
    if "ours" in args.who:
        for size in pair.tables:
            yield size, "ours", _ours(pair, size, args)


def _scored(pair: Pair, size: int, answer: Answer) -> Figures:
    every = np.s_[:: answer.stride, :: answer.stride]
    truth, found = pair.truth[every], answer.classes
    names, known = pair.scheme.names, truth > 0
    k = len(names) + 1
    counts = np.bincount(truth[known].astype(int) * k + found[known], minlength=k * k)
    counts = counts.reshape(k, k)
    right, true, painted = counts.diagonal(), counts.sum(1), counts.sum(0)
    iou = {
        name: round(float(right[i] / (true[i] + painted[i] - right[i])), 4) if true[i] else None
        for i, name in enumerate(names, 1)
        if true[i] or painted[i]
    }
    correct, near = found == truth, (_from_border(pair.truth) * pair.pixel_size < BORDER)[every]
    learned = set(pair.tables[size].labels)
    figures = {
        "accuracy": round(float(correct[known].mean()), 4),
        "mean_iou": round(float(np.mean([i for i in iou.values() if i is not None])), 4),
        "iou": iou,
        "share_error": {
            name: round(float(100 * (painted[i] - true[i]) / known.sum()), 2)
            for i, name in enumerate(names, 1)
            if name in iou
        },
        "within_6_um_of_a_border": round(float(correct[known & near].mean()), 4),
        "elsewhere": round(float(correct[known & ~near].mean()), 4),
        "train_seconds": round(answer.train_seconds, 1),
        "paint_seconds": round(answer.paint_seconds, 1),
        "stride": answer.stride,
    }
    if missed := [name for i, name in enumerate(names, 1) if true[i] and name not in learned]:
        figures["classes_without_points"] = missed
    return figures | ({"note": answer.note} if answer.note else {})


def _from_border(truth: Bytes) -> NDArray[np.float64]:
    """Distance in pixels from the nearest pixel whose upper or left neighbour has another class."""
    border = np.zeros(truth.shape, bool)
    border[:, 1:] |= truth[:, 1:] != truth[:, :-1]
    border[1:] |= truth[1:] != truth[:-1]
    distance: NDArray[np.float64] = distance_transform_edt(~border)
    return distance


def _mean(draws: Sequence[Figures]) -> Figures:
    """Mean of every figure that any draw has, over the draws that have it."""
    means: Figures = {}
    for name in dict.fromkeys(name for draw in draws for name in draw):
        values = [draw[name] for draw in draws if draw.get(name) is not None]
        if values and isinstance(values[0], dict):
            means[name] = _mean(values)
        elif values and isinstance(values[0], int | float):
            means[name] = round(float(np.mean(values)), 4)
    return means


def _ours(pair: Pair, size: int, args: argparse.Namespace) -> Answer:
    table = pair.tables[size]
    present = set(table.labels)
    scheme = lc.ClassScheme(
        name=pair.scheme.name, classes=tuple(c for c in pair.scheme.classes if c.name in present)
    )
    stacks = [
        lc.ImageStack(image, rgb=True, pixel_size=pair.pixel_size)
        for image in (pair.studied, pair.unseen)
    ]
    settings = _settings(args, pair.seed)
    began, note = time.perf_counter(), ""
    try:
        model = lc.train(stacks[0], table, settings, classes=scheme)
    except lc.InputError as error:
        if settings.val_fraction == 0:
            raise
        # So few points that no honest split exists: then there is a model without figures.
        note = f"trained with val_fraction 0: {error}"
        began, settings = time.perf_counter(), settings.model_copy(update={"val_fraction": 0})
        model = lc.train(stacks[0], table, settings, classes=scheme)
    trained = time.perf_counter()
    painted = model.paint(stacks[1], 1, probabilities=False)
    ended = time.perf_counter()
    codes = np.array([0, *(pair.scheme.code(name) + 1 for name in painted.scheme.names)], np.uint8)
    classes = codes[np.asarray(painted.classes)]
    return Answer(classes, trained - began, ended - trained, note=note)


def _settings(args: argparse.Namespace, seed: int) -> lc.TrainingSettings:
    values: dict[str, Any] = {"seed": seed}
    values |= {} if args.pretrained is None else {"pretrained": args.pretrained}
    for given in args.set:
        name, _, text = given.partition("=")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return lc.TrainingSettings.check(**values)


if __name__ == "__main__":
    main()
