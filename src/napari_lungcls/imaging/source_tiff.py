"""TIFF, OME-TIFF, ImageJ and slide scanner files, opened without reading their pixels."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.channels import Choice
from napari_lungcls.imaging.source_axes import READ_ERRORS, LazyView, Opened, arrange
from napari_lungcls.imaging.source_recent import RecentChunks
from napari_lungcls.imaging.source_units import micrometres, plausible, world
from napari_lungcls.imaging.stack import ImageStack

Sizes = dict[str, float | None]
"""Micrometres per pixel along `x`, `y`, `z`; None or absent when unknown."""

_INTENSITIES = (0, 1, 2, 6)
"""Photometric interpretations that are grey or become RGB when decoded (6 is YCbCr)."""
_PALETTE = 3


def open_tiff(path: Path, source: str, channels: Choice | None = None) -> ImageStack:
    """Open the first image of a TIFF file, with its pyramid levels.

    Tiles and strips are decoded when they are asked for, and contiguous pixels are mapped
    into memory. Pixel sizes come from OME-XML, ImageJ or Aperio descriptions, or from the
    resolution tags where they are plausible for a microscope.

    Parameters
    ----------
    path
        The file.
    source
        Names the file in messages.
    channels
        What to make of its channels, as for `ImageStack`.

    Raises
    ------
    InputError
        When the file is no TIFF, is truncated, or holds something else than intensities.
    """
    broken = f"{source}: is not a TIFF image that can be read"
    try:
        tif = tifffile.TiffFile(path)
    except READ_ERRORS as error:
        raise InputError(f"{broken} ({error}); copy or export it again") from error
    opened = Opened(tif.close)
    try:
        levels = list(tif.series[0].levels)
        page = levels[0].keyframe
        _check_complete(levels, source)
        sizes = _sizes(tif, page)
        _check_meaning(tif, page, source)
        layout = arrange(*_axes(levels[0], page), source, choosing=channels is not None)
        names = _ome_channels(tif)
        arrays = [_array(level, path) for level in levels if level.axes == levels[0].axes]
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{broken} ({error}); copy or export it again") from error
    pixel_size, scale, unit = world(layout.names, sizes, source)
    return ImageStack(
        [LazyView(array, source, layout.order, opened) for array in arrays],
        rgb=layout.rgb,
        pixel_size=pixel_size,
        scale=scale,
        unit=unit,
        name=path.name.split(".")[0] or path.name,
        source=source,
        channels=channels,
        channel_names=names,
    )


def _array(level: tifffile.TiffPageSeries, path: Path) -> Any:
    """Give the pixels of one level as an array that is read when it is indexed."""
    tif = level.keyframe.parent
    if level.dataoffset is not None and not level.is_multifile and level.transform is None:
        dtype = np.dtype(level.dtype).newbyteorder(tif.byteorder)
        return np.memmap(path, dtype, "r", level.dataoffset, level.shape)
    store = level.aszarr(level=0)
    if not level.keyframe.is_tiled:
        return zarr.open_array(RecentChunks(store), mode="r")
    return zarr.open_array(store, mode="r")


def _axes(
    level: tifffile.TiffPageSeries, page: tifffile.TiffPage
) -> tuple[list[str], tuple[int, ...]]:
    """Name the axes; grey with alpha counts as grey."""
    axes, shape = list(level.axes.lower()), list(level.shape)
    alpha = tuple(page.extrasamples)[:1] in ((1,), (2,))
    if alpha and "s" in axes and shape[axes.index("s")] == 2:
        shape[axes.index("s")] = 1
    return axes, tuple(shape)


def _check_meaning(tif: tifffile.TiffFile, page: tifffile.TiffPage, source: str) -> None:
    """Refuse numbers that are no intensities: indices of colours, CMYK, Lab, complex."""
    photometric = int(page.photometric)
    # ImageJ and OME write their look-up tables as palettes over plain intensities.
    lookup = photometric == _PALETTE and (tif.is_imagej or tif.is_ome)
    if photometric not in _INTENSITIES and not lookup:
        name = tifffile.PHOTOMETRIC(photometric).name.lower()
        raise InputError(f"{source}: has {name} colours; save it as RGB or grey")


def _check_complete(levels: list[tifffile.TiffPageSeries], source: str) -> None:
    """Refuse a file that is shorter than the data it announces."""
    short = 0
    for level in levels:
        for page in level.pages:
            if page is None or not len(page.dataoffsets):
                continue
            ends = np.add(page.dataoffsets, page.databytecounts, dtype=np.int64)
            short = max(short, int(ends.max()) - int(page.parent.filehandle.size))
        if level.dataoffset is not None:
            # ImageJ announces all planes in the first page.
            end = level.dataoffset + level.nbytes
            short = max(short, end - int(level.keyframe.parent.filehandle.size))
    if short:
        raise InputError(f"{source}: is truncated, {short} bytes are missing; copy it again")


def _sizes(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> Sizes:
    """Find the pixel size in the first place that states one."""
    for found in (_ome_sizes(tif), _imagej_sizes(tif, page), _aperio_sizes(page)):
        if found.get("x"):
            return found
    if tif.is_imagej:
        return {}
    unit = micrometres({2: "inch", 3: "cm"}.get(int(page.resolutionunit)))
    x, y = _resolution(page, unit)
    believed = x is not None and y is not None and plausible(x) and plausible(y)
    return {"x": x, "y": y} if believed else {}


def _ome_sizes(tif: tifffile.TiffFile) -> Sizes:
    """Read `PhysicalSize…` of the first image of OME-XML; the unit is µm unless given."""
    pixels = _ome_pixels(tif)
    return {} if pixels is None else {a: _ome_size(pixels.attrib, a.upper()) for a in "xyz"}


def _ome_channels(tif: tifffile.TiffFile) -> list[str]:
    """Read the names of the channels of the first image of OME-XML."""
    pixels = _ome_pixels(tif)
    found = [] if pixels is None else [e for e in pixels if _tag(e) == "Channel"]
    return [element.get("Name", "") for element in found]


def _ome_pixels(tif: tifffile.TiffFile) -> ElementTree.Element | None:
    """Find what OME-XML says about the first image, if there is any."""
    if not tif.ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(tif.ome_metadata)
    except ElementTree.ParseError:
        return None
    return next((element for element in root.iter() if _tag(element) == "Pixels"), None)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _ome_size(attributes: dict[str, str], axis: str) -> float | None:
    size = attributes.get(f"PhysicalSize{axis}")
    unit = micrometres(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
    return _product(size, unit)


def _product(size: object, unit: float | None) -> float | None:
    """Multiply a number that a file gives with its unit; what is no number is unknown."""
    try:
        return None if size is None or unit is None else float(str(size)) * unit
    except ValueError:
        return None


def _imagej_sizes(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> Sizes:
    """Read ImageJ's calibration: a unit in the description, pixels per unit in the tags."""
    metadata = tif.imagej_metadata or {}
    unit = micrometres(str(metadata.get("unit", "")))
    x, y = _resolution(page, unit)
    return {"x": x, "y": y, "z": _product(metadata.get("spacing"), unit)}


def _aperio_sizes(page: tifffile.TiffPage) -> Sizes:
    """Read the micrometres per pixel that Aperio scanners write in the description."""
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", page.description) if page.is_svs else None
    size = float(found[1]) if found else None
    return {"x": size, "y": size}


def _resolution(page: tifffile.TiffPage, unit: float | None) -> tuple[float | None, float | None]:
    """Turn the resolution tags, pixels per unit as fractions, into µm per pixel (x, y)."""
    found: list[float | None] = []
    for name in ("XResolution", "YResolution"):
        value = page.tags.valueof(name)
        pair = value if isinstance(value, tuple) and len(value) == 2 else (0, 0)
        found.append(unit * pair[1] / pair[0] if unit and pair[0] and pair[1] else None)
    return found[0], found[1]
