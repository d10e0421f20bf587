"""Reader of slides that only OpenSlide supports: MIRAX, Hamamatsu VMS, Sakura and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView, Opened
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.damage import READ_ERRORS
from napari_lungcls.images.pixel_size import world
from napari_lungcls.images.stack import ImageStack

SUFFIXES = (".mrxs", ".vms", ".vmu", ".svslide", ".scn", ".bif", ".dcm", ".czi")
"""Formats left to OpenSlide; those that tifffile supports are read by tifffile."""

TILE = 256
"""Edge of the tiles to read if the file does not state its own."""


def open_slide(path: Path, source: str, channels: Choice | None = None) -> ImageStack:
    """Open a slide with its pyramid; pixels are decoded on demand.

    Areas that were not scanned get the slide's background colour, white unless the file says
    otherwise.

    Parameters
    ----------
    path
        The file; MIRAX and VMS slides have a folder or other files beside it.
    source
        Names the file in messages.
    channels
        Which colours to use, as for `ImageStack`.

    Raises
    ------
    InputError
        When OpenSlide is not installed, or does not read the file.
    """
    try:
        import openslide
    except (ImportError, OSError) as error:
        raise InputError(
            f"{source}: slides of this kind are read by OpenSlide; install napari-lungcls with "
            "the extra slides"
        ) from error
    try:
        slide = openslide.OpenSlide(path)
    except (openslide.OpenSlideError, *READ_ERRORS) as error:
        said = f" ({error})" if str(error) else ""
        raise InputError(
            f"{source}: is not a slide that OpenSlide reads{said}; copy it again with the files "
            "and folders that belong to it, or export it as OME-TIFF"
        ) from error
    opened = Opened(slide.close)
    sizes = {axis: _number(slide.properties.get(f"openslide.mpp-{axis}")) for axis in "xy"}
    pixel_size, scale, unit = world(("y", "x"), sizes, source)
    levels = [SlideLevel(slide, level) for level in range(slide.level_count)]
    return ImageStack(
        [LazyView(level, source, opened=opened) for level in levels],
        rgb=True,
        pixel_size=pixel_size,
        scale=scale,
        unit=unit,
        name=path.stem,
        source=source,
        channels=channels,
    )


class SlideLevel:
    """One level of a slide as an array `(y, x, 3)` uint8.

    Parameters
    ----------
    slide
        An `openslide.OpenSlide`.
    level
        0 is the finest.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, slide: Any, level: int) -> None:
        self._slide, self._level = slide, level
        width, height = slide.level_dimensions[level]
        self.shape = (height, width, 3)
        said = (slide.properties.get(f"openslide.level[{level}].tile-{edge}")
                for edge in ("height", "width"))  # fmt: skip
        self.chunks = (*(int(edge or TILE) for edge in said), 3)
        background = slide.properties.get("openslide.background-color", "FFFFFF")
        self._background = f"#{background}"

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[np.uint8]:
        """Read a region by whole numbers and slices with positive steps.

        Raises
        ------
        OSError
            When the file is damaged there.
        """
        import openslide

        rows, columns = (_slice(k) for k in key[:2])
        height, width = rows.stop - rows.start, columns.stop - columns.start
        # OpenSlide takes the position in pixels of the finest level.
        shrunk = self._slide.level_downsamples[self._level]
        place = (round(columns.start * shrunk), round(rows.start * shrunk))
        try:
            region = self._slide.read_region(place, self._level, (width, height))
        except openslide.OpenSlideError as error:
            raise OSError(str(error)) from error
        whole = Image.new("RGB", region.size, self._background)
        whole.paste(region, mask=region.getchannel("A"))
        pixels = np.asarray(whole)[:: rows.step, :: columns.step]
        plain = tuple(0 if isinstance(k, int) else slice(None) for k in key[:2])
        found: NDArray[np.uint8] = pixels[(*plain, *key[2:])]
        return found


def _slice(key: int | slice) -> slice:
    return slice(key, key + 1, 1) if isinstance(key, int) else key


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
