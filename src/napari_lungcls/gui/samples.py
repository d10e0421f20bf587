"""Sample data for "Open Sample" in napari."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui import LayerData
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.synthetic import make_section
from napari_lungcls.synthetic.kept import KeptStack
from napari_lungcls.utils.downloads import Published, fetch

STACK_SHAPE = (8, 512, 512)

MOUSE_LUNG_PIXEL = 1.8
"""Pixel size of the mouse section in µm, from its scale bar: 500 µm are 275 pixels."""


class MouseLung(Published):
    """A download address of the mouse lung section."""

    stem: ClassVar[str] = "mouse-lung-he"


_REPOSITORY = (
    "https://raw.githubusercontent.com/OrangeBluee/"
    "Image-Segmentatotion-and-Analysis-for-Lung-Histology"
)
_SHA256 = "7ba0e16bd7a87c892142e0c8e300a7cfcbb8f48881ff00eb2c1fc77404c84aad"
# The original commit, then the current version.
MOUSE_LUNG = (
    MouseLung(f"{_REPOSITORY}/73bf7ae0d49c1f2d79de5bdbfc4db305ce12f197/Example.jpg", _SHA256),
    MouseLung(f"{_REPOSITORY}/HEAD/Example.jpg", _SHA256),
)
"""A section of a whole mouse lung, H&E, 7880 × 4448 pixels, 4 MB, CC0 1.0."""


def synthetic_section() -> list[LayerData]:
    """Make a synthetic lung section and, hidden below it, its ground truth.

    Returns
    -------
    list of layer data
        A labels layer of class codes plus 1 in the colours of the scheme, and the RGB image,
        both scaled in micrometres. The image is last, and so on top and selected.
    """
    section = make_section()
    place = {
        "scale": (section.pixel_size,) * 2,
        "units": ("um", "um"),
        "axis_labels": ("y", "x"),
    }
    return _with_truth(section.image, section.truth, section.scheme, "synthetic lung", place)


def synthetic_stack() -> list[LayerData]:
    """Make a stack of synthetic sections and, hidden below it, its ground truth.

    Only the shown plane is made at once; the others are made in a thread and cached.

    Returns
    -------
    list of layer data
        As for `synthetic_section`, with the distance between planes as the scale of z.
    """
    stack = KeptStack(STACK_SHAPE)
    stack.make_ahead()
    lung = stack.lazy()
    place = {
        "scale": (lung.spacing, *(lung.pixel_size,) * 2),
        "units": ("um",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    return _with_truth(lung.image, lung.truth, lung.scheme, "synthetic lung stack", place)


def prepared_stack() -> list[LayerData]:
    """Make the stack of `synthetic_stack` and the plane that napari shows first.

    That takes seconds, in which a thread leaves the window free.
    """
    layers = synthetic_stack()
    for pixels, *_ in layers:
        np.asarray(pixels[(len(pixels) - 1) // 2])
    return layers


def mouse_section(
    sources: Sequence[Published] = MOUSE_LUNG, cache: Path | None = None
) -> list[LayerData]:
    """Download the real section, unless it is in the cache, with a progress bar.

    Parameters
    ----------
    sources
        Download addresses.
    cache
        Cache folder; the default one if not given.

    Raises
    ------
    InputError
        If it is not in the cache and cannot be downloaded.
    """
    stack = fetch_section(sources, cache)
    options = {
        "name": "mouse lung (H&E)",
        "rgb": stack.rgb,
        "scale": (MOUSE_LUNG_PIXEL,) * 2,
        "units": ("um", "um"),
        "axis_labels": ("y", "x"),
        "metadata": {"source": sources[0].url, "licence": "CC0 1.0"},
    }
    return [(stack.levels[0], options, "image")]


def fetch_section(sources: Sequence[Published], cache: Path | None = None) -> ImageStack:
    """Download an image with napari's progress bar, and open it.

    Raises
    ------
    InputError
        If it cannot be downloaded.
    """
    from napari.utils import progress

    remedy = (
        "connect to the internet and try again, or download the file on another computer and open "
        "it with File > Open"
    )
    with progress(total=0, desc="downloading the mouse lung section") as bar:

        def arrived(done: int, total: int) -> None:
            if total and bar.total != total:
                bar.total = total
            bar.update(done - bar.n)

        path, _ = fetch(sources, "the mouse lung section", remedy, cache, arrived)
    return open_image(path)


def _with_truth(
    image: Any, truth: Any, scheme: ClassScheme, name: str, place: dict[str, Any]
) -> list[LayerData]:
    from napari_lungcls.gui.layers import KEY

    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colors.update(enumerate(scheme.colors, start=1))
    hidden = {
        "name": f"{name}, truth",
        "visible": False,
        "colormap": colors,
        "features": {"class": ["unlabelled", *scheme.names]},
        "metadata": {"classes": dict(enumerate(scheme.names, start=1)), KEY: {"kind": "truth"}},
        **place,
    }
    return [(truth, hidden, "labels"), (image, {"name": name, "rgb": True, **place}, "image")]
