"""The second engine: MXNet 1.9.1 (Gluon) on the CPU, or on NVIDIA GPUs up to Ada."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.blind import blind_cells, blind_windows
from napari_lungcls.network.engines.checks import (
    check_answers,
    check_arrays,
    check_tile,
    check_windows,
)
from napari_lungcls.network.engines.mxnet_devices import (
    describe_devices,
    find_gpus,
    resolve_device,
)
from napari_lungcls.network.engines.mxnet_dropout import Dropout
from napari_lungcls.network.engines.mxnet_net import Features, Heads, mx, to_device
from napari_lungcls.network.engines.mxnet_painting import MixedPainting, TilePainter
from napari_lungcls.network.engines.mxnet_precision import TYPES, LossScale, resolve_precision
from napari_lungcls.network.engines.mxnet_statistics import STATISTICS, RunningVariances
from napari_lungcls.network.engines.mxnet_update import Optimizer
from napari_lungcls.network.engines.painting import HostPainting, Painting, Precision
from napari_lungcls.network.engines.protocol import (
    OptimizerOptions,
    Readouts,
    State,
    Step,
)
from napari_lungcls.network.initial import initial_state
from napari_lungcls.network.spec import NetworkSpec


class MxnetEngine:
    """The network in MXNet; see `protocol.Engine` for what each method promises."""

    name: ClassVar[str] = "mxnet"

    def __init__(self, spec: NetworkSpec, *, device: str = "auto", seed: int = 0) -> None:
        self._spec = spec
        index = resolve_device(device, find_gpus(), cuda=_has_cuda())
        self._context = mx.cpu() if index is None else mx.gpu(index)
        self._device = "cpu" if index is None else f"cuda:{index}"
        self._features, self._heads = Features(spec), Heads(spec)
        for block in (self._features, self._heads):
            block.initialize(mx.init.Zero(), ctx=self._context)
            block.hybridize(static_alloc=True)
        self._trunk = self._features.trunk.named_parameters()
        norm = spec.normalisation
        self._mean = np.array(norm.mean, np.float32)[:, None, None]
        self._inverse_std = 1 / np.array(norm.std, np.float32)[:, None, None]
        self._painters: dict[str, TilePainter] = {}
        self._precision = "fp32"
        # What trains, by the type of number it computes in; all share their parameters.
        self._learners = {TYPES["fp32"]: self._features}
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
        found = {name: parameter.data().asnumpy() for name, parameter in self._trunk.items()}
        for stage in self._spec.stages:
            heads = self._head(stage).data().asnumpy()
            for zoom, head in zip(self._spec.zooms, heads, strict=True):
                found[self._spec.head_name(zoom, stage)] = head.copy()
        found[self._spec.bias_name] = self.bias()
        return found

    def load(self, state: Mapping[str, NDArray[np.float32]], *, partial: bool = False) -> None:
        """Take arrays over; with `partial`, those that are missing stay as they are."""
        check_arrays(self._shapes(), state, partial=partial)
        for name in self._trunk.keys() & state.keys():
            self._trunk[name].set_data(self._array(state[name]))
        for stage in self._spec.stages:
            heads = self._head(stage).data().asnumpy()
            for i, zoom in enumerate(self._spec.zooms):
                heads[i] = state.get(self._spec.head_name(zoom, stage), heads[i])
            self._head(stage).set_data(self._array(heads))
        if self._spec.bias_name in state:
            self._heads.bias.set_data(self._array(state[self._spec.bias_name]))
        self._forget_painters()

    def prepare(self, options: OptimizerOptions) -> None:
        """Begin training: a fresh optimiser."""
        self._precision = resolve_precision(options.precision, self._context)
        self._scale = LossScale(dynamic=self._precision == "fp16")
        self._options = options
        self._dropout = Dropout(options.dropout, options.seed)
        learning = {"bias": self._heads.bias}
        learning |= {f"heads.{stage}": self._head(stage) for stage in self._spec.stages}
        learning |= {
            f"trunk.{name}": parameter
            for name, parameter in self._trunk.items()
            if not name.endswith(STATISTICS)
        }
        self._optimizer = Optimizer(options, learning)

    def thaw(self) -> None:
        """Let the trunk learn from the next step on."""
        self._options = self._options.model_copy(update={"freeze": False})
        if self._optimizer is not None:
            self._optimizer.frozen = False

    def train_step(
        self,
        windows: NDArray[Any],
        readouts: Readouts,
        codes: NDArray[np.int64],
        weights: NDArray[np.float32],
        learning_rate: float,
    ) -> Step:
        """Take one step on the weighted mean of the cross-entropies."""
        if self._optimizer is None:
            raise RuntimeError("prepare() comes before train_step()")
        check_windows(self._spec, windows, readouts)
        check_answers(self._spec, len(windows), codes, weights)
        if blind_windows(windows).any():
            return Step(np.nan, np.full((len(windows), self._spec.classes), np.nan, np.float32))
        self._forget_painters()
        inputs = self._inputs(windows, readouts)
        share = self._array(weights / weights.sum())
        chosen = self._array(codes)
        variances = None if self._options.freeze else RunningVariances(self._trunk)
        learner = self._learner()
        # Outside of the recording a trunk neither learns nor touches its statistics.
        frozen = learner(*inputs) if self._options.freeze else None
        with mx.autograd.record():
            features = frozen or learner(*inputs)
            logits = self._heads(*[self._dropout(vectors) for vectors in features])
            odds = mx.nd.log_softmax(logits)
            spread = self._options.label_smoothing
            losses = (spread - 1) * mx.nd.pick(odds, chosen) - spread * odds.mean(axis=1)
            loss = (losses * share).sum()
        self._scale.step(loss, self._optimizer, learning_rate)
        if variances is not None:
            variances.unbias(windows.shape[0] * windows.shape[1], windows.shape[2])
        return Step(float(loss.asscalar()), logits.asnumpy())

    def optimizer_state(self) -> State:
        """Return all that continues the optimiser: moments, step counts, dropout's generator."""
        return (self._optimizer.state() if self._optimizer else {}) | self._dropout.state()

    def load_optimizer_state(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Continue from a checkpoint; `prepare` comes first."""
        if self._optimizer is None:
            raise RuntimeError("prepare() comes before load_optimizer_state()")
        self._optimizer.load(state)
        self._dropout.load(state, self.name)

    def logits(self, windows: NDArray[Any], readouts: Readouts) -> NDArray[np.float32]:
        """Answer for windows: `(n, classes)` before the softmax."""
        check_windows(self._spec, windows, readouts)
        if len(windows) == 0:
            return np.zeros((0, self._spec.classes), np.float32)
        found = _numpy(self._heads(*self._features(*self._inputs(windows, readouts))))
        found[blind_windows(windows)] = np.nan
        return found

    def features(self, windows: NDArray[Any], readouts: Readouts) -> dict[int, NDArray[np.float32]]:
        """Return what the heads read: stage to `(n, zooms, channels)`."""
        check_windows(self._spec, windows, readouts)
        if len(windows) == 0:
            heads = {stage: self._head(stage).shape for stage in self._spec.stages}
            return {s: np.zeros((0, zooms, c), np.float32) for s, (zooms, _, c) in heads.items()}
        found = self._features(*self._inputs(windows, readouts))
        each = (_numpy(vectors).swapaxes(0, 1) for vectors in found)
        return dict(zip(self._spec.stages, each, strict=True))

    def class_maps(
        self, tile: NDArray[Any], zoom: int, precision: str = "fp32"
    ) -> dict[int, NDArray[np.float32]]:
        """Project every cell of a tile: stage to `(classes, rows, columns)`, without bias."""
        check_tile(self._spec, tile, zoom)
        holed = tile.dtype.kind == "f" and not np.isfinite(tile).all()
        shown = np.where(np.isfinite(tile), tile, 0) if holed else tile
        if precision not in self._painters:
            trunk = {name: parameter.data().asnumpy() for name, parameter in self._trunk.items()}
            heads = {stage: self._head(stage).data() for stage in self._spec.stages}
            self._painters[precision] = TilePainter(
                self._spec, trunk, heads, self._context, TYPES[precision]
            )
        found = self._painters[precision].maps(self._images(shown[np.newaxis]), zoom)
        if holed:
            for stage, cells in found.items():
                cells[:, blind_cells(tile, stage)] = np.nan
        return found

    def painting(self, precision: Precision = "fp32") -> Painting:
        """Return the network, made for painting."""
        name = resolve_precision(precision, self._context)
        return HostPainting(self) if name == "fp32" else MixedPainting(self, name)

    def bias(self) -> NDArray[np.float32]:
        """Return the heads' common bias, `(classes,)`."""
        return _numpy(self._heads.bias.data())

    def _learner(self) -> Features:
        """Return the trunk and its readouts, with convolutions in training's precision."""
        kind = TYPES[self._precision]
        if kind not in self._learners:
            self._learners[kind] = Features(self._spec, kind, self._features)
            self._learners[kind].hybridize(static_alloc=True)
        return self._learners[kind]

    def _forget_painters(self) -> None:
        """Let the next tile be painted with the parameters as they then are."""
        for painter in self._painters.values():
            painter.close()
        self._painters = {}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {name: parameter.shape for name, parameter in self._trunk.items()}
        for stage in self._spec.stages:
            for zoom in self._spec.zooms:
                shapes[self._spec.head_name(zoom, stage)] = self._head(stage).shape[1:]
        return shapes | {self._spec.bias_name: self._heads.bias.shape}

    def _head(self, stage: int) -> Any:
        """Return the parameter `(zooms, classes, channels)` of a stage."""
        return getattr(self._heads, f"layer{stage}")

    def _inputs(self, windows: NDArray[Any], readouts: Readouts) -> list[Any]:
        """Bring windows and readouts to the device, zooms flattened into the batch."""
        images = self._images(windows.reshape(-1, *windows.shape[2:]))
        weights = [readouts[stage] for stage in self._spec.stages]
        return [images, *(self._array(w.reshape(-1, w.shape[2], 1)) for w in weights)]

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
