"""The interface of an engine: a network on a device that trains, predicts and paints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.interpolation import Floats, Weights
from napari_lungcls.network.parameters import PARTS
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import State
from napari_lungcls.network.tiles import Tiles

T = TypeVar("T")

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""The numbers that a backbone computes with; `auto` is the fastest that the device is good at."""

HALO = 64
"""Zoomed pixels around a tile that are computed and thrown away."""

FINE = (-1, 0)
"""Stages with so many cells that they are read where a map needs them, and never kept."""


class EngineUnavailableError(InputError):
    """An engine's library is missing or cannot run here; says why, and what to do."""


class OptimizerOptions(BaseModel):
    """What an engine has to know to take a training step.

    Attributes
    ----------
    optimizer
        `sgd` has Nesterov's momentum.
    betas
        Decay of the first and second moment; RMSprop has the second only.
    epsilon
        Added to the root of the second moment.
    momentum, weight_decay, clip_norm
        As their names say; `clip_norm` None leaves gradients as they are.
    label_smoothing
        Share of each label that is spread over all classes (Szegedy et al. 2016,
        doi 10.1109/CVPR.2016.308).
    dropout
        Share of the features that the heads do not see.
    freeze
        Whether the backbone stays as it is, its statistics too, until `unfreeze`.
    fixed_statistics
        Parts of the backbone (`bn1`, `layer1` …) whose batch normalisation keeps the statistics
        that it was loaded with: those of weights that come from a file.
    backbone_lr_factor
        Factor on the learning rate of the backbone; of those parts only that have
        `fixed_statistics`, where there are any.
    precision
        `auto` is what the device is fastest with at no harm.
    seed
        Of the dropout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    clip_norm: float | None = Field(default=1.0, gt=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    freeze: bool = False
    fixed_statistics: tuple[str, ...] = ()
    backbone_lr_factor: float = Field(default=1.0, gt=0)
    precision: Precision = "fp32"
    seed: int = 0

    def rate_of(self, name: str) -> float:
        """Give the factor on the learning rate of an array by its name in the model file."""
        part = name.partition(".")[0]
        kept = self.fixed_statistics and ("conv1", *self.fixed_statistics)
        return self.backbone_lr_factor if part in (kept or PARTS) else 1.0


@dataclass(frozen=True)
class TrainStep:
    """What one training step saw: the loss before the step, and the logits `(m, classes)`."""

    loss: float
    logits: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ReadGrid:
    """Where a stage of one tile is read.

    Attributes
    ----------
    stage
        Of the network.
    y, x
        Ascending positions in zoomed pixels, counted from the first pixel behind the halo.
    out
        `(len(y), len(x), summed)` on the device; what the stage says is added to it.
    """

    stage: int
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    out: Any


@dataclass(frozen=True, eq=False)
class Term:
    """What one stage contributes at a grid of positions.

    Attributes
    ----------
    maps
        `(rows, columns, summed)` on the device.
    rows, columns
        How they are read; None where `maps` holds what is said at the positions.
    """

    maps: Any
    rows: Weights | None = None
    columns: Weights | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns of the positions."""
        if self.rows is None or self.columns is None:
            rows, columns = self.maps.shape[:2]
            return int(rows), int(columns)
        return len(self.rows), len(self.columns)


class Painting(Protocol):
    """A network as it was at one moment, made for painting.

    What it computes stays on its device until `answer` brings a few bytes per cell to numpy.
    Maps hold what the heads make of cells: `summed` numbers each, see `NetworkSpec`.

    Attributes
    ----------
    precision
        What the backbone computes with: fp32, bf16 or fp16.
    tile
        Edge of the tiles that suit it best, in zoomed pixels and without their halo.
    """

    precision: str
    tile: int

    def head_maps(
        self, pixels: NDArray[Any], zoom: int, lattices: Sequence[ReadGrid] = ()
    ) -> dict[int, Any]:
        """Project the cells of a tile: stage to `(rows, columns, summed)`, without bias.

        `pixels` is `(y + 2·HALO, x + 2·HALO, 3)` zoomed pixels, `y` and `x` multiples of the
        deepest stride. Stages that have lattices are read there, at positions in `[0, y)` and
        `[0, x)`, and not returned; stem and detail always are. For another layer with stride
        `s` there are `y / s + 1` by `x / s + 1` cells; the first is centred on pixel
        `(HALO, HALO)`.
        """

    def zeros(self, shape: tuple[int, ...]) -> Any:
        """Make a float32 array on the device."""

    def logits(self, terms: Sequence[Term], temperature: float = 1.0) -> Any:
        """Add up all stages and zooms at a grid of positions, and let the heads decide.

        The result is NaN exactly where a cell that is not finite takes part.

        Returns
        -------
        array on the device, (classes, y, x)
        """

    def to_numpy(self, logits: Any) -> Floats:
        """Bring logits to numpy."""

    def each(self, do: Callable[[T], None], tasks: Sequence[T]) -> None:
        """Call a function that uses this painting for each task, at once where that is faster."""

    def answer(
        self, logits: Any, *, probabilities: bool, threshold: float | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Turn logits `(classes, y, x)` into the cells of a map.

        Returns
        -------
        classes : ndarray, (y, x), uint8
            Code of the likeliest class, or as the threshold says (see `predicted_class`), plus 1; 0
            where a logit is no number, because the network saw intensities that are none.
        probabilities : ndarray, (classes, y, x), float16, or None
            0 for all classes where none is painted.
        """


class Engine(Protocol):
    """A network that can be trained and queried, whatever library computes it.

    Tiles are in intensities of the image, any type; the engine normalises them. `load` and
    `state` speak float32 arrays under the names of the model file, the backbone's torchvision's.
    What is given in another shape is refused with `InputError`, see `checks`.
    """

    name: ClassVar[str]

    @property
    def spec(self) -> NetworkSpec:
        """The network's shape."""

    @property
    def device(self) -> str:
        """Where it runs, such as `cpu` or `cuda:0`."""

    @property
    def precision(self) -> str:
        """What training steps are computed in: `fp32`, `bf16` or `fp16`."""

    def state(self) -> State:
        """Return copies of all arrays."""

    def load(self, state: Mapping[str, NDArray[np.float32]], *, partial: bool = False) -> None:
        """Take arrays over; with `partial`, those that are missing stay as they are."""

    def prepare(self, options: OptimizerOptions) -> None:
        """Begin training: a fresh optimiser.

        Raises
        ------
        InputError
            When this engine or device has no counterpart of an option.
        """

    def unfreeze(self) -> None:
        """Let the backbone learn from the next step on."""

    def train_step(
        self,
        tiles: Tiles,
        codes: NDArray[np.int64],
        weights: NDArray[np.float32],
        learning_rate: float,
    ) -> TrainStep:
        """Take one step on the weighted mean of the points' cross-entropies."""

    def optimizer_state(self) -> State:
        """Return all that continues the optimiser, for a checkpoint.

        Moments are `<array>.<moment>`, arrays named as in the model file: they have `exp_avg`,
        `exp_avg_sq` and `step`, or `square_avg` and `step`, or `momentum_buffer`. What only the
        engine itself understands has other names.
        """

    def load_optimizer_state(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Continue from a checkpoint of any engine; `prepare` comes first.

        From another engine's, the moments are taken over, and a `LungclsWarning` says
        that optimisers differ in details.
        """

    def logits(self, tiles: Tiles) -> NDArray[np.float32]:
        """Logits of points, `(m, classes)`."""

    def features(self, tiles: Tiles) -> dict[int, NDArray[np.float32]]:
        """Return what the heads read: stage to `(m, zooms, channels)`; detail has one zoom."""

    def head_maps(self, tile: NDArray[Any], zoom: int) -> dict[int, NDArray[np.float32]]:
        """Project every cell of a tile: stage to `(summed, rows, columns)`, without bias.

        `tile` is `(y, x, 3)` zoomed pixels of one of the network's zooms; cell `i` of a
        stage with stride `s` is centred on the tile's pixel `s·i`. `heads.Heads`
        has the bias and what follows.
        """

    def painting(self, precision: Precision = "fp32") -> Painting:
        """Return the network as it is now, made for painting; see `painting.Painting`.

        Raises
        ------
        InputError
            When the device does not compute in the precision.
        """
