"""The files behind layers, and whether they still hold what a window shows. No Qt.

What a layer says of its file is a hint. The file is opened as the commands open it, and compared.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari.layers import Image

from napari_lungcls.annotation import Points
from napari_lungcls.annotation.columns import GROUP_COLUMN
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui.image_layer import colours_of, stack_of
from napari_lungcls.images.opening import as_stack, list_images, open_image
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.map_data import BLOCK, blocks
from napari_lungcls.inference.painted import PaintedMap, read_map
from napari_lungcls.run_identity import diagonal_samples

SIZES_ALIKE = 1e-9
"""Relative difference of pixel sizes that scaling in a viewer leaves behind."""


@dataclass(frozen=True)
class ImageOrigin:
    """What is known of an image's file, noted in the window's thread.

    Attributes
    ----------
    name
        Of the layer.
    path
        The file that its layers were opened from.
    stack
        The image as the window uses it.
    colours
        Its layers, one for each channel.
    """

    name: str
    path: str
    stack: ImageStack
    colours: tuple[ImageStack, ...]

    @classmethod
    def of(cls, image: Image) -> "ImageOrigin":
        """Note where an image is from.

        Raises
        ------
        InputError
            If it is from no file.
        """
        layers = colours_of(image)
        paths = {str(layer.source.path or "") for layer in layers}
        path = paths.pop()
        if paths or not path or not Path(path).exists():
            raise InputError(
                f"the image {image.name!r} is not in one file",
                suggestion="save it as TIFF (File > Save Selected Layers…), open that file, and "
                "copy again",
            )
        return cls(image.name, path, stack_of(image), tuple(map(as_stack, layers)))


@dataclass(frozen=True)
class ImageFile:
    """An image as commands name it.

    Attributes
    ----------
    path
        The file, with the choice of one of its images behind it where it has several.
    channels
        Which of its channels, or None for what the file says.
    pixel_size
        Micrometres per pixel, if other than what the file says.
    stack
        The image as the commands open it.
    """

    path: str
    channels: str | None
    pixel_size: float | None
    stack: ImageStack

    @classmethod
    def find(cls, origin: ImageOrigin) -> "ImageFile":
        """Find out how a command has to name an image; reads a few places of it.

        Raises
        ------
        InputError
            If its file no longer holds it, or a command cannot say what was set by hand.
        """
        with _quiet():
            for path in _images_in(origin.path):
                for channels in _channels(path, origin):
                    opened = open_image(path, channels)
                    if _is_alike(origin.stack, opened):
                        return cls(path, channels, _size(origin, opened), opened)
        raise InputError(
            f"{origin.path} does not hold the pixels of the image {origin.name!r}",
            suggestion="save the image as TIFF (File > Save Selected Layers…), open that file, "
            "and copy again",
        )


def check_points(name: str, shown: Points, stored: Points, path: Path) -> None:
    """Refuse a points file that is not what a window would train on.

    Raises
    ------
    InputError
        If points, classes or groups differ.
    """
    alike = len(shown) == len(stored) and np.allclose(
        shown.coordinates, stored.coordinates, rtol=0, atol=1e-6
    )
    labels = np.array_equal(np.asarray(shown.labels), np.asarray(stored.labels))
    if not (alike and labels and _groups(shown) == _groups(stored)):
        raise not_saved(name, f" as they are now in {path.name}")


def not_saved(name: str, how: str = "") -> InputError:
    """Say that points have to be saved first."""
    return InputError(
        f"the points {name!r} are not saved{how}",
        suggestion="label or delete points without a class, save the points in Label, and copy "
        "again",
    )


def check_map(name: str, painted: PaintedMap, path: Path) -> None:
    """Refuse a map whose file has other cells than the window shows.

    Raises
    ------
    InputError
        If it was painted over since, or cannot be read.
    """
    stored = read_map(path)
    shape = painted.header.shape
    if stored.header.shape != shape or not all(
        np.array_equal(np.asarray(painted.classes[b.place]), np.asarray(stored.classes[b.place]))
        for b in blocks(shape, BLOCK)
    ):
        raise map_not_saved(name, f" as it is now in {path.name}")


def map_not_saved(name: str, how: str = "") -> InputError:
    """Say that a map has to be saved first."""
    return InputError(
        f"the map {name!r} is not saved{how}",
        suggestion="save it with Save map… in Paint, and copy again",
    )


def common(files: Sequence[ImageFile]) -> tuple[str | None, float | None]:
    """Give the channels and the pixel size to state for all images of one command.

    Raises
    ------
    InputError
        If the images need different ones: a command takes one for all.
    """
    channels = {file.channels for file in files}
    size = next((file.pixel_size for file in files if file.pixel_size is not None), None)
    own = [file.stack.pixel_size if file.pixel_size is None else file.pixel_size for file in files]
    differ = size is not None and not all(each and _same_size(each, size) for each in own)
    if len(channels) > 1 or differ:
        what = "channels" if len(channels) > 1 else "pixel sizes that their files do not state"
        raise InputError(
            f"the images have different {what}, and a command takes one for all",
            suggestion="save the images as TIFF with what was set, open those files, and copy "
            "again",
        )
    return channels.pop(), size


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back warnings of files that are opened once more; the window has shown them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LungclsWarning)
        yield


def _images_in(path: str) -> Iterator[str]:
    yield path
    yield from (path + image.choice for image in list_images(path))


def _channels(path: str, origin: ImageOrigin) -> Iterator[str | None]:
    """Give the choices of channels by which a file may give an image: its own first."""
    if _opens(path, None):
        yield None
    if not _opens(path, "0"):
        return
    known = [_places(channel) for channel in open_image(path, "0").each_channel()]
    wanted = [_places(colour) for colour in origin.colours]
    if all(colour in known for colour in wanted):
        yield ",".join(str(known.index(colour)) for colour in wanted)


def _opens(path: str, channels: str | None) -> bool:
    try:
        open_image(path, channels)
    except InputError:
        return False
    return True


def _is_alike(first: ImageStack, second: ImageStack) -> bool:
    return (
        (first.rgb, str(first.dtype)) == (second.rgb, str(second.dtype))
        and (first.shape == second.shape)
        and _places(first) == _places(second)
    )


def _places(stack: ImageStack) -> tuple[object, ...]:
    return (stack.shape, *diagonal_samples(stack))


def _size(origin: ImageOrigin, opened: ImageStack) -> float | None:
    """Give the pixel size that a command has to be told."""
    wanted, stated = origin.stack.pixel_size, opened.pixel_size
    if wanted is None and stated is None:
        return None
    if wanted is None:
        raise InputError(
            f"the image {origin.name!r} has no pixel size here, but its file says {stated:g} µm",
            suggestion="set it below Image, and copy again",
        )
    return None if stated is not None and _same_size(wanted, stated) else wanted


def _same_size(one: float, two: float) -> bool:
    return math.isclose(one, two, rel_tol=SIZES_ALIKE)


def _groups(points: Points) -> list[str]:
    """Give the groups of points, empty where there are none."""
    column = points.column(GROUP_COLUMN)
    return [""] * len(points) if column is None else [str(name) for name in column]
