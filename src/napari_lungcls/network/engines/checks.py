"""What engines are given, checked once for all, so that no library has to explain itself."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.imaging.geometry import STAGE_STRIDES, cell_count
from napari_lungcls.network.engines.protocol import Readouts
from napari_lungcls.network.spec import NetworkSpec

Shape = tuple[int, ...]


def check_windows(spec: NetworkSpec, windows: NDArray[Any], readouts: Readouts) -> None:
    """Refuse windows and readouts that are not of the network's shape.

    Raises
    ------
    InputError
        Naming the shape that was given and the one that is needed.
    """
    n = len(windows) if windows.ndim else 0
    zooms = len(spec.zooms)
    # The network is convolutional: a window may show more than training did, not less.
    edge = max(spec.window, windows.shape[2]) if windows.ndim == 5 else spec.window
    _check_shape("windows", windows.shape, (n, zooms, edge, edge, 3))
    for stage in spec.stages:
        if stage not in readouts:
            raise InputError(f"the readouts lack layer{stage}, which the network reads; give it")
        cells = cell_count(edge, STAGE_STRIDES[stage]) ** 2
        _check_shape(f"readouts of layer{stage}", readouts[stage].shape, (n, zooms, cells))


def check_answers(
    spec: NetworkSpec, n: int, codes: NDArray[np.int64], weights: NDArray[np.float32]
) -> None:
    """Refuse codes and sample weights that do not belong to `n` windows.

    Raises
    ------
    InputError
        When a shape is wrong, a code is no class, or the weights have no positive sum.
    """
    if n == 0:
        raise InputError("a training step needs at least one window; none was given")
    _check_shape("codes", codes.shape, (n,))
    _check_shape("sample weights", weights.shape, (n,))
    if codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= spec.classes:
        raise InputError(f"codes must be whole numbers from 0 to {spec.classes - 1}")
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum() > 0):
        raise InputError("sample weights must not be negative, and not all 0")


def check_tile(spec: NetworkSpec, tile: NDArray[Any], zoom: int) -> None:
    """Refuse a tile that is no RGB image, or a zoom that the network does not have.

    Raises
    ------
    InputError
        Naming what was given.
    """
    if zoom not in spec.zooms:
        known = ", ".join(map(str, spec.zooms))
        raise InputError(f"the network has no zoom {zoom}; choose from {known}")
    if tile.ndim != 3 or tile.shape[2] != 3 or 0 in tile.shape:
        raise InputError(f"a tile has shape {tile.shape}; the network needs (y, x, 3)")


def check_arrays(
    needed: Mapping[str, Shape], state: Mapping[str, NDArray[np.float32]], *, partial: bool
) -> None:
    """Refuse parameters that are missing or have other shapes, before any is taken over.

    Raises
    ------
    InputError
        Naming the array.
    """
    missing = sorted(needed.keys() - state.keys())
    if missing and not partial:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"the parameters lack {missing[0]}{more}; load a complete model")
    for name in needed.keys() & state.keys():
        _check_shape(f"parameter {name}", state[name].shape, needed[name])


def warn_of_foreign_checkpoint(engine: str) -> None:
    """Say what differs when training goes on from the checkpoint of another engine."""
    warnings.warn(
        f"this checkpoint was not written by the engine {engine}: training goes on with its "
        "parameters and the optimiser's moments, but dropout draws other numbers and "
        "rounding differs, so that it does not continue to the digit",
        LungclsWarning,
        stacklevel=3,
    )


def _check_shape(what: str, found: Shape, needed: Shape) -> None:
    if tuple(found) != needed:
        raise InputError(f"{what}: shape {tuple(found)} was given, the network needs {needed}")
