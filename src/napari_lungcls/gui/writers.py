"""Saving a points layer of napari as a labelled points file."""

from typing import Any

import pandas as pd

from napari_lungcls.annotation import Points, write_points
from napari_lungcls.annotation.points import CLASS_COLUMN
from napari_lungcls.annotation.tables import axis_name
from napari_lungcls.errors import InputError


def write_points_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a points layer as CSV: coordinates in data pixels, and every feature as text.

    Parameters
    ----------
    path
        The file, as a rule `*.lungcls.csv`.
    data
        `(n, ndim)` coordinates of the layer.
    attributes
        Attributes of the layer; `features` and `name` are used.

    Returns
    -------
    list of str
        The file that was written.

    Raises
    ------
    InputError
        When the layer has no point, a feature is named like a coordinate, or the file
        cannot be written.
    """
    name = attributes.get("name", "points")
    if not len(data):
        raise InputError(f"layer {name!r} has no points; add some before saving it")
    features = pd.DataFrame(attributes.get("features"))
    columns = {str(column): features[column].to_numpy(dtype=object) for column in features}
    labels = columns.pop(CLASS_COLUMN, None)
    clash = {axis_name(axis) for axis in range(len(data[0]))} & set(columns)
    if clash:
        raise InputError(f"layer {name!r}: rename the feature {min(clash)!r}, a coordinate's name")
    points = Points.build(data, labels).with_columns(**columns)
    return [str(write_points(path, points))]
