"""Why a model decides as it does at a point: the share of each zoom and stage."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import to_image
from napari_lungcls.images.stack import ImageStack, Plane, check_inside, plane_indices
from napari_lungcls.inference.at_points import MARGIN
from napari_lungcls.inference.painter import Painter
from napari_lungcls.network.compatibility import fitting_zooms
from napari_lungcls.network.engines.interpolation import Taps
from napari_lungcls.network.engines.protocol import Term
from napari_lungcls.network.engines.receptive_field import stage_radius
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import Heads

Floats = NDArray[np.float64]
Blocks = dict[tuple[int, int], Floats]
"""For each zoom and stage, what its head makes of it at a point: `(summed,)`."""

MOST_REFERENCES = 16
"""Points over which a block of features is averaged, where it is to be left out."""


@dataclass(frozen=True)
class BlockShare:
    """What one zoom and stage contributes to a decision.

    Attributes
    ----------
    zoom, stage
        Of the network.
    value
        By how much it raises the logit of the first class over that of the second.
    """

    zoom: int
    stage: int
    value: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why the model decides as it does at one point.

    Attributes
    ----------
    probabilities
        `(classes,)` of the point.
    first, second
        Codes of the two likeliest classes.
    difference
        Logit of the first less that of the second; the odds between them are its exponential.
    exact
        Whether the head is linear, so that shares and `rest` add up to `difference`. Otherwise a
        share is what the difference loses when the block is replaced by its mean over other
        points, and shares need not add up.
    shares
        One per zoom and stage.
    rest
        What no tissue decides: the bias of the head; 0 where shares are not exact.
    """

    probabilities: NDArray[np.float32]
    first: int
    second: int
    difference: float
    exact: bool
    shares: tuple[BlockShare, ...]
    rest: float


@dataclass(frozen=True)
class SeenField:
    """A square of the image that a network sees around a point at one zoom.

    Attributes
    ----------
    zoom
        Image pixels per zoomed pixel.
    edge
        Of the square, in zoomed pixels.
    """

    zoom: float
    edge: int

    @property
    def image_edge(self) -> float:
        """Edge of the square in pixels of the image."""
        return self.zoom * self.edge


def fields_seen(predictor: Predictor, stack: ImageStack) -> list[SeenField]:
    """Give what a network sees of an image at each zoom: the receptive field of its last layer.

    Raises
    ------
    InputError
        When image and model do not go together.
    """
    spec = predictor.engine.spec
    zooms = fitting_zooms(stack, predictor.document)
    if spec.pooling == "mean":
        return [SeenField(zoom, spec.tile) for zoom in zooms]
    return [SeenField(zoom, 2 * stage_radius(spec.stages[-1]) + 1) for zoom in zooms]


def is_linear(spec: NetworkSpec, heads: Heads) -> bool:
    """Tell whether logits are a linear map of the features.

    They are without a hidden layer, and with one as `linear_probe` fits it: each class is
    `relu(a) − relu(−a)` of two units, and the other units have no say.
    """
    if heads.out is None:
        return True
    out, level = heads.out
    k = spec.classes
    if spec.hidden < 2 * k or level.any() or out[:, 2 * k :].any():
        return False
    pairs = np.array_equal(out[:, :k], np.eye(k)) and np.array_equal(out[:, k : 2 * k], -np.eye(k))
    return bool(pairs) and all(
        np.array_equal(w[:k], -w[k : 2 * k]) for w in (*heads.weights.values(), heads.bias)
    )


def explain(
    predictor: Predictor,
    stack: ImageStack,
    position: ArrayLike,
    others: NDArray[np.float64] | None = None,
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[tuple[int, int], None, Explanation | None]:
    """Say what each zoom and stage contributes to the decision at a point.

    Parameters
    ----------
    predictor
        The network and what its model file says about it.
    stack
        The image.
    position
        `(…, y, x)` in pixels.
    others
        `(n, ndim)` points whose mean stands for a block that is left out, such as the labelled
        ones, at most `MOST_REFERENCES` of them; by default places spread over the plane. Heads
        that are linear need none.
    cancelled
        Asked before each point.

    Yields
    ------
    tuple of int
        Points read, and points in all.

    Returns
    -------
    Explanation or None
        None when cancelled.

    Raises
    ------
    InputError
        When the point lies outside, or sees intensities that are no numbers.
    """
    where = np.asarray(position, np.float64)[np.newaxis]
    check_inside(stack, where, "the point")
    heads = Heads.of(predictor.engine.spec, predictor.engine.state())
    exact = is_linear(predictor.engine.spec, heads)
    if exact:
        others = np.empty((0, stack.ndim))
    elif others is None or not len(others):
        others = _spread(stack, where[0])
    else:
        check_inside(stack, others, "the other points")
        step = -(-len(others) // MOST_REFERENCES)
        others = np.asarray(others, np.float64)[::step]
    zooms = fitting_zooms(stack, predictor.document)
    found: list[Blocks] = []
    everywhere = np.concatenate([where, others])
    with Painter.of(predictor, zooms) as painter:
        planes = plane_indices(stack, everywhere)
        for i, (plane, at) in enumerate(zip(planes, everywhere[:, -2:], strict=True)):
            if cancelled():
                return None
            yield i, len(everywhere)
            found.append(blocks_at(painter, stack.plane(tuple(plane)), at))
    if not all(np.isfinite(each).all() for each in found[0].values()):
        raise InputError(
            f"the point sees NaN or infinite values of {stack.source}; choose another point"
        )
    return _shares(heads, found[0], found[1:], predictor.document.temperature, exact=exact)


def blocks_at(painter: Painter, plane: Plane, at: Floats) -> Blocks:
    """Compute what the heads make of each zoom and stage at one position `(y, x)`."""
    y, x = at[:1], at[1:]
    return {
        block: _read(term, painter.painting.to_numpy(term.maps))
        for block, term in painter.terms(plane, y, x, MARGIN).items()
    }


def _read(term: Term, maps: NDArray[Any]) -> Floats:
    """Read a term at its only position: `(summed,)`."""
    values = np.asarray(maps, np.float64)
    for weights in (term.rows, term.columns):
        if isinstance(weights, Taps):
            share = float(weights.share[0])
            first, second = values[weights.first[0]], values[weights.second[0]]
            values = first if share == 0 else first * (1 - share) + second * share
        elif weights is not None:
            values = np.tensordot(weights[0].astype(np.float64), values, 1)
    return values


def _shares(
    heads: Heads, blocks: Blocks, others: Sequence[Blocks], temperature: float, *, exact: bool
) -> Explanation:
    """Share out the difference of the two largest logits."""
    bias = heads.bias.astype(np.float64)

    def logits(parts: Blocks) -> Floats:
        total = np.asarray(sum(parts.values(), bias))
        if heads.out is None:
            return total / temperature
        weight, level = heads.out
        return (weight.astype(np.float64) @ np.maximum(total, 0) + level) / temperature

    found = logits(blocks)
    second, first = (int(code) for code in np.argsort(found, kind="stable")[-2:])
    difference = float(found[first] - found[second])

    def between(values: Floats) -> float:
        return float(values[first] - values[second])

    if exact:
        # Of the pairs of units that hold a linear map the first ones are the logits.
        shares = {block: between(part) / temperature for block, part in blocks.items()}
        rest = between(bias) / temperature
    else:
        usable = [o for o in others if all(np.isfinite(part).all() for part in o.values())]
        if not usable:
            raise InputError("no other place of the image can be read to compare the point with")
        means = {block: np.mean([o[block] for o in usable], axis=0) for block in blocks}
        shares = {
            block: difference - between(logits(blocks | {block: means[block]})) for block in blocks
        }
        rest = 0.0
    return Explanation(
        softmax(found).astype(np.float32),
        first,
        second,
        difference,
        exact,
        tuple(BlockShare(zoom, stage, value) for (zoom, stage), value in shares.items()),
        rest,
    )


def _spread(stack: ImageStack, at: Floats) -> Floats:
    """Spread places evenly over the plane of a position."""
    count = int(MOST_REFERENCES**0.5)
    sides = [to_image(np.arange(count), size / count) for size in stack.plane_shape]
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2)
    return np.column_stack([np.tile(at[:-2], (len(grid), 1)), grid])
