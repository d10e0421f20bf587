"""Reader of pictures (PNG, JPEG, BMP, WebP, GIF, PNM): one plane each, decoded as a whole.

All code that shows or classifies a picture uses `describe` and `decode`, so that a file has the
same pixels as an image, as a patch and in napari. TIFF files are passed on to their reader.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PpmImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView, upright
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.damage import READ_ERRORS, reading
from napari_lungcls.images.stack import ImageStack, stack_dtype

MAX_PIXELS = 2**30
"""Pixels of the largest picture that is decoded, 3 GiB of RGB.

Pillow warns at 89 million pixels, fewer than a section has at 0.5 µm. That limit is global, so
the classes of the formats are called directly to bypass it.
"""

READ = "PNG, JPEG, BMP, WebP, GIF, PPM, PGM or PBM"
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PILLOW: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    *((b"P%d" % kind, PpmImagePlugin.PpmImageFile) for kind in range(1, 7)),
)
_REFUSED = (
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"ftyp", "HEIC or AVIF"),
    (0, b"8BPS", "Photoshop"),
)
"""Formats that are recognised but not supported: offset, signature and name."""

_GREY = ("1", "L", "LA", "La")
_COLOURS = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa")
_ORIENTATION = 0x0112
"""The EXIF tag for the orientation of the camera."""


class Picture(NamedTuple):
    """What the header says about a picture, after it is turned upright."""

    size: tuple[int, int]
    """Height and width."""
    dtype: str
    rgb: bool
    turned: bool = False
    """Whether it is stored in another orientation than it is shown."""


class _Opened(NamedTuple):
    """A picture as it is stored, and how to decode it."""

    picture: Picture
    orientation: int
    pixels: Callable[[], NDArray[Any]]


def open_picture(path: Path, source: str, channels: Choice | None = None) -> ImageStack:
    """Decode a picture, recognised by its first bytes and not by its name.

    The dots per inch in such a file say nothing about the specimen: the pixel size is unknown.

    Parameters
    ----------
    path
        The file.
    source
        Names the file in messages.
    channels
        Which channels to use, as for `ImageStack`.

    Raises
    ------
    InputError
        As `describe` and `decode` do.
    """
    pixels = decode(path, source)
    stack = ImageStack(
        pixels, rgb=pixels.ndim == 3, name=path.stem, source=source, channels=channels
    )
    stack.turned = describe(path, source).turned
    return stack


def told_by_content(path: Path) -> Literal["tiff", "picture"] | None:
    """Tell by the first bytes whether a file is a TIFF or another picture."""
    try:
        with path.open("rb") as stream:
            start = stream.read(12)
    except OSError:
        return None
    if start.startswith(_TIFF):
        return "tiff"
    return "picture" if start.startswith(_PNG) or _pillow_class(start) else None


def describe(path: Path, source: str) -> Picture:
    """Return the size and type of a picture without decoding it.

    Raises
    ------
    InputError
        When it is not a supported picture, is damaged, animated, has several pages, other
        colours than grey and RGB, or more than `MAX_PIXELS` pixels.
    """
    with _reading(path, source) as (stream, start):
        if start.startswith(_TIFF):
            stack = _one_plane(path, source)
            dtype = str(stack_dtype(stack.dtype))
            return Picture(stack.plane_shape, dtype, stack.rgb, stack.turned)
        return _opened(stream, start, source).picture


def decode(path: Path, source: str) -> NDArray[Any]:
    """Decode a picture upright as grey `(y, x)` or RGB `(y, x, 3)`.

    1-, 2- and 4-bit grey is scaled to 0 … 255, 16 bits stay 16 bits, palettes are
    resolved, and transparency is dropped: a pixel keeps the colour stored under it.

    Raises
    ------
    InputError
        As `describe` does, and when the pixels cannot be decoded.
    """
    with _reading(path, source) as (stream, start):
        if start.startswith(_TIFF):
            plane = next(_one_plane(path, source).planes())
            height, width = plane.shape
            region = plane.read(slice(0, height), slice(0, width))
            return region if region.shape[-1] == 3 else region[..., 0]
        opened = _opened(stream, start, source)
        stored = opened.pixels()
        order, flipped = upright(range(stored.ndim), opened.orientation, 0, 1)
        pixels = np.ascontiguousarray(LazyView(stored, source, order, flipped=flipped)[...])
        found = Picture(pixels.shape[:2], str(pixels.dtype), pixels.ndim == 3)
        if found != opened.picture._replace(turned=False):
            raise ValueError(f"{found} where the header says {opened.picture}")
    return pixels


@contextmanager
def _reading(path: Path, source: str) -> Iterator[tuple[IO[bytes], bytes]]:
    """Open a file, yield it with its first bytes, and translate errors."""
    with reading(source, "is a damaged image ({}); copy it again", SyntaxError):
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            raise InputError(f"{source}: there is no such picture; check the name") from None
        with stream:
            start = stream.read(12)
            stream.seek(0)
            yield stream, start


def _one_plane(path: Path, source: str) -> ImageStack:
    from napari_lungcls.images.readers.tiff import open_tiff

    stack = open_tiff(path, source)
    if (planes := math.prod(stack.leading)) != 1:
        raise InputError(
            f"{source}: holds {planes} planes, and a picture is one; save each as a file of its own"
        )
    return stack


def _opened(stream: IO[bytes], start: bytes, source: str) -> _Opened:
    """Read the header of anything but a TIFF."""
    if start.startswith(_PNG):
        opened = _png(stream, source)
    elif kind := _pillow_class(start):
        opened = _pillow(kind, stream, source)
    else:
        known = next((name for at, mark, name in _REFUSED if start[at:].startswith(mark)), None)
        if known:
            raise InputError(f"{source}: {known} is not read; save it as PNG or TIFF")
        raise InputError(f"{source}: is not a {READ} picture, nor a TIFF; export it again")
    picture, orientation, pixels = opened
    height, width = picture.size
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{source}: has {width} by {height} pixels, and such pictures can only be read "
            f"whole, up to {MAX_PIXELS}; convert it to OME-TIFF or OME-Zarr"
        )
    if orientation >= 5:
        picture = picture._replace(size=(width, height))
    return _Opened(picture._replace(turned=orientation != 1), orientation, pixels)


def _pillow_class(start: bytes) -> type[ImageFile] | None:
    if start.startswith(b"RIFF") and start[8:] != b"WEBP":
        return None
    return next((kind for magic, kind in _PILLOW if start.startswith(magic)), None)


def _png(stream: IO[bytes], source: str) -> _Opened:
    """Read a PNG with libpng: Pillow truncates 16-bit colours to 8 bits."""
    stream.seek(len(_PNG))
    exif = b""
    header = None
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        after = stream.tell() + length + 4
        if kind == b"IHDR":
            header = struct.unpack(">IIBB", stream.read(10))
        elif kind == b"acTL" and (frames := struct.unpack(">I", stream.read(4))[0]) > 1:
            raise _animated(source, frames)
        elif kind == b"eXIf":
            exif = stream.read(length)
        stream.seek(after)
    if header is None:
        raise ValueError("it has no header")
    width, height, bits, colour = header

    def pixels() -> NDArray[Any]:
        import imagecodecs

        stream.seek(0)
        found: NDArray[Any] = imagecodecs.png_decode(stream.read())
        if found.ndim == 3 and found.shape[2] in (1, 2):
            return found[..., 0]
        return found[..., :3] if found.ndim == 3 else found

    # Bits of the colour type: 1 for a palette, 2 for colours, 4 for transparency.
    picture = Picture((height, width), "uint16" if bits == 16 else "uint8", bool(colour & 2))
    return _Opened(picture, _orientation(exif), pixels)


def _pillow(kind: type[ImageFile], stream: IO[bytes], source: str) -> _Opened:
    """Read what Pillow reads losslessly."""
    try:
        opened = kind(stream)
    except SyntaxError as error:
        if "cannot handle" in str(error):  # JPEG of 12 bits, or of two channels
            raise InputError(f"{source}: {error}; save it as PNG or TIFF") from error
        raise
    if getattr(opened, "is_animated", False):
        raise _animated(source, getattr(opened, "n_frames", 2))
    mode, most = opened.mode, _most(opened)
    wanted = None
    if mode == "F":
        dtype = "float32"
    elif mode == "I" and most == 65535:
        dtype = "uint16"
    elif mode in (*_GREY, *_COLOURS) and most <= 255:
        dtype, wanted = "uint8", "L" if mode in _GREY else "RGB"
    elif most > 255:
        raise InputError(
            f"{source}: has intensities up to {most}, which are read up to 255, or of grey up to "
            "65535; save it as PNG or TIFF"
        )
    else:
        raise InputError(f"{source}: has {mode} colours; save it as RGB or grey")

    def pixels() -> NDArray[Any]:
        opened.load()
        shown: Image.Image = opened if wanted in (None, mode) else opened.convert(wanted)
        return np.asarray(shown).astype(dtype, copy=False)

    size = (opened.height, opened.width)
    picture = Picture(size, dtype, wanted == "RGB")
    return _Opened(picture, _orientation(opened.info.get("exif", b"")), pixels)


def _most(picture: ImageFile) -> int:
    """Return the intensity of white in a PNM file; 255 for other formats."""
    if not isinstance(picture, PpmImagePlugin.PpmImageFile) or picture.mode == "F":
        return 255
    how = picture.tile[0].args
    if isinstance(how, tuple):
        return int(how[1])
    return 65535 if how == "I;16B" else 255


def _animated(source: str, frames: int) -> InputError:
    return InputError(
        f"{source}: is an animation of {frames} pictures; save one of them, or a stack as TIFF"
    )


def _orientation(exif: bytes) -> int:
    """Return the orientation that EXIF states; 1, as stored, if it states none."""
    if not exif:
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        found = tags.get(_ORIENTATION, 1)
    except (*READ_ERRORS, SyntaxError):
        return 1
    return found if found in range(1, 9) else 1
