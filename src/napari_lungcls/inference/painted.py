"""A painted map: cells, where they lie, and what they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.inference.formats import open_stored, save_map
from napari_lungcls.inference.map_data import BLOCK, Block, MapData, MapHeader, blocks
from napari_lungcls.utils.memory import scratch

if TYPE_CHECKING:
    import spatialdata

    from napari_lungcls.annotation.points import Points


class PaintedMap(MapData):
    """A painted map, in memory or on disk.

    Attributes
    ----------
    classes
        `(…, h, w)` uint8: 0 where nothing was painted, else code + 1. Anything with numpy
        slicing.
    probabilities
        `(k, …, h, w)` float16, class axis first, or None.
    header
        Geometry, classes and provenance.

    Examples
    --------
    >>> painted = lc.read_map("map.ome.zarr")
    >>> painted.classes.shape, painted.probabilities.shape, painted.scale
    ((24, 24), (3, 24, 24), (32.0, 32.0))
    >>> septa = painted.scheme.code("septa") + 1
    >>> mask = np.asarray(painted.classes) == septa
    >>> bool(np.isclose(mask.mean(), painted.fractions()["septa"]))
    True
    >>> painted.save("map.geojson").name
    'map.geojson'
    """

    @property
    def scale(self) -> tuple[float, ...]:
        """World units from one cell to the next, per axis of `classes`."""
        return self.header.scale

    @property
    def translate(self) -> tuple[float, ...]:
        """World position of the first cell's centre, per axis of `classes`."""
        return self.header.translate

    @property
    def scheme(self) -> ClassScheme:
        """The classes."""
        return self.header.scheme

    @property
    def stride(self) -> int:
        """Image pixels between cells."""
        return self.header.stride

    def fractions(self) -> dict[str, float]:
        """Share of each class in the painted cells, read block by block.

        Returns
        -------
        dict
            Class name to share. Shares add up to 1; all are 0 when nothing is painted.

        Raises
        ------
        InputError
            When a cell holds a class that the scheme does not have.
        """
        counts = np.zeros(256, np.int64)
        for block in blocks(self.header.shape, BLOCK):
            cells = np.asarray(self.classes[block.place])
            counts += np.bincount(cells.ravel(), minlength=256)
        names = self.scheme.names
        if counts[len(names) + 1 :].any():
            value = int(np.flatnonzero(counts)[-1])
            raise InputError(
                f"the map has cells of class {value}, but only {len(names)} classes; "
                "it is damaged, paint it again"
            )
        painted = max(1, int(counts[1:].sum()))
        return {name: float(counts[i]) / painted for i, name in enumerate(names, start=1)}

    def to_spatialdata(self, points: Points | None = None) -> spatialdata.SpatialData:
        """Give the map, and points of its image, as SpatialData, which the extra `spatial` brings.

        See `spatial.to_spatialdata` for the elements; `.write("map.zarr")` of what is returned
        writes them.

        Parameters
        ----------
        points
            Points of the image.

        Raises
        ------
        InputError
            When the library is not installed, or the map or the points have other axes.
        """
        from napari_lungcls.inference.spatial import to_spatialdata

        return to_spatialdata(self, points)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path | None:
        """Write the map, block by block.

        Parameters
        ----------
        path
            `.ome.zarr` (or `.zarr`), `.ome.tif` (`.tif`, …), `.geojson` for polygons of the
            classes, as QuPath reads them, or `.masks` for a folder with a black-and-white
            TIFF for each class.
        overwrite
            Whether an existing output is replaced.
        progress
            Called with the steps done and in all.
        cancelled
            Asked after every step.

        Returns
        -------
        Path or None
            What was written; None when it was cancelled, and then nothing was.

        Raises
        ------
        InputError
            When the suffix is another, the output exists, or it cannot be written.
        """
        return save_map(
            self, Path(path), overwrite=overwrite, progress=progress, cancelled=cancelled
        )


def read_map(path: str | os.PathLike[str]) -> PaintedMap:
    """Open a map that `open_store` wrote; its cells are read when they are asked for.

    Parameters
    ----------
    path
        An OME-Zarr folder or an OME-TIFF file.

    Raises
    ------
    InputError
        When it is missing, damaged, or no map of this program.

    Examples
    --------
    >>> painted = lc.read_map("map.ome.zarr")
    >>> painted.stride, painted.translate
    (8, (14.0, 14.0))
    >>> np.asarray(painted.classes[:2, :2]).dtype
    dtype('uint8')
    """
    data = open_stored(path)
    return PaintedMap(data.classes, data.probabilities, data.header)


class MemoryStore:
    """Keeps a map in memory, a large one in files that go with it.

    Parameters
    ----------
    header
        What the map says about itself.

    Attributes
    ----------
    map
        The map; complete when all blocks are written.
    """

    def __init__(self, header: MapHeader) -> None:
        classes = scratch(header.shape, np.uint8)
        probabilities = None
        if header.probabilities:
            probabilities = scratch((len(header.scheme), *header.shape), np.float16)
        self.map = PaintedMap(classes, probabilities, header)

    def write(
        self,
        block: Block,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None = None,
        **_: bool,
    ) -> None:
        """Take one block: `classes` is `(h, w)`, `probabilities` `(k, h, w)`."""
        self.map.classes[block.place] = classes
        if self.map.probabilities is not None and probabilities is not None:
            self.map.probabilities[(slice(None), *block.place)] = probabilities

    def finish(self) -> None:
        """Do nothing: what is written is there."""

    def abandon(self, *, keep: bool = False) -> None:
        """Do nothing: the memory goes with the store."""
