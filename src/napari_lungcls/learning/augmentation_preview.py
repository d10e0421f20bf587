"""A picture of what training makes of tiles: each as it is, and as it may be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import is_in_square, middle, to_image
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.pixel_size import common_pixel_size
from napari_lungcls.learning.audit_points import without_audit
from napari_lungcls.learning.augmentation import (
    augmented,
    check_changes,
    crop_edge,
    places_in_tiles,
    posed,
    reach,
    right_pose,
)
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.examples import Crops, Side
from napari_lungcls.learning.initialization import Initialization, normalisation_of
from napari_lungcls.learning.point_index import PointIndex, place_points
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Rows
from napari_lungcls.network.spec import Normalisation
from napari_lungcls.network.tiles import Tiles

Picture = NDArray[np.uint8]

SHOWN = 128
"""Edge of the part of a tile that is shown around a point, in zoomed pixels."""
LEAST = 64
"""Least edge of a tile in the picture; smaller ones are enlarged by a whole factor."""
GAP, LINE = 4, 16
GROUND, INK = (242, 242, 242), (30, 30, 30)
HEADS = ("as it is", "as training may see it; rings are labelled points")
RING = 4
"""Radius of the ring around a point, in pixels of the picture."""


def preview_augmentation(
    pairs: Sequence[Pair],
    settings: TrainingSettings,
    scheme: ClassScheme,
    *,
    per_class: int = 2,
    columns: int = 8,
) -> Picture:
    """Read the tissue around a few points of each class and show tiles as training would draw them.

    Parameters
    ----------
    pairs
        Images with their points.
    settings
        What to change and how much; `seed` chooses the points and the draws. Strengths are in
        units of the spread of the tissue shown.
    scheme
        The classes.
    per_class
        Points of each class.
    columns
        Tiles in a row, the first of them untouched.

    Returns
    -------
    ndarray, (y, x, 3), uint8
        See `augmentation_sheet`.

    Raises
    ------
    InputError
        When images, points and settings do not go together, or nothing would be shown.
    """
    if per_class < 1 or columns < 2:
        raise InputError("a preview needs at least one point of each class and two columns")
    pairs = without_audit(pairs, use_audit=settings.use_audit)
    for stack, _ in pairs:
        check_changes(settings, str(stack.dtype), stack.source, rgb=stack.rgb)
    pixel_size = common_pixel_size(stack for stack, _ in pairs)
    settings = Initialization().resolve(settings, pairs)
    rng = np.random.default_rng(settings.seed)
    layout = place_points(pairs, scheme, settings.zooms, pixel_size)
    chosen = _some_of_each(layout.codes, per_class, rng)
    points = _read(pairs, layout, chosen, reach(settings))
    everyone = Side(np.arange(len(layout)))
    tile, edge = settings.tile, crop_edge(settings)
    assert tile is not None
    crops = points.crops(chosen, everyone, tile, edge, rng)
    scale = normalisation_of(points, Side(chosen), str(pairs[0][0].dtype), imagenet=False)
    names = [scheme.names[code] for code in layout.codes[chosen]]
    return augmentation_sheet(crops, chosen, names, settings, scale, rng, columns=columns)


def augmentation_sheet(
    crops: Crops,
    rows: Rows,
    names: Sequence[str],
    settings: TrainingSettings,
    normalisation: Normalisation,
    rng: np.random.Generator,
    *,
    columns: int = 8,
) -> Picture:
    """Put tiles side by side: a row for each crop and zoom, the first tile untouched.

    Of tiles larger than `SHOWN` the part around the point they were cut for is shown. There is
    a ring around each point that a tile is learned from.

    Parameters
    ----------
    crops
        Pieces of tissue, `crop_edge(settings)` wide, with the points in them.
    rows
        `(n,)` the example for which each crop was cut.
    names
        What to call each of them, usually its class.
    settings, normalisation, rng
        As for `augmented`.
    columns
        Tiles in a row.

    Returns
    -------
    ndarray, (y, x, 3), uint8
        Images of other types than uint8 are shown between the 0.5th and 99.5th percentile.
    """
    size = settings.tile
    assert size is not None
    drawn = [_untouched(crops, size)]
    drawn += [augmented(crops, settings, normalisation, rng) for _ in range(columns - 1)]
    low, high = (0.0, 255.0)
    if normalisation.dtype != "uint8":
        low, high = (float(value) for value in np.percentile(crops.pixels, (0.5, 99.5)))
    shown = min(size, SHOWN)
    sheet = _Sheet(names, settings.zooms, shown, columns)
    for column, (tiles, inside) in enumerate(drawn):
        pixels = (tiles.pixels - low) * (255 / ((high - low) or 1.0))
        for i, k in np.ndindex(*tiles.pixels.shape[:2]):
            places = tiles.places[tiles.owner == i, k]
            own = places[inside[tiles.owner == i] == rows[i]]
            # A turn may have taken the point out of the tile.
            centre = own[0] if len(own) else np.full(2, middle(size))
            corner = np.rint(centre - middle(shown)).clip(0, size - shown).astype(int)
            y, x = corner
            part = np.rint(pixels[i, k, y : y + shown, x : x + shown]).clip(0, 255)
            row = i * len(settings.zooms) + k
            sheet.put(row, column, part.astype(np.uint8), places - corner)
    return np.asarray(sheet.picture)


def _read(pairs: Sequence[Pair], layout: PointIndex, chosen: Rows, distance: int) -> PointSet:
    """Read the tissue around some points; all points that lie in it are known."""
    few = replace(
        layout,
        coordinates=layout.coordinates[chosen],
        planes=layout.planes[chosen],
        codes=layout.codes[chosen],
        images=layout.images[chosen],
        groups=None,
    )
    *_, found = read_point_set(pairs, few, distance)
    assert isinstance(found, PointSet)
    return replace(found, layout=layout)


def _untouched(crops: Crops, size: int) -> tuple[Tiles, Rows]:
    """Give the middles of crops as they are."""
    still = right_pose(0, len(crops.pixels))
    places = places_in_tiles(crops, still, size)
    inside = is_in_square(places[:, 0], size)
    tiles = Tiles(posed(crops.pixels, still, size), crops.owner[inside], places[inside])
    return tiles, crops.rows[inside]


class _Sheet:
    """An empty sheet with its words, and the places of its tiles.

    Parameters
    ----------
    names
        Of the points.
    zooms
        A row for each of them.
    edge
        Of what is shown of a tile, in zoomed pixels.
    columns
        Tiles in a row.
    """

    def __init__(self, names: Sequence[str], zooms: Sequence[int], edge: int, columns: int) -> None:
        self._factor = -(-LEAST // edge)
        self._edge = edge * self._factor
        self._step = self._edge + GAP
        font = ImageFont.load_default(12)
        several = [f"zoom {zoom}" for zoom in zooms] if len(zooms) > 1 else []
        self._left = GAP + 2 + max(int(font.getlength(word)) for word in (*names, *several)) + GAP
        size = (
            self._left + columns * self._step,
            LINE + GAP + len(names) * len(zooms) * self._step,
        )
        self.picture = Image.new("RGB", size, GROUND)
        self._draw = ImageDraw.Draw(self.picture)
        for column, head in enumerate(HEADS):
            self._draw.text((self._left + column * self._step, 2), head, INK, font)
        for i, name in enumerate(names):
            for k in range(len(zooms)):
                words = [name] * (k == 0) + several[k : k + 1]
                top = LINE + GAP + (i * len(zooms) + k) * self._step
                self._draw.multiline_text((GAP, top), "\n".join(words), INK, font)

    def put(self, row: int, column: int, part: Picture, places: NDArray[np.float64]) -> None:
        """Paste a part of a tile, with rings where its points lie."""
        large = Image.fromarray(part.repeat(self._factor, 0).repeat(self._factor, 1))
        draw = ImageDraw.Draw(large)
        for y, x in to_image(places, self._factor).tolist():
            if 0 <= y < self._edge and 0 <= x < self._edge:
                for colour, radius in ((INK, RING + 1), ((255, 255, 255), RING)):
                    draw.circle((x, y), radius, outline=colour)
        x, y = self._left + column * self._step, LINE + GAP + row * self._step
        self.picture.paste(large, (x, y))


def _some_of_each(
    codes: NDArray[np.int64], per_class: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose points of each class, class by class."""
    return np.concatenate(
        [rng.permutation(np.flatnonzero(codes == code))[:per_class] for code in np.unique(codes)]
    )
