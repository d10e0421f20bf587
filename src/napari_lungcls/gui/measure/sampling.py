"""What to draw test points in, and how many there will be. No Qt."""

import math
from dataclasses import dataclass

import napari
from napari.layers import Image, Layer

from napari_lungcls.annotation import Points
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.masks import layer_mask
from napari_lungcls.gui.measure.images import name_in_table
from napari_lungcls.stereology.design import expected_ce, make_grid
from napari_lungcls.stereology.drawing import SampledImage
from napari_lungcls.utils.humanize import count, percent

EXAMPLE = 0.2
"""Volume fraction for which the form says how well it will be known."""

REPEATED = 0.1
"""Share of the places that are asked for twice."""

WANTED = 200
"""Test points, about, that the first proposal for an image gives."""


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
