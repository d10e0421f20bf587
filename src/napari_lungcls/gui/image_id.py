"""Telling images apart: by their layer or their file, never by the layer's name. No Qt."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari.layers import Image

from napari_lungcls.utils.names import Folder, comparable, path_key


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
    """

    name: str
    source: str = ""
    shape: tuple[int, ...] = ()
    token: Hashable | None = None
    called: str = ""
    folder: str = ""


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
    source, shape = _source(image), image_shape(image)
    if source and any(_source(other) == source for other in images if other is not image):
        source = f"{source}, layer {image.name!r}"
    return ImageId(image.name, source, shape, image.unique_id)


def find(wanted: ImageId, images: Iterable[Image]) -> Image | None:
    """Find the image that was described, if it is open and no other could be meant as well."""
    images = list(images)
    for image in images:
        if image.unique_id == wanted.token:
            return image
    alike = [image for image in images if _same_file(identify(image, images), wanted)]
    if wanted.called and not alike:
        folder = Path(wanted.folder)
        alike = [image for image in images if is_called(image, wanted.called, folder)]
    return alike[0] if len(alike) == 1 else None


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


def _same_file(one: ImageId, other: ImageId) -> bool:
    return bool(one.source) and (one.source, one.shape) == (other.source, other.shape)


def _source(image: Image) -> str:
    origin = image.source
    if origin.path:
        return str(Path(origin.path).resolve())
    return f"sample {origin.sample[1]!r} of {origin.sample[0]}" if origin.sample else ""
