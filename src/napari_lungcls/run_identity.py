"""Is this the same run? What must be alike before a training, search or painting goes on.

An identity is a dict of plain values: settings, hashes of points, descriptions of images, and
under `PIXELS` hashes of a few places in them. It is stored as JSON with what it identifies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.utils.renamed import current_name

if TYPE_CHECKING:
    from napari_lungcls.annotation import Points
    from napari_lungcls.images.stack import ImageStack

PIXELS = "pixels"
"""Key of the hashes of places; one that cannot be read is None and equals any other."""

SETTING = "setting "
"""Beginning of the keys of settings, which messages name in the terms of their reader."""

ANOTHER_VERSION = "another version of this program"

SAMPLES = 64
"""Places that are read at the most of all images of a training together."""

DIAGONAL = 8
"""Places that are read of an image to paint."""

EDGE = 32
"""Edge of these places in pixels."""

_SHOWN = 60
"""Characters of a value that is shown in a message."""


def digest(*arrays: NDArray[Any]) -> str:
    """Hash arrays, one after the other."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def describe_images(pairs: Sequence[tuple[ImageStack, Points]]) -> dict[str, Any]:
    """Describe images and a sample of their pixels around the points.

    At most `SAMPLES` places are read, spread evenly over the points of each image; of more
    images than that, some are left out.
    """
    chosen = np.unique(np.linspace(0, len(pairs) - 1, SAMPLES).astype(int))
    each = max(1, SAMPLES // len(chosen))
    samples: list[str | None] = []
    for number in chosen:
        stack, points = pairs[number]
        rows = np.unique(np.linspace(0, max(0, len(points) - 1), each).astype(int))[: len(points)]
        samples += _samples(stack, points.coordinates[rows])
    return {
        "images": [[s.name, list(s.shape), str(s.dtype), s.channels] for s, _ in pairs],
        PIXELS: samples,
    }


def diagonal_samples(stack: ImageStack) -> list[str | None]:
    """Hash places on a diagonal through a stack, from its first corner to its last."""
    last = np.array([*stack.leading, *stack.plane_shape]) - 1
    return list(_samples(stack, np.linspace(0, 1, DIAGONAL)[:, np.newaxis] * last))


@dataclass(frozen=True)
class Difference:
    """What differs between two identities.

    Attributes
    ----------
    words
        Such as `another setting seed (0 before, 1 now)`; also `str()` of the difference.
    remedy
        How to ask for the same as before; for a setting, its name and value then.
    """

    words: str
    remedy: str | Mapping[str, Any] = "use the same"

    def __str__(self) -> str:
        """Give the words."""
        return self.words


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> Difference | None:
    """Find what differs between two identities, with both values where they are short.

    Parameters
    ----------
    before
        As it was stored.
    now
        As it is asked for.

    Returns
    -------
    Difference or None
        The first that is found; None when they are the same.
    """
    # As a file gives it back, where tuples are lists.
    now = json.loads(json.dumps(now))
    before = {_current(key): value for key, value in before.items()}
    if PIXELS not in before:
        return Difference(ANOTHER_VERSION)
    for key in sorted((before.keys() | now.keys()) - {PIXELS}):
        old, new = before.get(key), now.get(key)
        if old != new:
            short = max(len(str(old)), len(str(new))) <= _SHOWN
            words = f" ({_said(old)} before, {_said(new)} now)" if short else ""
            setting = key.removeprefix(SETTING)
            # What was not set before is left out again.
            again = old if short or old is None else ...
            remedy = "use the same" if setting == key else {setting: again}
            return Difference(f"another {key}{words}", remedy)
    pixels = before.get(PIXELS, ()), now.get(PIXELS, ())
    if len(pixels[0]) != len(pixels[1]):
        return Difference(ANOTHER_VERSION)
    known = (both for both in zip(*pixels, strict=True) if None not in both)
    changed = any(old != new for old, new in known)
    return Difference("other pixels in the images") if changed else None


def _samples(stack: ImageStack, centres: ArrayLike) -> Iterator[str | None]:
    """Hash squares of a stack around centres `(n, ndim)`, in pixels; at edges they lie inside."""
    shape = np.array([*stack.leading, *stack.plane_shape])
    for centre in np.clip(np.rint(np.asarray(centres)), 0, shape - 1).astype(int):
        *index, y, x = map(int, centre)
        rows, columns = (
            slice(start, min(size, start + EDGE))
            for at, size in zip((y, x), stack.plane_shape, strict=True)
            for start in [max(0, min(at - EDGE // 2, size - EDGE))]
        )
        try:
            yield digest(stack.plane(index).read(rows, columns))
        except InputError:
            yield None


def _current(key: str) -> str:
    """Call a setting that an earlier version stored as it is called now."""
    name = key.removeprefix(SETTING)
    return key if name == key else SETTING + current_name(name, warn=False)


def _said(value: Any) -> str:
    return "none" if value is None else str(value)
