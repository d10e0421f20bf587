"""What training does to windows so that the network learns tissue and not this scanner.

Each point is kept as a square of level pixels that is wide enough for any turn (`reach`);
windows are sampled from it anew in every epoch. Changes come in the order in which tissue, slide,
microscope and camera make them: geometry, stain, colour, sharpness, blur, noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import middle
from napari_lungcls.learning.augmentation_bending import random_bend
from napari_lungcls.learning.augmentation_colour import (
    random_light,
    random_stain,
    recolour,
    restain,
)
from napari_lungcls.learning.augmentation_optics import (
    blurred,
    noisy,
    per_zoom,
    random_sharpness,
    sharpen,
)
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation, phase

STREAMS = ("pose", "stain", "light", "blur", "noise", "sharpness")
"""Kinds of changes that have random numbers of their own; new ones go to the end."""


@dataclass(frozen=True)
class Pose:
    """How windows lie over their squares.

    Attributes
    ----------
    matrix
        `(n, zooms, 2, 2)`: turns, flips and scales a step `(y, x)` in the window into one in
        the square.
    place
        `(n, zooms, 2)`: where in the window the point lies, in level pixels.
    bend
        `(n, zooms, 2, size, size)`: what is added to the step of each pixel before, in level
        pixels; None where nothing is bent.
    """

    matrix: NDArray[np.float64]
    place: NDArray[np.float64]
    bend: NDArray[np.float64] | None = None


def reach(settings: TrainingSettings) -> int:
    """Return how far from its point, in level pixels, a training window can see."""
    farthest = settings.window / 2 + phase(settings.window)
    turned = math.sqrt(2) if settings.rotation == "any" else 1.0
    return math.ceil((farthest * turned + settings.elastic) * (1 + settings.scale)) + 1


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
            f"--stain changes haematoxylin and eosin in 8-bit RGB images, and {source} holds "
            f"{kind}; use --stain 0, and --brightness or --contrast instead"
        )


def random_pose(settings: TrainingSettings, n: int, zooms: int, rng: np.random.Generator) -> Pose:
    """Draw turns, flips, scales, phases and bends.

    All zooms of a point are turned and scaled alike, as tissue would be. What is switched off
    is drawn nevertheless, so that it moves nothing else; bends come last.
    """
    turns, flips, scales = rng.random((3, n))
    angle: NDArray[np.floating[Any]] = np.zeros(n)
    if settings.rotation == "any":
        angle = turns * (2 * np.pi)
    elif settings.rotation == "right":
        angle = np.floor(4 * turns) * (np.pi / 2)
    flip = np.where(flips < 0.5, -1.0, 1.0) if settings.flip else np.ones(n)
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.stack([np.stack([cos, -sin * flip], -1), np.stack([sin, cos * flip], -1)], -2)
    turn *= ((1 + settings.scale) ** (2 * scales - 1))[:, np.newaxis, np.newaxis]
    most = phase(settings.window) if settings.random_phase else 0
    place = middle(settings.window) + rng.uniform(-1, 1, (n, zooms, 2)) * most
    bend = random_bend(settings.elastic, place, settings.window, rng) if settings.elastic else None
    return Pose(np.repeat(turn[:, np.newaxis], zooms, 1), place, bend)


def sample_windows(
    squares: NDArray[Any], points: NDArray[np.float64], pose: Pose, size: int
) -> NDArray[np.float32]:
    """Sample windows from squares at sub-pixel positions, bilinearly.

    Parameters
    ----------
    squares
        `(n, zooms, c, c, 3)` level pixels.
    points
        `(n, zooms, 2)` where in its square each point lies.
    pose
        How each window lies over its square.
    size
        Edge of the windows in level pixels.

    Returns
    -------
    ndarray, (n, zooms, size, size, 3), float32
        In the intensities of the image.
    """
    grid = np.arange(size, dtype=np.float64)
    windows = np.empty((*squares.shape[:2], size, size, 3), np.float32)
    # One at a time stays in the processor's cache.
    for i in np.ndindex(*squares.shape[:2]):
        steps = [grid[:, np.newaxis] - pose.place[i][0], grid - pose.place[i][1]]
        if pose.bend is not None:
            steps = [step + bend for step, bend in zip(steps, pose.bend[i], strict=True)]
        y, x = (
            (point + row[0] * steps[0] + row[1] * steps[1]).reshape(-1)
            for point, row in zip(points[i], pose.matrix[i], strict=True)
        )
        windows[i] = _bilinear(squares[i], y, x).reshape(size, size, 3)
    return windows


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
    """Draw factors `(n, zooms)` for the readouts: 0 where a zoom is dropped, else its make-up.

    One zoom always stays. What stays is raised so that the sum keeps its expectation.
    """
    if zooms == 1 or probability == 0:
        return np.ones((n, zooms), np.float32)
    kept = rng.random((n, zooms)) >= probability
    kept[np.arange(n), rng.integers(0, zooms, n)] = True
    factors: NDArray[np.float32] = (kept * (zooms / kept.sum(1, keepdims=True))).astype(np.float32)
    return factors


def augmented(
    squares: NDArray[Any],
    places: NDArray[np.float64],
    settings: TrainingSettings,
    normalisation: Normalisation,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Make the windows of one training batch: all changes that the settings ask for.

    Parameters
    ----------
    squares
        `(n, zooms, c, c, 3)` level pixels around each point, in intensities of the image.
    places
        `(n, zooms, 2)` where in its square each point lies.
    settings
        Which changes, and how strong.
    normalisation
        Mean and spread of the intensities, in whose units colours change.
    rng
        Source of the draws.

    Returns
    -------
    windows : ndarray, (n, zooms, window, window, 3), float32
        Within what the type of the image can hold, where it holds whole numbers from 0.
    places : ndarray, (n, zooms, 2)
        Where in its window each point lies.

    Raises
    ------
    InputError
        When stains shall change in images that are not uint8; `check_changes` says so before.
    """
    n, zooms = squares.shape[:2]
    rngs = _streams(rng)
    std = np.asarray(normalisation.std, np.float32)
    pose = random_pose(settings, n, zooms, rngs["pose"])
    windows = sample_windows(squares, places, pose, settings.window)
    if settings.stain:
        check_changes(settings, normalisation.dtype, "the image", rgb=True)
        windows = restain(windows, random_stain(settings.stain, n, rngs["stain"]))
    if settings.colour or settings.brightness or settings.contrast:
        windows = recolour(windows, std, random_light(settings, n, rngs["light"]))
    if settings.sharpness:
        sharpen(windows, random_sharpness(settings.sharpness, n, rngs["sharpness"]))
    if settings.blur:
        sigma = rngs["blur"].uniform(0, settings.blur, (n,))
        windows = blurred(windows, per_zoom(sigma, settings.zooms))
    if settings.noise:
        strength = per_zoom(rngs["noise"].uniform(0, settings.noise, (n,)), settings.zooms)
        windows = noisy(windows, strength, std, rngs["noise"])
    return _as_stored(windows, normalisation.dtype), pose.place


def _streams(rng: np.random.Generator) -> dict[str, np.random.Generator]:
    """Give every kind of change random numbers of its own.

    One number is drawn whatever is switched on or off, so that no change moves another, nor
    what is drawn after the batch.
    """
    key = int(rng.integers(2**63))
    return {name: np.random.default_rng((key, i)) for i, name in enumerate(STREAMS)}


def _as_stored(windows: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    """Cut off what an image of whole numbers could not hold, as a camera would; in place."""
    if np.dtype(dtype).kind == "u":
        limits = np.iinfo(dtype)
        np.clip(windows, limits.min, limits.max, out=windows)
    return windows
