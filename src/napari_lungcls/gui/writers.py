"""The writers that napari knows: labelled points, and painted maps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_lungcls.annotation import write_points
from napari_lungcls.errors import InputError
from napari_lungcls.inference.painted import PaintedMap

Writer = Callable[[str, Any, dict[str, Any]], list[str]]


class NotSaved(RuntimeError):
    """A layer was not saved; the message is one line with the remedy.

    Raised towards napari in the place of `InputError`. That is a `ValueError`, by which
    napari understands that a writer is not made for such layers: it would hide the line.
    """


def write_points_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a points layer as CSV, with every feature as text, or for QuPath or ImageJ.

    Parameters
    ----------
    path
        The file, as a rule `*.lungcls.csv`; `.geojson` is QuPath's and `.roi` ImageJ's.
    data
        `(n, ndim)` coordinates of the layer.
    attributes
        Attributes of the layer; `features`, `name` and the scheme in its metadata are used.

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
    from napari_lungcls.gui.points_layer import points_to_save

    points = points_to_save(data, attributes)
    scheme = attributes.get("metadata", {}).get("lungcls", {}).get("scheme")
    if scheme is not None:
        scheme = scheme.including(points.labels)
    return [str(write_points(path, points, classes=scheme))]


def write_map_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a painted map with its probabilities; an older map of that name is replaced.

    Cells that were corrected in napari are written as they are shown.

    Parameters
    ----------
    path
        `*.ome.zarr` or `*.ome.tif`.
    data
        The cells as the layer has them.
    attributes
        Attributes of the layer; its metadata holds the map.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    InputError
        When the layer is no painted map, or the map cannot be written.
    """
    name = attributes.get("name", "labels")
    painted = attributes.get("metadata", {}).get("lungcls", {}).get("map")
    if not isinstance(painted, PaintedMap):
        raise InputError(
            f"layer {name!r} is no painted map; save it as .tif, or choose a map made by Paint"
        )
    target = Path(path)
    if isinstance(data, np.ndarray) and data is not painted.classes:
        painted = replace(painted, classes=data)
    return [str(painted.save(target, overwrite=True))]


def _for_napari(write: Writer) -> Writer:
    """Make of a writer one that raises `NotSaved`."""

    def writer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
        try:
            return write(path, data, attributes)
        except InputError as error:
            raise NotSaved(str(error)) from error

    return writer


points_writer = _for_napari(write_points_layer)
map_writer = _for_napari(write_map_layer)
