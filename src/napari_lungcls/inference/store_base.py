"""How maps get to disk: into a hidden folder block by block, and out of it at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.inference.map_data import BLOCK, Block, MapData, MapHeader, blocks
from napari_lungcls.inference.resume import (
    Order,
    Record,
    UnfinishedPainting,
    check_same,
    find_unfinished,
    hidden_folder,
    pack,
    record_file,
)
from napari_lungcls.inference.store_cells import CellArrays, class_axis, class_map_axes
from napari_lungcls.utils.atomic_write import check_writable, remove_store, writing
from napari_lungcls.utils.locks import Claim, Claimed

Begin = Callable[[int], Callable[[], None]]
"""Takes the number of steps, and gives what is called after each; that may raise to stop."""


class BlockStore(ABC):
    """Takes painted blocks into a hidden folder and makes the output at the end.

    The folder `.NAME.partial` beside the output is a zarr group, compressed, so that
    neither memory nor disk holds the whole map uncompressed. With a `job` the file
    `.NAME.unfinished` records the blocks that are complete; both outlive a process that is
    killed or fails, and with `resume` the next one goes on. Without a job the next one removes
    the folder. The file `.NAME.lock` keeps a second process away meanwhile.

    Parameters
    ----------
    path
        The output.
    header
        The map; its `probabilities` says whether there is room for them.
    chunk
        Edge of the chunks in cells. Blocks that cover whole chunks are written fastest; with
        a job every block must be one chunk.
    overwrite
        Whether an existing output is replaced, at the end, and an unfinished one at once.
    job
        What is painted, see `describe_job`.
    resume
        Continue an unfinished painting of the same job; where there is none, begin one.

    Attributes
    ----------
    header
        The map; when a painting continues, as it was described when that began.
    cells
        The arrays.

    Raises
    ------
    InputError
        When the output exists, is unfinished, is being written by another process, was begun
        as another job, or cannot be written; or the map fits no OME file.
    """

    def __init__(
        self,
        path: Path,
        header: MapHeader,
        *,
        chunk: int = 512,
        overwrite: bool = False,
        job: dict[str, Any] | None = None,
        resume: bool = False,
    ) -> None:
        class_map_axes(header)
        if header.probabilities:
            class_axis(header)
        self.target = check_writable(path)
        self.header = header
        self.chunk = chunk
        self.folder = hidden_folder(self.target)
        self.cells: CellArrays
        self._record: Record | None = None
        self._claim = _claim(self.target)
        self._open = True
        try:
            with writing(self.target):
                found = find_unfinished(self.target, self.read_document)
                if found is not None and resume and job is not None:
                    check_same(found.order, job, header, chunk, self.target)
                    self._check_free(None, overwrite=found.published or found.order.replaces)
                    self._continue(found)
                else:
                    self._check_free(found, overwrite=overwrite, resume=resume)
                    self._begin(job, replaces=overwrite)
        except BaseException:
            self._claim.release()
            raise

    def _check_free(
        self, found: UnfinishedPainting | None, *, overwrite: bool, resume: bool = False
    ) -> None:
        """Refuse to replace what the user did not give up."""
        if found is not None and not overwrite:
            raise found.in_the_way(self.target)
        if not self.target.exists() or (overwrite and self._may_replace()):
            return
        if resume and self._may_replace():
            raise InputError(
                f"{self.target}: is complete, there is nothing to resume",
                suggestion=({"overwrite": True}, "to paint it again"),
            )
        raise InputError(f"{self.target}: exists already; remove it or choose another name")

    def _begin(self, job: dict[str, Any] | None, *, replaces: bool) -> None:
        """Make the hidden folder anew."""
        self._remove()
        try:
            self.cells = CellArrays.create(self.folder, self.header, self.chunk)
            if job is not None:
                order = Order(header=self.header, chunk=self.chunk, job=job, replaces=replaces)
                self._record = Record.create(record_file(self.target), order)
        except OSError:
            self._remove()
            raise

    def _continue(self, found: UnfinishedPainting) -> None:
        """Take up an unfinished painting."""
        if found.published:
            self._remove()
            self._take_up(found)
        CellArrays.tidy(self.folder)
        self.header = found.order.header
        self.cells = CellArrays.open(self.folder, self.header)
        self._record = Record.find(record_file(self.target))

    def left(self, todo: Iterable[Block]) -> list[Block]:
        """Give those blocks that are not complete."""
        if self._record is None:
            return list(todo)
        done, order = self._record.done, self._record.order
        return [b for b in todo if not done[order.number(b)]]

    def write(
        self,
        block: Block,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None = None,
        *,
        complete: bool = True,
    ) -> None:
        """Take one block; for any thread.

        Parameters
        ----------
        block
            Cells of the map.
        classes
            `(h, w)`, code + 1.
        probabilities
            `(k, h, w)`; ignored when the map has none.
        complete
            Whether the block needs not be painted again when the painting is resumed.
        """
        if not self._open:
            raise RuntimeError(f"{self.target} is finished and takes no more blocks")
        with writing(self.target):
            self.cells.write(block, classes, probabilities)
        if complete:
            self.mark(block)

    def mark(self, block: Block) -> None:
        """Note that a block is complete, whoever wrote it."""
        if self._record is not None:
            with writing(self.target):
                self._record.mark(self._record.order.number(block))

    @classmethod
    def save(cls, painted: MapData, path: Path, *, overwrite: bool, begin: Begin) -> Path:
        """Write a whole map, block by block; see `formats.save_map`."""
        store = cls(path, painted.header, overwrite=overwrite)
        try:
            parts = list(blocks(painted.header.shape, BLOCK))
            tick = begin(len(parts) + store.finishing_steps)
            for block in parts:
                cells = painted.probabilities
                if cells is not None:
                    cells = np.asarray(cells[(slice(None), *block.place)])
                store.write(block, np.asarray(painted.classes[block.place]), cells)
                tick()
            store.finish(tick)
        finally:
            store.abandon()
        return path

    @staticmethod
    @abstractmethod
    def read(target: Path, source: str) -> MapData:
        """Open a map without reading its cells; errors call it `source`.

        Raises
        ------
        InputError
            When it is damaged, or no map of this program.
        """

    @staticmethod
    @abstractmethod
    def read_document(target: Path) -> Any:
        """Give what a map says about itself, see `cells.document`; None when there is nothing.

        Raises
        ------
        InputError
            When the file or folder cannot be opened.
        """

    def sweep(self) -> None:
        """Remove what other processes that died left of chunks; nobody may be writing."""
        CellArrays.sweep(self.folder)

    @property
    @abstractmethod
    def finishing_steps(self) -> int:
        """Number of steps of `finish`."""

    def finish(self, tick: Callable[[], None] = lambda: None) -> None:
        """Make the output of what was written; cells that were not stay 0.

        While blocks are not complete, the output says so and can be resumed.

        Parameters
        ----------
        tick
            Called after each of the `finishing_steps`; when it raises, nothing is made.
        """
        if not self._open:
            return
        left = None
        if self._record is not None:
            self._record.close()
            left = pack(self._record)
        with writing(self.target):
            self._publish(left, tick)
        self._close(keep=False)

    def abandon(self, *, keep: bool = False) -> None:
        """Finish the map as it is, with `keep`; else leave what can be resumed, or nothing."""
        if keep:
            self.finish()
        self._close(keep=self._record is not None and bool(self._record.done.any()))

    def _close(self, *, keep: bool) -> None:
        if not self._open:
            return
        self._open = False
        if self._record is not None:
            self._record.close()
        if not keep:
            self._remove()
        self._claim.release()

    def _remove(self) -> None:
        """Remove what lies beside the output, the record first: it counts with the folder only."""
        record_file(self.target).unlink(missing_ok=True)
        remove_store(self.folder)

    @abstractmethod
    def _publish(self, left: dict[str, Any] | None, tick: Callable[[], None]) -> None:
        """Turn the folder into the output, under its final name; `left` goes into its document."""

    @abstractmethod
    def _take_up(self, found: UnfinishedPainting) -> None:
        """Turn an unfinished output into a folder with a record."""

    @abstractmethod
    def _may_replace(self) -> bool:
        """Whether what lies at the output is of the kind that this store makes."""


def _claim(target: Path) -> Claim:
    try:
        with writing(target):
            return Claim(target.with_name(f".{target.name}.lock"))
    except Claimed as other:
        raise InputError(
            f"{target}: is being written by {other}; wait until that has ended, or choose "
            "another output"
        ) from other
