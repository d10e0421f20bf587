"""A first look at the network of a training, before the minutes that reading windows takes."""

from __future__ import annotations

import numpy as np

from napari_lungcls.learning.dataset import PointSet
from napari_lungcls.learning.layout import Layout
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.start import Origin, start_network


def rehearse(settings: TrainingSettings, classes: int, dtype: str, origin: Origin) -> None:
    """Start the network of a training on one black pixel, and drop it.

    Engine, device, weights and a shape that no network can have are found out in this way.

    Parameters
    ----------
    settings, classes
        What will be built, resolved and in the shape of the origin.
    dtype
        Type of the images.
    origin
        What it starts from.

    Raises
    ------
    InputError
        When one of them cannot be used.
    """
    one = np.zeros(1, np.intp)
    place = np.zeros((1, 2))
    shape = (1, len(settings.zooms), 1, 1, 3)
    squares = np.zeros(shape, np.dtype(dtype))
    points = PointSet(
        Layout(place, one, one, one, np.ones((1, 2), np.int64), ((0, ()),)),
        squares,
        place[np.newaxis],
    )
    start_network(points, one, settings, classes, dtype, origin)
