"""Patches that are picture files: a folder per class, and what lists and manifests name."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL.ImageFile import ImageFile

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.source_axes import READ_ERRORS
from napari_lungcls.learning.patches.arrays import as_rgb
from napari_lungcls.learning.patches.parts import Part, Role, Step, role_of
from napari_lungcls.printing import printable

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
MAX_EDGE = 4096
"""Pixels along the longest edge of a patch; larger pictures are images to label points in."""

# Pillow warns at large pictures by a global of the process: its classes are called directly.
_KINDS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
)
_TYPES = {"F": "float32", "I": "float32"}
_EVERY = 500
"""Files between two steps of progress."""


class PictureFiles:
    """Picture files of one size; see `Pixels`.

    Parameters
    ----------
    paths
        At least one.
    size
        Height and width of the first.
    dtype
        Of the first.
    rgb
        Whether any has colours.
    """

    run_length = 1

    def __init__(self, paths: Sequence[Path], size: tuple[int, int], dtype: str, rgb: bool) -> None:
        self._paths, self.rgb = tuple(paths), rgb
        self.shape = (len(paths), *size)
        self.dtype = np.dtype(dtype)

    def read(self, first: int, stop: int) -> NDArray[Any]:
        """Decode pictures as RGB, `(m, height, width, 3)`."""
        return np.stack([self._one(path) for path in self._paths[first:stop]])

    def _one(self, path: Path) -> NDArray[Any]:
        with _opened(path) as picture:
            try:
                picture.load()
            except (*READ_ERRORS, SyntaxError) as error:
                raise _damaged(path, error) from error
            converted = picture if _dtype(picture) != "uint8" else _eight_bits(picture)
            pixels = np.asarray(converted).astype(self.dtype, copy=False)
        rgb: NDArray[Any] = as_rgb(pixels[np.newaxis], str(path))[0]
        return rgb


def opened_pictures(paths: Sequence[Path], source: str) -> Generator[Step, None, PictureFiles]:
    """Look at the size and type of every picture, without decoding it.

    Raises
    ------
    InputError
        When there is none, or one differs from the first, or is damaged.
    """
    if not paths:
        raise InputError(f"{source}: holds no pictures ({', '.join(SUFFIXES)}); check the name")
    first: tuple[tuple[int, int], str] | None = None
    rgb = False
    for done, path in enumerate(paths):
        if done % _EVERY == 0:
            yield Step(done, len(paths), f"looking at {source}")
        with _opened(path) as picture:
            found = ((picture.height, picture.width), _dtype(picture))
            rgb = rgb or not (_is_grey(picture) or found[1] != "uint8")
        first = first or found
        if found != first:
            raise InputError(
                f"{path}: is {_said(found)}, but {paths[0].name} is {_said(first)}; patches of a "
                "data set have one size and type, convert or remove this one"
            )
    assert first is not None
    return PictureFiles(paths, *first, rgb)


def read_folder(folder: Path, *, labelled: bool = True) -> Generator[Step, None, list[Part]]:
    """Open a folder per class, perhaps below the folders train, val and test.

    Raises
    ------
    InputError
        When there are no pictures in folders.
    """
    inside = _folders(folder)
    roles = {child: role for child in inside if (role := role_of(child.name))}
    if roles:
        parts = []
        for child, role in roles.items():
            parts.append((yield from _classes(child, role, labelled)))
        return parts
    return [(yield from _classes(folder, "", labelled))]


def _classes(folder: Path, role: Role, labelled: bool) -> Generator[Step, None, Part]:
    found = {child.name: _pictures(child) for child in _folders(folder)}
    names = tuple(name for name, paths in found.items() if paths)
    if not names and labelled:
        raise InputError(
            f"{folder}: holds no pictures in folders of their class; make one folder per class, "
            f"with {', '.join(SUFFIXES)} files"
        )
    paths = [path for name in names for path in found[name]] or _pictures(folder)
    pixels = yield from opened_pictures(paths, str(folder))
    labels = None
    if names:
        labels = np.repeat(np.arange(len(names)), [len(found[name]) for name in names])
    files = tuple(path.relative_to(folder).as_posix() for path in paths)
    known = tuple(map(printable, names)) or None
    return Part(str(folder), role, pixels, labels, known, files=files)


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _opened(path: Path) -> ImageFile:
    """Open a picture, told by its first bytes, without decoding it."""
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
        kind = next((kind for magic, kind in _KINDS if start.startswith(magic)), None)
        if kind is None:
            raise InputError(f"{path}: is not a PNG, JPEG or TIFF picture; export it again")
        picture = kind(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such picture; check the name") from None
    except (*READ_ERRORS, SyntaxError) as error:
        raise _damaged(path, error) from error
    if max(picture.size) > MAX_EDGE:
        width, height = picture.size
        picture.close()
        raise InputError(
            f"{path}: has {width} by {height} pixels, and a patch has at most {MAX_EDGE} along an "
            "edge; cut it, or label points in it"
        )
    return picture


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: is a damaged picture ({error}); copy it again")


def _dtype(picture: ImageFile) -> str:
    return "uint16" if picture.mode.startswith("I;16") else _TYPES.get(picture.mode, "uint8")


def _eight_bits(picture: ImageFile) -> Any:
    """Give grey or RGB of palettes, transparency, black and white, and CMYK."""
    return picture.convert("L" if _is_grey(picture) else "RGB")


def _is_grey(picture: ImageFile) -> bool:
    return picture.mode in ("1", "L", "LA", "La")


def _said(found: tuple[tuple[int, int], str]) -> str:
    (height, width), dtype = found
    return f"{height} × {width} {dtype}"
