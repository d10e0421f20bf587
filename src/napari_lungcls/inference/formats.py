"""The formats of maps: which file is which, and what writes and reads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from napari_lungcls.errors import InputError
from napari_lungcls.inference.geojson import SUFFIX, write_geojson
from napari_lungcls.inference.map_data import MapData, MapHeader
from napari_lungcls.inference.masks import SUFFIX as MASKS
from napari_lungcls.inference.masks import write_masks
from napari_lungcls.inference.resume import UnfinishedPainting, find_unfinished
from napari_lungcls.inference.store_base import Begin, BlockStore
from napari_lungcls.inference.store_tiff import TiffStore
from napari_lungcls.inference.store_zarr import ZarrStore


class SaveMap(Protocol):
    """Writes a whole map; see `save_map`."""

    def __call__(self, painted: MapData, path: Path, *, overwrite: bool, begin: Begin) -> Path:
        """Write it, with as many steps as `begin` is told."""


@dataclass(frozen=True)
class MapFormat:
    """One kind of file or folder that maps are kept in.

    Attributes
    ----------
    label
        What it is called in file dialogs.
    suffixes
        How its names end; the first is the one to offer.
    save
        Writes a whole map.
    store
        Takes painted blocks and reads the map back; None for what is only written.
    folder
        Whether it is a folder, which may have any name when it is read.
    """

    label: str
    suffixes: tuple[str, ...]
    save: SaveMap
    store: type[BlockStore] | None = None
    folder: bool = False

    def names(self, path: Path) -> bool:
        """Tell whether a name ends like those of this format."""
        return path.name.lower().endswith(self.suffixes)


FORMATS = (
    MapFormat("OME-Zarr, any size", (".ome.zarr", ".zarr"), ZarrStore.save, ZarrStore, folder=True),
    MapFormat(
        "OME-TIFF, small maps",
        (".ome.tif", ".ome.tiff", ".tif", ".tiff"),
        TiffStore.save,
        TiffStore,
    ),
    MapFormat("Polygons for QuPath", (SUFFIX,), write_geojson),
    MapFormat("One mask per class, TIFF", (MASKS,), write_masks),
)


def _painted_as(path: Path) -> type[BlockStore]:
    for form in FORMATS:
        if form.store is not None and form.names(path):
            return form.store
    raise InputError(f"{path}: a map is written as .ome.zarr or .ome.tif; choose one of these")


def _stored_as(path: Path) -> type[BlockStore] | None:
    for form in FORMATS:
        if form.folder == path.is_dir() and (form.folder or form.names(path)):
            return form.store
    return None


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
    header, chunk, overwrite, job, resume
        See `BlockStore`.

    Raises
    ------
    InputError
        When the suffix is another, and as `BlockStore` does.
    """
    target = Path(path)
    return _painted_as(target)(
        target, header, chunk=chunk, overwrite=overwrite, job=job, resume=resume
    )


def unfinished(path: Path) -> UnfinishedPainting | None:
    """Look for an unfinished painting of an output, beside it and in it.

    Raises
    ------
    InputError
        When no map is painted into a file of this name.
    """
    return find_unfinished(path, _painted_as(path).read_document)


def is_map(path: Path) -> bool:
    """Tell whether a file or folder says that it is a map of this program; reads no cell."""
    store = _stored_as(path)
    try:
        return store is not None and store.read_document(path) is not None
    except InputError:
        return False


def open_stored(path: str | os.PathLike[str]) -> MapData:
    """Open a map; see `read_map`."""
    target, source = Path(path), os.fspath(path)
    if not target.exists():
        raise InputError(f"{source}: there is no such map; check the path")
    if (store := _stored_as(target)) is None:
        raise InputError(
            f"{source}: is no painted map, which is an .ome.zarr folder or .ome.tif file"
        )
    return store.read(target, source)


def save_map(
    painted: MapData,
    path: Path,
    *,
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool],
) -> Path | None:
    """Write a map, block by block; see `PaintedMap.save`."""
    form = next((form for form in FORMATS if form.names(path)), None)
    save = _painted_as(path).save if form is None else form.save

    def begin(total: int) -> Callable[[], None]:
        done = -1

        def tick() -> None:
            nonlocal done
            done += 1
            if cancelled():
                raise _Cancelled
            if progress is not None:
                progress(done, total)

        tick()
        return tick

    try:
        return save(painted, path, overwrite=overwrite, begin=begin)
    except _Cancelled:
        return None


class _Cancelled(Exception):
    """Saving was cancelled."""
