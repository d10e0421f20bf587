"""A map that a server paints, fetched block by block while it is painted."""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import DamagedRegion
from napari_lungcls.inference.damage import Damage
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block
from napari_lungcls.remote.connection import Connection
from napari_lungcls.remote.images import RemoteImage

LOOK_EVERY = 0.2
"""Seconds between two looks at a painting."""

KEEP_EVERY = 20.0
"""Seconds after which the server is told that a waiting painting still needs its image."""

HEAD = 2**16
"""Bytes of the description of a block."""


@dataclass(frozen=True, eq=False)
class FetchedBlock:
    """Cells of a map.

    Attributes
    ----------
    block
        Where they are.
    classes, probabilities
        `(h, w)` and `(k, h, w)` or None.
    complete
        Whether none is left out because the image cannot be read there.
    """

    block: Block
    classes: NDArray[np.uint8]
    probabilities: NDArray[np.float16] | None
    complete: bool


class _Damaged(BaseModel):
    plane: tuple[int, ...]
    rows: tuple[int, int]
    columns: tuple[int, int]
    reason: str


class PaintingState(BaseModel):
    """What a server says about a painting; see its `GET /v1/jobs/ID`."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    precision: str
    blocks: int = Field(ge=0)
    error: str | None = None
    damaged: list[_Damaged] = Field(default_factory=list)


class RemotePainting:
    """A painting at a server.

    Parameters
    ----------
    image
        The image there.
    grid
        The map, as this program lays it over the image here.
    ask
        Model and settings of the request.
    classes
        Number of classes whose probabilities are wanted; 0 without.

    Attributes
    ----------
    told
        What the server said last.
    """

    def __init__(
        self, image: RemoteImage, grid: MapGrid, ask: dict[str, Any], classes: int
    ) -> None:
        self._image, self._grid, self._classes = image, grid, classes
        self._expected = {_place(block) for block in grid.blocks()}
        request: dict[str, Any] = ask | {
            "image_id": image.key,
            "format": "blocks",
            "stride": grid.stride,
            "region": [grid.rows.start, grid.rows.stop, grid.columns.start, grid.columns.stop],
            "probabilities": bool(classes),
        }
        if image.planes is None and grid.planes is not None:
            request["planes"] = [grid.planes.start, grid.planes.stop]
        self.told = self._understood(self._connection.ask("POST", "/v1/paint", request))
        self._url, self._touched = f"/v1/jobs/{self.told.id}", time.monotonic()

    @property
    def _connection(self) -> Connection:
        return self._image.connection

    @property
    def damage(self) -> Damage:
        """What of the image the server could not read so far."""
        return {
            DamagedRegion(each.plane, each.rows, each.columns): each.reason
            for each in self.told.damaged
        }

    def look(self) -> None:
        """Ask how far it is.

        Raises
        ------
        InputError
            When it has failed, or was cancelled there.
        """
        ask = self._connection.ask
        if self.told.state == "waiting" and time.monotonic() > self._touched + KEEP_EVERY:
            ask("GET", f"/v1/images/{self._image.key}", patient=True)
            self._touched = time.monotonic()
        self.told = self._understood(ask("GET", self._url, patient=True))
        if self.told.state in ("failed", "cancelled"):
            why = self.told.error or "the painting was cancelled there"
            raise InputError(f"{self._connection.address}: {why[:1000]}")

    def begun(self, cancelled: Callable[[], bool]) -> bool:
        """Wait until it begins, and tell whether it does; not if it is cancelled before."""
        while self.told.precision == "auto" or self.told.state == "waiting":
            if cancelled():
                return False
            time.sleep(LOOK_EVERY)
            self.look()
        return True

    def blocks(self, cancelled: Callable[[], bool]) -> Iterator[FetchedBlock]:
        """Give all blocks as they are painted, or those before it is cancelled.

        Raises
        ------
        InputError
            When the server is lost, or gives other blocks than this program would.
        """
        fetched = 0
        while self._expected and not cancelled():
            if fetched < self.told.blocks:
                found = self._fetch(fetched)
                fetched += 1
                if not found.complete:
                    self.look()
                yield found
            elif self.told.state == "done":
                raise self._other()
            else:
                time.sleep(LOOK_EVERY)
                self.look()

    def end(self) -> None:
        """Cancel it, if it still runs, and let the server forget it and its image."""
        with contextlib.suppress(InputError):
            self._connection.ask("DELETE", self._url)

    def _fetch(self, number: int) -> FetchedBlock:
        grid = self._grid
        most = HEAD + grid.block**2 * (1 + 2 * self._classes)
        packed = self._connection.fetch("GET", f"{self._url}/blocks/{number}", most, patient=True)
        try:
            data = zlib.decompressobj(31).decompress(packed, most)
            line, _, cells = data.partition(b"\n")
            found = self._read(json.loads(line), cells)
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            raise self._other() from error
        place = _place(found.block)
        if place not in self._expected:
            raise self._other()
        self._expected.remove(place)
        return found

    def _read(self, head: dict[str, Any], cells: bytes) -> FetchedBlock:
        there = tuple(map(int, head["index"]))
        index = there if self._image.planes is None else self._index_in_map(there)
        block = Block(index, slice(*_pair(head["rows"])), slice(*_pair(head["columns"])))
        shape = tuple(part.stop - part.start for part in (block.rows, block.columns))
        count, k = int(np.prod(shape)), int(head["probabilities"])
        if k not in (0, self._classes) or len(cells) != count * (1 + 2 * k):
            raise ValueError("cells are missing")
        classes = np.frombuffer(cells, np.uint8, count).reshape(shape)
        probabilities = None
        if k:
            values = np.frombuffer(cells, "<f2", offset=count)
            probabilities = values.reshape(k, *shape).astype(np.float16)
        return FetchedBlock(block, classes, probabilities, bool(head["complete"]))

    def _index_in_map(self, there: tuple[int, ...]) -> tuple[int, ...]:
        here, planes = self._image.index_here(there), self._grid.planes
        return here if planes is None else (*here[:-1], here[-1] - planes.start)

    def _understood(self, answer: dict[str, Any]) -> PaintingState:
        try:
            return PaintingState.model_validate(answer)
        except ValidationError as error:
            raise InputError(
                f"{self._connection.address}: what it says about the painting is not understood "
                f"({one_line(error)}); use the same version of this program on both computers"
            ) from error

    def _other(self) -> InputError:
        return InputError(
            f"{self._connection.address}: gives other parts of the map than were asked for; use "
            "the same version of this program on both computers"
        )


def _place(block: Block) -> tuple[int, ...]:
    rows, columns = block.rows, block.columns
    return (*block.index, rows.start, rows.stop, columns.start, columns.stop)


def _pair(value: Any) -> tuple[int, int]:
    first, last = value
    return int(first), int(last)
