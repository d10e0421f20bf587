"""Checks of what engines are given, so that errors do not come from deep inside a library."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.tiles import Tiles

Shape = tuple[int, ...]


def check_tiles(spec: NetworkSpec, tiles: Tiles) -> None:
    """Refuse tiles and points that are not of the network's shape.

    Raises
    ------
    InputError
        Naming the shape that was given and the one that is needed.
    """
    pixels, owner, zooms = tiles.pixels, tiles.owner, len(spec.zooms)
    if pixels.ndim != 5 or pixels.shape[1] != zooms or pixels.shape[4] != 3:
        raise InputError(
            f"tiles: shape {tuple(pixels.shape)} was given, the network needs "
            f"(tiles, {zooms}, y, x, 3)"
        )
    least = STAGE_STRIDES[spec.stages[-1]] + 1 if spec.padding == "reflect" else 1
    if min(pixels.shape[2:4]) < least:
        raise InputError(
            f"tiles of {pixels.shape[2]} × {pixels.shape[3]} pixels are too small for this "
            f"network; it needs {least} on each side"
        )
    m = owner.size
    _check_shape("owner", owner.shape, (m,))
    _check_shape("places", tiles.places.shape, (m, zooms, 2))
    if tiles.factors is not None:
        _check_shape("factors", tiles.factors.shape, (m, zooms))
    if owner.dtype.kind not in "iu":
        raise InputError("owner: whole numbers are needed, the tile of each point")
    if m and not len(pixels):
        raise InputError(f"{m} points lie in no tile; none was given")
    if m and not 0 <= owner.min() <= owner.max() < len(pixels):
        raise InputError(f"points lie in tiles from 0 to {len(pixels) - 1}; others were given")
    if not np.isfinite(tiles.places).all():
        raise InputError("places: every point needs finite positions (y, x) in its tile")


def check_answers(
    spec: NetworkSpec, n: int, codes: NDArray[np.int64], weights: NDArray[np.float32]
) -> None:
    """Refuse codes and sample weights that do not belong to `n` points.

    Raises
    ------
    InputError
        When a shape is wrong, a code is no class, or the weights have no positive sum.
    """
    if n == 0:
        raise InputError("a training step needs at least one point; none was given")
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
