"""What an engine is: the network on a device, with numpy at its border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_lungcls.network.engines.host_painting import Painting
from napari_lungcls.network.engines.host_painting import Precision as Precision
from napari_lungcls.network.parameters import PARTS
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.tiles import Tiles

State = dict[str, NDArray[np.float32]]
"""Parameters and running statistics under torchvision's names, heads included."""


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
        Whether the trunk stays as it is, its statistics too, until `thaw`.
    fixed_statistics
        Parts of the trunk (`bn1`, `layer1` …) whose batch normalisation keeps the statistics
        that it was loaded with: those of weights that come from a file.
    trunk_rate
        Factor on the learning rate of the trunk; of those parts only that have
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
    trunk_rate: float = Field(default=1.0, gt=0)
    precision: Precision = "fp32"
    seed: int = 0

    def rate_of(self, name: str) -> float:
        """Give the factor on the learning rate of an array by its name in the model file."""
        part = name.partition(".")[0]
        kept = self.fixed_statistics and ("conv1", *self.fixed_statistics)
        return self.trunk_rate if part in (kept or PARTS) else 1.0


@dataclass(frozen=True)
class Step:
    """What one training step saw: the loss before the step, and the logits `(m, classes)`."""

    loss: float
    logits: NDArray[np.float32]


class Engine(Protocol):
    """A network that can be trained and asked, whatever library computes it.

    Tiles are in intensities of the image, any type; the engine normalises them. `load` and
    `state` speak float32 arrays under the names of the model file, the trunk's torchvision's.
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

    def thaw(self) -> None:
        """Let the trunk learn from the next step on."""

    def train_step(
        self,
        tiles: Tiles,
        codes: NDArray[np.int64],
        weights: NDArray[np.float32],
        learning_rate: float,
    ) -> Step:
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
        """Answer for points: `(m, classes)` before the softmax."""

    def features(self, tiles: Tiles) -> dict[int, NDArray[np.float32]]:
        """Return what the heads read: stage to `(m, zooms, channels)`; detail has one zoom."""

    def head_maps(self, tile: NDArray[Any], zoom: int) -> dict[int, NDArray[np.float32]]:
        """Project every cell of a tile: stage to `(summed, rows, columns)`, without bias.

        `tile` is `(y, x, 3)` level pixels of one of the network's zooms; cell `i` of a
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
