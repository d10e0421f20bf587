"""Reader of TIFF, OME-TIFF, ImageJ and slide scanner files."""

from __future__ import annotations

import logging
import os
import re
import struct
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tifffile

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.axes import LazyView, Opened, arrange, upright
from napari_lungcls.images.channels import Choice, per_channel
from napari_lungcls.images.damage import reading
from napari_lungcls.images.pixel_size import micrometres, plausible, world
from napari_lungcls.images.readers.selection import Candidate, Listed, choose, is_associated
from napari_lungcls.images.readers.tiff_pixels import PALETTE, hushed, intensities, level_pixels
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.utils.humanize import listing

_BROKEN = "is not a TIFF image that can be read ({}); copy or export it again"

Sizes = dict[str, float | None]
"""Micrometres per pixel along `x`, `y`, `z`; None or absent when unknown."""

MOST_PAGES = 2**18
"""Pages of a file."""

_PRINTED = ("inch", "inches", "in", '"', "cm")
"""Units that programs write for printing, whatever the image shows."""


def open_tiff(
    path: Path, source: str, channels: Choice | None = None, chosen: str | None = None
) -> ImageStack:
    """Open an image of a TIFF file, with its pyramid levels.

    Tiles and strips are decoded on demand, and contiguous pixels are memory-mapped. Pixel
    sizes come from OME-XML, ImageJ or Aperio descriptions, or from the resolution tags if they
    are plausible for a microscope. Reading pages, files of a set or tiles that are missing or
    truncated raises an error.

    Parameters
    ----------
    path
        The file.
    source
        Names the file in messages.
    channels
        Which channels to use, as for `ImageStack`.
    chosen
        Number or name of the image in the file; by default the largest, as in `choose`.

    Raises
    ------
    InputError
        When the file is not a TIFF, is truncated, or holds something other than intensities.
    """
    with hushed() as heard, reading(source, _BROKEN):
        tif = tifffile.TiffFile(path)
        return _opened(tif, path, source, channels, chosen, Opened(tif.close), heard)


def list_tiff(path: Path, source: str) -> list[Listed]:
    """List the images of a TIFF file, without those that only accompany a slide.

    Raises
    ------
    InputError
        When it is not a TIFF.
    """
    with hushed(), reading(source, _BROKEN), tifffile.TiffFile(path) as tif:
        _check_chain(tif, source)
        images = _images(tif)
        candidates = [Candidate(one.name or "", *_plane(one)) for one in images]
        taken = choose(candidates, None, source, silent=True)
        return [
            Listed(f"#{i + 1}", like.name, tuple(one.shape), str(one.dtype), i == taken)
            for i, (one, like) in enumerate(zip(images, candidates, strict=True))
            if i == taken or not is_associated(like.name)
        ]


def _opened(
    tif: tifffile.TiffFile,
    path: Path,
    source: str,
    channels: Choice | None,
    chosen: str | None,
    opened: Opened,
    heard: Sequence[logging.LogRecord],
) -> ImageStack:
    _check_chain(tif, source)
    found = _images(tif)
    if not found:
        raise InputError(f"{source}: holds no image; copy or export it again")
    candidates = [Candidate(one.name or "", *_plane(one)) for one in found]
    series = found[choose(candidates, chosen, source, silent=_is_slide(tif))]
    _check_folder(tif, series, source)
    _check_whole(tif, series, source, heard)
    levels = [level for level in series.levels if level.axes == series.axes]
    page = series.keyframe
    ome = _ome_pixels(tif, series)
    absent = _absent(tif, path)
    lookup = tif.is_imagej or tif.is_ome
    axes = list(series.axes.lower())
    arrays = [level_pixels(level, path, source, absent) for level in levels]
    arrays = [
        intensities(a, level.keyframe, lookup=lookup, source=source)
        for a, level in zip(arrays, levels, strict=True)
    ]
    if page.photometric == PALETTE and not lookup:
        axes.append("s")
    shape = _without_alpha(axes, arrays[0].shape, page)
    layout = arrange(axes, shape, source, choosing=channels is not None)
    tag = 1 if lookup else page.tags.valueof("Orientation", 1)
    orientation = int(tag) if tag in range(2, 9) else 1
    order, flipped = upright(layout.order, orientation, axes.index("y"), axes.index("x"))
    pixel_size, scale, unit = world(layout.names, _sizes(tif, page, ome), source)
    stack = ImageStack(
        [LazyView(array, source, order, opened, flipped=flipped) for array in arrays],
        rgb=layout.rgb,
        pixel_size=pixel_size,
        scale=scale,
        unit=unit,
        name=path.name.split(".")[0] or path.name,
        source=source,
        channels=channels,
        # tifffile calls unnamed pages i or q.
        axis_names=() if {"i", "q"} & set(layout.names) else layout.names,
        channel_names=per_channel(_ome_channels(ome, "Name"), layout.channels),
        channel_colours=per_channel(
            [_ome_colour(c) for c in _ome_channels(ome, "Color")] or _imagej_colours(tif),
            layout.channels,
        ),
    )
    stack.turned = orientation != 1
    return stack


def _check_chain(tif: tifffile.TiffFile, source: str) -> None:
    """Refuse pages that lead back to an earlier one: tifffile would never come to their end."""
    file, form, seen = tif.filehandle, tif.tiff, set[int]()
    offset = int(tif.pages.first.offset)
    try:
        while offset and offset not in seen:
            seen.add(offset)
            if len(seen) > MOST_PAGES:
                raise InputError(
                    f"{source}: has more than {MOST_PAGES} pages; split it into several files"
                )
            file.seek(offset)
            (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
            file.seek(offset + form.tagnosize + count * form.tagsize)
            (offset,) = struct.unpack(form.offsetformat, file.read(form.offsetsize))
    except struct.error:
        return  # The file ends there; what is missing is found later.
    if offset:
        raise InputError(
            f"{source}: is damaged, its pages lead back to an earlier one; copy or export it again"
        )


def _images(tif: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the series of a file that are images, not downsampled copies or masks."""
    found = [series for series in tif.series if series.ndim >= 2]
    own = [s for s in found if not (s.keyframe.is_reduced or s.keyframe.is_mask)]
    return own or found or list(tif.series)


def _is_slide(tif: tifffile.TiffFile) -> bool:
    """Return whether a scanner wrote the file, so that thumbnails and labels are expected."""
    return bool(tif.is_svs or tif.is_ndpi or tif.is_scn or tif.is_bif or tif.is_philips)


def _plane(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    lengths = dict(zip(series.axes.lower(), series.shape, strict=True))
    return lengths.get("y", 1), lengths.get("x", 1)


def _check_folder(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, source: str) -> None:
    """Refuse an OME-TIFF set with files of other folders: a stranger's file could name any."""
    own = tif.filehandle.dirname
    pages = series.pages if series.is_multifile else ()
    if any(page is not None and page.parent.filehandle.dirname != own for page in pages):
        raise InputError(
            f"{source}: some of its planes are in files of another folder; copy all files of the "
            "set into one folder, and export it anew if it names them with their folders"
        )


def _check_whole(
    tif: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    source: str,
    heard: Sequence[logging.LogRecord],
) -> None:
    """Raise an error if the list of pages is truncated; warn of metadata that cannot be used.

    If the file states the number of pages, missing ones are found when they are read. For a
    plain TIFF the number is unknown.
    """
    number, handle = len(tif.pages), tif.filehandle
    handle.seek(tif.pages.next_page_offset or 0)
    order: Literal["little", "big"] = "little" if tif.byteorder == "<" else "big"
    following = int.from_bytes(handle.read(tif.tiff.offsetsize), order)
    lines = [record.getMessage() for record in heard]
    cut = following >= handle.size or any("invalid value offset" in line for line in lines)
    if cut and series.kind in ("generic", "uniform"):
        raise InputError(
            f"{source}: is truncated, it breaks off after {number} "
            f"{'page' if number == 1 else 'pages'}; copy it again"
        )
    failed = [line for line in lines if "series raised" in line or "series metadata" in line]
    if failed:
        warnings.warn(
            f"{source}: what it says about its axes and pixel size cannot be used; its pages are "
            "read as they are. Check the axes, and export it again if they are wrong.",
            LungclsWarning,
            stacklevel=2,
        )


def _absent(tif: tifffile.TiffFile, path: Path) -> str:
    """Word the error for missing pixels, naming missing files of an OME-TIFF set."""
    files = dict.fromkeys(re.findall(r'FileName="([^"]+)"', tif.ome_metadata or ""))
    # Unlike pathlib's, this tells of a name that the system does not take that it is not there.
    missing = [n for n in files if not os.path.exists(path.parent / os.path.basename(n))]
    if not missing:
        return "its pixels are missing; copy or export it again"
    named = listing(missing, 3)
    return f"its pixels are in a file that is missing ({named}); copy it into the same folder"


def _without_alpha(
    axes: Sequence[str], shape: Sequence[int], page: tifffile.TiffPage
) -> tuple[int, ...]:
    """Return the lengths of the axes; grey with alpha counts as grey."""
    lengths = list(shape)
    alpha = tuple(page.extrasamples)[:1] in ((1,), (2,))
    if alpha and "s" in axes and lengths[axes.index("s")] == 2:
        lengths[axes.index("s")] = 1
    return tuple(lengths)


def _sizes(
    tif: tifffile.TiffFile, page: tifffile.TiffPage, ome: ElementTree.Element | None
) -> Sizes:
    """Return the pixel size from the first source that states one."""
    stated = {} if ome is None else {a: _ome_size(ome.attrib, a.upper()) for a in "xyz"}
    for found in (stated, _imagej_sizes(tif, page), _aperio_sizes(page)):
        if found.get("x"):
            return found
    if tif.is_imagej:
        return {}
    unit = micrometres({2: "inch", 3: "cm"}.get(int(page.resolutionunit)))
    return _believed(*_resolution(page, unit))


def _believed(x: float | None, y: float | None) -> Sizes:
    """Accept a resolution from an unreliable source if it is plausible for a microscope."""
    believed = x is not None and y is not None and plausible(x) and plausible(y)
    return {"x": x, "y": y} if believed else {}


def _ome_channels(pixels: ElementTree.Element | None, attribute: str) -> list[str]:
    """Read what OME-XML says about each channel of an image."""
    found = [] if pixels is None else [e for e in pixels if _tag(e) == "Channel"]
    return [element.get(attribute, "") for element in found]


def _ome_colour(number: str) -> str:
    """Turn a colour of OME-XML, red, green, blue and alpha in a signed number, into `#rrggbb`."""
    try:
        return f"#{(int(number) & 0xFFFFFFFF) >> 8:06x}"
    except ValueError:
        return ""


def _imagej_colours(tif: tifffile.TiffFile) -> list[str]:
    """Read the brightest colour of each channel's table."""
    tables = (tif.imagej_metadata or {}).get("LUTs")
    if not isinstance(tables, list):
        return []
    return ["#{:02x}{:02x}{:02x}".format(*(int(v) for v in table[:, -1])) for table in tables]


def _ome_pixels(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries
) -> ElementTree.Element | None:
    """Find the OME-XML of an image, by position or else by name and size."""
    if not tif.ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(tif.ome_metadata)
    except ElementTree.ParseError:
        return None
    images = [element for element in root.iter() if _tag(element) == "Image"]
    described = [
        (image.get("Name"), pixels)
        for image in images
        for pixels in image
        if _tag(pixels) == "Pixels"
    ]
    if len(described) == len(tif.series):
        return described[next(i for i, one in enumerate(tif.series) if one is series)][1]
    height, width = _plane(series)
    like = [
        pixels
        for name, pixels in described
        if (pixels.get("SizeY"), pixels.get("SizeX")) == (str(height), str(width))
        and name == series.name
    ]
    return like[0] if like else None


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _ome_size(attributes: dict[str, str], axis: str) -> float | None:
    size = attributes.get(f"PhysicalSize{axis}")
    unit = micrometres(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
    return _product(size, unit)


def _product(size: object, unit: float | None) -> float | None:
    """Multiply a number from a file by its unit; None if it is not a number."""
    try:
        return None if size is None or unit is None else float(str(size)) * unit
    except ValueError:
        return None


def _imagej_sizes(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> Sizes:
    """Read ImageJ's calibration: a unit in the description, pixels per unit in the tags."""
    metadata = tif.imagej_metadata or {}
    unit = micrometres(str(metadata.get("unit", "")))
    x, y = _resolution(page, unit)
    spacing = {"z": _product(metadata.get("spacing"), unit)}
    printed = str(metadata.get("unit", "")).strip().lower() in _PRINTED
    return (_believed(x, y) if printed else {"x": x, "y": y}) | spacing


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
