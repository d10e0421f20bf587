"""Maps and points as SpatialData, for squidpy, napari-spatialdata and their like."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_lungcls.annotation.points import Points
from napari_lungcls.errors import InputError
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.utils.corners import from_corner

if TYPE_CHECKING:
    import spatialdata

MAP, POINTS, CLASSES = "map", "points", "classes"
"""What the elements are called."""


def to_spatialdata(painted: MapData, points: Points | None = None) -> spatialdata.SpatialData:
    """Give a map, and points of the same image, as SpatialData.

    The coordinate system `global` counts pixels of the image at full resolution from the corner of
    the first, as SpatialData does. The labels `map` are the cells, read when they are asked for,
    with 0 where nothing is painted; the table `classes` has name, colour, phase and role of each.

    Parameters
    ----------
    painted
        The map, of one plane or with one axis of planes.
    points
        Points of the image, with as many axes as the map.

    Raises
    ------
    InputError
        When the library is not installed, or the map or the points have other axes.
    """
    try:
        import spatialdata
        from anndata import AnnData
        from spatialdata.models import PointsModel, TableModel
    except ModuleNotFoundError:
        raise InputError(
            'this needs the library spatialdata; install it: pip install "napari-lungcls[spatial]"'
        ) from None
    header = painted.header
    if len(header.shape) > 3:
        raise InputError(
            f"the map has {len(header.shape)} axes, and SpatialData at most z, y and x; choose one "
            "time"
        )
    if points is not None and points.ndim != len(header.shape):
        raise InputError(
            f"{points.source} has {points.ndim} axes and the map {len(header.shape)}; give points "
            "of the image that was painted"
        )
    scheme = header.scheme
    rows = pd.DataFrame(
        {
            "class": scheme.names,
            "color": scheme.colors,
            "phase": scheme.phases,
            "role": [spec.role or "" for spec in scheme.classes],
            "code": np.arange(1, len(scheme) + 1),
            "region": pd.Categorical([MAP] * len(scheme)),
        },
        index=list(scheme.names),
    )
    table = TableModel.parse(
        AnnData(obs=rows), region=MAP, region_key="region", instance_key="code"
    )
    elements: dict[str, Any] = {MAP: _labels(painted), CLASSES: table}
    if points is not None:
        elements[POINTS] = PointsModel.parse(_frame(points), coordinates=_named(points))
    attributes = {"image": PurePath(str(header.provenance.get("image", ""))).name}
    return spatialdata.SpatialData.init_from_elements(
        elements, attrs={"napari-lungcls": attributes}
    )


def _labels(painted: MapData) -> Any:
    import dask.array
    from spatialdata.models import Labels2DModel, Labels3DModel
    from spatialdata.transformations import Scale, Sequence, Translation

    header = painted.header
    cells = dask.array.from_array(  # type: ignore[no-untyped-call]
        painted.classes, chunks=_chunks(header.shape), name=False
    )
    model, axes = (Labels2DModel, "yx") if len(header.shape) == 2 else (Labels3DModel, "zyx")
    first = header.provenance.get("first_plane")
    origin = [*([first if isinstance(first, int) else 0] * (len(axes) - 2)), *header.origin]
    stride = [*([1] * (len(axes) - 2)), header.stride, header.stride]
    placed = Sequence([Scale(stride, tuple(axes)), Translation(origin, tuple(axes))])
    return model.parse(cells, dims=tuple(axes), transformations={"global": placed})


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*([1] * (len(shape) - 2)), *(min(512, size) for size in shape[-2:]))


def _frame(points: Points) -> pd.DataFrame:
    """Give points as a table: positions counted from corners, and all columns as texts."""
    where = from_corner(points.coordinates)
    columns: dict[str, Any] = {axis: where[:, k] for k, axis in enumerate("zyx"[-points.ndim :])}
    if points.labels is not None:
        columns["class"] = pd.Categorical([label or None for label in points.labels])
    others = {str(name): list(points.table[name]) for name in points.table}
    return pd.DataFrame({**others, **columns}).drop(columns="index", errors="ignore")


def _named(points: Points) -> dict[str, str]:
    return {axis: axis for axis in "zyx"[-points.ndim :]}
