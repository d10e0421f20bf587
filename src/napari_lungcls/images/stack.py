"""Every image as a lazy stack of planes, plain or multiscale, grey or RGB."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView, guess_axes
from napari_lungcls.images.channels import Choice, mix, unmixed
from napari_lungcls.images.damage import DAMAGE, DamagedInput, damaged_places
from napari_lungcls.images.geometry import is_inside
from napari_lungcls.utils.printable import printable


class ImageStack:
    """An image `(…, y, x)` or `(…, y, x, channel)` that is read region by region.

    Parameters
    ----------
    levels
        The array, or a list of arrays for a multiscale image, finest first. Anything with
        `shape`, `dtype` and numpy slicing: numpy, dask, zarr, h5py. Levels that are
        downsampled along other axes than y and x, or unevenly, are ignored.
    rgb
        Whether the last axis holds colours. By default it does when it has 3 or 4 entries
        and the two axes before it are larger, as napari guesses; one entry is a grey image.
    pixel_size
        Micrometres per pixel along y and x, or None when unknown.
    scale, translate
        World units per pixel and position of the first pixel's centre, one number per axis
        without the channel.
    unit
        The name of the world unit, for example `micrometer` or `pixel`.
    name, source
        What to call the image in messages and layers, and where it came from.
    channels
        Which of any number of channels to use: `"2"` takes one as grey, `"0,2,1"` three as red,
        green and blue; with `"0,1"` blue is black, and with `"0+3,1,2"` red is the mean of two.
        Numbers and sequences of numbers work as well.
    channel_axis
        The axis of the arrays that holds them. By default the last with `rgb`; where that is
        not given, the last or the one before y and x, whichever is shorter.
    channel_names
        Their names, by which `channels` may refer to them.
    axis_names
        Names of the axes without the channel, such as `("z", "y", "x")`, if known.
    channel_colours
        Colours in which a viewer shows them, such as `#00ff00`; empty if unknown.

    Raises
    ------
    InputError
        When the arrays cannot be an image.

    Examples
    --------
    >>> stack = lc.ImageStack(np.arange(24).reshape(2, 3, 4), pixel_size=0.5)
    >>> stack.shape, stack.leading, stack.plane_shape
    ((2, 3, 4), (2,), (3, 4))
    >>> stack.plane((1,)).read(slice(0, 1), slice(0, 2))[..., 0]
    array([[12., 13.]], dtype=float32)
    """

    def __init__(
        self,
        levels: Any,
        *,
        rgb: bool | None = None,
        pixel_size: float | None = None,
        scale: Sequence[float] | None = None,
        translate: Sequence[float] | None = None,
        unit: str = "pixel",
        name: str = "image",
        source: str | None = None,
        channels: Choice | None = None,
        channel_axis: int | None = None,
        channel_names: Sequence[str] = (),
        channel_colours: Sequence[str] = (),
        axis_names: Sequence[str] = (),
    ) -> None:
        self.name = printable(name)
        self.source = source or self.name
        self.levels = _as_levels(levels, self.source)
        self._check_axes()
        self.channel_names, self.channel_colours = tuple(channel_names), tuple(channel_colours)
        """For all channels of the file, whichever were chosen; empty for RGB images."""
        self.axis_names = tuple(axis_names)
        """Names of the axes without the channel; empty if unknown."""
        self.channels: str | None = None
        """The chosen channels of the file, by number; None if all are used."""
        if channels is not None:
            self.levels, rgb, self.channels = mix(
                self.levels,
                channels,
                rgb=rgb,
                axis=channel_axis,
                names=channel_names,
                source=self.source,
            )
        if rgb is None:
            last = guess_axes(self.levels[0].shape)[-1:]
            rgb = last == ("s",) and self.levels[0].shape[-1] != 1
            if last == ("s",) and not rgb:
                order = range(len(self.levels[0].shape) - 1)
                self.levels = [LazyView(level, self.source, order) for level in self.levels]
        self.rgb = rgb
        self._check()
        factors = [_factor(self.plane_shape, self._plane_shape(a)) for a in self.levels]
        even = [
            factor is not None and tuple(level.shape[: len(self.leading)]) == self.leading
            for level, factor in zip(self.levels, factors, strict=True)
        ]
        self.levels = [level for level, use in zip(self.levels, even, strict=True) if use]
        self.factors = tuple(f for f, use in zip(factors, even, strict=True) if use and f)
        """How many pixels of the finest level one pixel of each level spans."""
        self.pixel_size = None if pixel_size is None else _positive(pixel_size, self.source)
        self.unit = unit
        self.scale = _per_axis(scale, self.ndim, 1.0, "scale")
        self.translate = _per_axis(translate, self.ndim, 0.0, "translate")
        self.turned = False
        """Whether the stored pixels were rotated or mirrored for display, as EXIF may ask for."""
        self.path: str | None = None
        """Where another process can open the same image (with `channels`); None if in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis, without the channel."""
        full = tuple(int(n) for n in self.levels[0].shape)
        return full[:-1] if self.rgb else full

    @property
    def ndim(self) -> int:
        """Number of axes without the channel."""
        return len(self.shape)

    @property
    def leading(self) -> tuple[int, ...]:
        """Lengths of the axes before `(y, x)`."""
        return self.shape[:-2]

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width of a plane in pixels."""
        return cast(tuple[int, int], self.shape[-2:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the intensities, in the byte order of this machine."""
        stored: np.dtype[Any] = np.dtype(self.levels[0].dtype)
        return stored.newbyteorder("=")

    def plane(self, index: Sequence[int] = ()) -> Plane:
        """One 2-D plane, by its position along the leading axes."""
        if len(index) != len(self.leading):
            raise InputError(
                f"{self.source} has {len(self.leading)} axes before (y, x); "
                f"a plane needs as many numbers, not {len(index)}"
            )
        return Plane(self, tuple(int(i) for i in index))

    def planes(self) -> Iterator[Plane]:
        """All planes, last axis fastest."""
        for index in np.ndindex(*self.leading):
            yield Plane(self, index)

    def with_pixel_size(self, pixel_size: float | None) -> ImageStack:
        """Return the same image with another pixel size; None changes nothing."""
        if pixel_size is None:
            return self
        other = copy.copy(self)
        other.pixel_size = _positive(pixel_size, self.source)
        return other

    def with_channels(self, levels: Sequence[Any], channels: Choice) -> ImageStack:
        """Return an image in the same place, of channels of arrays `(…, y, x, channel)`."""
        return ImageStack(
            levels,
            pixel_size=self.pixel_size,
            scale=self.scale,
            translate=self.translate,
            unit=self.unit,
            name=self.name,
            source=self.source,
            channels=channels,
            channel_axis=-1,
            axis_names=self.axis_names,
        )

    def each_channel(self) -> list[ImageStack]:
        """Return a grey image of each channel of the file, whichever were chosen here."""
        levels = [unmixed(level) for level in self.levels]
        found = []
        for i in range(len(self.channel_names)):
            channel = self.with_channels(levels, i)
            channel.path = self.path
            found.append(channel)
        return found

    def _plane_shape(self, level: Any) -> tuple[int, int]:
        height, width = level.shape[-3:-1] if self.rgb else level.shape[-2:]
        return int(height), int(width)

    def _check_axes(self) -> None:
        for level in self.levels:
            shape = tuple(level.shape)
            if len(shape) != len(self.levels[0].shape):
                raise InputError(
                    f"{self.source}: the levels of a multiscale image must have the same axes; "
                    f"these have shapes {tuple(self.levels[0].shape)} and {shape}"
                )

    def _check(self) -> None:
        for level in self.levels:
            shape = tuple(level.shape)
            if len(shape) < (3 if self.rgb else 2):
                raise InputError(f"{self.source}: an image needs axes (…, y, x); this has {shape}")
            if 0 in shape:
                raise InputError(f"{self.source} is empty: its shape is {shape}")
        if self.rgb and self.levels[0].shape[-1] not in (3, 4):
            raise InputError(
                f"{self.source}: the last axis should hold 3 or 4 colours, "
                f"not {self.levels[0].shape[-1]}"
            )
        if self.dtype.kind not in "uif" and self.dtype != np.bool_:
            raise InputError(
                f"{self.source}: intensities must be numbers, not {self.dtype}; "
                "convert the image to uint8, uint16 or float32"
            )


@dataclass(frozen=True)
class Plane:
    """One 2-D plane of a stack, not yet read.

    Attributes
    ----------
    stack
        The image that the plane belongs to.
    index
        Its position along the leading axes.
    """

    stack: ImageStack
    index: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.stack.plane_shape

    def read(
        self, rows: slice, columns: slice, level: int = 0
    ) -> NDArray[np.uint8 | np.uint16 | np.float32]:
        """Read a region that lies inside the plane.

        Returns
        -------
        ndarray, (y, x, channel)
            Channel has length 3 for RGB (alpha is dropped), else 1. Integers other than
            uint8 and uint16, booleans and other floats come as float32.

        Raises
        ------
        DamagedInput
            When a part of it cannot be read.
        """
        array = self.stack.levels[level]
        try:
            region = np.asarray(array[(*self.index, rows, columns)])
        except DAMAGE as error:
            where = damaged_places(
                array, self.index, (rows, columns), self.stack.factors[level], self.shape
            )
            raise DamagedInput(self.stack.source, error, where) from error
        region = region[..., :3] if self.stack.rgb else region[..., np.newaxis]
        return region.astype(stack_dtype(self.stack.dtype), copy=False)


def plane_indices(stack: ImageStack, coordinates: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the nearest plane of each point, `(n, ndim − 2)`."""
    # Up to half a step past the last plane counts as on it, but would round to the next.
    last = np.asarray(stack.leading, np.int64) - 1
    return np.clip(np.rint(coordinates[:, :-2]).astype(np.int64), 0, last)


def check_inside(
    stack: ImageStack, coordinates: NDArray[np.float64], points: str = "the points"
) -> None:
    """Raise an error for points outside the image.

    Raises
    ------
    InputError
        Naming the first point outside, or the wrong number of axes.
    """
    if coordinates.ndim != 2:
        raise InputError(
            f"{points}: coordinates have the shape (n, {stack.ndim}), one row for each point, "
            f"not {coordinates.shape}"
        )
    if coordinates.shape[1] != stack.ndim:
        raise InputError(
            f"{points}: the coordinates have {coordinates.shape[1]} axes, but {stack.source} has "
            f"{stack.ndim} {stack.shape}; give one coordinate per image axis, without colour"
        )
    bad = ~is_inside(coordinates, stack.shape)
    if (rows := np.flatnonzero(bad.any(axis=1))).size:
        where = ", ".join(f"{v:g}" for v in coordinates[rows[0]])
        lie = f"and {rows.size - 1} more lie" if rows.size > 1 else "lies"
        raise InputError(
            f"{points}: point {rows[0] + 1} at ({where}) {lie} outside {stack.source}, which has "
            f"shape {stack.shape}; are the coordinates data pixels (…, y, x) of this image?"
        )


def _as_levels(levels: Any, source: str) -> list[Any]:
    """Wrap a single array as a pyramid of one level; check that the finest comes first."""
    found = list(levels) if isinstance(levels, list | tuple) else [levels]
    if not found or not all(hasattr(a, "shape") and hasattr(a, "dtype") for a in found):
        raise InputError(
            "an image is an array (…, y, x[, colour]) or a list of arrays, finest first, "
            f"not {type(levels).__name__}"
        )
    if any(n != n for array in found for n in array.shape):
        raise InputError(
            f"{source}: its shape is not known, as dask chunks of unknown size give it; call "
            "compute_chunk_sizes() on the array first"
        )
    sizes = [math.prod(a.shape) for a in found]
    if sizes != sorted(sizes, reverse=True):
        raise InputError("the levels of a multiscale image must come finest first")
    return found


def _factor(full: tuple[int, int], small: tuple[int, int]) -> float | None:
    """Return the downsampling factor of a pyramid level; None if it is uneven.

    Odd sizes are rounded up or down when a pyramid is made: 4447 and 2223 rows mean 2. Of
    the integers that explain both sizes, a power of two is the most likely.
    """
    ratio = max(n / m for n, m in zip(full, small, strict=True))
    powers = [2**i for i in range(max(full).bit_length())]
    for factor in (*powers, max(1, round(ratio))):
        if all(m in (n // factor, -(-n // factor)) for n, m in zip(full, small, strict=True)):
            return float(factor)
    least = max(n / (m + 1) for n, m in zip(full, small, strict=True))
    most = min(n / max(m - 1, 0.5) for n, m in zip(full, small, strict=True))
    return ratio if least <= most else None


def _positive(pixel_size: float, source: str) -> float:
    if not (math.isfinite(pixel_size) and pixel_size > 0):
        raise InputError(f"{source}: the pixel size must be positive, not {pixel_size}")
    return float(pixel_size)


def _per_axis(
    values: Sequence[float] | None, ndim: int, default: float, what: str
) -> tuple[float, ...]:
    if values is None:
        return (default,) * ndim
    if len(values) != ndim:
        raise InputError(f"{what} needs one number per axis, {ndim}, not {len(values)}")
    return tuple(float(v) for v in values)


def stack_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the type in which regions of an image of `dtype` are read."""
    given = np.dtype(dtype).newbyteorder("=")
    return given if given in (np.uint8, np.uint16, np.float32) else np.dtype(np.float32)
