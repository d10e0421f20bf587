"""Is this the same run? What must be alike before a training, search or painting goes on.

An identity is a dict of plain values: settings, hashes of points, descriptions of images, and
under `PIXELS` hashes of a few places in them. It is stored as JSON with what it identifies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack

PIXELS = "pixels"
"""Key of the hashes of places; one that cannot be read is None and equals any other."""

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


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Say in words what differs between two identities, with both values where they are short.

    Parameters
    ----------
    before
        As it was stored.
    now
        As it is asked for.

    Returns
    -------
    str or None
        Such as `another setting seed (0 before, 1 now)`; None when they are the same.
    """
    # As a file gives it back, where tuples are lists.
    now = json.loads(json.dumps(now))
    if PIXELS not in before:
        return "another version of this program"
    for key in sorted((before.keys() | now.keys()) - {PIXELS}):
        old, new = before.get(key), now.get(key)
        if old != new:
            short = max(len(str(old)), len(str(new))) <= _SHOWN
            return f"another {key}" + (f" ({_said(old)} before, {_said(new)} now)" if short else "")
    pixels = before.get(PIXELS, ()), now.get(PIXELS, ())
    if len(pixels[0]) != len(pixels[1]):
        return "another version of this program"
    known = (both for both in zip(*pixels, strict=True) if None not in both)
    return "other pixels in the images" if any(old != new for old, new in known) else None


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


def _said(value: Any) -> str:
    return "none" if value is None else str(value)
