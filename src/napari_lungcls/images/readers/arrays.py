"""Reader of arrays and napari layers, with or without named axes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView, Opened, arrange, described_axes, guess_axes
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.pixel_size import micrometres, ngff_name, square, world
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.utils.humanize import listing


def named_stack(
    array: Any,
    *descriptions: object,
    channels: Choice | None,
    name: str,
    source: str,
    sizes: dict[str, float | None] | None = None,
    opened: Opened | None = None,
) -> ImageStack:
    """Make an image from an array and the names of its axes.

    Parameters
    ----------
    array
        Anything with `shape`, `dtype` and indexing by whole numbers and slices.
    *descriptions
        Names of its axes, or None, from every place that may state them. If none does, they
        are guessed by `guess_axes`.
    channels
        Which channels to use, as for `ImageStack`.
    name, source
        Its name in layers and in messages.
    sizes
        Micrometres per pixel along some of `x`, `y`, `z`.
    opened
        Keeps a file open while the image is in use.

    Raises
    ------
    InputError
        When the names do not fit the array or contradict each other, or it is not an image.
    """
    shape, choosing = tuple(array.shape), channels is not None
    said = [names for names in descriptions if isinstance(names, list | tuple)]
    axes = described_axes(*said, ndim=len(shape), source=source)
    layout = arrange(axes or guess_axes(shape, choosing=choosing), shape, source, choosing=choosing)
    pixel_size, scale, unit = world(layout.names, sizes or {}, source)
    return ImageStack(
        LazyView(array, source, layout.order, opened),
        rgb=layout.rgb,
        pixel_size=pixel_size,
        scale=scale,
        unit=unit,
        name=name,
        source=source,
        channels=channels,
        channel_names=[""] * layout.channels,
        axis_names=layout.names if axes else (),
    )


def spacings(image: Any, dims: Sequence[Any]) -> dict[str, float | None]:
    """Read the pixel size from evenly spaced coordinates with a unit of length, as xarray has."""
    found: dict[str, float | None] = {}
    coordinates = getattr(image, "coords", {})
    for dim in dims:
        if dim not in coordinates or len(coordinates[dim]) < 2:
            continue
        along = coordinates[dim]
        unit = micrometres(str(getattr(along, "attrs", {}).get("units", "")))
        values = np.asarray(along)
        if unit is None or values.dtype.kind not in "iuf":
            continue
        steps = np.diff(values.astype(np.float64))
        if steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3):
            found[str(dim).lower()] = float(steps.mean()) * unit
    return found


def planes_or_levels(image: Any) -> Any:
    """Stack a list of equal planes; leave a pyramid as it is.

    Raises
    ------
    InputError
        For a list that is neither.
    """
    if not isinstance(image, list | tuple) or len(image) < 2:
        return image
    shapes = [tuple(getattr(array, "shape", ())) for array in image]
    if len(set(shapes)) == 1 and shapes[0]:
        if len({np.dtype(array.dtype) for array in image}) > 1:
            raise InputError("the planes of a list have different types; convert them to one")
        return da.stack([da.asarray(array) for array in image])  # type: ignore[no-untyped-call]
    finer = all(
        len(small) == len(large) and small != large and all(map(int.__le__, small, large))
        for large, small in itertools.pairwise(shapes)
    )
    if not finer:
        raise InputError(
            f"a list of arrays is a stack of equal planes, or a pyramid, finest first; of shapes "
            f"{listing(map(str, shapes), 4)} it is neither"
        )
    return image


def layer_stack(layer: Any, channels: Choice | None) -> ImageStack:
    """Make an image of a napari image layer; see `as_stack`."""
    data = list(layer.data) if getattr(layer, "multiscale", False) else layer.data
    levels = data if isinstance(data, list) else [data]
    source = f"layer {layer.name!r}"
    unit = str(getattr(layer, "units", ("pixel",))[-1])
    scale = [float(v) for v in layer.scale]
    translate = [float(v) for v in layer.translate]
    rgb = bool(layer.rgb)
    labels = tuple(getattr(layer, "axis_labels", ()))
    axes = described_axes(labels, ndim=len(scale), source=source) if labels else None
    if axes is not None:
        if [axis for axis in axes if axis not in ("c", "s")][-2:] != ["y", "x"]:
            raise InputError(
                f"{source}: its axes are {', '.join(axes)}, and a plane is (y, x); transpose it"
            )
        shape = tuple(levels[0].shape)
        names = [*axes, "s"] if rgb else axes
        layout = arrange(names, shape, source, choosing=channels is not None)
        levels = [LazyView(level, source, layout.order) for level in levels]
        kept = layout.order[: len(layout.names)]
        scale, translate = [scale[i] for i in kept], [translate[i] for i in kept]
        rgb = layout.rgb
    return ImageStack(
        levels,
        rgb=rgb,
        channels=channels,
        pixel_size=square(*pixel_edges(layer), source),
        scale=scale,
        translate=translate,
        unit=ngff_name(unit) or unit,
        name=str(layer.name),
        source=source,
    )


def pixel_edges(layer: Any) -> tuple[float | None, float | None]:
    """Measure a pixel of a layer in the world, µm along y and x, whatever transform it has."""
    units = [micrometres(str(unit)) for unit in getattr(layer, "units", ())]
    if not units or None in units[-2:]:
        return None, None
    factors = np.array([unit or 0.0 for unit in units])
    ndim = len(factors)
    origin = np.asarray(layer.data_to_world(np.zeros(ndim)))[-ndim:]
    edges = [
        float(np.linalg.norm((np.asarray(layer.data_to_world(step))[-ndim:] - origin) * factors))
        for step in np.eye(ndim)[-2:]
    ]
    return edges[0], edges[1]
