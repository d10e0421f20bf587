"""The record of an unfinished map: what was asked for, and which blocks are complete."""

from __future__ import annotations

import base64
import json
import math
import os
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from napari_lungcls.inference.cells import UNFINISHED
from napari_lungcls.inference.map_data import Block, MapHeader

_DONE, _OPEN = b"1", b"0"


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
        Model, image and settings, see `resume.describe_job`.
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
