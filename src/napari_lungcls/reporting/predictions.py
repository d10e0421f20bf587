"""Writing what a model said at each point as a points file."""

from __future__ import annotations

import os
from pathlib import Path

from napari_lungcls.annotation import write_points
from napari_lungcls.annotation.points import join_points
from napari_lungcls.evaluation.predictions import PointPredictions
from napari_lungcls.images.pairs import image_name
from napari_lungcls.inference.at_points import classified_table


def write_predictions(path: str | os.PathLike[str], predictions: PointPredictions) -> Path:
    """Write a row per point: its own columns, `image`, `predicted` and `p_<class>`.

    `image` is relative to the file, so that the table can be used as points again.

    Raises
    ------
    InputError
        When images of different dimensions cannot share a table, or it cannot be written.
    """
    folder = Path(path).absolute().parent
    tables = [
        classified_table(
            points.with_columns(image=image_name(stack, folder)),
            predictions.probabilities[rows],
            predictions.scheme,
            predictions.threshold,
        )
        for stack, points, rows in predictions.parts()
    ]
    return write_points(path, join_points(tables))
