"""Drawing labelled points from the truth of synthetic sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from napari_lungcls.annotation.points import Points
from napari_lungcls.errors import InputError
from napari_lungcls.synthetic.sections import LungSection
from napari_lungcls.synthetic.stacks import LungStack


def sample_points(
    section: LungSection | LungStack,
    per_class: int,
    *,
    classes: Sequence[str] = ("alveoli", "septa", "duct"),
    margin: float | Mapping[str, float] = 1.0,
    seed: int = 0,
) -> Points:
    """Draw points at random, uniformly over the area of every class.

    Parameters
    ----------
    section
        A section, or a stack, whose points then have three coordinates. A lazy stack is
        computed plane by plane.
    per_class
        How many pixels of each class.
    classes
        Names from the section's scheme.
    margin
        How many pixels a point must be further than from the nearest pixel of another class
        or of none; one number, or one per class (missing: 0). With 0, every pixel with the
        class may be drawn. Septa are only about three pixels thick at 1.8 µm per pixel, so
        that 2 leaves few of them.
    seed
        0 or larger. The same section and seed give the same points.

    Returns
    -------
    Points at pixel centres, `(y, x)` or `(z, y, x)`, sorted by class in the order of
    `classes`; no pixel is drawn twice.

    Raises
    ------
    InputError
        When a class is unknown or has too few such pixels.

    Examples
    --------
    >>> points = sample_points(make_section((128, 128), seed=3), 5, classes=("alveoli", "septa"))
    >>> list(points.labels).count("septa")
    5
    """
    if per_class < 1 or seed < 0:
        raise InputError(
            f"{per_class} points per class with seed {seed}: give at least 1 point and a seed "
            "of 0 or more"
        )
    rng = np.random.default_rng(seed)
    truth = section.truth if section.truth.ndim == 3 else section.truth[np.newaxis]
    margins = margin if isinstance(margin, Mapping) else dict.fromkeys(classes, margin)
    chosen = [
        _drawn(truth, section.scheme.code(name) + 1, name, per_class, margins.get(name, 0.0), rng)
        for name in classes
    ]
    coordinates = np.concatenate(chosen).astype(np.float64)
    labels = np.repeat(np.array(list(classes), dtype=object), per_class)
    return Points.build(coordinates[:, 3 - section.truth.ndim :], labels)


def _drawn(
    truth: NDArray[np.uint8],
    value: int,
    name: str,
    count: int,
    margin: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw pixels (count, 3), plane by plane in proportion to the class's area in each."""
    inner = [_inner(np.asarray(plane), value, margin) for plane in truth]
    sizes = np.array([len(flat) for flat in inner])
    if sizes.sum() < count:
        raise InputError(
            f"class {name} has {sizes.sum()} pixels more than {margin:g} px from other classes, "
            f"{count} are wanted; make the section larger, the margin smaller, or ask for fewer"
        )
    order = np.sort(rng.choice(int(sizes.sum()), size=count, replace=False))
    first = np.concatenate([[0], np.cumsum(sizes)])
    plane = np.searchsorted(first, order, side="right") - 1
    flat = np.array([inner[k][at - first[k]] for k, at in zip(plane, order, strict=True)])
    y, x = np.unravel_index(flat, truth.shape[1:])
    return rng.permutation(np.stack([plane, y, x], axis=1).astype(np.int64))


def _inner(plane: NDArray[np.uint8], value: int, margin: float) -> NDArray[np.int64]:
    """List the flat indices of pixels of a class that lie more than `margin` inside it."""
    mask = plane == value
    if margin > 0 and not mask.all():
        mask = distance_transform_edt(mask) > margin
    return np.flatnonzero(mask)
