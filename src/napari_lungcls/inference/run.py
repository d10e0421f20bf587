"""Painting images: a generator that yields progress, while blocks are written in the background."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.tissue import WithoutGlass
from napari_lungcls.inference.damage import BlockReport, Damage, Painted, complaint
from napari_lungcls.inference.grid import InView, MapGrid, nearest_first, with_next
from napari_lungcls.inference.leaving_out import KeptCells, paint_kept
from napari_lungcls.inference.map_data import Block, MapHeader
from napari_lungcls.inference.painted import MemoryStore, PaintedMap
from napari_lungcls.inference.painter import Painter
from napari_lungcls.network.compatibility import check_image
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.utils.memory import give_back
from napari_lungcls.utils.printable import printable

if TYPE_CHECKING:
    from napari_lungcls.images.masks import Mask


class MapStore(Protocol):
    """Takes the blocks of one map, in any order; see `BlockStore`."""

    def write(
        self,
        block: Block,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None = None,
        *,
        complete: bool = True,
    ) -> None:
        """Take one block."""

    def finish(self) -> None:
        """Make the map of what was written."""

    def abandon(self, *, keep: bool = False) -> None:
        """Finish the map as it is, with `keep`; else leave nothing, or what can be resumed."""


class BackgroundWriter:
    """Hands blocks to a store in a thread of its own, one at a time.

    While one block is written the next may be computed; a third waits, so that memory holds
    two at most. What goes wrong is raised by the next call, or on leaving the context.

    Parameters
    ----------
    store
        Takes the blocks, in the order in which they are given.
    """

    def __init__(self, store: MapStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lungcls-write")
        self._writing: Future[None] | None = None

    def write(
        self,
        block: Block,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None,
        *,
        complete: bool = True,
    ) -> None:
        """Begin to write a block when the one before is written.

        Parameters
        ----------
        block, classes, probabilities
            Its cells.
        complete
            Whether nothing of it is left out for which the image could not be read.
        """
        self.wait()
        self._writing = self._thread.submit(
            self._store.write, block, classes, probabilities, complete=complete
        )

    def wait(self) -> None:
        """Return when everything is written."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def __enter__(self) -> Self:
        """Write."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the thread; after an error, without asking how it ended."""
        try:
            if kind is None:
                self.wait()
        finally:
            self._thread.shutdown()


TIDY = 16
"""Blocks after which memory that threads have freed goes back to the system."""


@dataclass(frozen=True)
class PaintingProgress:
    """Progress of a painting, before the first block and after each.

    Attributes
    ----------
    done, total
        Blocks painted, and in all.
    block
        The block that was just written; None before the first.
    seconds, remaining
        Time spent, and an estimate of what is left, None before the first block.
    map
        The map as it is filled, where that can be read meanwhile: in memory, not in files.
    damage
        What of the image could not be read so far.
    left_out
        How many cells were left empty so far because of a mask, by what they lie on, or outside
        of; not on a cluster.

    Examples
    --------
    >>> model = lc.load("lung.safetensors")
    >>> for progress in model.painting("section.ome.tif", stride=8):
    ...     print(f"{progress.done} of {progress.total}")
    0 of 1
    1 of 1
    """

    done: int
    total: int
    block: Block | None
    seconds: float
    remaining: float | None
    map: PaintedMap | None
    damage: Damage = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)


class BlockTally:
    """Counts the blocks of a painting, and ends it.

    Parameters
    ----------
    grid, store
        The map.
    todo
        Blocks that are to be painted; the others are there already.
    kept
        Tells and counts which of their cells are, where it is asked here.

    Attributes
    ----------
    done
        Blocks painted so far.
    filled
        The map where it can be read meanwhile.
    """

    def __init__(
        self, grid: MapGrid, store: MapStore, todo: int, kept: KeptCells | None = None
    ) -> None:
        self._grid, self._store, self._todo, self._kept = grid, store, todo, kept
        self._before = grid.block_count - todo
        self._began = time.perf_counter()
        self._damage: Damage = {}
        self._blind, self._seen = 0, self._before > 0
        self.done = 0
        self.filled = store.map if isinstance(store, MemoryStore) else None

    def start(self) -> PaintingProgress:
        """Give the progress before the first block."""
        return PaintingProgress(self._before, self._grid.block_count, None, 0.0, None, self.filled)

    def add(self, block: Block, report: BlockReport) -> PaintingProgress:
        """Count a block, and give the progress with it."""
        self.done += 1
        self._blind += report.blind
        self._seen = self._seen or report.seen
        self._damage = self._damage | report.damage
        seconds = time.perf_counter() - self._began
        left = seconds / self.done * (self._todo - self.done)
        done, total = self._before + self.done, self._grid.block_count
        left_out = {} if self._kept is None else dict(+self._kept.left_out)
        return PaintingProgress(
            done, total, block, seconds, left, self.filled, self._damage, left_out
        )

    def conclude(self) -> bool:
        """Finish the map, say what it lacks, and tell whether every block had its turn."""
        source, complete = self._grid.stack.source, self.done == self._todo
        if complete and self._damage and not self._seen:
            raise InputError(f"{source}: {next(iter(self._damage.values()))}")
        if complete:
            self._store.finish()
        else:
            self._store.abandon(keep=True)
        if self._blind:
            warnings.warn(
                f"{source} holds NaN or infinite values; {self._blind} cells that see them "
                "are not painted",
                LungclsWarning,
                stacklevel=3,
            )
        if self._damage:
            warnings.warn(complaint(source, self._damage), LungclsWarning, stacklevel=3)
        return complete


@contextlib.contextmanager
def kept_or_abandoned(store: MapStore) -> Iterator[None]:
    """Abandon a map when painting it fails or is given up."""
    try:
        yield
    except BaseException:
        store.abandon()
        raise


def map_header(
    grid: MapGrid,
    document: ModelDocument,
    *,
    probabilities: bool,
    precision: str = "fp32",
    no_glass: bool = False,
    within: Mask | None = None,
) -> MapHeader:
    """Describe the map that a model paints on a grid."""
    scheme: ClassScheme = document.scheme
    provenance: dict[str, Any] = {
        "image": printable(grid.stack.source),
        "model_created": document.created,
        "first_plane": 0 if grid.planes is None else grid.planes.start,
        "zooms": list(document.network.zooms),
        "channels": grid.stack.channels,
        "pixel_size": grid.stack.pixel_size,
        "precision": precision,
        "software": document.software.get("napari-lungcls", ""),
    }
    if no_glass:
        provenance["left_out"] = WithoutGlass.description
    if within is not None:
        provenance["within"] = within.description
    if document.adapted is not None:
        provenance["adapted"] = document.adapted.model_dump()
    if designs := document.split.get("audit_designs"):
        provenance["trained_on_designs"] = designs
    return grid.header(scheme, probabilities=probabilities, provenance=provenance)


def run_painting(
    predictor: Predictor,
    grid: MapGrid,
    store: MapStore,
    *,
    painting: Painting | None = None,
    probabilities: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
    in_view: InView | None = None,
    blocks: Sequence[Block] | None = None,
    kept: KeptCells | None = None,
) -> Generator[PaintingProgress, None, bool]:
    """Paint all blocks of a grid into a store.

    Parameters
    ----------
    predictor
        The network and what its model file says about it.
    grid
        The cells to paint.
    store
        Takes the blocks. It is finished when all are painted, finished as it is when
        cancelled (cells not painted are 0), and abandoned after an error.
    painting
        The network made for painting; in fp32 if not given. See `choose_painting`.
    probabilities
        Whether to write them.
    cancelled
        Asked before every block.
    in_view
        Asked before every block for the cell that is looked at; see `nearest_first`. Without
        it blocks are painted in their order.
    blocks
        Those that are still to be painted; all if not given.
    kept
        Tells which cells are painted; all if not given.

    Yields
    ------
    PaintingProgress
        The first before any block.

    Returns
    -------
    bool
        Whether everything was painted.

    Raises
    ------
    InputError
        When model and image do not go together, or nothing of the image can be read.

    Warns
    -----
    LungclsWarning
        When cells were left out because the image holds NaN or infinite values there, or
        cannot be read there.
    """
    with kept_or_abandoned(store):
        zooms = check_image(grid.stack, predictor.document)
        painter = Painter.of(predictor, zooms, painting)

        def paint(block: Block, alone: bool) -> Painted:
            return painter.block(grid, block, probabilities=probabilities, alone=alone)

        todo = list(grid.blocks()) if blocks is None else list(blocks)
        tally = BlockTally(grid, store, len(todo), kept)
        yield tally.start()
        with BackgroundWriter(store) as writer, painter:
            for block, after in _ordered(todo, in_view):
                if cancelled():
                    break
                if after is not None:
                    painter.expect(grid, after)
                cells, report = paint_kept(paint, block, grid.stride, kept)
                writer.write(block, *cells, complete=not report.damage)
                if tally.filled is not None:
                    # A viewer shows this map: report a block only when it is written.
                    writer.wait()
                progress = tally.add(block, report)
                if tally.done % TIDY == 1:
                    give_back()
                yield progress
        return tally.conclude()


def _ordered(blocks: list[Block], in_view: InView | None) -> Iterator[tuple[Block, Block | None]]:
    """Give the blocks in their order, with the next one where that is known already."""
    if in_view is None:
        yield from with_next(iter(blocks))
    else:
        for block in nearest_first(blocks, in_view):
            yield block, None
