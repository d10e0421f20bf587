"""What to draw test points in, and how many there will be. No Qt."""

import math
from dataclasses import dataclass

import napari
import numpy as np
import shapely
from napari.layers import Image, Labels, Layer, Shapes
from numpy.typing import NDArray

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.measure.images import name_in_table
from napari_lungcls.images.geometry import from_corner
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.stereology.design import expected_ce, make_grid
from napari_lungcls.stereology.drawing import SampledImage
from napari_lungcls.stereology.masks import ImageMask, Mask
from napari_lungcls.stereology.polygon_masks import PolygonMask, ellipse
from napari_lungcls.utils.humanize import count, percent
from napari_lungcls.utils.printable import printable

EXAMPLE = 0.2
"""Volume fraction for which the form says how well it will be known."""

REPEATED = 0.1
"""Share of the places that are asked for twice."""

WANTED = 200
"""Test points, about, that the first proposal for an image gives."""

FILLED = ("polygon", "rectangle", "ellipse")


@dataclass(frozen=True)
class GridChoice:
    """What the form asks for; lengths in pixels.

    Attributes
    ----------
    spacing
        Between points.
    lines
        Length of the test lines, or None.
    fields, field_size
        Number per plane and edge of the fields, or None.
    seed
        Of the random numbers.
    """

    spacing: int
    lines: int | None = None
    fields: int | None = None
    field_size: int | None = None
    seed: int = 0

    def points(self, area: float, planes: int) -> int:
        """Expect how many places there will be in an area of so many square pixels."""
        if self.fields is not None and self.field_size is not None:
            area = min(area, planes * self.fields * self.field_size**2)
        return round(area / self.spacing**2)

    def draw(self, image: SampledImage) -> Points:
        """Draw the test points.

        Raises
        ------
        InputError
            As of `make_grid`.
        """
        return make_grid(
            [image],
            self.spacing,
            fields=self.fields,
            field_size=self.field_size,
            lines=self.lines,
            seed=self.seed,
            repeat_fraction=REPEATED,
        )


def proposed_spacing(area: float) -> int:
    """Give a round distance for about `WANTED` points in an area of so many square pixels."""
    exact = max(1.0, math.sqrt(area / WANTED))
    step = 10 ** math.floor(math.log10(exact)) // 2 or 1
    return max(1, math.floor(exact / step)) * step


def expectation(choice: GridChoice, area: float, planes: int) -> str:
    """Say how many test points there will be, and what they are good for."""
    points = choice.points(area, planes)
    if not points:
        return "No test points: the distance is too large."
    error = 100 * EXAMPLE * expected_ce(EXAMPLE, points)
    twice = round(REPEATED * points)
    questions = (points + twice) * (1 if choice.lines is None else 2)
    again = f", {twice:,} of them asked twice" if twice else ""
    asked = count(questions, "question")
    return (
        f"About {count(points, 'test point')}{again}: {asked}. A class of "
        f"{percent(EXAMPLE, 0)} is then known to ± {error:.1f} percentage points."
    )


def may_mask(layer: Layer) -> bool:
    """Tell whether a layer can say where test points may lie."""
    return isinstance(layer, Labels | Shapes) and KEY not in layer.metadata


def sampled_image(viewer: "napari.Viewer", image: Image, mask: Layer | None = None) -> SampledImage:
    """Describe an image for drawing test points in it.

    Raises
    ------
    InputError
        If the image cannot be used, or the mask does not fit it.
    """
    stack = stack_of(image)
    return SampledImage(
        name_in_table(viewer, image),
        stack.shape,
        None if mask is None else layer_mask(mask, image, stack.shape),
    )


def layer_mask(layer: Layer, image: Image, shape: tuple[int, ...]) -> Mask:
    """Make a mask of outlines or of painted labels, all but 0.

    Parameters
    ----------
    layer
        Shapes, or labels of the size of the image or of one plane.
    image
        The image.
    shape
        `(…, y, x)` of the image in pixels.

    Raises
    ------
    InputError
        If the layer does not fit the image, or nothing is outlined.
    """
    name = printable(f"layer {layer.name!r}")
    if isinstance(layer, Shapes):
        return _polygons(layer, image, shape, name)
    data = layer.data[0] if layer.multiscale else layer.data
    if tuple(data.shape) not in (shape, shape[-2:]):
        raise InputError(
            f"{name} has {' × '.join(map(str, data.shape))} pixels and the image "
            f"{' × '.join(map(str, shape))}; paint the mask on a layer of the image's size"
        )
    return ImageMask(ImageStack(data, rgb=False, source=name), name)


def _polygons(layer: Shapes, image: Image, shape: tuple[int, ...], name: str) -> PolygonMask:
    if layer.ndim not in (2, image.ndim):
        raise InputError(f"{name} has {layer.ndim} axes and the image {image.ndim}")
    found: list[tuple[tuple[int, ...] | None, shapely.Geometry]] = []
    for kind, corners in zip(layer.shape_type, layer.data, strict=True):
        if kind not in FILLED:
            continue
        pixels = _in_pixels(np.asarray(corners, np.float64), layer, image)
        outline = from_corner(pixels[:, -2:])[:, ::-1]
        outline = ellipse(outline) if kind == "ellipse" else outline
        plane = tuple(np.rint(pixels[0, :-2]).astype(int).tolist()) or None
        found.append((plane, shapely.make_valid(shapely.Polygon(outline))))
    if not found:
        raise InputError(f"{name} has no outline; draw a polygon, a rectangle or an ellipse")
    height, width = shape[-2:]
    return PolygonMask(found, (height, width), name)


def _in_pixels(corners: NDArray[np.float64], layer: Shapes, image: Image) -> NDArray[np.float64]:
    """Turn corners of a shape into data pixels of the image; 2-D ones hold for every plane."""
    world = np.array([layer.data_to_world(corner) for corner in corners])
    if layer.ndim < image.ndim:
        lead = np.asarray(image.data_to_world(np.zeros(image.ndim)))[:-2]
        world = np.column_stack([np.tile(lead, (len(world), 1)), world[:, -2:]])
    pixels = np.array([image.world_to_data(at) for at in world], np.float64)
    return pixels[:, -2:] if layer.ndim < image.ndim else pixels
