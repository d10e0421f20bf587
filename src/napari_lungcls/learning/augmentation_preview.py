"""A picture of what training makes of windows: each as it is, and as it may be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import to_image, window_start
from napari_lungcls.imaging.pixelsize import common_pixel_size
from napari_lungcls.imaging.windows import read_windows
from napari_lungcls.learning.augmentation import (
    Pose,
    augmented,
    check_changes,
    reach,
    sample_windows,
)
from napari_lungcls.learning.dataset import PointSet
from napari_lungcls.learning.layout import Pair, place_points
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.start import normalisation_of
from napari_lungcls.network.spec import Normalisation

Picture = NDArray[np.uint8]

TILE = 64
"""Least edge of a window in the picture; smaller ones are enlarged by a whole factor."""
GAP, LINE = 4, 16
GROUND, INK = (242, 242, 242), (30, 30, 30)
HEADS = ("as it is", "as training may see it; the ring is the labelled point")
RING = 4
"""Radius of the ring around the point, in pixels of the picture."""


def preview_augmentation(
    pairs: Sequence[Pair],
    settings: TrainingSettings,
    scheme: ClassScheme,
    *,
    per_class: int = 2,
    columns: int = 8,
) -> Picture:
    """Read a few points of each class and show their windows as training would draw them.

    Parameters
    ----------
    pairs
        Images with their points.
    settings
        What to change and how much; `seed` chooses the points and the draws. Strengths are in
        units of the spread of the windows shown.
    scheme
        The classes.
    per_class
        Points of each class.
    columns
        Windows in a row, the first of them untouched.

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
    for stack, _ in pairs:
        check_changes(settings, str(stack.dtype), stack.source, rgb=stack.rgb)
    pixel_size = common_pixel_size(stack for stack, _ in pairs)
    settings = settings.resolved(pixel_size)
    rng = np.random.default_rng(settings.seed)
    layout = place_points(pairs, scheme, settings.zooms, pixel_size)
    chosen = _some_of_each(layout.codes, per_class, rng)
    edge, first, parts = 2 * reach(settings) + 2, 0, []
    for (stack, points), zooms in zip(pairs, layout.effective, strict=True):
        own = chosen[(chosen >= first) & (chosen < first + len(points))] - first
        parts.append(read_windows(stack, points.coordinates[own], zooms, edge))
        first += len(points)
    # Windows came image by image; the picture goes class by class.
    by_class = np.argsort(layout.codes[chosen], kind="stable")
    squares, places = (np.concatenate(part)[by_class] for part in zip(*parts, strict=True))
    rows = np.arange(len(chosen))
    shown = PointSet(layout, squares, places)
    scale = normalisation_of(shown, rows, str(pairs[0][0].dtype), imagenet=False)
    names = [scheme.names[code] for code in layout.codes[chosen][by_class]]
    return augmentation_sheet(squares, places, names, settings, scale, rng, columns=columns)


def augmentation_sheet(
    squares: NDArray[Any],
    places: NDArray[np.float64],
    names: Sequence[str],
    settings: TrainingSettings,
    normalisation: Normalisation,
    rng: np.random.Generator,
    *,
    columns: int = 8,
) -> Picture:
    """Put windows side by side: a row for each point and zoom, the first window untouched.

    Parameters
    ----------
    squares
        `(n, zooms, c, c, 3)` level pixels around each point, `c` at least `2 · reach + 2`.
    places
        `(n, zooms, 2)` where in its square each point lies.
    names
        What to call each point, usually its class.
    settings, normalisation, rng
        As for `augmented`.
    columns
        Windows in a row.

    Returns
    -------
    ndarray, (y, x, 3), uint8
        Images of other types than uint8 are shown between the 0.5th and 99.5th percentile.
    """
    size = settings.window
    own = places - window_start(places, size)
    still = Pose(np.broadcast_to(np.eye(2), (*places.shape[:2], 2, 2)), own)
    drawn = [(sample_windows(squares, places, still, size), own)]
    drawn += [augmented(squares, places, settings, normalisation, rng) for _ in range(columns - 1)]
    low, high = (0.0, 255.0)
    if normalisation.dtype != "uint8":
        low, high = (float(value) for value in np.percentile(squares, (0.5, 99.5)))
    sheet = _Sheet(names, settings, columns)
    for column, (windows, where) in enumerate(drawn):
        shown = (windows - low) * (255 / ((high - low) or 1.0))
        for i, k in np.ndindex(*where.shape[:2]):
            tile = np.rint(shown[i, k]).clip(0, 255).astype(np.uint8)
            sheet.put(i * len(settings.zooms) + k, column, tile, where[i, k])
    return np.asarray(sheet.picture)


class _Sheet:
    """An empty sheet with its words, and the places of its windows.

    Parameters
    ----------
    names
        Of the points.
    settings
        Zooms and size of the windows.
    columns
        Windows in a row.
    """

    def __init__(self, names: Sequence[str], settings: TrainingSettings, columns: int) -> None:
        self._factor = -(-TILE // settings.window)
        self._step = settings.window * self._factor + GAP
        font, zooms = ImageFont.load_default(12), settings.zooms
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

    def put(self, row: int, column: int, tile: Picture, place: NDArray[np.float64]) -> None:
        """Paste a window, and draw a ring where its point lies."""
        large = tile.repeat(self._factor, 0).repeat(self._factor, 1)
        x, y = self._left + column * self._step, LINE + GAP + row * self._step
        self.picture.paste(Image.fromarray(large), (x, y))
        own_x, own_y = to_image(place[::-1], self._factor).tolist()
        for colour, radius in ((INK, RING + 1), ((255, 255, 255), RING)):
            self._draw.circle((x + own_x, y + own_y), radius, outline=colour)


def _some_of_each(
    codes: NDArray[np.int64], per_class: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose points of each class, in the order in which they were given."""
    chosen = [
        rng.permutation(np.flatnonzero(codes == code))[:per_class] for code in np.unique(codes)
    ]
    return np.sort(np.concatenate(chosen))
