"""ResNet-18's trunk in Gluon, with torchvision's parameter names and linear heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.mxnet_import import load
from napari_lungcls.network.parameters import stage_channels
from napari_lungcls.network.spec import NetworkSpec

mx = load()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

EPSILON = 1e-5
"""What batch normalisation adds to a variance."""


def to_device(array: NDArray[Any], context: Any) -> Any:
    """Copy an array to a device as float32.

    `mx.nd.array` would do the same, but asks scipy for names that it is about to drop.
    """
    return mx.nd.ndarray.array(array, ctx=context, dtype="float32")


class Convolution(HybridBlock):  # type: ignore[misc]
    """A convolution that keeps the size, with zeros or reflection past the edge.

    It takes and gives float32, and keeps its parameters so, whatever it computes in.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        stride: int,
        *,
        reflect: bool,
        bias: bool,
        computing: str,
    ) -> None:
        super().__init__()
        self._computing = computing
        self._edge = side // 2
        self._reflect = reflect and self._edge > 0
        self._options = {
            "kernel": (side, side),
            "stride": (stride, stride),
            "pad": (0, 0) if self._reflect else (self._edge, self._edge),
            "num_filter": outputs,
            "no_bias": not bias,
        }
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(outputs, inputs, side, side))
            if bias:
                self.bias = self.params.get("bias", shape=(outputs,))

    def hybrid_forward(self, F: Any, x: Any, **parameters: Any) -> Any:
        """Map `(n, inputs, y, x)` to `(n, outputs, ⌈y / stride⌉, ⌈x / stride⌉)`."""
        if self._reflect:
            x = F.pad(x, mode="reflect", pad_width=(0, 0, 0, 0, *(self._edge,) * 4))
        if self._computing == "float32":
            return F.Convolution(x, **parameters, **self._options)
        cast = {name: F.cast(p, dtype=self._computing) for name, p in parameters.items()}
        x = F.Convolution(F.cast(x, dtype=self._computing), **cast, **self._options)
        return F.cast(x, dtype="float32")


class BasicBlock(HybridBlock):  # type: ignore[misc]
    """Two 3 × 3 convolutions and a shortcut (He et al. 2016, doi 10.1109/CVPR.2016.90)."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, *, reflect: bool, folded: bool, computing: str
    ) -> None:
        super().__init__()
        how: dict[str, Any] = {"reflect": reflect, "bias": folded, "computing": computing}
        with self.name_scope():
            self.conv1 = Convolution(inputs, outputs, 3, stride, **how)
            self.bn1 = _normalisation(outputs, folded=folded)
            self.conv2 = Convolution(outputs, outputs, 3, 1, **how)
            self.bn2 = _normalisation(outputs, folded=folded)
            self.downsample = None
            if stride != 1:
                self.downsample = nn.HybridSequential()
                shortcut = Convolution(inputs, outputs, 1, stride, **how)
                self.downsample.add(shortcut, _normalisation(outputs, folded=folded))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Map `(n, inputs, y, x)` to `(n, outputs, ⌈y / stride⌉, ⌈x / stride⌉)`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Trunk(HybridBlock):  # type: ignore[misc]
    """ResNet-18 up to its deepest stage that is read, without `fc`.

    Parameters
    ----------
    deepest
        The last stage.
    reflect
        What convolutions see past the edge: reflection, or zeros.
    folded
        Whether convolutions have a bias and batch normalisation is left out, see `fold`.
    computing
        The type of number that convolutions multiply; all else is float32.
    """

    def __init__(
        self, deepest: int, *, reflect: bool, folded: bool = False, computing: str = "float32"
    ) -> None:
        super().__init__()
        how: dict[str, Any] = {"reflect": reflect, "folded": folded, "computing": computing}
        self._stages = tuple(range(1, deepest + 1))
        with self.name_scope():
            first: dict[str, Any] = {"reflect": reflect, "bias": folded, "computing": computing}
            self.conv1 = Convolution(3, 64, 7, 2, **first)
            self.bn1 = _normalisation(64, folded=folded)
            channels = 64
            for stage in self._stages:
                width, stride = stage_channels(stage), 1 if stage == 1 else 2
                blocks = nn.HybridSequential()
                blocks.add(BasicBlock(channels, width, stride, **how))
                blocks.add(BasicBlock(width, width, 1, **how))
                setattr(self, f"layer{stage}", blocks)
                channels = width

    def hybrid_forward(self, F: Any, x: Any) -> list[Any]:
        """Map `(n, 3, y, x)` to the cells `(n, channels, rows, columns)` of every stage."""
        x = F.relu(self.bn1(self.conv1(x)))
        # Reflected or not: what lies past the edge then is in the pool's window already.
        x = F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
        cells = []
        for stage in self._stages:
            x = getattr(self, f"layer{stage}")(x)
            cells.append(x)
        return cells

    def named_parameters(self) -> dict[str, Any]:
        """Return Gluon's parameters under torchvision's names."""
        return {
            name.replace(".gamma", ".weight").replace(".beta", ".bias"): parameter
            for name, parameter in self._collect_params_with_prefix().items()
        }


class Features(HybridBlock):  # type: ignore[misc]
    """The trunk, and the readouts that make one vector per window and stage of its cells.

    Parameters
    ----------
    spec
        The network.
    computing
        The type of number that convolutions multiply.
    like
        Another block of the same network, whose parameters this one shares.
    """

    def __init__(
        self, spec: NetworkSpec, computing: str = "float32", like: Features | None = None
    ) -> None:
        super().__init__(**_shared(like))
        self._stages, self._zooms = spec.stages, len(spec.zooms)
        reflect = spec.padding == "reflect"
        with self.name_scope():
            self.trunk = Trunk(spec.stages[-1], reflect=reflect, computing=computing)

    def hybrid_forward(self, F: Any, images: Any, *readouts: Any) -> list[Any]:
        """Read one vector per window and stage.

        Parameters
        ----------
        F
            Where Gluon takes its functions from.
        images
            `(n · zooms, 3, y, x)`, normalised.
        readouts
            Per stage `(n · zooms, cells, 1)`.

        Returns
        -------
        list
            Per stage `(zooms, n, channels)`.
        """
        cells = self.trunk(images)
        found = []
        for stage, weights in zip(self._stages, readouts, strict=True):
            flat = F.reshape(cells[stage - 1], (0, 0, -1))
            vectors = F.reshape(F.batch_dot(flat, weights), (-4, -1, self._zooms, 0))
            found.append(F.transpose(vectors, (1, 0, 2)))
        return found


class Heads(HybridBlock):  # type: ignore[misc]
    """One linear map per zoom and stage, and a bias that they share."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self._stages = spec.stages
        with self.name_scope():
            for stage in spec.stages:
                shape = (len(spec.zooms), spec.classes, stage_channels(stage))
                setattr(self, f"layer{stage}", self.params.get(f"layer{stage}", shape=shape))
            self.bias = self.params.get("bias", shape=(spec.classes,))

    def hybrid_forward(self, F: Any, *features: Any, bias: Any, **heads: Any) -> Any:
        """Return the logits `(n, classes)` of features `(zooms, n, channels)` per stage."""
        parts = [
            F.sum(F.batch_dot(given, heads[f"layer{stage}"], transpose_b=True), axis=0)
            for stage, given in zip(self._stages, features, strict=True)
        ]
        return F.broadcast_add(F.add_n(*parts), F.expand_dims(bias, 0))


class Painter(HybridBlock):  # type: ignore[misc]
    """The folded trunk with zeros past the edge, and the heads as 1 × 1 convolutions.

    Parameters
    ----------
    spec
        The network.
    computing
        The type of number that convolutions multiply.
    like
        Another painter of the same network, whose parameters this one shares.
    """

    def __init__(
        self, spec: NetworkSpec, computing: str = "float32", like: Painter | None = None
    ) -> None:
        super().__init__(**_shared(like))
        self._stages, self._classes = spec.stages, spec.classes
        with self.name_scope():
            self.trunk = Trunk(spec.stages[-1], reflect=False, folded=True, computing=computing)

    def hybrid_forward(self, F: Any, images: Any, *heads: Any) -> list[Any]:
        """Map `(1, 3, y, x)` and heads `(classes, channels, 1, 1)` to maps of the stages."""
        cells = self.trunk(images)
        return [
            F.Convolution(
                cells[stage - 1], head, kernel=(1, 1), num_filter=self._classes, no_bias=True
            )
            for stage, head in zip(self._stages, heads, strict=True)
        ]


def fold(state: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Fold the batch normalisation of a trunk into weights and biases of its convolutions.

    `γ · (w · x − μ) / √(σ² + ε) + β` is the convolution with the weights `g · w` and the bias
    `β − g · μ`, where `g = γ / √(σ² + ε)`.
    """
    found = {}
    for name in state:
        if state[name].ndim != 4:
            continue
        convolution = name.removesuffix(".weight")
        bn = _partner(convolution)
        spread = np.sqrt(state[f"{bn}.running_var"].astype(np.float64) + EPSILON)
        gain = state[f"{bn}.weight"] / spread
        bias = state[f"{bn}.bias"] - gain * state[f"{bn}.running_mean"]
        found[name] = (state[name] * gain[:, None, None, None]).astype(np.float32)
        found[f"{convolution}.bias"] = bias.astype(np.float32)
    return found


def _partner(convolution: str) -> str:
    """Name the batch normalisation that follows a convolution: `conv1` has `bn1`."""
    if convolution.endswith("downsample.0"):
        return f"{convolution[:-1]}1"
    return convolution.replace("conv", "bn")


def _shared(like: Any) -> dict[str, Any]:
    """Give the names and parameters of a block to one of the same build."""
    return {} if like is None else {"prefix": like.prefix, "params": like.collect_params()}


def _normalisation(channels: int, *, folded: bool) -> Any:
    if folded:
        return nn.HybridLambda(lambda _, x: x)
    # Gluon's momentum is the share that is kept.
    return nn.BatchNorm(in_channels=channels, momentum=0.9, epsilon=EPSILON)
