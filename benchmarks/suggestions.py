"""How many labels suggested points save, against points at random and the least certain ones.

Each run labels about 15 points of a section, some of each class, fits the heads of a frozen
ResNet-18, asks for 15 places more, and so on to 150. Who chooses the places:

- `random`: nobody; places at random;
- `margin`: the 15 that the model is least certain of;
- `suggested`: `lc.suggest_points` does, by `choose_places`.

    python benchmarks/suggestions.py --weights FILE [--cases lung-1 lung-full-1]
        [--section IMAGE] [--seeds 5 6 7 8 9] [--quick]

prints JSON: for each case and way the accuracy after each round, over seeds the mean and the
standard deviation; `needed`, how many points reach the accuracy that random ones have in the end
(the first round whose mean does), and `share_error`, the largest error of a class's share in
percentage points after the last round. The map that is judged is that of the labelled section
itself, read at random pixels with the exact class, and that of a section that nobody has labelled.
The real section is labelled by a rule (tests/real_section.py); places that the rule leaves out cost
a look, and give no label. Seeds below 5 were used to choose the method.

Features are computed once per section at 4,000 pixels, in four poses, and reduced to 200 principal
components, so that a round takes less than a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from map_cases import CASES, SECTION
from numpy.typing import NDArray

import napari_lungcls as lc
from napari_lungcls.active_learning.selection import LabelPlaces, choose_places, uncertainty
from napari_lungcls.active_learning.suggest import APART
from napari_lungcls.learning.augmentation import places_in_tiles, posed, right_pose
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.examples import Crops, Side
from napari_lungcls.learning.point_index import place_points
from napari_lungcls.learning.preview import preview_settings
from napari_lungcls.network.engines import Engine
from napari_lungcls.network.tiles import Tiles
from napari_lungcls.synthetic import make_section

START, STEP, END = 15, 15, 150
POOL, POSES, COMPONENTS = 4000, 4, 200
STRENGTH = 1e-2
"""As `learning/linear_probe.py` has it without validation points."""

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]
Choose = Callable[["Section", Rows, Rows, NDArray[np.float64], np.random.Generator], Rows]


class Section:
    """Pixels of an image with their features `(poses, n, channels)` and classes, 0 for none."""

    def __init__(self, where: NDArray[np.float64], features: Floats, classes: Rows) -> None:
        self.where, self.features, self.classes = where, features, classes


def at_random(
    section: Section, left: Rows, asked: Rows, said: NDArray[np.float64], rng: np.random.Generator
) -> Rows:
    """Choose any places."""
    return rng.permutation(left)[:STEP]


def least_certain(
    section: Section, left: Rows, asked: Rows, said: NDArray[np.float64], rng: np.random.Generator
) -> Rows:
    """Choose those of which the model is least certain."""
    return left[np.argsort(-uncertainty(said), kind="stable")[:STEP]]


def suggested(
    section: Section, left: Rows, asked: Rows, said: NDArray[np.float64], rng: np.random.Generator
) -> Rows:
    """Choose as the product does."""
    planes = np.zeros(len(left), np.int64), np.zeros(len(asked), np.int64)
    places = LabelPlaces(section.where[left], planes[0], section.where[asked], planes[1])
    return left[choose_places(places, uncertainty(said), STEP, apart=APART, rng=rng)]


WAYS: dict[str, Choose] = {"random": at_random, "margin": least_certain, "suggested": suggested}


def main() -> None:
    """Compare all ways on every case and seed."""
    args = _arguments()
    result = {}
    for case in args.cases:
        runs: dict[str, list[list[dict[str, float]]]] = {way: [] for way in WAYS}
        for seed in args.seeds:
            studied, unseen = sections(case, seed, args)
            for way, choose in WAYS.items():
                runs[way].append(run(studied, unseen, choose, seed))
                print(case, seed, way, json.dumps(runs[way][-1]), file=sys.stderr, flush=True)
        result[case] = {"seeds": args.seeds, **summary(runs)}
    print(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="labels that suggested points save")
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="torchvision's ResNet-18, to layer3 at least")
    add("--cases", nargs="+", choices=[*CASES, SECTION], default=["lung-1", "lung-full-1"])
    add("--section", type=Path, help="the real section")
    add("--seeds", type=int, nargs="+", default=[5, 6, 7, 8, 9])
    add("--edge", type=int, default=768, help="of the labelled section, in pixels")
    add("--quick", action="store_true", help="one small section")
    args = parser.parse_args()
    if args.quick:
        args.cases, args.seeds, args.edge = ["lung-1"], args.seeds[:1], 512
    if SECTION in args.cases and not args.section:
        parser.error("the case section needs --section")
    return args


def sections(case: str, seed: int, args: argparse.Namespace) -> tuple[Section, Section]:
    """Make a section to label and another one, with the features of both in one basis."""
    pixels, truths, size, scheme = _images(case, seed, args)
    stacks = [lc.ImageStack(image, rgb=True, pixel_size=size) for image in pixels]
    rng = np.random.default_rng(seed)
    engine, made = _engine(stacks[0], truths[0], scheme, args.weights, rng), []
    mean = spread = basis = None
    for stack, truth, poses in zip(stacks, truths, (POSES, 1), strict=True):
        where = np.unique(rng.integers(0, truth.shape, (POOL, 2)), axis=0)
        found = _features(engine, stack, where.astype(float), poses)
        if mean is None:
            mean, spread = found[0].mean(0), found[0].std(0) + 1e-6
            scaled = (found[0] - mean) / spread
            _, vectors = np.linalg.eigh(scaled.T @ scaled)
            basis = vectors[:, ::-1][:, :COMPONENTS]
        reduced = np.stack([((each - mean) / spread) @ basis for each in found])
        classes = truth[tuple(where.T)].astype(np.intp)
        made.append(Section(where.astype(float), reduced.astype(np.float32), classes))
    return made[0], made[1]


def _images(
    case: str, seed: int, args: argparse.Namespace
) -> tuple[list[Any], list[Any], float, Any]:
    if case == SECTION:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        from real_section import IMAGE, MICROMETRES_PER_PIXEL, TISSUE, rule

        if args.section.resolve() != IMAGE.resolve():
            raise SystemExit(f"{args.section}: the rule is that of {IMAGE.resolve()}")
        image = np.asarray(lc.open_image(args.section).levels[0])[:, TISSUE]
        # Both in tissue; the one to label lies elsewhere for every seed.
        first = 500 + 180 * (seed % 8)
        spans = (first, first + args.edge, 400, 400 + args.edge), (2900, 3540, 300, 1100)
        pixels = [np.ascontiguousarray(image[a:b, c:d]) for a, b, c, d in spans]
        truths = [rule(a, b)[:, c:d] for a, b, c, d in spans]
        return pixels, truths, MICROMETRES_PER_PIXEL, lc.ClassScheme.preset("lung")
    size, lung, _ = CASES[case]
    made = [
        make_section((edge, edge), pixel_size=size, seed=number, parameters=lung)
        for edge, number in ((args.edge, 10 * seed + 1), (640, 10 * seed + 2))
    ]
    return [each.image for each in made], [each.truth for each in made], size, made[0].scheme


def _engine(
    stack: lc.ImageStack, truth: Any, scheme: Any, weights: Path, rng: np.random.Generator
) -> Engine:
    """Build the frozen network; its heads learn a few points of one corner and are not used."""
    while True:
        corner = rng.integers(0, np.array(truth.shape) - 200)
        part = truth[corner[0] : corner[0] + 200, corner[1] : corner[1] + 200]
        if len(known := np.unique(part[part > 0])) > 1:
            break
    where = np.concatenate([np.argwhere(part == code)[:3] + corner for code in known])
    labels = np.repeat([scheme.names[code - 1] for code in known], 3)[: len(where)]
    chosen = [spec for spec in scheme.classes if spec.name in set(labels)]
    settings = preview_settings(lc.TrainingSettings(pretrained=str(weights), zooms=(1, 2)))
    few = lc.ClassScheme(name="some", classes=tuple(chosen))
    return lc.train(stack, lc.Points.build(where, labels), settings, classes=few).engine


def _features(
    engine: Engine, stack: lc.ImageStack, where: NDArray[np.float64], poses: int
) -> Floats:
    """Give what the heads read at pixels `(n, 2)` in several poses: `(poses, n, channels)`."""
    spec, any_class = engine.spec, lc.ClassScheme.of_names(["a", "b"])
    points = lc.Points.build(where, np.array(["a", "b"])[np.arange(len(where)) % 2])
    layout = place_points([(stack, points)], any_class, spec.zooms, stack.pixel_size)
    *_, held = read_point_set([(stack, points)], layout, 256)
    assert isinstance(held, PointSet)
    parts: list[list[Floats]] = [[] for _ in range(poses)]
    order: list[Rows] = []
    for rows, tiles in held.answering(Side(np.arange(len(where))), spec.tile, 8):
        order.append(rows)
        edge = tiles.pixels.shape[2]
        for number in range(poses):
            pose = right_pose(number, len(tiles.pixels))
            crops = Crops(tiles.pixels, rows, tiles.owner, tiles.places)
            turned = Tiles(
                posed(tiles.pixels, pose, edge), tiles.owner, places_in_tiles(crops, pose, edge)
            )
            read = engine.features(turned)
            parts[number].append(
                np.concatenate([each.reshape(len(rows), -1) for each in read.values()], 1)
            )
    back = np.argsort(np.concatenate(order))
    return np.stack([np.concatenate(each)[back] for each in parts])


def run(studied: Section, unseen: Section, choose: Choose, seed: int) -> list[dict[str, float]]:
    """Label a section round by round; figures after each round."""
    rng, classes = np.random.default_rng([seed, 1]), studied.classes
    known = np.unique(classes[classes > 0])
    each = -(-START // len(known))
    asked = np.concatenate([rng.permutation(np.flatnonzero(classes == k))[:each] for k in known])
    found = []
    while True:
        codes, predict = _fitted(studied, asked[classes[asked] > 0])
        left = np.setdiff1d(np.arange(len(classes)), asked)
        figures: dict[str, float] = {"points": len(asked)}
        for name, section, rows in (
            ("labelled", studied, left), ("unseen", unseen, np.arange(len(unseen.classes))),
        ):  # fmt: skip
            rows = rows[section.classes[rows] > 0]
            truth, said = section.classes[rows], codes[predict(section.features[0][rows]).argmax(1)]
            shares = [np.bincount(of, minlength=8) / len(rows) for of in (said, truth)]
            figures[name] = round(float((said == truth).mean()), 4)
            figures[f"{name}_share_error"] = round(
                float(100 * np.abs(shares[0] - shares[1]).max()), 2
            )
        found.append(figures)
        if len(asked) >= END:
            return found
        said = predict(studied.features[0][left])
        asked = np.concatenate([asked, choose(studied, left, asked, said, rng)])


def _fitted(section: Section, rows: Rows) -> tuple[Rows, Callable[[Floats], NDArray[np.float64]]]:
    """Fit the heads to labelled pixels in all poses."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features = np.concatenate(list(section.features[:, rows]))
    model = LogisticRegression(C=STRENGTH, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, np.tile(section.classes[rows], len(section.features)))
    return model.classes_, model.predict_proba


def summary(runs: dict[str, list[list[dict[str, float]]]]) -> dict[str, Any]:
    """Means over seeds, and how many points each way needs for what random ones reach."""
    found: dict[str, Any] = {"points": [int(each["points"]) for each in runs["random"][0]]}
    for kind in ("labelled", "unseen"):
        means = {
            way: np.mean([[each[kind] for each in draw] for draw in draws], 0)
            for way, draws in runs.items()
        }
        goal = means["random"][-1]
        found[kind] = {
            way: {
                "accuracy": np.round(means[way], 4).tolist(),
                "sd_at_the_end": round(float(np.std([draw[-1][kind] for draw in draws], ddof=1)), 4)
                if len(draws) > 1
                else None,
                "needed": next(
                    (
                        n
                        for n, value in zip(found["points"], means[way], strict=True)
                        if value >= goal
                    ),
                    None,
                ),
                "share_error": round(
                    float(np.mean([draw[-1][f"{kind}_share_error"] for draw in draws])), 2
                ),
            }
            for way, draws in runs.items()
        }
    return found


if __name__ == "__main__":
    main()
