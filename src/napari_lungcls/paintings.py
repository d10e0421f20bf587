"""Painting as `Model.painting` does it: one job, into memory, a file, or a file by a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_lungcls.errors import InputError
from napari_lungcls.images.pairs import PathLike
from napari_lungcls.inference.grid import Block, MapGrid
from napari_lungcls.inference.header import MapHeader
from napari_lungcls.inference.order import InView
from napari_lungcls.inference.painted import MemoryStore, PaintedMap
from napari_lungcls.inference.resume import describe_job
from napari_lungcls.inference.run import PaintingProgress, map_header, run_painting
from napari_lungcls.inference.store_base import BlockStore
from napari_lungcls.inference.stores import MapStore, open_store, read_map
from napari_lungcls.network.document import ModelDocument
from napari_lungcls.network.engines import Engine
from napari_lungcls.network.engines.host_painting import Painting

if TYPE_CHECKING:
    from distributed import Client


logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Job:
    """What is painted, and what paints it; see `Model.painting`.

    Attributes
    ----------
    engine, document
        The network and what its model file says about it.
    grid
        The cells to paint.
    painting
        The network made for painting, in the precision that was chosen.
    probabilities
        Whether to keep them.
    cancelled, in_view
        Asked before every block.
    """

    engine: Engine
    document: ModelDocument
    grid: MapGrid
    painting: Painting
    probabilities: bool
    cancelled: Callable[[], bool]
    in_view: InView | None = None

    @property
    def header(self) -> MapHeader:
        """What the map says about itself."""
        return map_header(
            self.grid,
            self.document,
            probabilities=self.probabilities,
            precision=self.painting.precision,
        )


@dataclass(frozen=True)
class Place:
    """Where a map is written.

    Attributes
    ----------
    path
        An `.ome.zarr` or `.ome.tif`.
    overwrite
        Whether it may exist.
    resume
        Whether to go on with an unfinished painting.
    """

    path: PathLike
    overwrite: bool = False
    resume: bool = False

    def open(self, job: Job) -> BlockStore:
        """Begin the file, or find what is left of it."""
        described = describe_job(
            job.engine,
            job.document,
            job.grid,
            probabilities=job.probabilities,
            precision=job.painting.precision,
        )
        return open_store(
            self.path,
            job.header,
            chunk=job.grid.block,
            overwrite=self.overwrite,
            job=described,
            resume=self.resume,
        )


@dataclass(frozen=True)
class Cluster:
    """Who paints in place of this process.

    Attributes
    ----------
    scheduler
        Address of a Dask scheduler, or a client.
    workers
        Processes on this computer.
    device
        On which they compute.
    """

    scheduler: str | Client | None
    workers: int | None
    device: str


def run_job(
    job: Job, place: Place | None, cluster: Cluster | None
) -> Generator[PaintingProgress, None, PaintedMap]:
    """Paint what is left of a map, in memory where there is no place.

    Raises
    ------
    InputError
        When a cluster shall paint in memory, or as `run_painting` and `open_store` say.
    """
    if place is None:
        if cluster is not None:
            raise InputError("a cluster paints into files; say where with out")
        memory = MemoryStore(job.header)
        yield from _paint(job, memory, job.grid.blocks())
        return memory.map
    if cluster is not None:
        yield from _paint_on(cluster, job, place)
    else:
        store = place.open(job)
        left = store.left(job.grid.blocks())
        said = "painting" if len(left) == job.grid.block_count else "resuming"
        logger.info(
            "%s %s: %d of %d blocks to paint", said, place.path, len(left), job.grid.block_count
        )
        yield from _paint(job, store, left)
    logger.info("wrote the map %s", place.path)
    return read_map(place.path)


def _paint(
    job: Job, store: MapStore, blocks: Iterable[Block]
) -> Generator[PaintingProgress, None, None]:
    yield from run_painting(
        job.engine,
        job.document,
        job.grid,
        store,
        painting=job.painting,
        probabilities=job.probabilities,
        cancelled=job.cancelled,
        in_view=job.in_view,
        blocks=list(blocks),
    )


def _paint_on(cluster: Cluster, job: Job, place: Place) -> Generator[PaintingProgress, None, None]:
    from napari_lungcls.inference.cluster import connected, run_on_cluster

    with connected(cluster.scheduler, cluster.workers) as client:
        yield from run_on_cluster(
            client,
            job.engine,
            job.document,
            job.grid,
            place.open(job),
            device=cluster.device,
            cancelled=job.cancelled,
        )
