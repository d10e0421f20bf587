"""Telling images apart: by their layer, pixels or file, never by the layer's name. No Qt."""

import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image

from napari_lungcls.utils.names import Folder, comparable, path_key

READABLE = 2**24
"""Bytes of a piece of an image on disk up to which a few of them are read for the fingerprint."""

LETTERS = 24
"""Length of a fingerprint: 96 bits."""


@dataclass(frozen=True)
class ImageId:
    """What an annotation layer remembers of its image.

    Attributes
    ----------
    name
        Name of the image's layer, to show it and to suggest an image; it decides nothing.
    source
        File or sample that the image was opened from, or empty for an array in memory.
    shape
        Pixels along each axis; empty where nobody has seen the image yet.
    token
        The layer itself, as long as it lives.
    called, folder
        What the column `image` of a points file says, and the folder of that file.
    pixels
        Fingerprint of the image's shape and pixels; empty if unknown. See `fingerprint`.
    """

    name: str
    source: str = ""
    shape: tuple[int, ...] = ()
    token: Hashable | None = None
    called: str = ""
    folder: str = ""
    pixels: str = ""


def identify(image: Image, images: Iterable[Image]) -> ImageId:
    """Describe an image so that `find` finds it again.

    Parameters
    ----------
    image
        The image.
    images
        All that are open. Of several layers from one file, such as its channels, the name
        is part of the source.
    """
    source, shape = _described(image, list(images))
    return ImageId(image.name, source, shape, image.unique_id, pixels=fingerprint(image))


def find(wanted: ImageId, images: Iterable[Image]) -> Image | None:
    """Find the image that was described, if it is open and no other could be meant as well.

    Its pixels decide, whatever it is called and whatever file it is in; where those are not
    known of both, its file does.
    """
    images = list(images)
    for image in images:
        if image.unique_id == wanted.token:
            return image
    alike = [image for image in images if _is_same(image, images, wanted)]
    if len(alike) > 1:
        # Copies of one image: that from the same file, if there is one.
        alike = [image for image in alike if _described(image, images)[0] == wanted.source]
    if wanted.called and not alike:
        folder = Path(wanted.folder)
        named = [image for image in images if is_called(image, wanted.called, folder)]
        alike = [image for image in named if not is_other(image, wanted)]
    return alike[0] if len(alike) == 1 else None


def is_other(image: Image, wanted: ImageId) -> bool:
    """Tell whether an open image has other pixels than those that are remembered."""
    return bool(wanted.pixels) and fingerprint(image) not in ("", wanted.pixels)


def fingerprint(image: Image) -> str:
    """Give a hash of the shape of an image and of a few places in it, as text.

    Empty where the places look all the same, where they cannot be read, or where too much of
    a file would have to be: such an image is told by its file. It is read once.
    """
    array = image.data[0] if image.multiscale else image.data
    known = _fingerprints.get(image)
    if known is None or known[0] is not array:
        known = _fingerprints[image] = (array, _fingerprint(image, array))
    return known[1]


def is_called(image: Image, name: str, folder: Path) -> bool:
    """Tell whether an open image is the one that a file calls `name`.

    Parameters
    ----------
    image
        The layer.
    name
        The name of a layer, or the path of an image.
    folder
        What a relative path begins at.
    """
    file = PurePosixPath(comparable(name))
    if comparable(image.name) in (comparable(name), file.name, file.stem):
        return True
    source = image.source.path
    return source is not None and path_key(str(source)) == Folder(folder).key(name)


def image_shape(image: Image) -> tuple[int, ...]:
    """Give the pixels along each axis, of the finest level and without the colour axis."""
    data = image.data[0] if image.multiscale else image.data
    return tuple(int(n) for n in data.shape[: image.ndim])


_fingerprints: WeakKeyDictionary[Image, tuple[Any, str]] = WeakKeyDictionary()


def _fingerprint(image: Image, array: Any) -> str:
    from napari_lungcls.errors import InputError, LungclsWarning
    from napari_lungcls.images.opening import as_stack
    from napari_lungcls.run_identity import diagonal_samples, digest

    pieces = getattr(array, "chunksize", None) or getattr(array, "chunks", None)
    read = array.shape if pieces is None else pieces
    if not isinstance(array, np.ndarray) and np.prod(read) * array.dtype.itemsize > READABLE:
        return ""
    try:
        with warnings.catch_warnings():
            # What it warns of, such as pixels that are not square, is said where it matters.
            warnings.simplefilter("ignore", LungclsWarning)
            places = diagonal_samples(as_stack(image))
    except InputError:
        return ""
    if None in places or len(set(places)) < 2:
        return ""
    words = [str(image_shape(image)), *map(str, places)]
    return digest(np.frombuffer("\n".join(words).encode(), np.uint8))[:LETTERS]


def _is_same(image: Image, images: list[Image], wanted: ImageId) -> bool:
    source, shape = _described(image, images)
    if wanted.shape and wanted.shape != shape:
        return False
    if wanted.pixels and (pixels := fingerprint(image)):
        return pixels == wanted.pixels
    return bool(source) and (source, shape) == (wanted.source, wanted.shape)


def _described(image: Image, images: list[Image]) -> tuple[str, tuple[int, ...]]:
    """Give the file of an image, with its name if others are from there too, and its shape."""
    source = _source(image)
    if source and any(_source(other) == source for other in images if other is not image):
        source = f"{source}, layer {image.name!r}"
    return source, image_shape(image)


def _source(image: Image) -> str:
    origin = image.source
    if origin.path:
        return str(Path(origin.path).resolve())
    return f"sample {origin.sample[1]!r} of {origin.sample[0]}" if origin.sample else ""
