"""Labels as files hold them: numbers in several shapes, or names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import MAX_CLASSES
from napari_lungcls.errors import InputError

Labels = tuple[NDArray[np.int64], tuple[str, ...] | None]
"""Numbers of the classes, and their names where the data have them."""


def as_labels(values: NDArray[Any], n: int, names: tuple[str, ...] | None, source: str) -> Labels:
    """Take one label for each of `n` patches, `(n,)`, `(n, 1)` or `(n, 1, 1, 1)`.

    Raises
    ------
    InputError
        When there are more or fewer, or they are no classes.
    """
    if values.shape[:1] != (n,) or values.size != n:
        raise InputError(
            f"{source}: has {n} patches and labels of the shape {tuple(values.shape)}; there must "
            "be one label for each patch"
        )
    flat = values.reshape(n)
    if flat.dtype.kind in "SUO":
        texts = np.array([_text(value) for value in flat], object)
        found, numbers = np.unique(texts.astype(str), return_inverse=True)
        return numbers.astype(np.int64).reshape(n), tuple(str(name) for name in found)
    return as_numbers(flat, names, source), names


def as_numbers(
    values: NDArray[Any], names: tuple[str, ...] | None, source: str
) -> NDArray[np.int64]:
    """Take whole numbers from 0 in any type.

    Raises
    ------
    InputError
        Naming the first label that is none.
    """
    if values.dtype.kind not in "buif":
        raise InputError(f"{source}: labels of type {values.dtype}; give whole numbers from 0")
    limit = len(names) if names is not None else MAX_CLASSES
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
        bad = (whole != values) | (whole < 0) | (whole >= limit)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"{source}: patch {row + 1} is labelled {values[row]}; labels are whole numbers from "
            f"0 to {limit - 1}"
        )
    return whole


def as_names(values: NDArray[Any]) -> tuple[str, ...]:
    """Take the names of classes as an array or attribute holds them."""
    return tuple(_text(value) for value in np.ravel(values))


def as_groups(values: NDArray[Any] | None, n: int, source: str) -> NDArray[np.object_] | None:
    """Take the group of each patch, as text.

    Raises
    ------
    InputError
        When there are more or fewer than patches.
    """
    if values is None:
        return None
    if values.size != n:
        raise InputError(
            f"{source}: has {n} patches and {values.size} groups; there must be one for each"
        )
    return np.array([_text(value) for value in np.ravel(values)], object)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
