"""What the workers of a Dask cluster do: paint a block into the shared folder."""

from __future__ import annotations

import signal
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import dask

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.damage import BlockReport, Painted
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.leaving_out import kept_cells, open_within, paint_kept
from napari_lungcls.inference.map_data import Block, MapHeader
from napari_lungcls.inference.painter import Painter
from napari_lungcls.inference.store_cells import CellArrays
from napari_lungcls.network.compatibility import fitting_zooms
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.model_file import read_model
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.utils.atomic_write import writing


@dataclass(frozen=True, eq=False)
class ClusterTask:
    """What all blocks of a painting have in common.

    Attributes
    ----------
    token
        Tells one painting from another.
    model
        A model file that every worker can read.
    engine, device
        What computes it.
    image
        Path of an image that every worker can read, or a stack that can be sent.
    channels
        Which of its channels are painted, where they were chosen; a stack has no others.
    pixel_size
        Of the image, where the user overruled it.
    stride, region, planes
        The grid.
    folder, header
        Where the cells are written, and the map that they become.
    within
        Path of a mask that every worker can read; only the cells in it are painted.
    no_glass
        Whether cells on bare glass are left empty.
    """

    token: str
    model: str
    engine: str
    device: str
    image: str | ImageStack
    channels: str | None
    pixel_size: float | None
    stride: int
    region: tuple[slice, slice]
    planes: slice | None
    folder: str
    header: MapHeader
    within: str | None
    no_glass: bool


class _Prepared:
    """Model, image and output, opened once in each process."""

    def __init__(self, task: ClusterTask) -> None:
        folder = Path(task.folder)
        if not folder.is_dir():
            raise InputError(
                f"{folder}: a worker on {socket.gethostname()} does not see this folder; the "
                "workers need the same file system as the command"
            )
        self.token = task.token
        document, state = read_model(task.model)
        engine = create_engine(task.engine, document.network, device=task.device)
        engine.load(state)
        stack = task.image
        if isinstance(stack, str):
            stack = open_image(stack, task.channels)
        stack = stack.with_pixel_size(task.pixel_size)
        self.grid = MapGrid.over(stack, task.stride, task.region, task.planes)
        mask = open_within(task.within, self.grid)
        self.kept = kept_cells(self.grid, mask, no_glass=task.no_glass)
        zooms = fitting_zooms(stack, document)
        # What the client chose for all blocks, so that they go together.
        painting = engine.painting(task.header.provenance["precision"])
        self.painter = Painter.of(Predictor(engine, document), zooms, painting)
        self.cells = CellArrays.open(folder, task.header)

    def paint(self, block: Block, alone: bool) -> Painted:
        wanted = self.cells.header.probabilities
        return self.painter.block(self.grid, block, probabilities=wanted, alone=alone)


_ready: list[_Prepared] = []
# Networks are not made for several threads at once, and memory is for one block.
_one_at_a_time = threading.Lock()


def paint_block(task: ClusterTask, block: Block) -> BlockReport:
    """Paint one block and write it; the chunks of a block are no other block's."""
    with _one_at_a_time:
        if not _ready or _ready[0].token != task.token:
            _ready.clear()
            _ready.append(_Prepared(task))
        prepared = _ready[0]
        # Chunks of a dask image are read here: as tasks of the cluster they would wait for the
        # very workers that wait for them.
        with dask.config.set(scheduler="synchronous"):
            cells, report = paint_kept(prepared.paint, block, task.stride, prepared.kept)
        with writing(Path(task.folder)):
            prepared.cells.write(block, *cells)
    return report


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to all, to the process that started the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
