"""Opening files, arrays and layers as lazy stacks."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.axes import described_axes
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.readers.arrays import (
    layer_stack,
    named_stack,
    planes_or_levels,
    spacings,
)
from napari_lungcls.images.readers.hdf5 import SUFFIXES as HDF5
from napari_lungcls.images.readers.hdf5 import list_hdf5, open_hdf5, split_dataset
from napari_lungcls.images.readers.openslide import SUFFIXES as SLIDES
from napari_lungcls.images.readers.selection import Listed, split_choice
from napari_lungcls.images.stack import ImageStack

TIFF = (".tif", ".tiff", ".btf", ".svs", ".ndpi")
PICTURES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".gif", ".ppm", ".pgm",
    ".pbm", ".pnm",
)  # fmt: skip
SUPPORTED = (*TIFF, *PICTURES, ".zarr", *HDF5, *SLIDES)
"""Suffixes that `open_image` supports, in lower case."""

logger = logging.getLogger(__name__)


def open_image(path: str | os.PathLike[str], channels: Choice | None = None) -> ImageStack:
    """Open an image; only its metadata is read, and pixels on demand.

    Pictures such as PNG and JPEG are the exception: they have one plane, which is decoded at
    once. They and TIFF are recognised by their first bytes, whatever the file is called.

    Parameters
    ----------
    path
        A TIFF, OME-TIFF (with or without pyramid), SVS or NDPI file, a slide that OpenSlide
        reads (with the extra `slides`), a picture (one of `PICTURES`), a folder that is an
        OME-Zarr image or a zarr array, or an HDF5 file, of which `file.h5:/path/to/dataset`
        names one dataset. Of several images in a file the largest is taken, with a
        warning; `file.tif#2` or `file.tif#NAME` takes another.
    channels
        Which channels to use, by number or by their names in the file, as for `ImageStack`.
        Without it the image must be grey or have three colours.

    Returns
    -------
    ImageStack
        With pixel size, scale and translation in µm if the file states them.

    Raises
    ------
    InputError
        When the file is missing, of an unknown kind, damaged, empty, or no image, or has no
        such channels.

    Examples
    --------
    >>> image = lc.open_image("section.ome.tif")
    >>> image.shape, image.rgb, image.pixel_size, image.unit
    ((192, 192), True, 4.0, 'micrometer')
    """
    source = os.fspath(path)
    whole, chosen = split_choice(source)
    name, inside = split_dataset(whole)
    stack = _open(Path(name), inside, chosen, whole, channels)
    stack.source = source
    logger.debug("opened %s: %s %s, %s µm", source, stack.shape, stack.dtype, stack.pixel_size)
    if stack.turned:
        warnings.warn(
            f"{source}: is turned upright, as its orientation says. Points that were set in a "
            "program that shows it as it is stored do not fit; set them again",
            LungclsWarning,
            stacklevel=2,
        )
    stack.path = (
        os.path.abspath(name) + (f":{inside}" if inside else "") + (f"#{chosen}" if chosen else "")
    )
    return stack


def as_stack(image: Any, *, channels: Choice | None = None, **options: Any) -> ImageStack:
    """Take anything that is an image: an `ImageStack`, a path, an array or a napari layer.

    Parameters
    ----------
    image
        A numpy, dask, zarr or h5py array, an xarray `DataArray`, an OME-Zarr group, or a list
        of arrays: of equal planes, which make a stack, or of the levels of a pyramid, finest
        first. Names of axes are used if the object has them. Of a napari image layer, scale
        and translate are kept, and its pixel size in the world is used if its units are
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
        return layer_stack(image, channels)
    named = _described(image, channels, options)
    if named is not None:
        return named
    return ImageStack(planes_or_levels(image), channels=channels, **options)


def list_images(path: str | os.PathLike[str]) -> list[Listed]:
    """List the images of a file or folder that may hold several; empty for other kinds.

    Pictures that only accompany a slide, such as its label, are left out.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    source = os.fspath(path)
    file = Path(source)
    if file.is_dir():
        from napari_lungcls.images.readers.zarr import list_zarr

        return list_zarr(file, source)
    if file.suffix.lower() in TIFF:
        from napari_lungcls.images.readers.tiff import list_tiff

        return list_tiff(file, source)
    return list_hdf5(file, source) if file.suffix.lower() in HDF5 else []


def _open(
    file: Path, inside: str | None, chosen: str | None, source: str, channels: Choice | None
) -> ImageStack:
    if not os.path.exists(file):  # pathlib raises for a name that the system does not take
        raise InputError(f"{source}: there is no such file; check the path")
    if file.is_dir():
        from napari_lungcls.images.readers.zarr import open_zarr

        return open_zarr(file, source, channels, chosen)
    suffix = file.suffix.lower()
    told = None
    if suffix in (*TIFF, *PICTURES):
        from napari_lungcls.images.readers.picture import open_picture, told_by_content

        told = told_by_content(file)
    if told == "tiff" or (told is None and suffix in TIFF):
        from napari_lungcls.images.readers.tiff import open_tiff

        return open_tiff(file, source, channels, chosen)
    if suffix == ".zarr":
        raise InputError(f"{source}: is a file, but a zarr store is a folder; unpack it first")
    if suffix in HDF5:
        return open_hdf5(file, inside, source, channels, chosen)
    if chosen is not None and suffix in SUPPORTED:
        raise InputError(f"{source}: holds one image; leave #{chosen} out")
    if suffix in (*TIFF, *PICTURES):
        return open_picture(file, source, channels)
    if suffix in SLIDES:
        from napari_lungcls.images.readers.openslide import open_slide

        return open_slide(file, source, channels)
    raise InputError(
        f"{source}: images of this kind cannot be read; convert it to one of {', '.join(SUPPORTED)}"
    )


def _described(image: Any, channels: Choice | None, options: dict[str, Any]) -> ImageStack | None:
    """Open an object that names its axes as if it were a file; None if it names none."""
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
                            sizes=spacings(image, dims))  # fmt: skip
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
