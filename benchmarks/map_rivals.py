"""What other programs do, for `maps.py`: forests and linear maps on fixed features of pixels."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from map_cases import Answer, Bytes, Pair
from numpy.typing import NDArray
from safetensors.torch import load_file
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

import napari_lungcls as lc
from napari_lungcls.images.geometry import to_zoomed
from napari_lungcls.network.engines.torch.net import Backbone, pad

COARSEST = 32.0
"""Largest standard deviation of the forest's Gaussians, in pixels."""
ZOOMS, STAGES, CHANNELS = (1, 2, 4), (0, 1, 2, 3), (64, 64, 128, 256)
HALO = 32
"""Zoomed pixels of reflection around an image: whole cells of every stage."""
STRENGTH = 0.01
"""C of the logistic regression."""
ROWS = 16
"""Rows of pixels that a forest answers at once."""

Floats = NDArray[np.float32]


def forest(pair: Pair, trees: int) -> Iterator[tuple[int, str, Answer]]:
    """Fit a random forest on multi-scale features, for each table of points."""
    preparing, seen = _timed(lambda: _multiscale(pair.studied, _pixels(pair.tables.values())))
    reading, asked = _timed(lambda: _multiscale(pair.unseen))
    for size, rows in _rows(pair):
        fitting, model = _timed(lambda r=rows, n=size: _fitted(trees, pair, seen[r], pair.codes(n)))
        painting, classes = _timed(lambda m=model: _in_strips(m, asked))
        yield size, "forest", Answer(classes, preparing + fitting, reading + painting)


def imagenet(
    pair: Pair, whom: Sequence[str], weights: Path, trees: int, stride: int
) -> Iterator[tuple[int, str, Answer]]:
    """Fit those of `imagenet_forest` and `imagenet_linear` that are asked, for each table.

    The forest answers at every `stride`-th pixel.
    """
    extractor = Extractor(weights, pair.studied)
    points = _pixels(pair.tables.values())
    preparing, seen = _timed(lambda: _copies(extractor, pair.studied, points))
    reading, cells = _timed(lambda: extractor(pair.unseen))
    shape = pair.unseen.shape[:2]
    for size, rows in _rows(pair):
        known = seen[:, rows].reshape(-1, seen.shape[-1])
        codes = np.tile(pair.codes(size), len(seen))
        if "imagenet_forest" in whom:
            fitting, model = _timed(lambda k=known, c=codes: _fitted(trees, pair, k, c))
            pixels = Interpolated(cells, shape, stride)
            painting, classes = _timed(lambda m=model, p=pixels: _in_strips(m, p))
            answer = Answer(classes, preparing + fitting, reading + painting, stride)
            yield size, "imagenet_forest", answer
        if "imagenet_linear" in whom:
            fitting, linear = _timed(lambda k=known, c=codes: _linear(k, c))
            painting, classes = _timed(lambda m=linear: _painted_linearly(*m, cells, shape))
            answer = Answer(classes, preparing + fitting, reading + painting)
            yield size, "imagenet_linear", answer


def _rows(pair: Pair) -> Iterator[tuple[int, slice]]:
    """Give each table's rows among the points of all tables."""
    first = 0
    for size, table in pair.tables.items():
        yield size, slice(first, first + len(table))
        first += len(table)


def _multiscale(image: Bytes, pixels: NDArray[np.int64] | None = None) -> Floats:
    """Features of all pixels `(y, x, feature)`, or of some `(n, feature)`."""
    made = []
    # One channel at a time: all of a large section would take several gigabytes.
    for channel in np.moveaxis(image, -1, 0):
        features = multiscale_basic_features(channel, sigma_max=COARSEST)
        made.append(features if pixels is None else features[pixels[:, 0], pixels[:, 1]])
    return np.concatenate(made, axis=-1)


Cells = dict[tuple[int, int], Tensor]
"""Cells `(rows, columns, channels)` of every zoom and stage, halo included."""


class Extractor:
    """A frozen ResNet-18, stem to layer3, over the levels of an image."""

    def __init__(self, weights: Path, studied: Bytes) -> None:
        """Read the weights; colours are normalised by what was studied."""
        self._backbone = Backbone(STAGES[-1])
        missing, _ = self._backbone.load_state_dict(load_file(weights), strict=False)
        if missing := [name for name in missing if not name.endswith("num_batches_tracked")]:
            raise SystemExit(f"{weights} lacks {missing[0]}; give torchvision's ResNet-18")
        self._backbone.eval()
        pad(self._backbone, reflect=True)
        self._mean, self._std = studied.mean((0, 1)), studied.std((0, 1))

    @torch.no_grad()
    def __call__(self, image: Bytes) -> Cells:
        """Map `(y, x, 3)` to cells."""
        scaled = ((image - self._mean) / self._std).astype(np.float32)
        x, found = torch.from_numpy(scaled).permute(2, 0, 1)[None], {}
        for zoom in ZOOMS:
            level = F.pad(F.avg_pool2d(x, zoom), [HALO] * 4, mode="reflect")
            made = self._backbone(level.contiguous(memory_format=torch.channels_last))
            found |= {(zoom, stage): made[stage] for stage in STAGES}
        return {key: found[key][0].permute(1, 2, 0) for key in _keys()}


def _keys() -> list[tuple[int, int]]:
    return [(zoom, stage) for zoom in ZOOMS for stage in STAGES]


def _corners(position: Any, zoom: int, stage: int) -> tuple[Tensor, Tensor]:
    """Cell before each image position, and how far the position is on the way to the next."""
    where = torch.from_numpy((to_zoomed(position, zoom) + HALO) / 2 ** (stage + 1))
    return where.long(), (where - where.long()).float()


def _copies(extractor: Extractor, image: Bytes, points: NDArray[np.int64]) -> Floats:
    """Features `(8, n, feature)` of points, the image turned by right angles and flipped."""
    found = []
    for turns in range(4):
        turned, where = np.rot90(image, turns), points
        for k in range(turns):
            width = np.rot90(image, k).shape[1]
            where = np.stack([width - 1 - where[:, 1], where[:, 0]], 1)
        mirrored = np.stack([where[:, 0], turned.shape[1] - 1 - where[:, 1]], 1)
        for part, at in ((turned, where), (turned[:, ::-1], mirrored)):
            cells = extractor(part)
            found.append(torch.cat([_at(cells[key], at, *key) for key in _keys()], 1).numpy())
    return np.stack(found)


def _at(cells: Tensor, where: NDArray[np.int64], zoom: int, stage: int) -> Tensor:
    """Read cells `(n, channels)` at image positions, bilinearly."""
    (i, a), (j, b) = (_corners(axis, zoom, stage) for axis in where.T)
    a, b = a[:, None], b[:, None]
    upper = cells[i, j] * (1 - b) + cells[i, j + 1] * b
    return upper * (1 - a) + (cells[i + 1, j] * (1 - b) + cells[i + 1, j + 1] * b) * a


def _spread(cells: Tensor, rows: Any, columns: Any, zoom: int, stage: int) -> Tensor:
    """Read cells `(rows, columns, channels)` at all crossings of image rows and columns."""
    (i, a), (j, b) = (_corners(axis, zoom, stage) for axis in (rows, columns))
    a, b = a[:, None, None], b[None, :, None]
    strip = cells[i] * (1 - a) + cells[i + 1] * a
    return strip[:, j] * (1 - b) + strip[:, j + 1] * b


class Interpolated:
    """Features of every `stride`-th pixel, computed for the rows that are asked for."""

    def __init__(self, cells: Cells, shape: tuple[int, int], stride: int) -> None:
        self._cells = cells
        self._rows, self._columns = (np.arange(0, n, stride) for n in shape)
        self.shape = (len(self._rows), len(self._columns), len(ZOOMS) * sum(CHANNELS))

    def __getitem__(self, rows: slice) -> Floats:
        """Return `(rows, x, feature)`."""
        chosen = self._rows[rows]
        parts = [_spread(self._cells[key], chosen, self._columns, *key) for key in _keys()]
        return torch.cat(parts, -1).numpy()


def _linear(features: Floats, codes: NDArray[np.int64]) -> tuple[Tensor, Tensor, Bytes]:
    """Fit a logistic regression; give weights, bias and classes for features as they come."""
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(scaler.transform(features), codes)
    weights, bias = model.coef_ / scaler.scale_, model.intercept_
    bias = bias - weights @ scaler.mean_
    if len(weights) == 1:
        weights, bias = np.stack([0 * weights[0], weights[0]]), np.array([0.0, bias[0]])
    as_tensor = functools.partial(torch.as_tensor, dtype=torch.float32)
    return as_tensor(weights), as_tensor(bias), model.classes_.astype(np.uint8)


def _painted_linearly(
    weights: Tensor, bias: Tensor, classes: Bytes, cells: Cells, shape: tuple[int, int]
) -> Bytes:
    """Classes `(y, x)`: cells are mapped to one channel per class before they are interpolated."""
    rows, columns = (np.arange(n) for n in shape)
    summed = bias.expand(*shape, -1).clone()
    parts = weights.split(CHANNELS * len(ZOOMS), dim=1)
    for key, part in zip(_keys(), parts, strict=True):
        summed += _spread(cells[key] @ part.T, rows, columns, *key)
    return classes[summed.argmax(-1).numpy()]


def _fitted(
    trees: int, pair: Pair, features: Floats, codes: NDArray[np.int64]
) -> RandomForestClassifier:
    jobs = torch.get_num_threads()
    model = RandomForestClassifier(trees, n_jobs=jobs, random_state=pair.seed)
    return model.fit(features, codes)


def _in_strips(model: RandomForestClassifier, features: Any) -> Bytes:
    """Classes `(y, x)` of pixels, some rows at a time."""
    height, width, channels = features.shape
    strips = []
    for y in range(0, height, ROWS):
        pixels = np.ascontiguousarray(features[y : y + ROWS]).reshape(-1, channels)
        strips.append(model.predict(pixels).astype(np.uint8).reshape(-1, width))
    return np.concatenate(strips)


def _pixels(tables: Iterable[lc.Points]) -> NDArray[np.int64]:
    """Pixels `(n, 2)` of the points of all tables, one after the other."""
    return np.concatenate([table.coordinates for table in tables]).round().astype(np.int64)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made
