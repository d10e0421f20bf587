"""Choosing and mixing channels into grey or RGB, lazily."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView, channel_axis_of

Choice = str | int | Sequence[int | str | Sequence[int | str]]
"""Channels as the user gives them: `"0+3,1,2"`, `2`, `(0, 2, 1)`, `((0, 3), 1, 2)`."""


@dataclass(frozen=True)
class Channels:
    """Which channels make which colour.

    Attributes
    ----------
    colours
        One, two or three, each with its channels, by number or name; their mean is taken.
        One colour is grey, of two the third is black.
    """

    colours: tuple[tuple[int | str, ...], ...]

    @classmethod
    def parse(cls, given: Choice) -> Channels:
        """Parse what the user gave.

        Raises
        ------
        InputError
            When it is not one to three colours.
        """
        words = given.split(",") if isinstance(given, str) else given
        parts = [words] if isinstance(words, int) else list(words)
        colours = tuple(tuple(_channel(word) for word in _words(part)) for part in parts)
        if not 1 <= len(colours) <= 3 or not all(colours) or any("" in c for c in colours):
            raise InputError(
                f"{given}: give one to three colours, each a channel or several joined by +, "
                "such as 2 or 0+3,1,2",
                setting="channels",
            )
        return cls(colours)

    def numbered(self, count: int, names: Sequence[str], source: str) -> Channels:
        """Replace channel names by numbers.

        Parameters
        ----------
        count
            Channels of the image.
        names
            Their names in the file, if any.
        source
            Names it in errors.

        Raises
        ------
        InputError
            When the image does not have one of the channels.
        """
        known = {name: i for i, name in enumerate(names)}
        if not len(known) == len(names) == count:
            known = {}
        for channel in (c for colour in self.colours for c in colour):
            if channel not in known and channel not in range(count):
                called = f": {', '.join(known)}" if known else ""
                raise InputError(
                    f"{source} has no channel {channel}, but {count}, 0 to {count - 1}{called}",
                    setting="channels",
                )
        return Channels(
            tuple(tuple(known[c] if isinstance(c, str) else c for c in cs) for cs in self.colours)
        )

    def __str__(self) -> str:
        """Write it as it is given on the command line."""
        return ",".join("+".join(map(str, colour)) for colour in self.colours)


def _words(part: int | str | Sequence[int | str]) -> Sequence[int | str]:
    if isinstance(part, str):
        return part.split("+")
    return part if isinstance(part, Sequence) else [part]


def _channel(word: int | str) -> int | str:
    if not isinstance(word, str):
        return operator.index(word)
    name = word.strip()
    return int(name) if name.isdecimal() else name


def mix(
    levels: Sequence[Any],
    choice: Choice,
    *,
    rgb: bool | None,
    axis: int | None,
    names: Sequence[str],
    source: str,
) -> tuple[list[Any], bool, str | None]:
    """Make a grey or RGB image from the channels of another one, without reading it.

    Parameters
    ----------
    levels
        Arrays with the same axes, finest first.
    choice
        Which channels to use.
    rgb
        Whether the last axis holds channels; if None, that or the one before y and x may.
    axis
        That axis, if the caller knows it.
    names
        Their names in the file, if any.
    source
        Names the image in errors.

    Returns
    -------
    levels
        The arrays `(…, y, x)` or `(…, y, x, 3)`.
    rgb
        Whether they have colours.
    channels
        The chosen channels by number; None if there is nothing to choose.

    Raises
    ------
    InputError
        When the choice cannot be read, or the image does not have these channels.
    """
    channels, ndim = Channels.parse(choice), len(levels[0].shape)
    if axis is None:
        axis = channel_axis_of(levels[0].shape) if rgb is None else -1 if rgb else None
    elif not -ndim <= axis < ndim:
        raise InputError(f"{source}: the axis of the channels is one of {ndim}, not {axis}")
    if axis is None:
        if channels.colours != ((0,),):
            raise InputError(
                f"{source} has no channels to choose from",
                suggestion={"channels": None},
            )
        return list(levels), False, None
    axis %= ndim
    order = [*(i for i in range(ndim) if i != axis), axis]
    views = [LazyView(level, source, order) for level in levels]
    numbered = channels.numbered(min(view.shape[-1] for view in views), names, source)
    mixed = [LazyView(_Mixed(view, numbered), source) for view in views]
    return mixed, len(numbered.colours) > 1, str(numbered)


def per_channel(found: Sequence[str], count: int) -> list[str]:
    """Return what a file says about each channel; empty strings if it does not fit their number."""
    return list(found) if len(found) == count else [""] * count


def unmixed(view: Any) -> Any:
    """Return the array `(…, channel)` behind a mixed view; other arrays unchanged."""
    mixed = getattr(view, "array", None)
    return mixed.array if isinstance(mixed, _Mixed) else view


def stored(array: Any) -> Any:
    """Return the array that a view ultimately reads from."""
    while isinstance(array, LazyView | _Mixed):
        array = array.array
    return array


class _Mixed:
    """An array `(…, channel)` seen as `(…)` or `(…, 3)`, for use in a `LazyView`.

    Parameters
    ----------
    array
        With the channel as its last axis.
    channels
        Which channels make which colour. Means of integers are rounded.
    """

    def __init__(self, array: LazyView, channels: Channels) -> None:
        self.array = array
        self.dtype = array.dtype
        self._grey = len(channels.colours) == 1
        black: tuple[()] = ()
        self._colours: Any = channels.colours if self._grey else (*channels.colours, black)[:3]
        colour = () if self._grey else (3,)
        self.shape = (*array.shape[:-1], *colour)
        pieces = array.chunks
        self.chunks = None if pieces is None else (*pieces[:-1], *colour)
        self._together = 1 if pieces is None else pieces[-1]

    def __getitem__(self, place: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a region; an entry for every axis, slices with start, stop and step."""
        front, wanted = (place, 0) if self._grey else (place[:-1], place[-1])
        if isinstance(wanted, slice):
            colours = self._colours[wanted]
            read = self._read(front, {c for colour in colours for c in colour})
            return np.stack([self._mean(front, read, colour) for colour in colours], axis=-1)
        colour = self._colours[wanted]
        return self._mean(front, self._read(front, set(colour)), colour)

    def _read(self, front: tuple[int | slice, ...], needed: set[int]) -> dict[int, NDArray[Any]]:
        """Read channels, those in one chunk of the file at once."""
        read: dict[int, NDArray[Any]] = {}
        for _, group in groupby(sorted(needed), key=lambda c: c // self._together):
            first, *others = group
            region = self.array[(*front, slice(first, max(others, default=first) + 1))]
            read |= {c: region[..., c - first] for c in (first, *others)}
        return read

    def _mean(
        self,
        front: tuple[int | slice, ...],
        read: dict[int, NDArray[Any]],
        colour: tuple[int, ...],
    ) -> NDArray[Any]:
        if len(colour) == 1:
            return read[colour[0]]
        if not colour:
            lengths = [len(range(k.start, k.stop, k.step)) for k in front if isinstance(k, slice)]
            return np.zeros(lengths, self.dtype)
        total = np.zeros(read[colour[0]].shape, np.float64)
        for channel in colour:
            total += read[channel]
        total /= len(colour)
        return (total if self.dtype.kind == "f" else np.rint(total)).astype(self.dtype)
