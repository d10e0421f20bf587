"""What training does to tiles so that the network learns tissue and not this scanner.

Crops of tissue are wide enough for any turn (`crop_edge`); tiles are made of them anew in every
step. Changes come in the order in which tissue, slide, microscope and camera make them:
geometry, stain, colour, blur, noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import is_in_square, middle
from napari_lungcls.learning.augmentation_changes import (
    blurred,
    noisy,
    per_zoom,
    random_bend,
    random_light,
    random_stain,
    recolour,
    restain,
)
from napari_lungcls.learning.examples import Crops
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Rows
from napari_lungcls.network.spec import Normalisation
from napari_lungcls.network.tiles import Tiles

STREAMS = ("pose", "stain", "light", "blur", "noise")
"""Kinds of changes that have random numbers of their own; new ones go to the end."""


@dataclass(frozen=True)
class Pose:
    """How tiles lie over their crops; the middle of one is on the middle of the other.

    Attributes
    ----------
    matrix
        `(n, 2, 2)`: turns, flips and scales a step `(y, x)` in the tile into one in the crop.
    bend
        `(n, zooms, 2, size, size)`: what is added to the step of each pixel before, in level
        pixels; None where nothing is bent.
    exact
        Whether all turns are by right angles and nothing else is done, so that tiles have the
        pixels of their crops.
    """

    matrix: NDArray[np.float64]
    bend: NDArray[np.float64] | None = None
    exact: bool = True


def crop_edge(settings: TrainingSettings) -> int:
    """Return the edge of the crops that tiles are made of, in zoomed pixels."""
    tile = settings.tile
    assert tile is not None
    if settings.rotation != "any" and not settings.scale and not settings.elastic:
        return tile
    turned = math.sqrt(2) if settings.rotation == "any" else 1.0
    half = (tile / 2 * turned + settings.elastic) * (1 + settings.scale)
    # As odd or even as the tile, so that both have their middle on a pixel or between two.
    return tile + 2 * math.ceil(half - tile / 2 + 1)


def reach(settings: TrainingSettings) -> int:
    """Return how far from a point, in zoomed pixels, a crop that it lies in can end."""
    return crop_edge(settings)


def check_changes(settings: TrainingSettings, dtype: str, source: str, *, rgb: bool) -> None:
    """Refuse changes that an image does not allow, before anything is read.

    Parameters
    ----------
    settings
        Which changes, and how strong.
    dtype, rgb, source
        Type of the image, whether it has colours, and its name.

    Raises
    ------
    InputError
        When stains shall change in an image that is not 8-bit RGB.
    """
    if settings.stain and not (rgb and dtype == "uint8"):
        kind = f"{dtype} RGB" if rgb else f"{dtype} without colours"
        raise InputError(
            f"it changes haematoxylin and eosin in 8-bit RGB images, and {source} holds {kind}",
            setting="stain",
            suggestion=({"stain": 0.0}, "and brightness or contrast instead"),
        )


def random_pose(settings: TrainingSettings, n: int, zooms: int, rng: np.random.Generator) -> Pose:
    """Draw turns, flips, scales and bends.

    All zooms of a tile are turned and scaled alike, as tissue would be. What is switched off
    is drawn nevertheless, so that it moves nothing else; bends come last.
    """
    turns, flips, scales = rng.random((3, n))
    angle: NDArray[np.floating[Any]] = np.zeros(n)
    if settings.rotation == "any":
        angle = turns * (2 * np.pi)
    elif settings.rotation == "right":
        angle = np.floor(4 * turns) * (np.pi / 2)
    flip = np.where(flips < 0.5, -1.0, 1.0) if settings.flip else np.ones(n)
    matrix = _turned(angle, flip)
    matrix *= ((1 + settings.scale) ** (2 * scales - 1))[:, np.newaxis, np.newaxis]
    size = settings.tile
    assert size is not None
    bend = None
    if settings.elastic:
        bend = random_bend(settings.elastic, np.full((n, zooms, 2), middle(size)), size, rng)
    return Pose(matrix, bend, crop_edge(settings) == size)


def right_pose(number: int, n: int) -> Pose:
    """Return one of the eight poses that keep pixels as they are: turns, then those flipped."""
    angle, flip = np.full(n, number % 4 * np.pi / 2), np.full(n, -1.0 if number >= 4 else 1.0)
    return Pose(_turned(angle, flip))


def _turned(angle: NDArray[np.floating[Any]], flip: NDArray[np.float64]) -> NDArray[np.float64]:
    sin, cos = np.sin(angle), np.cos(angle)
    found = np.stack([np.stack([cos, -sin * flip], -1), np.stack([sin, cos * flip], -1)], -2)
    whole = np.rint(found)
    exact: NDArray[np.float64] = np.where(np.abs(found - whole) < 1e-9, whole, found)
    return exact


def posed(pixels: NDArray[Any], pose: Pose, size: int) -> NDArray[np.float32]:
    """Make tiles of crops: bilinear, or the very pixels where the pose is exact.

    Parameters
    ----------
    pixels
        `(n, zooms, c, c, 3)` zoomed pixels.
    pose
        How each tile lies over its crop.
    size
        Edge of the tiles in zoomed pixels.

    Returns
    -------
    ndarray, (n, zooms, size, size, 3), float32
        In the intensities of the image.
    """
    grid = np.arange(size, dtype=np.float64) - middle(size)
    centre = middle(pixels.shape[2])
    tiles = np.empty((*pixels.shape[:2], size, size, 3), np.float32)
    # One at a time stays in the processor's cache.
    for i in np.ndindex(*pixels.shape[:2]):
        matrix = pose.matrix[i[0]]
        if pose.exact:
            # One of the crop's axes follows each of the tile's.
            is_turned = matrix[0, 0] == 0
            crop = pixels[i].swapaxes(0, 1) if is_turned else pixels[i]
            steps = (matrix[1, 0], matrix[0, 1]) if is_turned else (matrix[0, 0], matrix[1, 1])
            y, x = (np.rint(centre + step * grid).astype(np.intp) for step in steps)
            tiles[i] = crop[y[:, np.newaxis], x]
            continue
        step = [grid[:, np.newaxis], grid]
        if pose.bend is not None:
            step = [along + bend for along, bend in zip(step, pose.bend[i], strict=True)]
        y, x = ((centre + row[0] * step[0] + row[1] * step[1]).reshape(-1) for row in matrix)
        tiles[i] = _bilinear(pixels[i], y, x).reshape(size, size, 3)
    return tiles


def places_in_tiles(crops: Crops, pose: Pose, size: int) -> NDArray[np.float64]:
    """Give where in their tiles the points of crops lie, `(m, zooms, 2)`, in zoomed pixels."""
    step = crops.places - middle(crops.pixels.shape[2])
    inverse = np.linalg.inv(pose.matrix)[crops.owner]
    straight: NDArray[np.float64] = np.einsum("mij,mzj->mzi", inverse, step) + middle(size)
    if pose.bend is None:
        return straight
    places, zooms = straight, np.arange(straight.shape[1])
    for _ in range(10):  # bends are smooth: each round is closer by their slope, which is below 1
        y, x = np.rint(places).clip(0, size - 1).astype(np.intp).transpose(2, 0, 1)
        bent = pose.bend[crops.owner[:, np.newaxis], zooms, :, y, x]
        places = straight - bent
    return places


def _bilinear(
    square: NDArray[Any], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Values `(m, 3)` at positions of one square; positions beyond its edge are held there."""
    edge = len(square)
    y, x = np.clip(y, 0, edge - 1), np.clip(x, 0, edge - 1)
    y0 = np.minimum(y.astype(np.intp), edge - 2)
    x0 = np.minimum(x.astype(np.intp), edge - 2)
    fy = (y - y0).astype(np.float32)[:, np.newaxis]
    fx = (x - x0).astype(np.float32)[:, np.newaxis]
    pixels = square.reshape(-1, 3)
    first = y0 * edge + x0
    four = (pixels.take(first + off, 0) for off in (0, 1, edge, edge + 1))
    a, b, c, d = (corner.astype(np.float32, copy=False) for corner in four)
    return _between(_between(a, b, fx), _between(c, d, fx), fy)


def _between(
    left: NDArray[np.float32], right: NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate, in the memory of both: new arrays would take half of the time."""
    right -= left
    right *= share
    left += right
    return left


def drop_zooms(
    n: int, zooms: int, probability: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw factors `(n, zooms)` of the zooms: 0 where one is dropped, else its make-up.

    One zoom always stays. What stays is raised so that the sum keeps its expectation.
    """
    if zooms == 1 or probability == 0:
        return np.ones((n, zooms), np.float32)
    kept = rng.random((n, zooms)) >= probability
    kept[np.arange(n), rng.integers(0, zooms, n)] = True
    factors: NDArray[np.float32] = (kept * (zooms / kept.sum(1, keepdims=True))).astype(np.float32)
    return factors


def augmented(
    crops: Crops,
    settings: TrainingSettings,
    normalisation: Normalisation,
    rng: np.random.Generator,
) -> tuple[Tiles, Rows]:
    """Make the tiles of one step: all changes that the settings ask for.

    Parameters
    ----------
    crops
        Pieces of tissue, in intensities of the image, and the points in them.
    settings
        Which changes, and how strong.
    normalisation
        Mean and spread of the intensities, in whose units colours change.
    rng
        Source of the draws.

    Returns
    -------
    tiles : Tiles
        float32, within what the type of the image can hold, where it holds whole numbers
        from 0.
    rows : ndarray, (m,)
        The examples that lie in them.

    Raises
    ------
    InputError
        When stains shall change in images that are not uint8; `check_changes` says so before.
    """
    size = settings.tile
    assert size is not None
    n, zooms = crops.pixels.shape[:2]
    rngs = _streams(rng)
    std = np.asarray(normalisation.std, np.float32)
    pose = random_pose(settings, n, zooms, rngs["pose"])
    pixels = posed(crops.pixels, pose, size)
    if settings.stain:
        check_changes(settings, normalisation.dtype, "the image", rgb=True)
        pixels = restain(pixels, random_stain(settings.stain, n, rngs["stain"]))
    if settings.colour or settings.brightness or settings.contrast:
        pixels = recolour(pixels, std, random_light(settings, n, rngs["light"]))
    if settings.blur:
        sigma = rngs["blur"].uniform(0, settings.blur, (n,))
        pixels = blurred(pixels, per_zoom(sigma, settings.zooms))
    if settings.noise:
        strength = per_zoom(rngs["noise"].uniform(0, settings.noise, (n,)), settings.zooms)
        pixels = noisy(pixels, strength, std, rngs["noise"])
    places = places_in_tiles(crops, pose, size)
    inside = is_in_square(places[:, 0], size)
    factors = drop_zooms(n, zooms, settings.zoom_dropout, rng)[crops.owner[inside]]
    tiles = Tiles(
        _as_stored(pixels, normalisation.dtype), crops.owner[inside], places[inside],
        factors if zooms > 1 and settings.zoom_dropout else None,
    )  # fmt: skip
    return tiles, crops.rows[inside]


def _streams(rng: np.random.Generator) -> dict[str, np.random.Generator]:
    """Give every kind of change random numbers of its own.

    One number is drawn whatever is switched on or off, so that no change moves another, nor
    what is drawn after the batch.
    """
    key = int(rng.integers(2**63))
    return {name: np.random.default_rng((key, i)) for i, name in enumerate(STREAMS)}


def _as_stored(pixels: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    """Cut off what an image of whole numbers could not hold, as a camera would; in place."""
    if np.dtype(dtype).kind == "u":
        limits = np.iinfo(dtype)
        np.clip(pixels, limits.min, limits.max, out=pixels)
    return pixels
