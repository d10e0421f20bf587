"""Networks whose answers are known: by formula, or by a second, plain implementation.

The plain implementation follows the formula of `NetworkSpec` and He et al. 2016 with
`torch.nn.functional`, one tile and one zoom at a time; it shares no code with the engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.network.engines import Engine, State, create_engine
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.network.tiles import Tiles

# Networks of the tests are so small that threads would wait for each other, above all on a
# busy machine: one is several times as fast there.
torch.set_num_threads(1)

STRIDES = {-1: 1, 0: 2, 1: 4, 2: 8, 3: 16, 4: 32}
CEILING = 300.0
"""Intensities that `intensity_engine` reads exactly lie between 0 and this."""

PLAIN = Normalisation(mean=(0, 0, 0), std=(1, 1, 1), dtype="float32")
BYTES = Normalisation(mean=(120, 110, 130), std=(50, 60, 40), dtype="uint8")


def make_spec(**fields: Any) -> NetworkSpec:
    """Make a small network: one zoom, `layer1` and `layer2`, tiles of 32, linear heads."""
    given = {
        "zooms": (1,), "stages": (1, 2), "hidden": 0, "tile": 32, "classes": 3,
        "normalisation": BYTES,
    }  # fmt: skip
    return NetworkSpec(**(given | fields))


def make_document(spec: NetworkSpec, **fields: Any) -> ModelDocument:
    """Describe a model of that network, with made classes."""
    scheme = ClassScheme.of_names([f"class {i}" for i in range(spec.classes)], "made")
    return ModelDocument(**({"network": spec, "scheme": scheme, "engine": "torch"} | fields))


def random_state(spec: NetworkSpec, seed: int = 0) -> State:
    """Draw parameters and statistics that leave nothing at its neutral value."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in spec.shapes().items():
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            values = rng.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            values = rng.normal(0, 0.2, shape)
        else:
            values = rng.normal(0, 1.2 / np.sqrt(np.prod(shape[1:])), shape)
        state[name] = values.astype(np.float32)
    return state


def random_engine(spec: NetworkSpec, seed: int = 0, **options: Any) -> Engine:
    """Build an engine with `random_state`."""
    engine = create_engine("torch", spec, **({"device": "cpu"} | options))
    engine.load(random_state(spec, seed))
    return engine


def intensity_engine(spec: NetworkSpec, heads: Mapping[tuple[int, int], float]) -> Engine:
    """Build a network whose first logit is a weighted sum of intensities at the point.

    Every cell of detail and stem holds the red value at its centre, every cell of a layer the
    mid-range, (max + min) / 2, of the nine red values at steps of 2 zoomed pixels around its
    centre: the value itself wherever the level is linear. The other logits are 0. Intensities
    must lie between 0 and `CEILING`.

    Parameters
    ----------
    spec
        With the normalisation `PLAIN` and without a hidden layer.
    heads
        `(zoom, stage)` to the weight of that term; others weigh 0.

    Notes
    -----
    The stem copies red to channel 0 and `CEILING − red` to channel 1, so that max pooling
    finds maximum and minimum. The second convolution of each block is 0: only the shortcut
    passes, which where the stride is 2 takes every other cell.
    """
    state: State = {}
    for name, shape in spec.shapes().items():
        array = np.zeros(shape, np.float32)
        if name == "conv1.weight":
            array[:2, 0, 3, 3] = 1, -1
        elif name == "detail.conv1.weight":
            array[:2, 0, 1, 1] = 1, -1
        elif name == "detail.conv2.weight":
            array[[0, 1], [0, 1], 1, 1] = 1
        elif name in ("bn1.bias", "detail.bn1.bias"):
            array[1] = CEILING
        elif name.endswith("downsample.0.weight"):
            array[[0, 1], [0, 1]] = 1
        elif name.endswith("running_var"):
            array[:] = 1 - 1e-5  # what BatchNorm adds, so that it divides by 1
        elif len(shape) == 1 and name.endswith("weight"):
            array[:] = 1
        state[name] = array
    for (zoom, stage), weight in heads.items():
        state[spec.head_name(zoom, stage)][0, :2] = weight / 2, -weight / 2
        state[spec.bias_name][0] += weight * CEILING / 2
    engine = create_engine("torch", spec, device="cpu")
    engine.load(state)
    return engine


def normalised(image: NDArray[Any], spec: NetworkSpec) -> Tensor:
    """Turn `(y, x, 3)` intensities into `(1, 3, y, x)` as the network reads them."""
    norm = spec.normalisation
    values = (image.astype(np.float64) - np.array(norm.mean)) / np.array(norm.std)
    return torch.from_numpy(np.moveaxis(values, -1, 0)[np.newaxis].astype(np.float32))


def cells_of(state: State, image: Tensor, stages: tuple[int, ...], padding: str) -> dict[int, Any]:
    """Run backbone and detail over `(1, 3, y, x)`: stage to `(channels, rows, columns)`."""
    p = {name: torch.from_numpy(array) for name, array in state.items()}
    mode = {"reflect": "reflect", "zeros": "constant"}[padding]

    def convolve(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = p[f"{name}.weight"]
        n = weight.shape[-1] // 2
        return F.conv2d(F.pad(x, (n, n, n, n), mode) if n else x, weight, stride=stride)

    def normalise(x: Tensor, name: str) -> Tensor:
        mean, var, gain, shift = (
            p[f"{name}.{part}"][None, :, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * gain + shift

    def block(x: Tensor, name: str, stride: int) -> Tensor:
        y = F.relu(normalise(convolve(x, f"{name}.conv1", stride), f"{name}.bn1"))
        y = normalise(convolve(y, f"{name}.conv2"), f"{name}.bn2")
        if f"{name}.downsample.0.weight" in p:
            x = normalise(convolve(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return F.relu(x + y)

    found = {}
    if -1 in stages:
        x = F.relu(normalise(convolve(image, "detail.conv1"), "detail.bn1"))
        found[-1] = F.relu(normalise(convolve(x, "detail.conv2"), "detail.bn2"))[0].numpy()
    x = F.relu(normalise(convolve(image, "conv1", 2), "bn1"))
    found[0] = x[0].numpy()
    # Nothing that a ReLU lets through is below 0, so zeros do not change a maximum.
    x = F.max_pool2d(F.pad(x, (1, 1, 1, 1), mode), 3, 2)
    for stage in range(1, stages[-1] + 1):
        x = block(x, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, f"layer{stage}.1", 1)
        found[stage] = x[0].numpy()
    return {stage: found[stage] for stage in stages}


def read_off(cells: NDArray[Any], y: float, x: float) -> NDArray[np.float64]:
    """Interpolate `(channels, rows, columns)` at one place in units of cells; ends are held."""
    rows, columns = cells.shape[1:]
    y, x = min(max(y, 0.0), rows - 1.0), min(max(x, 0.0), columns - 1.0)
    i, j = int(y), int(x)
    fy, fx = y - i, x - j
    k, m = min(i + 1, rows - 1), min(j + 1, columns - 1)
    upper = cells[:, i, j] * (1 - fx) + cells[:, i, m] * fx
    lower = cells[:, k, j] * (1 - fx) + cells[:, k, m] * fx
    value: NDArray[np.float64] = upper * (1 - fy) + lower * fy
    return value


def reference_logits(spec: NetworkSpec, state: State, tiles: Tiles) -> NDArray[np.float64]:
    """Answer for points by the formula: `(m, classes)`."""
    summed = np.tile(state[spec.bias_name].astype(np.float64), (len(tiles), 1))
    for i, tile in enumerate(tiles.pixels):
        for k, zoom in enumerate(spec.zooms):
            stages = tuple(stage for z, stage in spec.reads if z == zoom)
            image = normalised(tile[k], spec)
            for stage, cells in cells_of(state, image, stages, spec.padding).items():
                for point in np.flatnonzero(tiles.owner == i):
                    if spec.pooling == "mean":
                        feature = cells.mean((1, 2))
                    else:
                        feature = read_off(cells, *(tiles.places[point, k] / STRIDES[stage]))
                    if tiles.factors is not None:
                        feature = feature * tiles.factors[point, k]
                    summed[point] += state[spec.head_name(zoom, stage)] @ feature
    return hidden_logits(spec, state, summed)


def hidden_logits(
    spec: NetworkSpec, state: State, summed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn sums `(m, summed)` into logits `(m, classes)`."""
    if not spec.hidden:
        return summed
    lit = np.maximum(summed, 0)
    logits: NDArray[np.float64] = lit @ state["heads.out.weight"].T + state["heads.out.bias"]
    return logits
