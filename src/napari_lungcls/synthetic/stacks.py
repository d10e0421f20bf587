"""Stacks of parallel synthetic sections, in memory or made plane by plane when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import delayed

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.synthetic.parameters import LungParameters
from napari_lungcls.synthetic.sections import check_section, make_section


@dataclass(frozen=True, eq=False)
class LungStack:
    """Parallel synthetic sections and their truth.

    Attributes
    ----------
    image
        (z, y, x, 3) uint8; a dask array where the stack is lazy.
    truth
        (z, y, x) uint8 as in `LungSection`; a dask array where the stack is lazy.
    pixel_size, spacing
        µm per pixel, and between planes.

    Examples
    --------
    >>> stack = make_stack((2, 48, 48))
    >>> stack.pixel_size, stack.spacing
    (1.8, 5.0)
    """

    image: Any
    truth: Any
    pixel_size: float
    spacing: float
    scheme: ClassScheme
    seed: int


def make_stack(
    shape: tuple[int, int, int] = (8, 512, 512),
    *,
    pixel_size: float = 1.8,
    spacing: float = 5.0,
    seed: int = 0,
    parameters: LungParameters | None = None,
) -> LungStack:
    """Make parallel sections of one lung; plane `k` is `make_section(z=k * spacing)`.

    Parameters
    ----------
    shape
        Planes, rows and columns.
    pixel_size, spacing
        µm per pixel, and from plane to plane.
    seed, parameters
        As for `make_section`.

    Raises
    ------
    InputError
        When a size is not positive or the seed is negative.

    Examples
    --------
    >>> stack = make_stack((2, 48, 48), spacing=10.0, seed=3)
    >>> stack.image.shape, stack.truth.shape
    ((2, 48, 48, 3), (2, 48, 48))
    """
    check_section(shape, seed, pixel_size, spacing)
    planes, *plane = shape
    image = np.empty((*shape, 3), dtype=np.uint8)
    truth = np.empty(shape, dtype=np.uint8)
    for k in range(planes):
        image[k], truth[k] = _plane(k * spacing, (plane[0], plane[1]), pixel_size, seed, parameters)
    return LungStack(image, truth, pixel_size, spacing, ClassScheme.preset("lung-full"), seed)


def lazy_stack(
    shape: tuple[int, int, int],
    *,
    pixel_size: float = 1.8,
    spacing: float = 5.0,
    seed: int = 0,
    parameters: LungParameters | None = None,
) -> LungStack:
    """Give the stack of `make_stack` as dask arrays, one plane per chunk, made when asked for.

    `dask.compute(stack.image[k], stack.truth[k])` makes plane `k` once for both.

    Examples
    --------
    >>> stack = lazy_stack((100, 20_000, 20_000))
    >>> stack.image.shape, stack.truth.numblocks
    ((100, 20000, 20000, 3), (100, 1, 1))
    """
    check_section(shape, seed, pixel_size, spacing)
    planes, *plane = shape
    images, truths = [], []
    for k in range(planes):
        made = delayed(_plane, nout=2)(
            k * spacing, (plane[0], plane[1]), pixel_size, seed, parameters
        )
        images.append(da.from_delayed(made[0], (*plane, 3), dtype=np.uint8))  # type: ignore[no-untyped-call]
        truths.append(da.from_delayed(made[1], tuple(plane), dtype=np.uint8))  # type: ignore[no-untyped-call]
    image, truth = da.stack(images), da.stack(truths)  # type: ignore[no-untyped-call]
    return LungStack(image, truth, pixel_size, spacing, ClassScheme.preset("lung-full"), seed)


def _plane(
    z: float,
    shape: tuple[int, int],
    pixel_size: float,
    seed: int,
    parameters: LungParameters | None,
) -> tuple[Any, Any]:
    section = make_section(shape, pixel_size=pixel_size, seed=seed, z=z, parameters=parameters)
    return section.image, section.truth
