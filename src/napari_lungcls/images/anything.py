"""Taking whatever is an image: a stack, a path, an array, a layer of napari."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView, arrange, described_axes
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.readers.arrays import named_stack
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.images.units import micrometres, ngff_name, square


def as_stack(image: Any, *, channels: Choice | None = None, **options: Any) -> ImageStack:
    """Take anything that is an image: an `ImageStack`, a path, an array, a napari layer.

    Parameters
    ----------
    image
        A numpy, dask, zarr or h5py array, an xarray `DataArray`, an OME-Zarr group, or a list
        of arrays: of equal planes, which make a stack, or of the levels of a pyramid, finest
        first. Names of axes count where an object has them, as they do in a file. A napari
        image layer is recognised by its `data` and `rgb`; its scale and translate are kept,
        and the lengths of its pixels in the world are the pixel size when its units are
        lengths.
    channels
        What to make of its channels, as for `ImageStack`.
    **options
        Passed on to `ImageStack` for arrays and lists of arrays that do not name their axes.

    Raises
    ------
    InputError
        When it is no image, or it is a stack, whose channels have been chosen, or what it
        says about its axes contradicts itself or the options.

    Examples
    --------
    >>> lc.as_stack(np.zeros((5, 64, 64), np.uint8), pixel_size=0.5).shape
    (5, 64, 64)
    >>> lc.as_stack(np.zeros((64, 64, 3), np.uint8)).rgb
    True
    >>> lc.as_stack(np.zeros((3, 64, 64), np.uint8), channels="0,2,1").rgb
    True
    """
    if isinstance(image, ImageStack):
        if channels is not None:
            raise InputError(f"{image.source}: is open; choose its channels where it is opened")
        return image
    if isinstance(image, str | os.PathLike):
        return open_image(Path(image), channels)
    if hasattr(image, "data") and hasattr(image, "rgb") and hasattr(image, "scale"):
        return _from_layer(image, channels)
    named = _described(image, channels, options)
    if named is not None:
        return named
    return ImageStack(_planes_or_levels(image), channels=channels, **options)


def _described(image: Any, channels: Choice | None, options: dict[str, Any]) -> ImageStack | None:
    """Open an object that may name its axes as its file would be; None when it names none."""
    zarr, h5py = sys.modules.get("zarr"), sys.modules.get("h5py")
    dims = getattr(image, "dims", None)
    name = str(options.get("name") or getattr(image, "name", "") or "image").rpartition("/")[2]
    source = str(options.get("source") or name)
    if zarr is not None and isinstance(image, zarr.Array | zarr.Group):
        from napari_lungcls.images.readers.zarr import zarr_stack

        stack = zarr_stack(image, name, source, channels)
    elif h5py is not None and isinstance(image, h5py.Dataset):
        from napari_lungcls.images.readers.hdf5 import hdf5_stack

        stack = hdf5_stack(image, name, source, channels)
    elif isinstance(dims, tuple | list) and len(dims) == len(getattr(image, "shape", ())):
        if described_axes(dims, ndim=len(dims), source=source) is None:
            return None
        stack = named_stack(image, dims, channels=channels, name=name, source=source,
                            sizes=_spacings(image, dims))  # fmt: skip
    else:
        return None
    rgb = options.get("rgb")
    if rgb is not None and rgb != stack.rgb:
        raise InputError(
            f"{source}: says by its axes that it is {'RGB' if stack.rgb else 'grey'}, and rgb="
            f"{rgb} says that it is not; leave rgb out, or give the plain array"
        )
    unknown = sorted(set(options) - {"rgb", "name", "source", "pixel_size"})
    if unknown:
        raise InputError(
            f"{source}: names its axes itself; leave {', '.join(unknown)} out, or give the plain "
            "array"
        )
    return stack.with_pixel_size(options.get("pixel_size"))


def _spacings(image: Any, dims: Sequence[Any]) -> dict[str, float | None]:
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


def _planes_or_levels(image: Any) -> Any:
    """Make a stack of a list of equal planes; a pyramid is left as it is.

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
        said = ", ".join(map(str, shapes[:4])) + (", …" if len(shapes) > 4 else "")
        raise InputError(
            f"a list of arrays is a stack of equal planes, or a pyramid, finest first; of shapes "
            f"{said} it is neither"
        )
    return image


def _from_layer(layer: Any, channels: Choice | None) -> ImageStack:
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
