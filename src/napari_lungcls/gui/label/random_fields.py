"""Drawing random fields of tissue from an image, spread over its planes. No Qt."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.label.view import FIELD

COARSE = 512
"""Pixels along the longer side of the picture of a plane in which tissue is looked for."""

READABLE = 2**26
"""Pixels of a plane that are read at the most; of larger ones without a pyramid none is."""

LEAST_TISSUE = 0.2
"""Share of a field that has to be tissue; in lung most of a field may be air."""


class RandomFields:
    """Draws one field after another: every plane once before any is drawn again.

    Parameters
    ----------
    image
        The image.
    seed
        Of the random numbers; the same fields come in the same order again.
    """

    def __init__(self, image: Image, seed: int = 0) -> None:
        self._image = image
        self._random = np.random.default_rng(seed)
        self._planes: list[tuple[int, ...]] = []

    def draw(self) -> NDArray[np.float64]:
        """Give the middle of the next field, `(ndim,)` data pixels of the image."""
        shape = image_shape(self._image)
        if not self._planes:
            planes = list(np.ndindex(*shape[:-2]))
            self._planes = [planes[i] for i in self._random.permutation(len(planes))]
        plane = self._planes.pop()
        coarse = coarse_plane(self._image, plane)
        if coarse is None:
            middle = self._random.uniform(0, np.array(shape[-2:]) - 1)
            return np.array([*plane, *middle])
        step = np.array(shape[-2:]) / coarse.shape[:2]
        candidates = np.argwhere(has_tissue(coarse, np.maximum(1, FIELD / step)))
        cell = candidates[self._random.integers(len(candidates))]
        middle = (cell + self._random.uniform(size=2)) * step - 0.5
        return np.array([*plane, *np.clip(middle, 0, np.array(shape[-2:]) - 1)])


def coarse_plane(image: Image, plane: Sequence[int]) -> NDArray[Any] | None:
    """Read a plane with few pixels, from the coarsest level that has enough of them.

    Returns
    -------
    ndarray, (rows, columns) or (rows, columns, channel)
        None where too much of the file would have to be read.
    """
    y = image.ndim - 2
    levels = list(image.data) if image.multiscale else [image.data]
    fine = [level for level in levels if max(level.shape[y : y + 2]) >= COARSE // 2]
    level = fine[-1] if fine else levels[0]
    if level.shape[y] * level.shape[y + 1] > READABLE and not isinstance(level, np.ndarray):
        return None
    # The leading axes of a level can be shorter than those of the image.
    index = tuple(
        min(int(i * n / full), n - 1)
        for i, n, full in zip(plane, level.shape, image_shape(image), strict=False)
    )
    step = max(1, -(-max(level.shape[y : y + 2]) // COARSE))
    return np.asarray(level[(*index, slice(None, None, step), slice(None, None, step))])


def has_tissue(picture: NDArray[Any], field: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell around which pixels of a picture of a plane a field has tissue.

    Otsu's threshold parts the intensities in two; tissue are those that vary more, whether it
    is darker than the background or brighter. Where no field has tissue, all do.

    Parameters
    ----------
    picture
        `(rows, columns)` or `(rows, columns, channel)`, any type.
    field
        Height and width of a field in pixels of the picture.

    Returns
    -------
    ndarray, (rows, columns), bool
        True somewhere.
    """
    # Here, as both take their time and a window opens without them.
    from scipy.ndimage import uniform_filter
    from skimage.filters import threshold_otsu

    grey = np.asarray(picture, np.float32)
    grey = grey[..., :3].mean(axis=-1) if grey.ndim == 3 else grey
    everywhere = np.ones(grey.shape, bool)
    if not np.isfinite(grey).all() or np.ptp(grey) == 0:
        return everywhere
    dark = grey <= threshold_otsu(grey)  # type: ignore[no-untyped-call]
    if dark.all() or not dark.any():
        return everywhere
    tissue = dark if grey[dark].std() >= grey[~dark].std() else ~dark
    size = np.minimum(np.rint(field).astype(int), grey.shape).clip(1)
    share = uniform_filter(tissue.astype(np.float32), size.tolist(), mode="nearest")
    enough = np.asarray(share >= LEAST_TISSUE)
    return enough if enough.any() else everywhere
