"""Random positions that depend on the place alone, so that every window shows the same lung."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

_BIAS = 1 << 20  # cells are packed into 21 bits per axis


def derived_key(seed: int, name: str) -> np.uint64:
    """Give the 64-bit key of one ingredient of the lung with this seed."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    return np.uint64(sequence.generate_state(1, np.uint64)[0])


def scrambled(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of every value (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def names(cells: Cells, key: np.uint64) -> NDArray[np.uint64]:
    """Give every lattice cell (n, 3) a random 64-bit name that depends on cell and key only."""
    state = np.full(len(cells), key, dtype=np.uint64)
    for axis in range(cells.shape[1]):
        state = scrambled(state ^ cells[:, axis].astype(np.uint64))
    return state


def fractions(values: NDArray[np.uint64]) -> Floats:
    """Turn random 64-bit values into numbers in [0, 1)."""
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniforms(cells: Cells, key: np.uint64, count: int) -> Floats:
    """Give `count` random numbers in [0, 1) for every lattice cell (n, 3), shape (n, count)."""
    stride = np.uint64(0xD1342543DE82EF95)
    columns = np.arange(1, count + 1, dtype=np.uint64) * stride
    return fractions(scrambled(names(cells, key)[:, None] + columns))


class Lattice:
    """An endless cubic lattice, turned at random, with one jittered point per cell."""

    def __init__(
        self, spacing: float, key: np.uint64, *, jitter: float = 1.0, turned: bool = True
    ) -> None:
        """Set up a lattice.

        Parameters
        ----------
        spacing
            Edge of a cell in µm.
        jitter
            Width of the cube, in cells, from which a cell's point is drawn.
        turned
            Whether the axes are turned at random, so that no section runs along them.
        """
        self.spacing = spacing
        self.key = key
        self.jitter = jitter
        rng = np.random.default_rng(int(key))
        basis, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        self._turned = turned
        self._axes: Floats = basis if turned else np.eye(3)

    def cells_near(self, low: Floats, high: Floats) -> Cells:
        """List every cell that touches the box from `low` to `high` (z, y, x in µm)."""
        if not self._turned:
            first = np.floor(low / self.spacing).astype(np.int64)
            last = np.floor(high / self.spacing).astype(np.int64)
            ranges = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
            return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        # A cell contains a ball of half its edge, and this grid leaves no such ball empty; the
        # margin of one diagonal makes cells that only touch the box lie wholly inside the grid.
        margin = 1.74 * self.spacing
        steps = [
            np.arange(a - margin, b + margin + 0.5 * self.spacing, 0.5 * self.spacing)
            for a, b in zip(low, high, strict=True)
        ]
        grid = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
        cells = np.floor(grid @ self._axes / self.spacing).astype(np.int64) + _BIAS
        packed = np.unique((cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2])
        mask = (1 << 21) - 1
        return np.stack([packed >> 42, (packed >> 21) & mask, packed & mask], axis=1) - _BIAS

    def points(self, cells: Cells, *, offset: float = 0.0, key: np.uint64 | None = None) -> Floats:
        """Give the point of every cell, (n, 3) as z, y, x in µm.

        With an offset (in cells) and a key of its own, a second lattice interleaves with this.
        """
        drawn = uniforms(cells, self.key if key is None else key, 3)
        shift = 0.5 + offset + self.jitter * (drawn - 0.5)
        return (cells + shift) * self.spacing @ self._axes.T

    def points_within(self, low: Floats, high: Floats) -> tuple[Cells, Floats]:
        """List the cells whose points lie in the box, and these points."""
        cells = self.cells_near(low, high)
        points = self.points(cells)
        inside = np.all((points >= low) & (points < high), axis=1)
        return cells[inside], points[inside]
