"""Tables of points with the answers of a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.network.decision import decide


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
