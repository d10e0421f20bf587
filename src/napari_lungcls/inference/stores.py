"""Where painted blocks go, by the name of the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.inference.map_data import MapHeader

if TYPE_CHECKING:
    from napari_lungcls.inference.store_base import BlockStore

TIFF = (".tif", ".tiff")


class MapStore(Protocol):
    """Takes the blocks of one map, in any order."""

    def write(
        self,
        index: tuple[int, ...],
        rows: slice,
        columns: slice,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None = None,
        *,
        complete: bool = True,
    ) -> None:
        """Take one block: `classes` is `(h, w)`, `probabilities` `(k, h, w)`.

        Without `complete` it is to be painted again when the painting is resumed.
        """

    def finish(self) -> None:
        """Complete the map; a second call does nothing."""

    def abandon(self, *, keep: bool = False) -> None:
        """Leave nothing behind but what can be resumed, or with `keep` what was painted so far.

        After `finish` it does nothing.
        """


def open_store(
    path: str | os.PathLike[str],
    header: MapHeader,
    *,
    chunk: int = 512,
    overwrite: bool = False,
    job: dict[str, Any] | None = None,
    resume: bool = False,
) -> BlockStore:
    """Begin a map on disk; nothing is to be seen there before it is finished.

    Parameters
    ----------
    path
        `NAME.ome.zarr` (or `.zarr`) for maps of any size, `NAME.ome.tif` (`.ome.tiff`,
        `.tif`, `.tiff`) for small ones.
    header
        What the map says about itself.
    chunk
        Edge of the chunks of OME-Zarr in cells; blocks aligned to it are written fastest.
    overwrite
        Whether an existing output is replaced, when the new one is finished.
    job
        What is painted, see `describe_job`; without it, it cannot be resumed.
    resume
        Continue an unfinished painting of the same job; where there is none, begin one.

    Raises
    ------
    InputError
        When the suffix is another, the output exists or is being written, the unfinished
        painting is of another job, or it cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    options: dict[str, Any] = {
        "chunk": chunk,
        "overwrite": overwrite,
        "job": job,
        "resume": resume,
    }
    if suffix == ".zarr":
        from napari_lungcls.inference.store_zarr import ZarrStore

        return ZarrStore(target, header, **options)
    if suffix in TIFF:
        from napari_lungcls.inference.store_tiff import TiffStore

        return TiffStore(target, header, **options)
    raise InputError(f"{target}: a map is written as .ome.zarr or .ome.tif; choose one of these")
