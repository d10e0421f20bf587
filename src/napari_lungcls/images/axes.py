"""Identifying the axes of an array, and views of arrays with their axes in our order."""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError, Suggestion
from napari_lungcls.images.damage import READ_ERRORS

MAX_CHUNK = 4 * 2**30
"""Bytes of the largest chunk that is read; damaged headers may announce terabytes."""


_ROWS_FROM_END, _COLUMNS_FROM_END, _SWAPPED = (3, 4, 6, 7), (2, 3, 7, 8), (5, 6, 7, 8)
"""Values of the tag Orientation (TIFF, EXIF) by which stored rows or columns are shown from
their end, or rows as columns."""


@dataclass(frozen=True)
class Layout:
    """Which axis of the file is which axis of the stack.

    Attributes
    ----------
    names
        Of the axes of the stack, without the channel; the last two are `y` and `x`.
    order
        The axis of the file for each axis of the stack; with `rgb` the channel is the last.
    rgb
        Whether there is a channel axis.
    channels
        Its length; 0 if there is none or it holds the colour samples of a pixel.
    """

    names: tuple[str, ...]
    order: tuple[int, ...]
    rgb: bool
    channels: int = 0


_ALIASES = {
    "c": ("channel", "channels", "ch", "band", "bands", "colour", "color", "colours", "colors"),
    "s": ("sample", "samples", "rgb", "rgba"),
    "t": ("time", "frame", "frames"),
    "z": ("depth", "slice", "plane"),
    "y": ("row", "rows", "height"),
    "x": ("col", "cols", "column", "columns", "width"),
}
_NAMES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def axis_name(name: object) -> str:
    """Return the one-letter name of an axis with a common name such as `Channel`."""
    plain = str(name).strip().lower()
    return _NAMES.get(plain, plain)


def described_axes(*descriptions: Sequence[object], ndim: int, source: str) -> list[str] | None:
    """Return the names of an array's axes as stated by the file or object.

    Parameters
    ----------
    *descriptions
        Names in the order of the array, from every place that states some. Those without `y`
        and `x` (`dim_0`, empty labels) do not help and are ignored.
    ndim
        Number of axes of the array.
    source
        Names it in errors.

    Returns
    -------
    list of str or None
        Lower-case names as `arrange` takes them; None if there are none.

    Raises
    ------
    InputError
        When a description does not fit the array or contradicts another.
    """
    found: list[str] | None = None
    for description in descriptions:
        names = [axis_name(name) for name in description]
        if not {"y", "x"} & set(names):
            continue
        if len(names) != ndim:
            raise InputError(
                f"{source}: names {len(names)} axes ({', '.join(names)}) of an array that has "
                f"{ndim}; correct its metadata, or export it again"
            )
        if found is not None and names != found:
            raise InputError(
                f"{source}: calls its axes {', '.join(found)} in one place and "
                f"{', '.join(names)} in another; correct its metadata, or export it again"
            )
        found = names
    return found


def arrange(
    axes: Sequence[str], shape: Sequence[int], source: str, *, choosing: bool = False
) -> Layout:
    """Put axes into the order `(…, y, x)` or `(…, y, x, channel)`.

    Parameters
    ----------
    axes
        Lower-case names in the order of the file. `c` and `s` (samples of one pixel) are
        channels; `t` comes first among the others and `z` last.
    shape
        Lengths of these axes.
    source
        Names the file in errors.
    choosing
        Whether some of the channels will be chosen, so that there may be any number of them.
        Pages that the file does not name (`i`, `q`) are then channels, if nothing else is.

    Raises
    ------
    InputError
        When `y` or `x` is missing, or there are channels that are not three colours.
    """
    names = list(axes)
    if len(names) != len(shape) or names.count("y") != 1 or names.count("x") != 1:
        raise InputError(
            f"{source}: needs one y and one x axis, not {''.join(names)!r} of shape "
            f"{tuple(shape)}; save it as an image with axes (…, y, x)"
        )
    channels = [i for i, name in enumerate(names) if name in ("c", "s")]
    many = [i for i in channels if shape[i] != 1]
    if choosing and not many:
        many = [i for i, name in enumerate(names) if name in ("i", "q")][:1]
        channels += many
    colours = len(many) == 1 and shape[many[0]] in ((3, 4) if names[many[0]] == "s" else (3,))
    if len(many) > 1 or (many and not colours and not choosing):
        raise InputError(
            f"{source}: has {' and '.join(str(shape[i]) for i in many)} channels, but an image "
            "is grey or has three colours",
            suggestion=_remedy(shape[many[0]] if len(many) == 1 else 0),
        )
    rest = [i for i, name in enumerate(names) if i not in channels and name not in ("y", "x")]
    rest.sort(key=lambda i: {"t": -1, "z": 1}.get(names[i], 0))
    plane = [*rest, names.index("y"), names.index("x")]
    length = shape[many[0]] if many and names[many[0]] != "s" else 0
    return Layout(tuple(names[i] for i in plane), (*plane, *many), bool(many), length)


def _remedy(count: int) -> Suggestion:
    if not count:
        return "save one channel, or three as RGB"
    some = ",".join(map(str, range(min(count, 3))))
    return f"choose some of 0 to {count - 1}: for example,", {"channels": some}


def channel_axis_of(shape: Sequence[int]) -> int | None:
    """Guess which axis of an array holds channels, None if it has only two.

    It is the last axis or the one before y and x, whichever is shorter.
    """
    if len(shape) < 3:
        return None
    return -1 if shape[-1] < shape[-3] else -3


def guess_axes(shape: Sequence[int], *, choosing: bool = False) -> tuple[str, ...]:
    """Guess the names of the axes of an array that does not state them.

    The last axis is the channel when it has 3 or 4 entries and the two before it are
    longer, or when it has one entry. What comes before `y` and `x` is `z`, then `t`. When
    some channels will be chosen, there must be an axis of channels; see `channel_axis_of`.
    """
    axis = None
    if choosing:
        axis = channel_axis_of(shape)
    elif len(shape) > 2 and (
        shape[-1] == 1 or (shape[-1] in (3, 4) and min(shape[-3:-1]) > shape[-1])
    ):
        axis = -1
    plane = len(shape) - (axis is not None)
    names = [f"axis{i}" for i in range(plane - 4)] + list("tzyx")[-plane:]
    if axis is not None:
        names.insert(len(shape) + axis, "s")
    return tuple(names)


def upright(
    order: Sequence[int], orientation: int, rows: int, columns: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Show a picture in its orientation (CIPA DC-008): arguments of a `LazyView` of it.

    Parameters
    ----------
    order
        The axis of the file for each axis of the view, as it is stored.
    orientation
        1 to 8; 1 changes nothing.
    rows, columns
        Axes of the file that hold the stored rows and columns.

    Returns
    -------
    order, flipped
        As `LazyView` takes them.
    """
    swapped = {rows: columns, columns: rows} if orientation in _SWAPPED else {}
    sides = ((rows, _ROWS_FROM_END), (columns, _COLUMNS_FROM_END))
    flipped = tuple(axis for axis, values in sides if orientation in values)
    return tuple(swapped.get(axis, axis) for axis in order), flipped


class Opened:
    """Closes a file when the last array that reads from it is gone."""

    def __init__(self, close: Callable[[], Any]) -> None:
        self.close = weakref.finalize(self, close)


class LazyView:
    """A lazy view of an array on disk with its axes in another order.

    Parameters
    ----------
    array
        Anything with `shape`, `dtype` and indexing by whole numbers and slices that gives
        numpy arrays.
    source
        Names the file when reading fails.
    order
        The axis of `array` for each axis of the view; every other axis has one entry or is
        read at its first.
    opened
        Kept alive by the view, so that the file stays open.
    dtype
        Type to convert to; by default the array's own.
    flipped
        Axes of `array` that are read from their end.

    Raises
    ------
    InputError
        When the file is stored in chunks above `MAX_CHUNK` bytes.

    Notes
    -----
    Indexing takes whole numbers, slices with positive steps and `...`, and gives numpy
    arrays in native byte order.
    """

    def __init__(
        self,
        array: Any,
        source: str,
        order: Sequence[int] | None = None,
        opened: Opened | None = None,
        dtype: Any = None,
        flipped: Collection[int] = (),
    ) -> None:
        self.array = array
        self._source = source
        self._order = tuple(order) if order is not None else tuple(range(len(array.shape)))
        self._opened, self._flipped = opened, frozenset(flipped)
        self.shape = tuple(int(array.shape[axis]) for axis in self._order)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(array.dtype if dtype is None else dtype).newbyteorder("=")
        piece = math.prod(_pieces(array) or ()) * np.dtype(array.dtype).itemsize
        if piece > MAX_CHUNK:
            raise InputError(
                f"{source}: is stored in pieces of {piece / 2**30:.1f} GiB, which can only be "
                "read whole; save it in tiles, or copy it again if it is damaged"
            )

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Lengths of the chunks in the file; None if unknown or counted from an axis's end."""
        found = _pieces(self.array)
        if found is None or self._flipped:
            return None
        return tuple(found[axis] for axis in self._order)

    def __len__(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    def __repr__(self) -> str:
        """Describe it without reading it."""
        return f"<LazyView {self.shape} {self.dtype} of {self._source}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything, for numpy."""
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a region.

        Raises
        ------
        IndexError
            For an index outside the array.
        InputError
            When the file is damaged there.
        """
        keys = [_index(k, n) for k, n in zip(_expand(key, self.ndim), self.shape, strict=True)]
        kept = [a for a, k in zip(self._order, keys, strict=True) if isinstance(k, slice)]
        lengths = [len(range(k.start, k.stop, k.step)) for k in keys if isinstance(k, slice)]
        if 0 in lengths:
            return np.empty(lengths, self.dtype)
        place: list[int | slice] = [0] * len(self.array.shape)
        for axis, k in zip(self._order, keys, strict=True):
            place[axis] = _from_end(k, self.array.shape[axis]) if axis in self._flipped else k
        try:
            stored = np.asarray(self.array[tuple(place)])
        except InputError:
            raise
        except READ_ERRORS as error:
            raise InputError(
                f"{self._source}: cannot be read ({error or type(error).__name__}); the file "
                "is damaged or incomplete, copy or export it again"
            ) from error
        in_file = sorted(kept)
        ends = tuple(i for i, axis in enumerate(in_file) if axis in self._flipped)
        region: NDArray[Any] = np.flip(stored, ends)
        region = region.transpose([in_file.index(axis) for axis in kept])
        return region.astype(self.dtype, copy=False)


def _from_end(key: int | slice, length: int) -> int | slice:
    """Mirror an entry of a key along its axis; what a slice reads is then in reverse order."""
    if isinstance(key, int):
        return length - 1 - key
    entries = range(key.start, key.stop, key.step)
    return slice(length - 1 - entries[-1], length - entries[0], key.step)


def _pieces(array: Any) -> tuple[int, ...] | None:
    """Lengths of the largest pieces an array is stored in; dask and xarray list all of them."""
    found = getattr(array, "chunks", None)
    if not isinstance(found, tuple | list):
        return None
    return tuple(max(n) if isinstance(n, tuple) else int(n) for n in found)


def _expand(key: Any, ndim: int) -> list[Any]:
    """Expand a key to one entry per axis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(dots) > 1 or len(keys) - len(dots) > ndim:
        raise IndexError(f"too many indices for {ndim} axes: {key!r}")
    at = dots[0] if dots else len(keys)
    missing = ndim - (len(keys) - len(dots))
    return [*keys[:at], *[slice(None)] * missing, *keys[at + len(dots) :]]


def _index(key: Any, length: int) -> int | slice:
    """Check one entry of a key and resolve negative indices."""
    if isinstance(key, slice):
        start, stop, step = key.indices(length)
        if step < 1:
            raise IndexError(f"slices need positive steps, not {step}")
        return slice(start, max(start, stop), step)
    position = operator.index(key)
    if not -length <= position < length:
        raise IndexError(f"{position} is outside an axis of length {length}")
    return position % length
