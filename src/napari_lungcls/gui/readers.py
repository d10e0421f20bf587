"""Reading labelled points into napari, with the colours of their classes."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from napari_lungcls.annotation import ClassScheme, Points, read_points
from napari_lungcls.annotation.points import CLASS_COLUMN, INDEX_COLUMN

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and kind of a layer, as napari takes them."""

SUFFIX = ".lungcls.csv"
"""Points files with this suffix are ours; napari itself opens every other `.csv`."""


def points_reader(
    path: str | Sequence[str],
) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Give the function that reads `path`, or None when a name does not end in `.lungcls.csv`.

    Parameters
    ----------
    path
        One file or several, of which each becomes a layer.
    """
    if all(name.lower().endswith(SUFFIX) for name in _names(path)):
        return _read
    return None


def _read(path: str | Sequence[str]) -> list[LayerData]:
    return [points_layer(read_points(name), _layer_name(name)) for name in _names(path)]


def points_layer(
    points: Points, name: str = "points", scheme: ClassScheme | None = None
) -> LayerData:
    """Turn points into the layer data that napari adds.

    The layer's feature `class` is categorical in the order of the scheme, also where a class
    has no point yet. The column `index` is left out: napari counts anew when it saves.

    Parameters
    ----------
    points
        The points, in data pixels of their image.
    name
        Name of the layer.
    scheme
        Classes, colours and their order; without one, the smallest preset that has all
        classes of the points, else a scheme of those classes.

    Raises
    ------
    InputError
        When a point's class is not in `scheme`.
    """
    labels = points.labels
    scheme = scheme or ClassScheme.for_labels([] if labels is None else labels)
    features = points.table.drop(columns=INDEX_COLUMN, errors="ignore").reset_index(drop=True)
    defaults = {name: _shared(features[name]) for name in features}
    options: dict[str, Any] = {"name": name}
    if labels is not None:
        points.select(labels != "").codes(scheme)
        features[CLASS_COLUMN] = pd.Categorical(
            [label or None for label in labels], categories=list(scheme.names)
        )
        defaults[CLASS_COLUMN] = scheme.names[0]
        options["face_color"] = CLASS_COLUMN
        options["face_color_cycle"] = dict(zip(scheme.names, scheme.colors, strict=True))
    return (
        points.coordinates,
        options | {"features": features, "feature_defaults": defaults},
        "points",
    )


def _shared(values: pd.Series) -> str:
    """Give a new point what all points say, such as the animal, and nothing where they differ."""
    return str(values.iloc[0]) if values.nunique() == 1 else ""


def _names(path: str | Sequence[str]) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else list(path)


def _layer_name(path: str) -> str:
    return os.path.basename(path)[: -len(SUFFIX)] or "points"
