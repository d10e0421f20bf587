"""The default engine: PyTorch on CUDA, Apple's MPS or the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.checks import (
    check_answers,
    check_arrays,
    check_tile,
    check_tiles,
    warn_of_foreign_checkpoint,
)
from napari_lungcls.network.engines.protocol import OptimizerOptions, Painting, Precision, TrainStep
from napari_lungcls.network.engines.torch.net import (
    Backbone,
    Detail,
    Network,
    folded,
    folded_detail,
)
from napari_lungcls.network.engines.torch.optimizer import (
    MixedPrecision,
    chosen,
    laid_out,
    make_optimizer,
    set_rate,
)
from napari_lungcls.network.engines.torch.painting import TorchPainting
from napari_lungcls.network.parameters import DETAIL
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import Heads, State, initial_state
from napari_lungcls.network.tiles import Tiles

_DROPOUT = "dropout.mt19937"


class TorchEngine:
    """The network in PyTorch; see `protocol.Engine` for what each method promises."""

    name: ClassVar[str] = "torch"

    def __init__(self, spec: NetworkSpec, *, device: str = "auto", seed: int = 0) -> None:
        self._spec = spec
        self._device = resolve_device(device)
        # Layers draw numbers when they are made, which `initial_state` then replaces; nobody
        # else's random numbers shall depend on that.
        with torch.random.fork_rng(devices=[]):
            self._network = Network(spec).eval().to(self._device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = torch.tensor(spec.normalisation.mean, device=self._device)
        self._inverse_std = 1 / torch.tensor(spec.normalisation.std, device=self._device)
        self._painter: tuple[Backbone, Detail | None, Heads] | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._options = OptimizerOptions()
        self._mixed = MixedPrecision("fp32", self._device)
        self._dropout = torch.Generator()
        self.load(initial_state(spec, seed))

    @property
    def spec(self) -> NetworkSpec:
        """The network's shape."""
        return self._spec

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self._device)

    @property
    def precision(self) -> str:
        """What training steps are computed in."""
        return self._mixed.name

    def state(self) -> State:
        """Return copies of all arrays."""
        arrays = self._network.named_arrays()
        return {k: v.detach().cpu().contiguous().numpy().copy() for k, v in arrays.items()}

    def load(self, state: Mapping[str, NDArray[np.float32]], *, partial: bool = False) -> None:
        """Take arrays over; with `partial`, those that are missing stay as they are."""
        arrays = self._network.named_arrays()
        shapes = {name: tuple(tensor.shape) for name, tensor in arrays.items()}
        check_arrays(shapes, state, partial=partial)
        with torch.no_grad():
            for name in arrays.keys() & state.keys():
                arrays[name].copy_(self._tensor(state[name]))
        self._painter = None

    def prepare(self, options: OptimizerOptions) -> None:
        """Begin training: a fresh optimiser."""
        self._options = options
        self._dropout = torch.Generator().manual_seed(options.seed)
        self._network.backbone.requires_grad_(not options.freeze)
        self._mixed = MixedPrecision(options.precision, self._device)
        self._optimizer = make_optimizer(options, self._learning())

    def unfreeze(self) -> None:
        """Let the backbone learn from the next step on."""
        self._options = self._options.model_copy(update={"freeze": False})
        self._network.backbone.requires_grad_(True)

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
        set_rate(self._optimizer, learning_rate)
        self._painter = None
        self._network.train()
        backbone = self._network.backbone
        # A frozen backbone also keeps its BatchNorm statistics.
        backbone.train(not self._options.freeze)
        for name, part in backbone.named_children():
            if name in self._options.fixed_statistics:
                part.eval()
        with self._mixed.computing():
            features = self._network.features(*self._inputs(tiles))
        logits = self._network.classify({s: self._drop(f.float()) for s, f in features.items()})
        losses = F.cross_entropy(
            logits,
            self._tensor(codes.astype(np.int64)),
            reduction="none",
            label_smoothing=self._options.label_smoothing,
        )
        # The weighted mean: points of frequent classes or crowded places may count for less.
        weight = self._tensor(weights)
        loss = (losses * weight).sum() / weight.sum()
        self._optimizer.zero_grad(set_to_none=True)
        self._mixed.step(loss, self._optimizer, self._options.clip_norm)
        self._network.eval()
        return TrainStep(float(loss.detach()), _numpy(logits))

    def optimizer_state(self) -> State:
        """Return all that continues the optimiser: moments, step counts, dropout's generator."""
        found: State = {_DROPOUT: self._dropout.get_state().numpy().astype(np.float32)}
        if self._optimizer is not None:
            names = self._names()
            for i, entry in self._optimizer.state_dict()["state"].items():
                for key, value in entry.items():
                    if isinstance(value, Tensor):
                        found[f"{names[i]}.{key}"] = _numpy(value.float()).copy()
        return found

    def load_optimizer_state(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Continue from a checkpoint; `prepare` comes first."""
        if self._optimizer is None:
            raise RuntimeError("prepare() comes before load_optimizer_state()")
        if _DROPOUT in state:
            self._dropout.set_state(torch.from_numpy(state[_DROPOUT].astype(np.uint8)))
        else:
            warn_of_foreign_checkpoint(self.name)
        learning = self._learning()
        numbers = {name: i for i, name in enumerate(self._names())}
        entries: dict[int, dict[str, Tensor]] = {}
        for label, value in state.items():
            name, _, key = label.rpartition(".")
            if name in numbers:
                loaded = laid_out(torch.from_numpy(np.array(value)), learning[name])
                entries.setdefault(numbers[name], {})[key] = loaded
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": entries, "param_groups": groups})

    def logits(self, tiles: Tiles) -> NDArray[np.float32]:
        """Logits of points, `(m, classes)`."""
        check_tiles(self._spec, tiles)
        with torch.inference_mode():
            features = self._network.features(*self._inputs(tiles))
            return _numpy(self._network.classify(features))

    def features(self, tiles: Tiles) -> dict[int, NDArray[np.float32]]:
        """Return what the heads read: stage to `(m, zooms, channels)`; detail has one zoom."""
        check_tiles(self._spec, tiles)
        with torch.inference_mode():
            found = self._network.features(*self._inputs(tiles))
            return {stage: _numpy(vectors) for stage, vectors in found.items()}

    def head_maps(self, tile: NDArray[Any], zoom: int) -> dict[int, NDArray[np.float32]]:
        """Project every cell of a tile: stage to `(summed, rows, columns)`, without bias."""
        check_tile(self._spec, tile, zoom)
        cells, heads = self._folded_cells(tile)
        with torch.inference_mode():
            return {
                stage: _numpy(F.conv2d(cells[stage], self._tensor(weight)[..., None, None])[0])
                for (at, stage), weight in heads.weights.items()
                if at == zoom
            }

    def feature_maps(self, tile: NDArray[Any], zoom: int) -> dict[int, NDArray[np.float32]]:
        """Compute what the heads read of every cell: stage to `(rows, columns, channels)`.

        Parameters
        ----------
        tile
            `(y, x, 3)` zoomed pixels; cell `i` of a stage with stride `s` is centred on the
            tile's pixel `s·i`, and zeros lie past its edges.
        zoom
            One of the network's; detail is there at the finest only.
        """
        check_tile(self._spec, tile, zoom)
        cells, heads = self._folded_cells(tile)
        return {
            stage: _numpy(cells[stage][0].permute(1, 2, 0))
            for at, stage in heads.weights
            if at == zoom
        }

    def _folded_cells(self, tile: NDArray[Any]) -> tuple[dict[int, Tensor], Heads]:
        """Compute all cells of a tile with the network made for painting; and give its heads."""
        if self._painter is None:
            detail = self._network.detail
            self._painter = (
                folded(self._network.backbone),
                None if detail is None else folded_detail(detail),
                Heads.of(self._spec, self.state()),
            )
        backbone, detail, heads = self._painter
        with torch.inference_mode():
            image = self._normalise(tile[np.newaxis])
            cells = backbone(image)
            if detail is not None:
                cells[DETAIL] = detail(image)
        return cells, heads

    def painting(self, precision: Precision = "fp32") -> Painting:
        """Return the network as it is now, made for painting."""
        return TorchPainting(self._network, self._device, chosen(precision, self._device))

    def _learning(self) -> dict[str, Tensor]:
        """Return what the optimiser moves, under the names of the model file."""
        arrays = self._network.named_arrays()
        return {n: a for n, a in arrays.items() if isinstance(a, Parameter)}

    def _names(self) -> list[str]:
        """Return the names of the parameters in the optimiser's order, group by group."""
        names = list(self._learning())
        rates = dict.fromkeys(map(self._options.rate_of, names))
        return [n for rate in rates for n in names if self._options.rate_of(n) == rate]

    def _drop(self, features: Tensor) -> Tensor:
        """Dropout with a generator of the engine's own, so that seeds repeat a run."""
        if self._options.dropout == 0:
            return features
        keep = 1 - self._options.dropout
        mask = torch.empty(features.shape).bernoulli_(keep, generator=self._dropout)
        return features * (mask.to(self._device) / keep)

    def _inputs(self, tiles: Tiles) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Bring tiles to the device: normalised `(n, zooms, 3, y, x)`, and where points lie."""
        n, zooms, height, width, _ = tiles.pixels.shape
        flat = self._normalise(tiles.pixels.reshape(n * zooms, height, width, 3))
        factors = tiles.factors
        return (
            flat.reshape(n, zooms, *flat.shape[1:]),
            self._tensor(tiles.owner.astype(np.int64)),
            self._tensor(tiles.places.astype(np.float32)),
            None if factors is None else self._tensor(factors),
        )

    def _normalise(self, images: NDArray[Any]) -> Tensor:
        """Turn `(n, y, x, 3)` intensities into normalised float32 `(n, 3, y, x)`."""
        values = self._tensor(images).float()
        return ((values - self._mean) * self._inverse_std).permute(0, 3, 1, 2)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        # A view of a file may be read-only, which torch refuses to share.
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self._device)


def create(spec: NetworkSpec, *, device: str, seed: int) -> TorchEngine:
    """Build the engine; what `engines.create_engine` calls."""
    return TorchEngine(spec, device=device, seed=seed)


def status() -> dict[str, object]:
    """Tell the version and the devices of this installation."""
    devices = ["cpu"]
    devices += [
        f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())
    ]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return {"available": True, "version": torch.__version__, "devices": devices}


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:N` or `mps` into a device that is really there.

    Raises
    ------
    InputError
        When it is not.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"{name!r} is none of auto, cpu, cuda and mps", setting="device")
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[device.type]:
        raise InputError(
            f"there is no {name!r} on this machine", setting="device", suggestion="use auto or cpu"
        )
    return device


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    """Bring a tensor to numpy; on the CPU the array shares its memory."""
    array: NDArray[np.float32] = tensor.detach().cpu().contiguous().numpy()
    return array
