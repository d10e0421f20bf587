"""Images in HDF5 files: the only one at once, one of several by choice."""

from pathlib import Path

from napari_lungcls.gui.readers import LayerData
from napari_lungcls.gui.reading.images import image_layer
from napari_lungcls.imaging.source_hdf5 import Listed, list_images
from napari_lungcls.imaging.sources import open_image


def read_hdf5_layers(path: str) -> list[LayerData]:
    """Open the image of a file, or where there are several, a window to choose among them.

    Raises
    ------
    InputError
        When the file cannot be used; without a viewer also when it holds several images.
    """
    from napari import current_viewer

    found, viewer = list_images(Path(path), path), current_viewer()
    if len(found) < 2 or viewer is None:
        return [image_layer(open_image(path))]

    from napari_lungcls.gui.chooser import show_chooser

    show_chooser(viewer, path, found)
    return []


def dataset_layer(path: str, inside: str) -> LayerData:
    """Open one dataset of a file.

    Raises
    ------
    InputError
        When it is no image.
    """
    return image_layer(open_image(f"{path}:{inside}"))


def described(image: Listed) -> list[str]:
    """Say what a dataset is: path, shape and type."""
    return [image.inside, " × ".join(map(str, image.shape)), image.dtype]
