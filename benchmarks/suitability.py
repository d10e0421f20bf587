"""From which distance an image harms a model, and where adapting to it gains or loses.

Models learn synthetic lung sections, or the upper half of the real section; other synthetic
sections, and the lower half, are then answered as they are and as shifted copies: another stain,
light, sharpness, noise. For each copy: the distance of `Model.suitability`, the accuracy, and the
accuracy of the model that was adapted to the copy. Parts that are mostly duct, or small, or mostly
glass, try adapting where an image has other tissue than those trained on.

    python benchmarks/suitability.py --section IMAGE --points CSV --weights FILE [--models DIR]
        [--only MODEL...] [--quick]

prints JSON: `limit`, the least round distance without a false alarm on the copies of the draws
`choose` that are as they are, and on three in four of those that were shifted without harm; what
that limit finds on `choose` and on the draws `report`; and by kind of copy the mean accuracy
without and with adapting, and the worst change. A copy is harmful if it costs more than 5 points
of accuracy. Models are kept in DIR, and trained only where they are missing there.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

import napari_lungcls as lc
from napari_lungcls.demo import points_at_random
from napari_lungcls.model import Model
from napari_lungcls.network.adaptation import image_tiles, rebased_on
from napari_lungcls.network.appearance import describe_images
from napari_lungcls.synthetic import LungParameters, LungSection, make_section

Bytes = NDArray[np.uint8]

SIZE = 1.8
LUNG = LungParameters(airway_spacing=None, vessel_spacing=None)
HARM = 0.05
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Haematoxylin, eosin and a remainder; Ruifrok and Johnston 2001."""

DRAWS = {
    "synth1.8-1-n": ("choose", (11, 13)), "synth1.8-3-w": ("choose", (11,)),
    "synth1.8-5-n": ("choose", (11,)), "synth1.8-2-n": ("report", (21, 22)),
    "synth1.8-4-w": ("report", (21,)), "synth1.8-6-w": ("report", (21,)),
    "real-0-n": ("report", ()), "real-0-w": ("report", ()),
}  # fmt: skip
"""Models: what they learn, a seed, and whether they begin with random numbers (n) or weights (w);
what they are for, and the seeds of the sections that they answer."""


def restained(image: Bytes, haematoxylin: float, eosin: float) -> Bytes:
    """Change the amounts of both stains."""
    basis = (STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)).astype(np.float32)
    amounts = -np.log((image.astype(np.float32) + 1) / 256) @ np.linalg.inv(basis)
    amounts *= np.array([haematoxylin, eosin, 1], np.float32)
    return bounded(256 * np.exp(-amounts @ basis) - 1)


def bounded(values: NDArray[Any]) -> Bytes:
    """Round to bytes."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noise(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw noise of a standard deviation of 1."""
    return np.random.default_rng(0).normal(size=shape)


SHIFTS: dict[str, Callable[[Bytes], Bytes]] = {
    "as it is": lambda i: i,
    "more blue, less pink": lambda i: restained(i, 1.3, 0.8),
    "much less blue, more pink": lambda i: restained(i, 0.6, 1.5),
    "both stains strong": lambda i: restained(i, 1.6, 1.6),
    "both stains weak": lambda i: restained(i, 0.5, 0.5),
    "both stains very weak": lambda i: restained(i, 0.3, 0.3),
    "warm light": lambda i: bounded(i * np.array([1.0, 0.92, 0.78])),
    "dim light": lambda i: bounded(i * 0.75),
    "very dim light": lambda i: bounded(i * 0.5),
    "slightly out of focus": lambda i: bounded(gaussian_filter(i.astype(np.float32), (1, 1, 0))),
    "out of focus": lambda i: bounded(gaussian_filter(i.astype(np.float32), (2.5, 2.5, 0))),
    "noisy": lambda i: bounded(i + 20 * noise(i.shape)),
}


PARTS = ("mostly duct", "small", "mostly glass")
"""Images with other tissue than those trained on."""


class Case(NamedTuple):
    """An image to answer: its name, pixels and points, and whether it is shifted as well."""

    name: str
    image: Bytes
    points: lc.Points
    shifts: bool = True


def main() -> None:
    """Answer all copies with all models."""
    args = _arguments()
    rows = []
    for name in args.only:
        use, seeds = DRAWS[name]
        model, size = prepared(name, args)
        for case in cases(name, seeds, args):
            kinds = ["as it is", "very dim light"] if args.quick else list(SHIFTS)
            for kind in kinds if case.shifts else kinds[:1]:
                pixels = SHIFTS[kind](case.image)
                stack = lc.ImageStack(pixels, rgb=True, pixel_size=size, name=case.name)
                row = {"model": name, "use": use, "image": case.name, "kind": kind}
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", lc.LungclsWarning)
                    row |= answered(model, stack, case.points)
                rows.append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
    print(json.dumps(summary(rows), indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="does an image suit a model, and adapting to it")
    add = parser.add_argument
    add("--section", type=Path, required=True, help="the real section")
    add("--points", type=Path, required=True, help="its points")
    add("--weights", type=Path, required=True, help="torchvision's ResNet-18, to layer3 at least")
    add("--models", type=Path, default=Path("suitability-models"))
    add("--only", nargs="+", choices=DRAWS, default=list(DRAWS))
    add("--quick", action="store_true", help="two copies of each image")
    return parser.parse_args()


def prepared(name: str, args: argparse.Namespace) -> tuple[Model, float]:
    """Load or train a model, with what is known of its images; and give their pixel size."""
    kind, seed, start = name.rsplit("-", 2)
    stack, points = studied(kind, int(seed), args)
    path = args.models / f"{name}.safetensors"
    if not path.exists():
        args.models.mkdir(exist_ok=True)
        settings = lc.TrainingSettings(
            pretrained=str(args.weights) if start == "w" else "none",
            seed=int(seed), device="cpu", zooms=(1, 2),
        )  # fmt: skip
        lc.train(stack, points, settings, classes="lung").save(path)
    model = lc.load(path, device="cpu")
    spec = model.document.network
    if not model.document.measured_statistics:  # of an earlier version, which computes the same
        tiles = image_tiles([(stack, [float(zoom) for zoom in spec.zooms])])
        looks = describe_images([(stack, 1.0)], spec.normalisation)
        known = model.document.model_copy(update={"appearance": looks})
        model = Model(*rebased_on(known, model.state, tiles), device="cpu")
    assert stack.pixel_size is not None
    return model, stack.pixel_size


def studied(kind: str, seed: int, args: argparse.Namespace) -> tuple[lc.ImageStack, lc.Points]:
    """Give the image that a model learns, and its points."""
    if kind != "real":
        made = section(seed, 768)
        stack = lc.ImageStack(made.image, rgb=True, pixel_size=SIZE, name=f"section {seed}")
        return stack, points_at_random(made, 240, seed)
    from real_section import MICROMETRES_PER_PIXEL, TISSUE

    given, rng = lc.read_points(args.points), np.random.default_rng(seed)
    names = np.asarray(given.labels)
    chosen = [rng.permutation(np.flatnonzero(names == n))[:100] for n in np.unique(names)]
    points = given.select(np.sort(np.concatenate(chosen)))
    upper = np.ascontiguousarray(
        np.asarray(lc.open_image(args.section).levels[0])[400:2600, TISSUE]
    )
    stack = lc.ImageStack(upper, rgb=True, pixel_size=MICROMETRES_PER_PIXEL, name="upper half")
    return stack, lc.Points.build(points.coordinates - [400, TISSUE.start], points.labels)


def section(seed: int, edge: int) -> LungSection:
    """Make a synthetic section."""
    return make_section((edge, edge), pixel_size=SIZE, seed=seed, parameters=LUNG)


def cases(name: str, seeds: tuple[int, ...], args: argparse.Namespace) -> Iterator[Case]:
    """Give the images that a model answers."""
    if name.startswith("real"):
        yield _real_case(args)
    for seed in seeds:
        made = section(seed, 448)
        yield Case(f"section {seed}", made.image, points_at_random(made, 120, seed))
        yield from _parts(made, seed)


def _real_case(args: argparse.Namespace) -> Case:
    """Give a square of the lower half of the real section, with its points by the rule."""
    from real_section import TISSUE, rule

    first, left, edge = 2780, 400, 640
    truth = rule(first, first + edge)[:, left : left + edge]
    rng, names = np.random.default_rng(0), ("alveoli", "septa", "duct")
    known = [np.argwhere(truth == code + 1) for code in range(len(names))]
    where = np.concatenate([some[rng.choice(len(some), 40, replace=False)] for some in known])
    whole = np.asarray(lc.open_image(args.section).levels[0])
    image = whole[first : first + edge, TISSUE][:, left : left + edge]
    points = lc.Points.build(where.astype(float), np.repeat(np.array(names, object), 40))
    return Case("lower half", np.ascontiguousarray(image), points)


def _parts(made: LungSection, seed: int) -> Iterator[Case]:
    """Give parts with other tissue than what was learned from, and a small one."""
    edge, small = 160, 64
    duct = (made.truth == made.scheme.code("duct") + 1).astype(np.float32)
    half = edge // 2
    share = uniform_filter(duct, edge)[half:-half, half:-half]
    y, x = (int(v) for v in np.unravel_index(share.argmax(), share.shape))
    across, corner = np.s_[y : y + edge, x : x + edge], np.s_[:edge, :edge]
    for name, image, truth in (
        ("mostly duct", made.image[across], made.truth[across]),
        ("small", made.image[:small, :small], made.truth[:small, :small]),
        ("mostly glass", _on_glass(made.image[corner]), np.pad(made.truth[corner], edge)),
    ):
        rng = np.random.default_rng(seed)
        known = np.argwhere(truth)
        where = known[rng.choice(len(known), 100, replace=False)]
        labels = np.array(made.scheme.names, object)[truth[tuple(where.T)] - 1]
        points = lc.Points.build(where.astype(float), labels)
        yield Case(name, np.ascontiguousarray(image), points, shifts=False)


def _on_glass(image: Bytes) -> Bytes:
    edge = image.shape[0]
    glass = np.percentile(image.reshape(-1, 3), 95, axis=0)
    wide = np.broadcast_to(glass, (3 * edge, 3 * edge, 3)) + noise((3 * edge, 3 * edge, 3))
    found = bounded(wide)
    found[edge : 2 * edge, edge : 2 * edge] = image
    return found


def answered(model: Model, stack: lc.ImageStack, points: lc.Points) -> dict[str, float]:
    """Give the distance, and the accuracies of the model and of the adapted one."""
    distance = model.suitability(stack).distance
    assert distance is not None
    return {
        "distance": round(distance, 2),
        "accuracy": round(model.evaluate(stack, points).accuracy, 4),
        "adapted": round(model.adapted(stack).evaluate(stack, points).accuracy, 4),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Choose the limit on some draws, and say what it finds on the others."""
    plain = {(r["model"], r["image"]): r["accuracy"] for r in rows if r["kind"] == "as it is"}
    for row in rows:
        row["lost"] = plain[row["model"], row["image"]] - row["accuracy"]
    whole = [row for row in rows if row["image"] not in PARTS]
    chosen = [row for row in whole if row["use"] == "choose"] or whole
    most = max((row["distance"] for row in chosen if row["kind"] == "as it is"), default=0.0)
    harmless = sorted(row["distance"] for row in chosen if row["lost"] <= HARM)
    limit = float(np.ceil(2 * max(most, np.quantile(harmless, 0.75))) / 2)
    return {
        "limit": limit,
        "choose": found(chosen, limit),
        "report": found([row for row in whole if row["use"] == "report"], limit),
        "adapting": {
            tissue: adapting([row for row in rows if row["model"].startswith(start)])
            for tissue, start in (("synthetic", "synth"), ("real", "real"))
        },
    }


def adapting(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the figures of each kind of copy, and of each kind of part."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(row["image"] if row["image"] in PARTS else row["kind"], []).append(row)
    return {kind: _accuracies(some) for kind, some in kinds.items()}


def found(rows: list[dict[str, Any]], limit: float) -> dict[str, Any]:
    """Count what lies past a limit: of unshifted copies, of harmless ones, and of harmful ones."""

    def past(some: list[dict[str, Any]]) -> str:
        return f"{sum(row['distance'] >= limit for row in some)} of {len(some)}"

    return {
        "as they are": past([row for row in rows if row["kind"] == "as it is"]),
        "shifted without harm": past(
            [row for row in rows if row["kind"] != "as it is" and row["lost"] <= HARM]
        ),
        "harmful": past([row for row in rows if row["lost"] > HARM]),
        "very harmful": past([row for row in rows if row["lost"] > 2 * HARM]),
    }


def _accuracies(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {
        "distance": round(float(np.mean([row["distance"] for row in rows])), 1),
        "accuracy": round(float(np.mean([row["accuracy"] for row in rows])), 3),
        "adapted": round(float(np.mean([row["adapted"] for row in rows])), 3),
        "worst": round(min(row["adapted"] - row["accuracy"] for row in rows), 3),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    main()
