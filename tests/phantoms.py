"""Maps of bodies whose surface is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap

LUNG = ("air", "tissue", "air")
"""Phases of alveoli, septa and duct."""


def map_of(classes: Any, *, cell_um: tuple[float, float] = (1.0, 1.0), stride: int = 1,
           origin: tuple[int, int] = (0, 0), unit: str = "micrometer",
           probabilities: Any = None) -> PaintedMap:  # fmt: skip
    """Make a map of alveoli (1), septa (2) and duct (3); 0 is not painted."""
    leading = np.ndim(classes) - 2
    header = MapHeader(
        shape=classes.shape, scale=(1.0,) * leading + cell_um, translate=(0.0,) * (leading + 2),
        unit=unit, scheme=ClassScheme.preset("lung"), stride=stride, origin=origin,
        probabilities=probabilities is not None,
    )  # fmt: skip
    return PaintedMap(classes, probabilities, header)


def tissue_in_air(tissue: Any) -> NDArray[np.uint8]:
    """Give the classes of a body of tissue in air."""
    return np.where(tissue, 2, 1).astype(np.uint8)


def directions(n: int) -> NDArray[np.float64]:
    """Spread `n` unit vectors evenly over half the sphere, `(n, 3)` (Fibonacci lattice)."""
    z = (np.arange(n) + 0.5) / n
    turn = np.arange(n) * np.pi * (3 - np.sqrt(5))
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


def shares(n: int) -> NDArray[np.float64]:
    """Spread `n` numbers evenly over 0 to 1, in an order of its own for each axis, `(n, 2)`."""
    return np.arange(1, n + 1)[:, None] * np.array([0.7548776662466927, 0.5698402909980532]) % 1


def plane(size: int) -> NDArray[np.float64]:
    """Give the positions `(size, size, 3)` of the cells of a section through space."""
    y, x = np.indices((size, size), dtype=float)
    return np.stack([x, y, np.zeros_like(x)], axis=-1)


def sheets(thickness: float, period: float, *, n: int = 300, size: int = 96) -> NDArray[np.bool_]:
    """Cut parallel sheets by `n` planes of all directions: `(n, size, size)`."""
    found = np.empty((n, size, size), np.bool_)
    for i, (normal, (share, _)) in enumerate(zip(directions(n), shares(n), strict=True)):
        found[i] = (plane(size) @ normal + share * period) % period < thickness
    return found


def cylinders(radius: float, period: float, *, n: int = 300, size: int = 96) -> NDArray[np.bool_]:
    """Cut parallel cylinders on a square lattice by `n` planes of all directions."""
    found = np.empty((n, size, size), np.bool_)
    for i, (axis, share) in enumerate(zip(directions(n), shares(n), strict=True)):
        _, _, across = np.linalg.svd(axis[None])
        at = plane(size) @ across[1:].T + share * period
        found[i] = np.hypot(*np.moveaxis(at % period - period / 2, -1, 0)) < radius
    return found


def spheres(radius: float, period: float, *, n: int = 200) -> NDArray[np.bool_]:
    """Cut spheres on a cubic lattice by `n` parallel planes, each with a start of its own."""
    start = shares(n)[:, None, None] * period
    at = (plane(2 * int(period))[..., :2] + start) % period - period / 2
    z = (np.arange(n) + 0.5) / n * period - period / 2
    inside: NDArray[np.bool_] = (at**2).sum(axis=-1) + z[:, None, None] ** 2 < radius**2
    return inside


def foam(size: int, thickness: float, seeds: int, stretch: float = 1.0) -> NDArray[np.bool_]:
    """Make walls between the cells of a random foam in the plane, stretched along x."""
    points = np.random.default_rng(seeds).uniform(-0.1 * size, 1.1 * size, (seeds, 2))
    y, x = np.indices((size, int(size * stretch)))
    at = np.stack([y, x / stretch], axis=-1)
    distance, _ = cKDTree(points).query(at, k=2)
    walls: NDArray[np.bool_] = distance[..., 1] - distance[..., 0] < thickness
    return walls
