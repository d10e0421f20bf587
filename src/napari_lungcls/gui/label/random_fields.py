"""Drawing random fields of tissue from an image, spread over its planes. No Qt."""

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.label.view import FIELD
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.tissue import coarse_picture, tissue_of

COARSE = 512
"""Pixels along the longer side of the picture of a plane in which tissue is looked for."""

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
        field = self._field(plane)
        if field is None:
            middle = self._random.uniform(0, np.array(shape[-2:]) - 1)
            return np.array([*plane, *middle])
        step = np.array(shape[-2:]) / field.shape
        candidates = np.argwhere(field)
        cell = candidates[self._random.integers(len(candidates))]
        middle = (cell + self._random.uniform(size=2)) * step - 0.5
        return np.array([*plane, *np.clip(middle, 0, np.array(shape[-2:]) - 1)])

    def _field(self, plane: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Tell around which places of a plane a field has tissue; None if nobody knows."""
        try:
            picture = coarse_picture(as_stack(self._image).plane(plane), COARSE)
        except InputError:
            return None
        if picture is None:
            return None
        step = np.array(image_shape(self._image)[-2:]) / picture.shape[:2]
        return has_tissue(picture, np.maximum(1, FIELD / step))


def has_tissue(picture: NDArray[np.generic], field: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell around which pixels of a picture of a plane a field has tissue.

    Parameters
    ----------
    picture
        `(rows, columns, channel)`, any type.
    field
        Height and width of a field in pixels of the picture.

    Returns
    -------
    ndarray, (rows, columns), bool
        True somewhere: where no field has tissue, all do.
    """
    # Here, as it takes its time and a window opens without it.
    from scipy.ndimage import uniform_filter

    tissue = tissue_of(picture)
    everywhere = np.ones(picture.shape[:2], bool)
    if tissue is None:
        return everywhere
    size = np.minimum(np.rint(field).astype(int), tissue.shape).clip(1)
    share = uniform_filter(tissue.astype(np.float32), size.tolist(), mode="nearest")
    enough = np.asarray(share >= LEAST_TISSUE)
    return enough if enough.any() else everywhere
