"""Where labelled points lie, over all images: all that a split has to know of them."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import GROUP_COLUMN
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.pixel_size import check_zooms, effective_zooms, size_remark
from napari_lungcls.images.stack import ImageStack, check_inside, plane_indices
from napari_lungcls.utils.names import comparable, path_key, warn_of_case

COMPRESSED = 16
"""Edge of the squares of pixels that JPEG, with halved colours, stores together."""


@dataclass(frozen=True)
class PointIndex:
    """Points of one or several images, in the order in which they were given.

    Attributes
    ----------
    coordinates
        `(n, 2)`: `(y, x)` in pixels of the point's own image.
    planes
        `(n,)` numbers that differ between planes, of the same image or of others.
    codes
        `(n,)` classes.
    images
        `(n,)` numbers of the images; one that is given twice is one image.
    plane_shapes
        `(n_planes, 2)`: height and width of each numbered plane in pixels.
    plane_places
        For each numbered plane the index of the pair to read it from (the first that has its
        image), and the index of the plane in that stack.
    groups
        `(n,)` numbers of the groups that the points name, or None when none does.
    effective
        For each pair, pixels of its image per zoomed pixel, see `effective_zooms`.
    cut_steps, cut_gaps
        For each numbered plane, the pixels of which lines between regions are a multiple, so
        that neither a stored nor a computed zoomed pixel lies across a line; and the pixels to
        leave free on each side where that cannot be. 1 and 0 for all where empty.
    """

    coordinates: NDArray[np.float64]
    planes: NDArray[np.int64]
    codes: NDArray[np.int64]
    images: NDArray[np.int64]
    plane_shapes: NDArray[np.int64]
    plane_places: tuple[tuple[int, tuple[int, ...]], ...]
    groups: NDArray[np.int64] | None = None
    effective: tuple[tuple[float, ...], ...] = ()
    cut_steps: tuple[int, ...] = ()
    cut_gaps: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Count the points."""
        return len(self.codes)

    def plane_zooms(self, plane: int) -> tuple[float, ...]:
        """Return the pixels per zoomed pixel on a numbered plane."""
        return self.effective[self.plane_places[plane][0]]


def place_points(
    pairs: Sequence[Pair], scheme: ClassScheme, zooms: tuple[int, ...], pixel_size: float | None
) -> PointIndex:
    """Check points and say where they lie, without reading a pixel.

    Parameters
    ----------
    pairs
        Images with their points.
    scheme
        The classes.
    zooms
        Of the network.
    pixel_size
        Micrometres per pixel of the model, or None.

    Raises
    ------
    InputError
        When points and images cannot be trained on.

    Warns
    -----
    LungclsWarning
        When the pixel size of an image is assumed, or the image is resampled.
    """
    codes = check_pairs(pairs, scheme)
    images = [_identity(stack) for stack, _ in pairs]
    coordinates, places, effective = [], [], []
    for image, (stack, points) in zip(images, pairs, strict=True):
        zooms_here = effective_zooms(zooms, pixel_size, stack)
        check_zooms(zooms, zooms_here, stack)
        if line := size_remark(pixel_size, stack):
            warnings.warn(line, LungclsWarning, stacklevel=2)
        effective.append(zooms_here)
        first = images.index(image)
        _check_same(stack, zooms_here, pairs[first][0], effective[first])
        coordinates.append(points.coordinates[:, -2:])
        index = plane_indices(stack, points.coordinates)
        places += [(first, *where) for where in index.tolist()]
    planes = sorted(set(places))
    cuts = [_cuts(pairs[pair][0], effective[pair]) for pair, *_ in planes]
    return PointIndex(
        np.concatenate(coordinates),
        _numbers(places),
        codes,
        np.array([place[0] for place in places], np.int64),
        np.array([pairs[pair][0].plane_shape for pair, *_ in planes], np.int64),
        tuple((pair, tuple(index)) for pair, *index in planes),
        _groups(pairs),
        tuple(effective),
        tuple(step for step, _ in cuts),
        tuple(gap for _, gap in cuts),
    )


def count_labels(pairs: Sequence[Pair]) -> Counter[str]:
    """Count the points of each class over all images, however it is spelled."""
    labels = (points.labels for _, points in pairs if points.labels is not None)
    return Counter(comparable(str(label)) for each in labels for label in each)


def check_pairs(pairs: Sequence[Pair], scheme: ClassScheme) -> NDArray[np.int64]:
    """Refuse points that cannot be trained on, before anything is read.

    Returns
    -------
    ndarray, (n,)
        The codes of all points.

    Raises
    ------
    InputError
        Points outside their image, unknown classes, too few points or classes, images of
        different types.
    """
    if not pairs:
        raise InputError("training needs at least one image with its points")
    for stack, points in pairs:
        check_inside(stack, points.coordinates, points.source)
    codes = np.concatenate([points.codes(scheme) for _, points in pairs])
    check_codes(codes, scheme, ", ".join(dict.fromkeys(points.source for _, points in pairs)))
    types = {str(stack.dtype) for stack, _ in pairs}
    if len(types) > 1:
        raise InputError(
            f"the images have different types ({', '.join(sorted(types))}); convert them to one"
        )
    return codes


def check_codes(
    codes: NDArray[np.int64],
    scheme: ClassScheme,
    sources: str,
    one: str = "point",
    many: str = "points",
) -> None:
    """Refuse labels from which a network cannot learn every class of the scheme.

    Raises
    ------
    InputError
        Too few labels, one class only, or a class without any.
    """
    counts = np.bincount(codes, minlength=len(scheme))
    used = np.flatnonzero(counts)
    if len(codes) < len(scheme):
        raise InputError(
            f"{sources}: {len(codes)} {many} are fewer than the {len(scheme)} classes of the "
            f"scheme {scheme.name!r}; label at least a few {many} of each class"
        )
    if len(used) < 2:
        raise InputError(
            f"{sources}: all {many} are {scheme.names[used[0]]!r}; label at least two classes"
        )
    if len(used) < len(scheme):
        absent = ", ".join(scheme.names[i] for i in np.flatnonzero(counts == 0))
        raise InputError(
            f"{sources}: no {one} is labelled {absent}",
            suggestion=("label some, or", {"classes": ...}, "for a scheme without it"),
        )


def _check_same(
    stack: ImageStack, zooms: tuple[float, ...], first: ImageStack, first_zooms: tuple[float, ...]
) -> None:
    """Refuse an image that is given twice and is not read in the same way both times."""
    differences = {
        "pixel sizes": zooms != first_zooms,
        "channels": (stack.channels, stack.rgb) != (first.channels, first.rgb),
        "shapes": stack.shape != first.shape,
    }
    if found := [name for name, differs in differences.items() if differs]:
        raise InputError(
            f"{stack.source} is given twice with different {' and '.join(found)}; give it once "
            "with all its points, or both times in the same way"
        )


def _cuts(stack: ImageStack, zooms: tuple[float, ...]) -> tuple[int, int]:
    """Return the step of lines between regions on planes of an image, and the gap to leave.

    A zoomed pixel is averaged from a stored level of the pyramid that is not coarser than it:
    a line must not cross a pixel of that. Lines on multiples of `COMPRESSED` keep the blocks
    of JPEG on one side too, and lines on multiples of the zooms waste no zoomed pixel.
    """
    stored = [f for f in stack.factors if f <= max(zooms) * (1 + 1e-9)]
    whole = [int(f) for f in stored if f.is_integer()]
    broken = [math.ceil(f) for f in stored if not f.is_integer()]
    step = math.lcm(1, *whole)
    wanted = [int(zoom) for zoom in zooms if zoom.is_integer()]
    if min(stack.plane_shape) >= 32 * COMPRESSED:
        wanted.append(COMPRESSED)
    finer = math.lcm(step, *wanted)
    if finer <= max(COMPRESSED, 2 * max(zooms)):
        step = finer
    return step, max(broken, default=0)


def _groups(pairs: Sequence[Pair]) -> NDArray[np.int64] | None:
    """Count the groups of all points through; points without one belong to their image's."""
    named = [points for _, points in pairs if GROUP_COLUMN in points.table]
    if not any(
        comparable(name) for points in named for name in points.table[GROUP_COLUMN].unique()
    ):
        return None
    names: list[tuple[str, ...]] = []
    written: list[str] = []
    for stack, points in pairs:
        column = points.column(GROUP_COLUMN)
        own = [""] * len(points) if column is None else list(column)
        written += own
        names += [("group", key) if (key := comparable(n)) else ("image", str(_identity(stack)))
                  for n in own]  # fmt: skip
    warn_of_case(written, "groups", ", ".join(dict.fromkeys(p.source for _, p in pairs)))
    return _numbers(names)


def _numbers(keys: Sequence[tuple[object, ...]]) -> NDArray[np.int64]:
    """Give equal keys equal numbers, in the order of the keys."""
    known = {key: i for i, key in enumerate(sorted(set(keys)))}
    return np.array([known[key] for key in keys], np.int64)


def _identity(stack: ImageStack) -> str | int:
    """Tell images apart: one that is given twice, labelled by two people, is one image."""
    named = stack.source != stack.name
    return path_key(stack.source) if named else id(stack.levels[0])
