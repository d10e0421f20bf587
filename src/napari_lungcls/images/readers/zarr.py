"""Reader of OME-Zarr 0.1 to 0.5 and plain zarr arrays."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import zarr
from pydantic import BaseModel, Field, ValidationError
from zarr.storage import LocalStore

from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import Layout, LazyView, arrange, axis_name
from napari_lungcls.images.channels import Choice, per_channel
from napari_lungcls.images.damage import READ_ERRORS, reading
from napari_lungcls.images.pixel_size import MICROMETRE, micrometres, square
from napari_lungcls.images.readers.arrays import named_stack
from napari_lungcls.images.readers.selection import Candidate, Listed, choose, is_associated
from napari_lungcls.images.stack import ImageStack

_Node = TypeVar("_Node")
_HEX = re.compile("[0-9a-fA-F]{6}")


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
    """Metadata of a multiscale image; https://ngff.openmicroscopy.org/0.4."""

    axes: list[Axis | str] | None = None
    datasets: list[Dataset] = Field(min_length=1)
    transformations: list[Transformation] = Field(default=[], alias="coordinateTransformations")
    name: Any = None


def open_zarr(
    path: Path, source: str, channels: Choice | None = None, chosen: str | None = None
) -> ImageStack:
    """Open an image in a zarr store: a multiscale group, or one plain array.

    The transformations of the first level apply to the image; lengths become micrometres.

    Parameters
    ----------
    path
        The folder of the group or array.
    source
        Names it in messages.
    channels
        Which channels to use, as for `ImageStack`.
    chosen
        Number or name of an image, where bioformats2raw has put several into a store or a
        well has several fields; by default the largest, as in `choose`.

    Raises
    ------
    InputError
        When there is no image, or its metadata or codecs are not supported.
    """
    return zarr_stack(open_node(path, source), path.name, source, channels, chosen)


def zarr_stack(
    node: zarr.Array[Any] | zarr.Group,
    name: str,
    source: str,
    channels: Choice | None = None,
    chosen: str | None = None,
) -> ImageStack:
    """Make an image from an open array or group; see `open_zarr` for the parameters."""
    name = name.split(".")[0] or name
    if isinstance(node, zarr.Array):
        return _plain(node, name, source, channels)
    found = multiscale(node, source)
    if found is not None:
        return _pyramid(node, found, name, source, channels)
    if "plate" in ome_attributes(node):
        wells = ", ".join(sorted(_wells(node))[:3]) or "A/1"
        raise InputError(
            f"{source}: is a plate of many images; give the path of a well or field in it "
            f"({wells}, …)"
        )
    images = _collection(node, source)
    if not images:
        names = ", ".join(_inside(node)[:10]) or "nothing"
        raise InputError(
            f"{source}: is a zarr group without an image; give the path of an image inside "
            f"(it holds {names})"
        )
    index = choose([image.candidate for image in images], chosen, source)
    return _pyramid(images[index].group, images[index].described, name, source, channels)


def list_zarr(path: Path, source: str) -> list[Listed]:
    """List the images of a zarr store that holds several; empty if it is a single image.

    Raises
    ------
    InputError
        When it is not a zarr store, or is damaged.
    """
    node = open_node(path, source)
    if isinstance(node, zarr.Array) or multiscale(node, source) is not None:
        return []
    images = _collection(node, source)
    if not images:
        return []
    taken = choose([image.candidate for image in images], None, source, silent=True)
    found = []
    for i, image in enumerate(images):
        first = child(image.group, image.described.datasets[0].path, zarr.Array, source)
        name = image.candidate.name
        if i == taken or not is_associated(name):
            found.append(Listed(f"#{i + 1}", name, first.shape, str(first.dtype), i == taken))
    return found


@dataclass(frozen=True)
class _Image:
    """One image of a collection: its group, metadata, name and size."""

    group: zarr.Group
    described: Multiscale
    candidate: Candidate


def _collection(node: zarr.Group, source: str) -> list[_Image]:
    """List the images in a group by bioformats2raw or in a well of a plate."""
    attributes = ome_attributes(node)
    well = attributes.get("well")
    names: list[str] = []
    paths: list[Any]
    if isinstance(well, dict):
        paths = [image.get("path") for image in well.get("images", ()) if isinstance(image, dict)]
    elif attributes.get("bioformats2raw.layout"):
        inside = child(node, "OME", zarr.Group, source) if "OME" in node else None
        series = None if inside is None else ome_attributes(inside).get("series")
        numbered = sorted((key for key in node if key.isdecimal()), key=int)
        paths = series if isinstance(series, list) else numbered
        names = _image_names(node)
    else:
        return []
    found = []
    for i, path in enumerate(map(str, paths)):
        group = child(node, path, zarr.Group, source)
        described = multiscale(group, source)
        if described is not None:
            first = child(group, described.datasets[0].path, zarr.Array, source)
            name = names[i] if len(names) == len(paths) else str(described.name or path)
            found.append(_Image(group, described, Candidate(name, *first.shape[-2:])))
    return found


def _image_names(node: zarr.Group) -> list[str]:
    """Read the names of images from the OME-XML that bioformats2raw writes."""
    store = node.store
    if not isinstance(store, LocalStore):
        return []
    try:
        root = ElementTree.parse(store.root / node.path / "OME" / "METADATA.ome.xml").getroot()
    except (OSError, ElementTree.ParseError):
        return []
    images = [element for element in root if element.tag.endswith("}Image")]
    return [element.get("Name", "") for element in images]


def _inside(node: zarr.Group) -> list[str]:
    """List the members of a group, readable or not."""
    if isinstance(node.store, LocalStore):
        return sorted(p.name for p in (node.store.root / node.path).iterdir() if p.is_dir())
    return sorted(node.keys())


def _wells(node: zarr.Group) -> list[str]:
    plate = ome_attributes(node)["plate"]
    wells = plate.get("wells") if isinstance(plate, dict) else None
    found = [well.get("path") for well in wells or () if isinstance(well, dict)]
    return [path for path in found if isinstance(path, str)]


def ome_attributes(group: zarr.Group) -> dict[str, Any]:
    """Return the OME-Zarr metadata of a group, which is under `ome` since version 0.5."""
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, dict) else {}


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
    with reading(source, "cannot be opened as zarr ({}); copy or export it again"):
        return zarr.open(LocalStore(path, read_only=True), mode="r", zarr_format=version)


def child(group: zarr.Group, name: str, kind: type[_Node], source: str) -> _Node:
    """Return a member of a group, which must be of type `kind`."""
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
    """Return the metadata of a group's pyramid, or None if it has none.

    Raises
    ------
    InputError
        When the metadata is not valid.
    """
    described = ome_attributes(group).get("multiscales")
    if described is None:
        return None
    first = described[0] if isinstance(described, list) and described else described
    try:
        return Multiscale.model_validate(first)
    except ValidationError as error:
        raise InputError(
            f"{source}: its OME-Zarr metadata is not understood ({one_line(error)}); "
            "export it as OME-Zarr 0.4 or 0.5"
        ) from error


def _plain(array: zarr.Array[Any], name: str, source: str, channels: Choice | None) -> ImageStack:
    """Open a plain array, whose axes xarray or zarr 3 may have named."""
    return named_stack(
        array,
        array.attrs.get("_ARRAY_DIMENSIONS"),
        getattr(array.metadata, "dimension_names", None),
        channels=channels,
        name=name,
        source=source,
    )


def _pyramid(
    group: zarr.Group, described: Multiscale, name: str, source: str, channels: Choice | None
) -> ImageStack:
    arrays: list[zarr.Array[Any]] = [
        child(group, dataset.path, zarr.Array, source) for dataset in described.datasets
    ]
    shape = arrays[0].shape
    axes = _axes(described, len(shape), source)
    if any(array.ndim != len(axes) for array in arrays):
        raise InputError(f"{source}: its levels do not have the {len(axes)} axes it announces")
    names = [axis.name for axis in axes]
    layout = arrange(names, shape, source, choosing=channels is not None)
    scale, translate = _transformation(described, len(axes), source)
    return ImageStack(
        [LazyView(array, source, layout.order) for array in arrays],
        rgb=layout.rgb,
        name=name,
        source=source,
        channels=channels,
        axis_names=layout.names,
        channel_names=per_channel(_channels(group, "label"), layout.channels),
        channel_colours=per_channel(
            [f"#{c}" if _HEX.fullmatch(c) else "" for c in _channels(group, "color")],
            layout.channels,
        ),
        **_world(axes, layout, scale, translate, source),
    )


def _channels(group: zarr.Group, key: str) -> list[str]:
    """Read an attribute of each channel from the `omero` metadata, if present."""
    omero = ome_attributes(group).get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list):
        return []
    return [str(c.get(key, "")) if isinstance(c, dict) else "" for c in channels]


def _axes(described: Multiscale, ndim: int, source: str) -> list[Axis]:
    """Return all axes with names that `arrange` knows; up to 0.2 they were t, c, z, y, x.

    Types take precedence over names: the axis of type channel is `c`, and the last axes of
    type space are z, y, x.
    """
    if described.axes is None:
        return [Axis(name=name) for name in "tczyx"[-ndim:]]
    axes = [Axis(name=axis) if isinstance(axis, str) else axis for axis in described.axes]
    names = [axis_name(axis.name) for axis in axes]
    space = [i for i, axis in enumerate(axes) if axis.type == "space"]
    if len(space) >= 2 and not {"y", "x"} <= {names[i] for i in space}:
        for i, name in zip(space[-3:], "zyx"[-len(space) :], strict=True):
            names[i] = name
    typed = {"channel": "c", "time": "t"}
    for i, axis in enumerate(axes):
        meant = typed.get(axis.type or "")
        swapped = axis.type == "space" and names[i] in ("c", "s")
        if swapped or (meant and names[i] in "ctzyx" and names[i] != meant):
            raise InputError(
                f"{source}: calls an axis {axis.name} and says that it is one of {axis.type}; "
                "correct its metadata, or export it again"
            )
        names[i] = meant or names[i]
    return [axis.model_copy(update={"name": name}) for axis, name in zip(axes, names, strict=True)]


def _transformation(described: Multiscale, ndim: int, source: str) -> tuple[Any, Any]:
    """Compose scale and translation from the first level's pixels to world coordinates."""
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
    """Convert scale and translation to micrometres, in the order of the stack's axes."""
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
