"""The convolutions in Gluon: ResNet-18's backbone with torchvision's names, and detail."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.mxnet.runtime import load
from napari_lungcls.network.parameters import (
    DETAIL,
    DETAIL_CHANNELS,
    STEM,
    stage_channels,
)
from napari_lungcls.network.spec import NetworkSpec

mx = load()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

EPSILON = 1e-5
"""What batch normalisation adds to a variance."""


def to_device(array: NDArray[Any], context: Any, dtype: str = "float32") -> Any:
    """Copy an array to a device.

    `mx.nd.array` would do the same, but asks scipy for names that it is about to drop.
    """
    return mx.nd.ndarray.array(array, ctx=context, dtype=dtype)


class GluonConvolution(HybridBlock):  # type: ignore[misc]
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


class GluonBasicBlock(HybridBlock):  # type: ignore[misc]
    """Two 3 × 3 convolutions and a shortcut (He et al. 2016, doi 10.1109/CVPR.2016.90)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        reflect: bool,
        folded: bool,
        computing: str,
        fixed: bool,
    ) -> None:
        super().__init__()
        how: dict[str, Any] = {"reflect": reflect, "bias": folded, "computing": computing}
        norm: dict[str, Any] = {"folded": folded, "fixed": fixed}
        with self.name_scope():
            self.conv1 = GluonConvolution(inputs, outputs, 3, stride, **how)
            self.bn1 = _normalisation(outputs, **norm)
            self.conv2 = GluonConvolution(outputs, outputs, 3, 1, **how)
            self.bn2 = _normalisation(outputs, **norm)
            self.downsample = None
            if stride != 1:
                self.downsample = nn.HybridSequential()
                shortcut = GluonConvolution(inputs, outputs, 1, stride, **how)
                self.downsample.add(shortcut, _normalisation(outputs, **norm))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Map `(n, inputs, y, x)` to `(n, outputs, ⌈y / stride⌉, ⌈x / stride⌉)`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class GluonBackbone(HybridBlock):  # type: ignore[misc]
    """ResNet-18 up to its deepest stage that is read, without `fc`.

    Parameters
    ----------
    read
        The stages whose cells are wanted, ascending; those that are none of the backbone's are
        passed over.
    reflect
        What convolutions see past the edge: reflection, or zeros.
    folded
        Whether convolutions have a bias and batch normalisation is left out, see `fold`.
    computing
        The type of number that convolutions multiply; all else is float32.
    fixed
        Parts whose batch normalisation keeps its statistics in training too.
    like
        Another backbone of the same network, whose parameters this one shares.
    """

    def __init__(
        self,
        read: Sequence[int],
        *,
        reflect: bool,
        folded: bool = False,
        computing: str = "float32",
        fixed: Collection[str] = (),
        like: GluonBackbone | None = None,
    ) -> None:
        super().__init__(**_shared(like))
        how: dict[str, Any] = {"reflect": reflect, "computing": computing}
        self._read, self._stages = tuple(read), tuple(range(1, read[-1] + 1))
        with self.name_scope():
            self.conv1 = GluonConvolution(3, 64, 7, 2, bias=folded, **how)
            self.bn1 = _normalisation(64, folded=folded, fixed=STEM[1] in fixed)
            channels = 64
            for stage in self._stages:
                width, stride, part = stage_channels(stage), 1 if stage == 1 else 2, f"layer{stage}"
                blocks = nn.HybridSequential()
                for inputs, step in ((channels, stride), (width, 1)):
                    still = part in fixed
                    blocks.add(
                        GluonBasicBlock(inputs, width, step, folded=folded, fixed=still, **how)
                    )
                setattr(self, part, blocks)
                channels = width

    def hybrid_forward(self, F: Any, x: Any) -> list[Any]:
        """Map `(n, 3, y, x)` to the cells `(n, channels, rows, columns)` of what is read."""
        x = F.relu(self.bn1(self.conv1(x)))
        cells = [x] if 0 in self._read else []
        # Reflected or not: what lies past the edge then is in the pool's window already.
        x = F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
        for stage in self._stages:
            x = getattr(self, f"layer{stage}")(x)
            if stage in self._read:
                cells.append(x)
        return cells


def named_parameters(block: Any, prefix: str = "") -> dict[str, Any]:
    """Return a block's parameters under the names of the model file."""
    return {
        prefix + name.replace(".gamma", ".weight").replace(".beta", ".bias"): parameter
        for name, parameter in block._collect_params_with_prefix().items()
    }


class GluonDetail(HybridBlock):  # type: ignore[misc]
    """Two small convolutions at every pixel; parameters as those of `GluonBackbone`."""

    def __init__(
        self,
        *,
        reflect: bool,
        folded: bool = False,
        computing: str = "float32",
        like: GluonDetail | None = None,
    ) -> None:
        super().__init__(**_shared(like))
        how: dict[str, Any] = {"reflect": reflect, "bias": folded, "computing": computing}
        c = DETAIL_CHANNELS
        with self.name_scope():
            self.conv1 = GluonConvolution(3, c, 3, 1, **how)
            self.bn1 = _normalisation(c, folded=folded)
            self.conv2 = GluonConvolution(c, c, 3, 1, **how)
            self.bn2 = _normalisation(c, folded=folded)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Map `(n, 3, y, x)` to `(n, channels, y, x)`."""
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class Body:
    """The backbone, shared by all zooms, and detail at the finest.

    Parameters
    ----------
    spec
        The network.
    computing
        The type of number that convolutions multiply.
    fixed
        Parts of the backbone whose batch normalisation keeps its statistics in training too.
    like
        Another body of the same network, whose parameters this one shares.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        computing: str = "float32",
        fixed: Collection[str] = (),
        like: Body | None = None,
    ) -> None:
        self._stages, self._zooms = spec.stages, len(spec.zooms)
        how: dict[str, Any] = {"reflect": spec.padding == "reflect", "computing": computing}
        backbone: GluonBackbone | None = None if like is None else like.backbone
        self.backbone: GluonBackbone = GluonBackbone(spec.stages, fixed=fixed, like=backbone, **how)
        self.detail: GluonDetail | None = None
        if DETAIL in spec.stages:
            self.detail = GluonDetail(like=None if like is None else like.detail, **how)

    def begin(self, context: Any) -> None:
        """Make the parameters, all 0; a body that is like another has that one's."""
        for block in self._blocks():
            block.initialize(mx.init.Zero(), ctx=context)

    def hybridize(self) -> None:
        """Plan the memory of the convolutions once."""
        for block in self._blocks():
            block.hybridize(static_alloc=True)

    def named_parameters(self) -> dict[str, Any]:
        """Return Gluon's parameters under the names of the model file."""
        found = named_parameters(self.backbone)
        return found if self.detail is None else found | named_parameters(self.detail, "detail.")

    def cells(self, images: Any, *, frozen: bool = False) -> dict[int, Any]:
        """Map `(n · zooms, 3, y, x)`, normalised, to the cells of each stage.

        `frozen` leaves the backbone out of what is recorded, so that it neither learns nor
        touches its statistics.
        """
        if frozen:
            with mx.autograd.pause():
                found = self.backbone(images)
        else:
            found = self.backbone(images)
        layers = [stage for stage in self._stages if stage != DETAIL]
        cells = dict(zip(layers, found, strict=True))
        if self.detail is not None:
            n, finest = images.shape[0] // self._zooms, images
            if self._zooms > 1:
                finest = images.reshape((n, self._zooms, *images.shape[1:]))[:, 0]
            cells[DETAIL] = self.detail(finest)
        return cells

    def _blocks(self) -> list[Any]:
        return [self.backbone] if self.detail is None else [self.backbone, self.detail]


class FoldedNetwork(HybridBlock):  # type: ignore[misc]
    """The folded network with zeros past the edge, and the heads as 1 × 1 convolutions.

    Parameters
    ----------
    spec
        The network.
    computing
        The type of number that convolutions multiply.
    like
        Another painter of the same network, whose parameters this one shares.
    detail
        Whether detail is painted; it is at the finest zoom only.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        computing: str = "float32",
        like: FoldedNetwork | None = None,
        *,
        detail: bool,
    ) -> None:
        super().__init__(**_shared(like))
        self.stages = tuple(stage for stage in spec.stages if detail or stage != DETAIL)
        self._summed = spec.summed
        how: dict[str, Any] = {"reflect": False, "folded": True, "computing": computing}
        with self.name_scope():
            self.backbone = GluonBackbone(spec.stages, **how)
            self.detail = GluonDetail(**how) if DETAIL in self.stages else None

    def hybrid_forward(self, F: Any, images: Any, *heads: Any) -> list[Any]:
        """Map `(1, 3, y, x)` and heads `(summed, channels, 1, 1)` to maps of `stages`."""
        cells = self.backbone(images)
        if self.detail is not None:
            cells = [self.detail(images), *cells]
        return [
            F.Convolution(found, head, kernel=(1, 1), num_filter=self._summed, no_bias=True)
            for found, head in zip(cells, heads, strict=True)
        ]


def fold(state: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Fold the batch normalisation of a network into weights and biases of its convolutions.

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


def _normalisation(channels: int, *, folded: bool, fixed: bool = False) -> Any:
    if folded:
        return nn.HybridLambda(lambda _, x: x)
    # Gluon's momentum is the share that is kept.
    return nn.BatchNorm(in_channels=channels, momentum=0.9, epsilon=EPSILON, use_global_stats=fixed)
