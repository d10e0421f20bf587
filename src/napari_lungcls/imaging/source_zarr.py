"""OME-Zarr 0.1 to 0.5 and plain zarr arrays, opened without reading their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import zarr
from pydantic import BaseModel, Field, ValidationError
from zarr.storage import LocalStore

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.channels import Choice
from napari_lungcls.imaging.source_axes import READ_ERRORS, Layout, LazyView, arrange, guess_axes
from napari_lungcls.imaging.source_units import MICROMETRE, micrometres, square
from napari_lungcls.imaging.stack import ImageStack

_Node = TypeVar("_Node")


class Axis(BaseModel):
    """One axis of a multiscale image."""

    name: str
    type: str | None = None
    unit: str | None = None


class Transformation(BaseModel):
    """From array positions to world positions, one number per axis."""

    type: Literal["identity", "scale", "translation"]
    scale: list[float] | None = None
    translation: list[float] | None = None


class Dataset(BaseModel):
    """One level of a multiscale image."""

    path: str
    transformations: list[Transformation] = Field(default=[], alias="coordinateTransformations")


class Multiscale(BaseModel):
    """What NGFF says about a multiscale image; https://ngff.openmicroscopy.org/0.4."""

    axes: list[Axis | str] | None = None
    datasets: list[Dataset] = Field(min_length=1)
    transformations: list[Transformation] = Field(default=[], alias="coordinateTransformations")
    name: Any = None


def open_zarr(path: Path, source: str, channels: Choice | None = None) -> ImageStack:
    """Open an image in a zarr store: a multiscale group, or one plain array.

    The positions of the first level hold for the image; units of length become micrometres.
    Of a file converted by bioformats2raw the first image is taken.

    Parameters
    ----------
    path
        The folder of the group or array.
    source
        Names it in messages.
    channels
        What to make of its channels, as for `ImageStack`.

    Raises
    ------
    InputError
        When there is no image, or its metadata or codecs cannot be used.
    """
    node = open_node(path, source)
    if isinstance(node, zarr.Array):
        return _plain(node, path, source, channels)
    found = multiscale(node, source)
    if found is None and node.attrs.get("bioformats2raw.layout") and "0" in node:
        node = child(node, "0", zarr.Group, source)
        found = multiscale(node, source)
    if found is None:
        names = ", ".join(sorted(p.name for p in path.iterdir() if p.is_dir())[:10]) or "nothing"
        raise InputError(
            f"{source}: is a zarr group without an image; give the path of an image inside "
            f"(it holds {names})"
        )
    return _pyramid(node, found, path, source, channels)


def open_node(path: Path, source: str) -> zarr.Array[Any] | zarr.Group:
    """Open a folder as a zarr array or group, for reading only."""
    if (path / "zarr.json").is_file():
        version: Literal[2, 3] = 3
    elif any((path / name).is_file() for name in (".zgroup", ".zarray", ".zattrs")):
        version = 2
    else:
        raise InputError(
            f"{source}: is a folder without zarr metadata; give an image file or a .zarr folder"
        )
    try:
        return zarr.open(LocalStore(path, read_only=True), mode="r", zarr_format=version)
    except READ_ERRORS as error:
        raise InputError(
            f"{source}: cannot be opened as zarr ({error}); copy or export it again"
        ) from error


def child(group: zarr.Group, name: str, kind: type[_Node], source: str) -> _Node:
    """Give the array or group of that name inside a group."""
    try:
        node = group[name]
    except READ_ERRORS as error:
        raise InputError(
            f"{source}: its part {name!r} is missing or damaged ({error}); copy it again"
        ) from error
    if not isinstance(node, kind):
        raise InputError(f"{source}: its part {name!r} is no zarr {kind.__name__.lower()}")
    return node


def multiscale(group: zarr.Group, source: str) -> Multiscale | None:
    """Give what the group says about its pyramid, or None when it says nothing.

    Raises
    ------
    InputError
        When it says something that is not understood.
    """
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    described = ome.get("multiscales") if isinstance(ome, dict) else None
    if described is None:
        return None
    first = described[0] if isinstance(described, list) and described else described
    try:
        return Multiscale.model_validate(first)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise InputError(
            f"{source}: its OME-Zarr metadata is not understood ({where}: {problem['msg']}); "
            "export it as OME-Zarr 0.4 or 0.5"
        ) from error


def _plain(array: zarr.Array[Any], path: Path, source: str, channels: Choice | None) -> ImageStack:
    """Open an array without a pyramid; xarray and zarr 3 may have named its axes."""
    named = array.attrs.get("_ARRAY_DIMENSIONS", getattr(array.metadata, "dimension_names", None))
    names = tuple(str(name).lower() for name in named) if isinstance(named, list | tuple) else ()
    choosing = channels is not None
    axes = names if {"y", "x"} <= set(names) else guess_axes(array.shape, choosing=choosing)
    layout = arrange(axes, array.shape, source, choosing=choosing)
    view = LazyView(array, source, layout.order)
    return ImageStack(view, rgb=layout.rgb, name=_name(path), source=source, channels=channels)


def _pyramid(
    group: zarr.Group, described: Multiscale, path: Path, source: str, channels: Choice | None
) -> ImageStack:
    arrays: list[zarr.Array[Any]] = [
        child(group, dataset.path, zarr.Array, source) for dataset in described.datasets
    ]
    shape = arrays[0].shape
    axes = _axes(described, len(shape))
    if any(array.ndim != len(axes) for array in arrays):
        raise InputError(f"{source}: its levels do not have the {len(axes)} axes it announces")
    layout = arrange(
        [axis.name.lower() for axis in axes], shape, source, choosing=channels is not None
    )
    scale, translate = _transformation(described, len(axes), source)
    return ImageStack(
        [LazyView(array, source, layout.order) for array in arrays],
        rgb=layout.rgb,
        name=_name(path),
        source=source,
        channels=channels,
        channel_names=_channel_names(group),
        **_world(axes, layout, scale, translate, source),
    )


def _channel_names(group: zarr.Group) -> list[str]:
    """Read the names that OME-Zarr gives its channels, if it does."""
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    omero = ome.get("omero") if isinstance(ome, dict) else None
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list):
        return []
    return [str(c.get("label", "")) if isinstance(c, dict) else "" for c in channels]


def _axes(described: Multiscale, ndim: int) -> list[Axis]:
    """Give all axes; up to version 0.2 they were always t, c, z, y, x."""
    if described.axes is None:
        return [Axis(name=name) for name in "tczyx"[-ndim:]]
    return [Axis(name=axis) if isinstance(axis, str) else axis for axis in described.axes]


def _transformation(described: Multiscale, ndim: int, source: str) -> tuple[Any, Any]:
    """Compose what leads from the first level's pixels to the world: scale, translation."""
    scale, translate = np.ones(ndim), np.zeros(ndim)
    steps = [*described.datasets[0].transformations, *described.transformations]
    for step in steps:
        values = {"scale": step.scale, "translation": step.translation}.get(step.type)
        if step.type == "identity":
            continue
        if values is None or len(values) != ndim or not np.isfinite(values).all():
            raise InputError(
                f"{source}: its {step.type} needs {ndim} numbers, not {values}; export it again"
            )
        if step.type == "scale":
            scale, translate = scale * values, translate * values
        else:
            translate = translate + values
    return scale, translate


def _world(
    axes: list[Axis], layout: Layout, scale: Any, translate: Any, source: str
) -> dict[str, Any]:
    """Put scale and translation into micrometres and into the order of the stack."""
    order = layout.order[: len(layout.names)]
    units = [micrometres(axes[i].unit) for i in order]
    known = units[-1] is not None and units[-2] is not None
    factors = [unit if known and unit is not None else 1.0 for unit in units]
    sizes = [float(scale[i]) * f for i, f in zip(order, factors, strict=True)]
    return {
        "scale": sizes,
        "translate": [float(translate[i]) * f for i, f in zip(order, factors, strict=True)],
        "unit": MICROMETRE if known else "pixel",
        "pixel_size": square(sizes[-2], sizes[-1], source) if known else None,
    }


def _name(path: Path) -> str:
    return path.name.split(".")[0] or path.name
