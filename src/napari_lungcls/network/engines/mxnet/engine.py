"""The second engine: MXNet 1.9.1 (Gluon) on the CPU, or on NVIDIA GPUs up to Ada."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.checks import (
    check_answers,
    check_arrays,
    check_tile,
    check_tiles,
)
from napari_lungcls.network.engines.host_painting import HostPainting
from napari_lungcls.network.engines.mxnet.heads import PointHeads, read_points
from napari_lungcls.network.engines.mxnet.net import Body, mx, to_device
from napari_lungcls.network.engines.mxnet.painting import TilePainter
from napari_lungcls.network.engines.mxnet.runtime import (
    describe_devices,
    find_gpus,
    resolve_device,
)
from napari_lungcls.network.engines.mxnet.training import (
    STATISTICS,
    TYPES,
    Dropout,
    LossScale,
    Optimizer,
    RunningVariances,
    is_of_backbone,
    resolve_precision,
)
from napari_lungcls.network.engines.nonfinite_mask import (
    blind_cells,
    blind_points,
    filled,
    is_holed,
)
from napari_lungcls.network.engines.protocol import OptimizerOptions, Painting, Precision, TrainStep
from napari_lungcls.network.parameters import DETAIL, stage_channels
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import State, initial_state
from napari_lungcls.network.tiles import Tiles


class MxnetEngine:
    """The network in MXNet; see `protocol.Engine` for what each method promises."""

    name: ClassVar[str] = "mxnet"

    def __init__(self, spec: NetworkSpec, *, device: str = "auto", seed: int = 0) -> None:
        self._spec = spec
        index = resolve_device(device, find_gpus(), cuda=_has_cuda())
        self._context = mx.cpu() if index is None else mx.gpu(index)
        self._device = "cpu" if index is None else f"cuda:{index}"
        self._body, self._heads = Body(spec), PointHeads(spec, self._context)
        self._body.begin(self._context)
        self._body.hybridize()
        self._in_body = self._body.named_parameters()
        self._arrays = self._in_body | self._heads.parameters
        norm = spec.normalisation
        self._mean = np.array(norm.mean, np.float32)[:, None, None]
        self._inverse_std = 1 / np.array(norm.std, np.float32)[:, None, None]
        self._painters: dict[str, TilePainter] = {}
        self._precision = "fp32"
        # What trains, by the type of number it computes in and the parts whose statistics stay;
        # all share their parameters.
        self._learners: dict[tuple[str, tuple[str, ...]], Body] = {(TYPES["fp32"], ()): self._body}
        self._scale = LossScale(dynamic=False)
        self._options = OptimizerOptions()
        self._optimizer: Optimizer | None = None
        self._dropout = Dropout()
        self.load(initial_state(spec, seed))

    @property
    def spec(self) -> NetworkSpec:
        """The network's shape."""
        return self._spec

    @property
    def device(self) -> str:
        """Where it runs."""
        return self._device

    @property
    def precision(self) -> str:
        """What training steps are computed in."""
        return self._precision

    def state(self) -> State:
        """Return copies of all arrays."""
        return {name: parameter.data().asnumpy() for name, parameter in self._arrays.items()}

    def load(self, state: Mapping[str, NDArray[np.float32]], *, partial: bool = False) -> None:
        """Take arrays over; with `partial`, those that are missing stay as they are."""
        shapes = {name: parameter.shape for name, parameter in self._arrays.items()}
        check_arrays(shapes, state, partial=partial)
        for name in self._arrays.keys() & state.keys():
            self._arrays[name].set_data(self._array(state[name]))
        self._forget_painters()

    def prepare(self, options: OptimizerOptions) -> None:
        """Begin training: a fresh optimiser."""
        self._precision = resolve_precision(options.precision, self._context)
        self._scale = LossScale(dynamic=self._precision == "fp16")
        self._options = options
        self._dropout = Dropout(options.dropout, options.seed)
        learning = {n: p for n, p in self._arrays.items() if not n.endswith(STATISTICS)}
        self._optimizer = Optimizer(options, learning)

    def unfreeze(self) -> None:
        """Let the backbone learn from the next step on."""
        self._options = self._options.model_copy(update={"freeze": False})
        if self._optimizer is not None:
            self._optimizer.frozen = False

    def train_step(
        self,
        tiles: Tiles,
        codes: NDArray[np.int64],
        weights: NDArray[np.float32],
        learning_rate: float,
    ) -> TrainStep:
        """Take one step on the weighted mean of the points' cross-entropies."""
        if self._optimizer is None:
            raise RuntimeError("prepare() comes before train_step()")
        check_tiles(self._spec, tiles)
        check_answers(self._spec, len(tiles), codes, weights)
        if is_holed(tiles.pixels):
            return TrainStep(np.nan, np.full((len(tiles), self._spec.classes), np.nan, np.float32))
        self._forget_painters()
        images = self._flat(tiles)
        share = self._array(weights / weights.sum())
        chosen = self._array(codes)
        frozen, fixed = self._options.freeze, self._options.fixed_statistics
        variances = RunningVariances(self._moving(), fixed)
        with mx.autograd.record():
            cells = self._learner().cells(images, frozen=frozen)
            read = read_points(self._spec, cells, tiles)
            logits = self._heads({s: self._dropout(vectors) for s, vectors in read.items()})
            log_probabilities = mx.nd.log_softmax(logits)
            spread = self._options.label_smoothing
            losses = (spread - 1) * mx.nd.pick(
                log_probabilities, chosen
            ) - spread * log_probabilities.mean(axis=1)
            loss = (losses * share).sum()
        self._scale.step(loss, self._optimizer, learning_rate)
        n, zooms, height, width, _ = tiles.pixels.shape
        variances.unbias(n, zooms, (height, width))
        return TrainStep(float(loss.asscalar()), logits.asnumpy())

    def optimizer_state(self) -> State:
        """Return all that continues the optimiser: moments, step counts, dropout's generator."""
        return (self._optimizer.state() if self._optimizer else {}) | self._dropout.state()

    def load_optimizer_state(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Continue from a checkpoint; `prepare` comes first."""
        if self._optimizer is None:
            raise RuntimeError("prepare() comes before load_optimizer_state()")
        self._optimizer.load(state)
        self._dropout.load(state, self.name)

    def logits(self, tiles: Tiles) -> NDArray[np.float32]:
        """Logits of points, `(m, classes)`."""
        check_tiles(self._spec, tiles)
        if len(tiles) == 0:
            return np.zeros((0, self._spec.classes), np.float32)
        found = _numpy(self._heads(self._read(tiles)))
        for blind in blind_points(self._spec, tiles).values():
            found[blind.any(axis=1)] = np.nan
        return found

    def features(self, tiles: Tiles) -> dict[int, NDArray[np.float32]]:
        """Return what the heads read: stage to `(m, zooms, channels)`; detail has one zoom."""
        check_tiles(self._spec, tiles)
        if len(tiles) == 0:
            counts = {s: 1 if s == DETAIL else len(self._spec.zooms) for s in self._spec.stages}
            return {s: np.zeros((0, n, stage_channels(s)), np.float32) for s, n in counts.items()}
        found = {stage: _numpy(vectors) for stage, vectors in self._read(tiles).items()}
        for stage, blind in blind_points(self._spec, tiles).items():
            found[stage][blind] = np.nan
        return found

    def head_maps(
        self, tile: NDArray[Any], zoom: int, precision: str = "fp32"
    ) -> dict[int, NDArray[np.float32]]:
        """Project every cell of a tile: stage to `(summed, rows, columns)`, without bias."""
        check_tile(self._spec, tile, zoom)
        if precision not in self._painters:
            self._painters[precision] = TilePainter(
                self._spec, self.state(), self._context, TYPES[precision]
            )
        images = self._images(filled(tile)[np.newaxis])
        found = self._painters[precision].maps(images, zoom)
        if is_holed(tile):
            for stage, cells in found.items():
                cells[:, blind_cells(tile, stage)] = np.nan
        return found

    def painting(self, precision: Precision = "fp32") -> Painting:
        """Return the network, made for painting."""
        name = resolve_precision(precision, self._context)
        return HostPainting(self, name, partial(self.head_maps, precision=name))

    def _learner(self) -> Body:
        """Return the backbone and detail as the options of training want them."""
        kind = TYPES[self._precision], tuple(self._options.fixed_statistics)
        if kind not in self._learners:
            self._learners[kind] = Body(self._spec, *kind, like=self._body)
            self._learners[kind].hybridize()
        return self._learners[kind]

    def _moving(self) -> dict[str, Any]:
        """Return the parameters whose statistics move in training."""
        if not self._options.freeze:
            return self._in_body
        return {name: each for name, each in self._in_body.items() if not is_of_backbone(name)}

    def _read(self, tiles: Tiles) -> dict[int, Any]:
        """Read what the heads read, outside of training."""
        return read_points(self._spec, self._body.cells(self._flat(tiles)), tiles)

    def _forget_painters(self) -> None:
        """Let the next tile be painted with the parameters as they then are."""
        for painter in self._painters.values():
            painter.close()
        self._painters = {}

    def _flat(self, tiles: Tiles) -> Any:
        """Bring tiles to the device, normalised, zooms flattened into the batch."""
        pixels = filled(tiles.pixels)
        return self._images(pixels.reshape(-1, *pixels.shape[2:]))

    def _images(self, images: NDArray[Any]) -> Any:
        """Turn `(n, y, x, 3)` intensities into normalised float32 `(n, 3, y, x)`."""
        values = images.transpose(0, 3, 1, 2).astype(np.float32, order="C")
        values -= self._mean
        values *= self._inverse_std
        return self._array(values)

    def _array(self, array: NDArray[Any]) -> Any:
        return to_device(array, self._context)


def create(spec: NetworkSpec, *, device: str, seed: int) -> MxnetEngine:
    """Build the engine; what `engines.create_engine` calls."""
    return MxnetEngine(spec, device=device, seed=seed)


def status() -> dict[str, object]:
    """Tell the version and the devices of this installation."""
    devices, notes = describe_devices(find_gpus(), cuda=_has_cuda())
    found: dict[str, object] = {"available": True, "version": mx.__version__, "devices": devices}
    return found | ({"notes": notes} if notes else {})


def _has_cuda() -> bool:
    return bool(mx.runtime.Features().is_enabled("CUDA"))


def _numpy(array: Any) -> NDArray[np.float32]:
    """Wait for an array and copy it to numpy."""
    found: NDArray[np.float32] = array.asnumpy()
    return found
