"""What training does to windows so that the network learns tissue and not this scanner.

Each point is kept as a square of level pixels that is wide enough for any turn (`reach`);
windows are sampled from it anew in every epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import middle
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation, phase


@dataclass(frozen=True)
class Pose:
    """How windows lie over their squares.

    Attributes
    ----------
    matrix
        `(n, zooms, 2, 2)`: turns and flips a step `(y, x)` in the window into one in the
        square.
    place
        `(n, zooms, 2)`: where in the window the point lies, in level pixels.
    """

    matrix: NDArray[np.float64]
    place: NDArray[np.float64]


def reach(settings: TrainingSettings) -> int:
    """Return how far from its point, in level pixels, a training window can see."""
    farthest = settings.window / 2 + phase(settings.window)
    turned = math.sqrt(2) if settings.rotation == "any" else 1.0
    return math.ceil(farthest * turned) + 1


def random_pose(settings: TrainingSettings, n: int, zooms: int, rng: np.random.Generator) -> Pose:
    """Draw turns, flips and phases; all zooms of a point are turned alike, as tissue would be."""
    angle: NDArray[np.floating[Any]] = np.zeros(n)
    if settings.rotation == "any":
        angle = rng.uniform(0, 2 * np.pi, n)
    elif settings.rotation == "right":
        angle = rng.integers(0, 4, n) * (np.pi / 2)
    flip = rng.choice([-1.0, 1.0], n) if settings.flip else np.ones(n)
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.stack([np.stack([cos, -sin * flip], -1), np.stack([sin, cos * flip], -1)], -2)
    most = phase(settings.window) if settings.random_phase else 0
    shift = rng.uniform(-most, most, (n, zooms, 2))
    return Pose(np.repeat(turn[:, np.newaxis], zooms, 1), middle(settings.window) + shift)


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
    n, zooms, edge = squares.shape[:3]
    grid = np.arange(size, dtype=np.float32)
    step_y = grid[:, np.newaxis] - pose.place[..., 0, np.newaxis, np.newaxis]
    step_x = grid[np.newaxis, :] - pose.place[..., 1, np.newaxis, np.newaxis]
    m = pose.matrix[..., np.newaxis, np.newaxis]
    y = points[..., 0, np.newaxis, np.newaxis] + m[..., 0, 0, :, :] * step_y
    y = np.clip(y + m[..., 0, 1, :, :] * step_x, 0, edge - 1).reshape(n * zooms, -1)
    x = points[..., 1, np.newaxis, np.newaxis] + m[..., 1, 0, :, :] * step_y
    x = np.clip(x + m[..., 1, 1, :, :] * step_x, 0, edge - 1).reshape(n * zooms, -1)
    flat = squares.reshape(n * zooms, edge, edge, 3)
    windows = np.stack([_bilinear(*each) for each in zip(flat, y, x, strict=True)])
    return windows.reshape(n, zooms, size, size, 3)


def _bilinear(
    square: NDArray[Any], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Values `(m, 3)` at positions inside one square; one at a time stays in the cache."""
    edge = len(square)
    y0 = np.minimum(y.astype(np.int32), edge - 2)
    x0 = np.minimum(x.astype(np.int32), edge - 2)
    fy = (y - y0).astype(np.float32)[:, np.newaxis]
    fx = (x - x0).astype(np.float32)[:, np.newaxis]
    pixels = square.reshape(-1, 3).astype(np.float32)
    first = y0 * edge + x0
    upper = pixels.take(first, 0) * (1 - fx) + pixels.take(first + 1, 0) * fx
    lower = pixels.take(first + edge, 0) * (1 - fx) + pixels.take(first + edge + 1, 0) * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32, copy=False)


def recolour(
    windows: NDArray[np.float32],
    std: NDArray[np.float32],
    strength: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Change brightness, contrast and the balance of the channels a little.

    Parameters
    ----------
    windows
        `(n, zooms, y, x, 3)`; every zoom of a point gets the same change.
    std
        `(3,)` standard deviation of the intensities, the unit of the change.
    strength
        Standard deviation of the change: 0.1 shifts each channel by a tenth of `std` and
        stretches it by a tenth.
    rng
        Source of the draws.
    """
    if strength == 0:
        return windows
    shape = (len(windows), 1, 1, 1, 3)
    gain = np.exp(rng.normal(0, strength, shape)).astype(np.float32)
    shift = (rng.normal(0, strength, shape) * std).astype(np.float32)
    mean = windows.mean(axis=(2, 3), keepdims=True)
    changed: NDArray[np.float32] = (windows - mean) * gain + (mean + shift)
    return changed


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
    places : ndarray, (n, zooms, 2)
        Where in its window each point lies.
    """
    pose = random_pose(settings, squares.shape[0], squares.shape[1], rng)
    windows = sample_windows(squares, places, pose, settings.window)
    std = np.asarray(normalisation.std, np.float32)
    return recolour(windows, std, settings.colour, rng), pose.place
