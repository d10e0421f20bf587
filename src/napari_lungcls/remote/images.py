"""Images at a server: sent once, or named where both computers see the same folder."""

from __future__ import annotations

import math
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack, plane_indices
from napari_lungcls.remote.connection import Connection
from napari_lungcls.remote.tiff import Index, pick_planes, write_tiff
from napari_lungcls.run_identity import diagonal_samples

CHUNK = 2**18
"""Bytes that are sent at once."""


@dataclass(frozen=True)
class ServerLimits:
    """What a server takes.

    Attributes
    ----------
    megabytes, megapixels
        Of an image that is sent.
    """

    megabytes: float
    megapixels: float


@dataclass(frozen=True, eq=False)
class RemoteImage:
    """An image that a server keeps.

    Attributes
    ----------
    connection, key
        Where, and under which name.
    planes
        The planes of the image here that it has, one after the other; None if it has all of
        them under the same numbers.
    """

    connection: Connection
    key: str
    planes: tuple[Index, ...] | None

    def coordinates(self, stack: ImageStack, where: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give points `(n, ndim)` of the image here in pixels of the one there."""
        if self.planes is None:
            return where
        if len(self.planes) == 1:
            return where[:, -2:]
        number = {index: i for i, index in enumerate(self.planes)}
        own = [number[tuple(map(int, index))] for index in plane_indices(stack, where)]
        return np.column_stack([np.array(own, np.float64), where[:, -2:]])

    def index_here(self, index: Index) -> Index:
        """Give the index of a plane of the image here by its index there."""
        if self.planes is None:
            return index
        number = index[0] if index else 0
        if len(index) > 1 or not 0 <= number < len(self.planes):
            raise InputError(f"{self.connection.address}: answers for a plane that was not sent")
        return self.planes[number]

    def forget(self) -> None:
        """Let the server forget it."""
        self.connection.ask("DELETE", f"/v1/images/{self.key}")


def send_image(
    connection: Connection,
    stack: ImageStack,
    planes: Sequence[Index],
    limits: ServerLimits,
    cancelled: Callable[[], bool],
) -> RemoteImage:
    """Send planes of an image, compressed without loss; memory holds a few tiles.

    Raises
    ------
    InputError
        When it is larger than the server takes, cannot be read, or arrives as something else.
    """
    part = pick_planes(stack, planes)
    pixels = math.prod(part.shape) / 1e6
    if pixels > limits.megapixels:
        raise _too_large(stack, f"{pixels:.0f} megapixels", f"{limits.megapixels:g}")
    with tempfile.TemporaryDirectory(prefix="lungcls-send-") as folder:
        file = Path(folder) / "image.tif"

        def tick() -> None:
            if cancelled():
                raise connection.cancelled()
            if file.exists() and file.stat().st_size > limits.megabytes * 1e6:
                limit = f"{limits.megabytes:g}"
                raise _too_large(stack, f"more than {limit} MB when compressed", limit)

        write_tiff(part, file, tick)
        tick()

        def content() -> Iterator[bytes]:
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    if cancelled():
                        raise connection.cancelled()
                    yield chunk

        kept = connection.ask("POST", "/v1/images", content=content, kind="image/tiff")
    _check_same(connection, part, kept, "what arrived there is not what was sent")
    return RemoteImage(connection, str(kept["id"]), tuple(planes))


def name_image(connection: Connection, stack: ImageStack, shared: Path) -> RemoteImage:
    """Name an image below a folder that the server reads too.

    Raises
    ------
    InputError
        When the image is not in the folder, or the server has none there, or another one.
    """
    top, path = shared.resolve(), stack.path
    if path is None or not Path(path).resolve().is_relative_to(top):
        raise InputError(
            f"{stack.source}: is not in {shared}, which the server reads too",
            setting="shared",
            suggestion=({"shared": None}, "to send the image"),
        )
    name = Path(os.path.relpath(Path(path).resolve(), top)).as_posix()
    ask = {"path": name, "channels": stack.channels}
    kept = connection.ask("POST", "/v1/images", {k: v for k, v in ask.items() if v is not None})
    _check_same(connection, stack, kept, f"its {name} is another image")
    return RemoteImage(connection, str(kept["id"]), None)


def image_key(stack: ImageStack, planes: Sequence[Index]) -> Any:
    """Tell images apart: by places on their diagonal, and in memory by every pixel."""
    sums = [
        zlib.crc32(np.ascontiguousarray(level).data)
        for level in stack.levels[:1]
        if isinstance(level, np.ndarray)
    ]
    shapes = tuple(tuple(level.shape) for level in stack.levels)
    seen = tuple(diagonal_samples(stack))
    return stack.source, shapes, stack.dtype.name, stack.channels, seen, *sums, tuple(planes)


def _check_same(
    connection: Connection, stack: ImageStack, kept: dict[str, Any], problem: str
) -> None:
    """Refuse to go on with another image: pixels and levels decide, not names."""
    own = {
        "shape": list(stack.shape),
        "levels": [list(level.shape[: stack.ndim]) for level in stack.levels],
        "dtype": stack.dtype.name,
        "rgb": stack.rgb,
        "samples": diagonal_samples(stack),
    }
    other = [name for name, value in own.items() if kept.get(name) != value]
    if other or not isinstance(kept.get("id"), str):
        raise InputError(
            f"{stack.source}: {connection.address} cannot be used for it, {problem} "
            f"({', '.join(other)})",
            suggestion={"server": None},
        )


def _too_large(stack: ImageStack, size: str, limit: str) -> InputError:
    return InputError(
        f"{stack.source}: has {size}, and the server takes {limit} at most",
        suggestion=(
            "ask who runs the server to allow larger images; a command can name those in a "
            "folder that both computers see; or",
            {"server": None},
        ),
    )
