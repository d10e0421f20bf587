"""A map of the region in view that follows the labels: linear heads, refitted in a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.learning.frozen_backbone import FrozenBackbone, Region
from napari_lungcls.learning.linear_probe import USUAL_STRENGTH, as_heads, regression
from napari_lungcls.learning.live_features import Floats, LiveFeatures
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.trainer import class_weights
from napari_lungcls.network.engines import State
from napari_lungcls.network.engines.host_painting import classes_and_probabilities
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import Heads, initial_state

T = TypeVar("T")

EDGE = 1024
"""Longest side of the region that is shown live, in pixels of the finest zoom."""

CELLS = 256
"""Most cells along a side of a live map."""

NEVER = -1e4
"""Logit of a class without points, which is then painted nowhere."""


@dataclass(frozen=True, eq=False)
class LiveFit:
    """Linear heads on the features of a backbone, and what they were fitted to.

    Attributes
    ----------
    scheme
        The classes.
    slopes, bias
        `(classes, features)` in the order of `spec.reads`, and `(classes,)`.
    vectors
        `(n, features)` of the points.
    counts
        Points of each class.
    """

    scheme: ClassScheme
    slopes: NDArray[np.float64]
    bias: NDArray[np.float64]
    vectors: Floats
    counts: tuple[int, ...]

    def heads(self, spec: NetworkSpec) -> Heads:
        """Give them as the heads of a network without a hidden layer."""
        plain = spec.model_copy(update={"classes": len(self.scheme), "hidden": 0})
        return Heads.of(plain, as_heads(self.slopes, self.bias, self.vectors, {}, plain))

    @property
    def without_points(self) -> tuple[str, ...]:
        """Classes that have no points."""
        names = self.scheme.names
        return tuple(name for name, n in zip(names, self.counts, strict=True) if not n)


@dataclass(frozen=True)
class LiveStep:
    """What is being done: `reading the points`, `reading the view`, and how far it is."""

    words: str
    done: int
    total: int


@dataclass(frozen=True, eq=False)
class LiveResult:
    """A map of the region in view.

    Attributes
    ----------
    classes
        `(h, w)` uint8, code + 1, or 0 where intensities are no numbers.
    probabilities
        `(classes, h, w)` float16.
    fit
        The heads that made it.
    seconds
        How long fitting and painting took, without what the network had to look at first.
    """

    classes: NDArray[np.uint8]
    probabilities: NDArray[np.float16]
    fit: LiveFit
    seconds: float


def fit_live(vectors: Floats, codes: NDArray[np.int64], scheme: ClassScheme) -> LiveFit:
    """Fit linear heads to the features of labelled points.

    Parameters
    ----------
    vectors
        `(n, features)`.
    codes
        `(n,)` classes.
    scheme
        The classes; those without points are given nowhere.

    Raises
    ------
    InputError
        When fewer than two classes have points.

    Notes
    -----
    The regression of `linear_probe`, each point seen once: an L2-regularised multinomial logistic
    regression on standardised features, with the classes weighed as training does.
    """
    counts = np.bincount(codes, minlength=len(scheme))
    there = np.flatnonzero(counts)
    if len(there) < 2:
        raise InputError("label points of at least two classes; a map can be made then")
    own = np.searchsorted(there, codes).astype(np.int64)
    weights = class_weights(own, TrainingSettings(), len(there))[own]
    may_read = np.ones(vectors.shape[1], np.bool_)
    (slopes, bias), _, _ = regression(vectors, own, weights, USUAL_STRENGTH, may_read)
    every = np.zeros((len(scheme), vectors.shape[1]))
    level = np.full(len(scheme), NEVER)
    every[there], level[there] = slopes, bias
    return LiveFit(scheme, every, level, vectors, tuple(int(n) for n in counts))


def live_map(
    features: LiveFeatures,
    coordinates: NDArray[np.float64],
    codes: NDArray[np.int64],
    scheme: ClassScheme,
    plane: tuple[int, ...],
    region: Region,
    stride: int,
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[LiveStep, None, LiveResult | None]:
    """Fit heads to points, and paint a region with them.

    Only what is new is looked at by the network: a label costs its own square of tissue, a
    logistic regression, and one product of matrices over the features of the region.

    Parameters
    ----------
    features
        The image, and what is known of it.
    coordinates, codes
        `(n, ndim)` pixels and `(n,)` classes of the labelled points.
    scheme
        The classes.
    plane, region, stride
        The cells to paint.
    cancelled
        Asked before each look.

    Yields
    ------
    LiveStep

    Returns
    -------
    LiveResult or None
        None when cancelled.

    Raises
    ------
    InputError
        When fewer than two classes have points, or points or image cannot be used.
    """
    if len(np.unique(codes)) < 2:
        raise InputError("label points of at least two classes; a map can be made then")
    vectors = yield from _telling("reading the points", features.points(coordinates, cancelled))
    if vectors is None:
        return None
    found = yield from _telling(
        "reading the view", features.region(plane, region, stride, cancelled)
    )
    if found is None or cancelled():
        return None
    began = time.perf_counter()
    fit = fit_live(vectors, codes, scheme)
    logits = found.logits(fit.heads(features.backbone.spec))
    classes, probabilities = classes_and_probabilities(logits)
    assert probabilities is not None
    return LiveResult(classes, probabilities, fit, time.perf_counter() - began)


def as_model(
    fit: LiveFit, backbone: FrozenBackbone, *, rgb: bool, pixel_size: float | None
) -> tuple[ModelDocument, State]:
    """Make a model of the heads and their backbone, to be saved or trained further.

    The heads have the hidden layer that training gives them by default, which holds the linear
    map exactly; see `linear_probe`. The document claims no accuracy: nothing was held out.

    Raises
    ------
    InputError
        When a class has no points.
    """
    if fit.without_points:
        names = ", ".join(fit.without_points)
        raise InputError(
            f"{names} {'have' if len(fit.without_points) > 1 else 'has'} no points; label some, or "
            "remove the class"
        )
    k = len(fit.scheme)
    hidden = max(TrainingSettings().hidden, 2 * k)
    spec = backbone.spec.model_copy(update={"classes": k, "hidden": hidden})
    own = backbone.engine.state()
    start = initial_state(spec, 0)
    state = {name: own.get(name, array) for name, array in start.items()}
    heads = {spec.head_name(*each) for each in spec.reads}
    state |= {name: start[name] for name in (*heads, spec.bias_name)}
    state |= as_heads(fit.slopes, fit.bias, fit.vectors, start, spec)
    document = ModelDocument(
        network=spec,
        scheme=fit.scheme,
        pixel_size=backbone.pixel_size or pixel_size,
        rgb=rgb,
        settings={"freeze": "yes", "live": True},
        split={"train": sum(fit.counts), "validation": 0, "test": 0},
        pretrained=backbone.said,
        engine="torch",
        device=backbone.engine.device,
    )
    return document, state


def live_stride(region: Region) -> int:
    """Choose the pixels between cells of a live map: 1, 2, 4 … so that it has few enough."""
    edge, stride = max(side.stop - side.start for side in region), 1
    while edge > CELLS * stride and stride < 64:
        stride *= 2
    return stride


def live_region(region: Region, shape: tuple[int, int], zoom: float) -> Region:
    """Cut the region that is shown live out of the rows and columns in view.

    Parameters
    ----------
    region
        Rows and columns of pixels in view.
    shape
        Height and width of the image.
    zoom
        Image pixels per pixel of the network's finest zoom.

    Returns
    -------
    tuple of slice
        At most `EDGE` zoomed pixels along each side, around the middle of the view, widened to
        multiples of 32 pixels so that moving by a little changes nothing.
    """
    edge = max(32, int(EDGE * zoom) // 32 * 32)
    sides = []
    for side, size in zip(region, shape, strict=True):
        first, last = side.start // 32 * 32, min(size, -(-side.stop // 32) * 32)
        if last - first > edge:
            middle = (side.start + side.stop) / 2
            first = int(max(0, min(size - edge, middle - edge / 2))) // 32 * 32
            last = min(size, first + edge)
        sides.append(slice(first, last))
    return sides[0], sides[1]


def _telling(
    words: str, steps: Generator[tuple[int, int], None, T]
) -> Generator[LiveStep, None, T]:
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
        yield LiveStep(words, done, total)
