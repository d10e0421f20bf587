"""Continuing a painting: the record of an unfinished map, and whether it is the same job."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from napari_lungcls.errors import InputError
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.leaving_out import hash_of_cells
from napari_lungcls.inference.map_data import Block, MapHeader
from napari_lungcls.inference.store_cells import UNFINISHED
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.run_identity import (
    ANOTHER_VERSION,
    PIXELS,
    Difference,
    diagonal_samples,
    difference,
)

if TYPE_CHECKING:
    from napari_lungcls.images.masks import Mask

_DONE, _OPEN = b"1", b"0"


@dataclass(frozen=True)
class UnfinishedPainting:
    """A painting that can be continued.

    Attributes
    ----------
    order
        What was asked for.
    done
        Which blocks are complete.
    published
        Whether it lies at the output, as after Ctrl-C, or beside it, as after a kill.
    """

    order: Order
    done: NDArray[np.bool_]
    published: bool

    def __str__(self) -> str:
        """Say how far it is."""
        return f"is unfinished ({int(self.done.sum())} of {self.done.size} blocks are painted)"

    def in_the_way(self, target: Path) -> InputError:
        """Say that a new painting would destroy this one."""
        return InputError(
            f"{target}: {self}",
            suggestion=(
                {"resume": True},
                "to continue it, or",
                {"overwrite": True},
                "to begin anew",
            ),
        )


def find_unfinished(
    target: Path, read_document: Callable[[Path], Any]
) -> UnfinishedPainting | None:
    """Look for an unfinished painting of an output, beside it and in it."""
    aside = hidden_folder(target).is_dir()
    if aside and (found := Record.find(record_file(target))) is not None:
        found.close()
        if found.done.any():
            return UnfinishedPainting(found.order, found.done, published=False)
    if not target.exists():
        return None
    try:
        said = read_document(target)
    except InputError:
        return None
    packed = unpack(said.get(UNFINISHED)) if isinstance(said, dict) else None
    return None if packed is None else UnfinishedPainting(*packed, published=True)


def describe_job(
    predictor: Predictor,
    grid: MapGrid,
    *,
    probabilities: bool,
    precision: str = "fp32",
    no_glass: bool = False,
    within: Mask | None = None,
) -> dict[str, Any]:
    """Describe what makes the cells of a map, as JSON; see `run_identity`.

    Of the image a few places are read and hashed: reading all of it would take longer than
    much of a painting. A place that cannot be read is None and equals any other. Of a mask, which
    someone may have drawn on, all is read that lies on the cells.
    """
    stack = grid.stack
    # Only where it is asked for, so that older paintings can be continued.
    empty: dict[str, Any] = {"setting no_glass": True} if no_glass else {}
    if within is not None:
        empty["setting within"] = hash_of_cells(grid, within)
    return empty | {
        "model": _model_hash(predictor),
        "image": {
            "shapes": [list(level.shape) for level in stack.levels],
            "dtype": stack.dtype.name,
            "rgb": stack.rgb,
        },
        PIXELS: diagonal_samples(stack),
        "region": [[s.start, s.stop] for s in (grid.rows, grid.columns)],
        "planes": None if grid.planes is None else [grid.planes.start, grid.planes.stop],
        "setting channels": stack.channels,
        "setting engine": predictor.engine.name,
        "setting pixel_size": stack.pixel_size,
        "setting precision": precision,
        "setting probabilities": probabilities,
        "setting stride": grid.stride,
    }


def check_same(
    order: Order, job: dict[str, Any], header: MapHeader, chunk: int, target: Path
) -> None:
    """Refuse to continue a painting as another one.

    The map's own description may differ in nothing but what made it: an image that was moved
    is the same image.

    Raises
    ------
    InputError
        When model, image or settings differ from those that it was begun with.
    """
    other = difference(order.job, job)
    if other is None and (order.chunk != chunk or _bare(order.header) != _bare(header)):
        other = Difference(ANOTHER_VERSION)
    if other is not None:
        raise InputError(
            f"{target}: its unfinished painting was begun with {other}",
            suggestion=(
                other.remedy,
                "as then, or",
                {"overwrite": True},
                "instead of resume to begin anew",
            ),
        )


def _bare(header: MapHeader) -> MapHeader:
    return header.model_copy(update={"provenance": {}})


def _model_hash(predictor: Predictor) -> str:
    """Hash what a model's answers depend on."""
    said = predictor.document.model_dump(
        mode="json", include={"network", "scheme", "pixel_size", "temperature", "threshold"}
    )
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, array in sorted(predictor.engine.state().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def hidden_folder(target: Path) -> Path:
    """Where a map lies until it is finished."""
    return target.with_name(f".{target.name}.partial")


def record_file(target: Path) -> Path:
    """Where its record lies: beside the folder, which becomes the output in one step.

    It counts only with the folder. Whoever makes a folder removes an older record first.
    """
    return target.with_name(f".{target.name}.{UNFINISHED}")


class Order(BaseModel, frozen=True, extra="forbid"):
    """What was asked for when a painting began.

    Attributes
    ----------
    format
        Version of the record; others are not understood.
    header
        The map, as it is going to be.
    chunk
        Edge of the blocks in cells.
    job
        Model, image and settings, see `describe_job`.
    replaces
        Whether it may replace an older output.
    """

    format: Literal[1] = 1
    header: MapHeader
    chunk: int = Field(ge=1)
    job: dict[str, Any]
    replaces: bool = False

    @property
    def blocks(self) -> tuple[int, ...]:
        """Numbers of blocks along the axes of the map."""
        *leading, height, width = self.header.shape
        return (*leading, -(-height // self.chunk), -(-width // self.chunk))

    @property
    def count(self) -> int:
        """Number of all blocks."""
        return math.prod(self.blocks)

    def number(self, block: Block) -> int:
        """Give the number of a block, counted plane by plane and row by row."""
        rows, columns = block.rows.start // self.chunk, block.columns.start // self.chunk
        place = (*block.index, rows, columns)
        return int(np.ravel_multi_index(place, self.blocks))


class Record:
    """A file with a line of JSON and one byte per block, `1` when the block is complete.

    A byte is written when the block's cells are, so a process that is killed at any moment
    leaves no block that counts as complete and is not.

    Parameters
    ----------
    path
        The file, see `create` and `find`.
    order
        What its first line says.
    done
        Which blocks are complete.
    """

    def __init__(self, path: Path, order: Order, done: NDArray[np.bool_]) -> None:
        self.path, self.order, self.done = path, order, done
        self._stream = path.open("rb+")
        self._first = len(self._stream.readline())
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, order: Order, done: NDArray[np.bool_] | None = None) -> Record:
        """Write a new record, aside first."""
        if done is None:
            done = np.zeros(order.count, bool)
        aside = path.with_name(f"{path.name}.new")
        marks = np.where(done, _DONE, _OPEN).tobytes()
        aside.write_bytes(order.model_dump_json().encode() + b"\n" + marks)
        os.replace(aside, path)
        return cls(path, order, done)

    @classmethod
    def find(cls, path: Path) -> Record | None:
        """Open a record; None when there is none that can be used."""
        try:
            line, _, marks = path.read_bytes().partition(b"\n")
            order = Order.model_validate_json(line)
        except (OSError, ValidationError):
            return None
        done = np.frombuffer(marks, "S1") == _DONE
        return cls(path, order, done) if len(done) == order.count else None

    def mark(self, number: int) -> None:
        """Note that a block is complete; for any thread."""
        with self._lock:
            self._stream.seek(self._first + number)
            self._stream.write(_DONE)
            self._stream.flush()
            self.done[number] = True

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def pack(record: Record) -> dict[str, Any] | None:
    """Give what a published map must know to be continued; None when it is complete."""
    if record.done.all():
        return None
    done = base64.b64encode(np.packbits(record.done).tobytes()).decode()
    return {"order": json.loads(record.order.model_dump_json()), "done": done}


def unpack(value: Any) -> tuple[Order, NDArray[np.bool_]] | None:
    """Read what `pack` gave; None when it is missing or damaged."""
    try:
        order = Order.model_validate(value["order"])
        packed = np.frombuffer(base64.b64decode(value["done"]), np.uint8)
        if len(packed) != -(-order.count // 8):
            return None
        done = np.unpackbits(packed, count=order.count).astype(bool)
    except (TypeError, KeyError, ValueError):
        return None
    return order, done
