"""How far apart points must lie so that no pixel is seen by training and by validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.layout import Layout
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import sight

Mask = NDArray[np.bool_]


def buffer_width(settings: TrainingSettings, grain: float = 0.0) -> float:
    """Distance at which no training window shares a pixel with a validation window.

    A training window reaches `reach(settings)` level pixels from its point, however it is
    turned and shifted; a validation window (`sight`) half its edge and up to half a pixel
    more. One level pixel is added because level pixels are averages, and two image pixels
    (`grain`, see `Layout`) where those are cut by or interpolated between level pixels.
    """
    answered = sight(settings.window, settings.readout) / 2
    return (reach(settings) + answered + 1.5) * max(settings.zooms) + 2 * grain


def near(layout: Layout, held: Mask, buffer: float) -> Mask:
    """Tell which points lie within the buffer of a held-out point of their own plane.

    Distances are the larger of those along y and x, because windows are squares.
    """
    found = np.zeros(len(layout), bool)
    for plane in np.unique(layout.planes[held]):
        here = layout.planes == plane
        tree = cKDTree(layout.coordinates[here & held])
        distance, _ = tree.query(layout.coordinates[here], p=np.inf)
        found[here] = distance < buffer
    return found
