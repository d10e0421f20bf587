"""Names and shapes of a network's arrays; the backbone's as torchvision's ResNet-18 calls them."""

from __future__ import annotations

STEM = ("conv1", "bn1")
STAGES = (1, 2, 3, 4)
DETAIL = -1
"""The stage of two small convolutions at every pixel, beside the backbone."""
DETAIL_CHANNELS = 16
STAGE_NAMES = {
    DETAIL: "detail",
    0: "stem",
    1: "layer1",
    2: "layer2",
    3: "layer3",
    4: "layer4",
}
PARTS = (*STEM, *(f"layer{stage}" for stage in STAGES))
"""Top-level parts of the backbone, in the order in which an image passes them."""

_BLOCKS = 2
_NORMALISATION = ("weight", "bias", "running_mean", "running_var")


def stage_channels(stage: int) -> int:
    """Give the number of channels that leave a stage.

    Parameters
    ----------
    stage
        See `STAGE_NAMES`.

    Raises
    ------
    ValueError
        When there is no such stage.
    """
    if stage not in STAGE_NAMES:
        raise ValueError(f"a network has the stages {', '.join(STAGE_NAMES.values())}, not {stage}")
    if stage == DETAIL:
        return DETAIL_CHANNELS
    channels: int = 64 * 2 ** max(0, stage - 1)
    return channels


def stage_of(name: str) -> int:
    """Tell which stage an array of the backbone belongs to: 1 to 4, or 0 for the stem.

    Parameters
    ----------
    name
        Name of an array (`layer2.0.conv1.weight`) or of a part (`layer2`).

    Raises
    ------
    ValueError
        When the name is not one of the backbone's.
    """
    part = name.partition(".")[0]
    if part not in PARTS:
        raise ValueError(f"{name} is not a part of the backbone ({', '.join(PARTS)})")
    return max(0, PARTS.index(part) - len(STEM) + 1)


def backbone_shapes() -> dict[str, tuple[int, ...]]:
    """List the arrays of ResNet-18 without `fc`, in torchvision's order.

    Convolution weights are `(out, in, y, x)`; the four arrays of a batch normalisation are
    `(channels,)`. torchvision's counters `num_batches_tracked` are left out: they have no
    influence on any result as long as the momentum is a number.

    Returns
    -------
    dict
        Name to shape, 100 entries.

    Notes
    -----
    He et al. 2016, "Deep residual learning for image recognition", table 1,
    doi 10.1109/CVPR.2016.90; the names are those of torchvision's `resnet18`.
    """
    shapes = _convolution("conv1", 64, 3, 7) | _normalisation("bn1", 64)
    incoming = 64
    for stage in STAGES:
        channels = stage_channels(stage)
        for block in range(_BLOCKS):
            prefix = f"layer{stage}.{block}"
            shapes |= _convolution(f"{prefix}.conv1", channels, incoming, 3)
            shapes |= _normalisation(f"{prefix}.bn1", channels)
            shapes |= _convolution(f"{prefix}.conv2", channels, channels, 3)
            shapes |= _normalisation(f"{prefix}.bn2", channels)
            if incoming != channels:
                shapes |= _convolution(f"{prefix}.downsample.0", channels, incoming, 1)
                shapes |= _normalisation(f"{prefix}.downsample.1", channels)
            incoming = channels
    return shapes


def detail_shapes() -> dict[str, tuple[int, ...]]:
    """List the arrays of the two small convolutions at every pixel."""
    c = DETAIL_CHANNELS
    return (
        _convolution("detail.conv1", c, 3, 3)
        | _normalisation("detail.bn1", c)
        | _convolution("detail.conv2", c, c, 3)
        | _normalisation("detail.bn2", c)
    )


def hidden_shapes(hidden: int, classes: int) -> dict[str, tuple[int, ...]]:
    """List the arrays behind the hidden layer."""
    return {"heads.out.weight": (classes, hidden), "heads.out.bias": (classes,)}


def _convolution(name: str, channels: int, incoming: int, side: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (channels, incoming, side, side)}


def _normalisation(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{array}": (channels,) for array in _NORMALISATION}
