"""Classifying points through windows, as the network was trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.levels import BlockCache
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.imaging.windows import batches, check_inside, read_windows
from napari_lungcls.network.deciding import decide
from napari_lungcls.network.document import ModelDocument
from napari_lungcls.network.engines import Engine
from napari_lungcls.network.fitting import check_image
from napari_lungcls.network.readouts import readouts_at

BATCH = 128
"""Points whose windows are held at once."""


def classify_points(
    engine: Engine,
    document: ModelDocument,
    stack: ImageStack,
    coordinates: NDArray[np.float64],
    points: str = "the points",
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Classify points of one image, batch by batch.

    Parameters
    ----------
    engine, document
        The network and what its model file says about it.
    stack
        The image.
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels.
    points
        What to call them in messages.

    Yields
    ------
    rows : slice
        Which points.
    probabilities : ndarray, (m, classes), float32
        Rows add up to 1.

    Raises
    ------
    InputError
        When points lie outside, model and image do not go together, or a point sees
        intensities that are no numbers.
    """
    check_inside(stack, coordinates, points)
    zooms = check_image(stack, document)
    cache = BlockCache()
    for rows in batches(len(coordinates), BATCH):
        windows, places = read_windows(
            stack, coordinates[rows], zooms, engine.spec.sight, cache=cache
        )
        logits = engine.logits(windows, readouts_at(engine.spec, places, size=engine.spec.sight))
        if (blind := np.flatnonzero(~np.isfinite(logits).all(axis=1))).size:
            raise InputError(
                f"{points}: point {rows.start + blind[0] + 1} sees NaN or infinite values of "
                f"{stack.source}; fill them, or remove the point"
            )
        yield rows, softmax(logits / np.float32(document.temperature), axis=1)


def classified_table(
    points: Points,
    probabilities: NDArray[np.float32],
    scheme: ClassScheme,
    threshold: float | None = None,
) -> Points:
    """Add the columns `predicted` and `p_<class>` to points.

    Parameters
    ----------
    points
        The points, with whatever columns they have.
    probabilities
        `(n, classes)`.
    scheme
        Names the classes.
    threshold
        Of the model, see `decide`.
    """
    names = np.array(scheme.names, object)
    columns = {f"p_{name}": probabilities[:, k] for k, name in enumerate(scheme.names)}
    return points.with_columns(predicted=names[decide(probabilities, threshold)], **columns)
