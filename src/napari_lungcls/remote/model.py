"""A model that a server computes, with the methods of one that is computed here."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from napari_lungcls.annotation.validation import one_line
from napari_lungcls.any_model import AnyModel, AtPoints
from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.stack import ImageStack, check_inside, plane_indices
from napari_lungcls.inference.at_points import CellsUnder, in_squares
from napari_lungcls.inference.damage import BlockReport
from napari_lungcls.inference.formats import open_store
from napari_lungcls.inference.grid import MapGrid, Region
from napari_lungcls.inference.leaving_out import kept_cells, leave_out, open_within
from napari_lungcls.inference.painted import MemoryStore, PaintedMap, read_map
from napari_lungcls.inference.run import (
    BlockTally,
    MapStore,
    PaintingProgress,
    kept_or_abandoned,
    map_header,
)
from napari_lungcls.network.compatibility import check_image
from napari_lungcls.network.engines import Precision
from napari_lungcls.network.model_file import ModelDocument, read_model
from napari_lungcls.remote.connection import Connection, Refused, never, read_token
from napari_lungcls.remote.images import (
    RemoteImage,
    ServerLimits,
    image_key,
    name_image,
    send_image,
)
from napari_lungcls.remote.maps import FetchedBlock, RemotePainting
from napari_lungcls.remote.tiff import Index

if TYPE_CHECKING:
    from napari_lungcls.images.masks import Mask

logger = logging.getLogger(__name__)

TOGETHER = 256
"""Points of a request; fewer when they take a server too long."""

TOO_LONG = 504


class _Listed(BaseModel):
    name: str
    sha256: str


class _Listing(BaseModel):
    models: list[_Listed]
    limits: ServerLimits


class _Prediction(BaseModel):
    probabilities: dict[str, float]


class _Predicted(BaseModel):
    predictions: list[_Prediction]


class RemoteModel(AnyModel):
    """A model of a server; images are sent to it, and scores are made here.

    It is used by one thread at a time. `close` lets the server forget what it was sent.

    Parameters
    ----------
    connection
        The server.
    name, sha256
        The model there, and the checksum of its file: no other answers.
    document
        What its file says.
    limits
        What the server takes.
    shared
        A folder here that the server reads too: images in it are named, not sent.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        sha256: str,
        document: ModelDocument,
        limits: ServerLimits,
        shared: Path | None = None,
    ) -> None:
        self.document = document
        self.address = connection.address
        self._connection, self._limits, self._shared = connection, limits, shared
        self._which = {"model": name, "sha256": sha256}
        self._image: tuple[Any, RemoteImage] | None = None
        self.cancelled: Callable[[], bool] = never
        """Asked while an image is sent and between requests about points."""

    def __enter__(self) -> Self:
        """Use it, and close it at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self, *, forget: bool = True) -> None:
        """Let go of the connection, and before that let the server forget the image."""
        with contextlib.suppress(InputError):
            if forget:
                self._forget()
        self._connection.close()

    def prepare(self) -> None:
        """Find out whether the server is there."""
        self._connection.ask("GET", "/healthz")

    def predictions_at(
        self, stack: ImageStack, coordinates: NDArray[np.float64], points: str = "the points"
    ) -> AtPoints:
        """Predict points of one image exactly where they lie, some at a time."""
        check_inside(stack, coordinates, points)
        check_image(stack, self.document)
        left = in_squares(stack, coordinates)
        if not len(left):
            return
        image = self._send(stack, _planes_of(stack, coordinates))
        where, together = image.coordinates(stack, coordinates), TOGETHER
        while len(left):
            rows = left[:together]
            try:
                found = self._ask(stack, image, where[rows])
            except Refused as error:
                if error.status != TOO_LONG or together == 1:
                    raise
                together = max(1, together // 4)
                continue
            left = left[together:]
            yield rows, found

    def painted_at(
        self,
        stack: ImageStack,
        coordinates: NDArray[np.float64],
        points: str = "the points",
        *,
        stride: int,
    ) -> AtPoints:
        """Read the cells under points of a map that the server paints."""
        check_inside(stack, coordinates, points)
        check_image(stack, self.document)
        grid = MapGrid.over(stack, stride)
        image = self._send(stack, _planes_of(stack, coordinates))
        under = CellsUnder(grid, coordinates)
        left = len(coordinates)
        with self._painting(image, grid, "fp32", probabilities=True) as job:
            for found in job.blocks(self.cancelled):
                if len(rows := under.rows(found.block)):
                    cells = found.probabilities
                    if cells is None:
                        cells = np.zeros((len(self.scheme), *found.classes.shape), np.float16)
                    yield rows, under.read(found.block, rows, found.classes, cells, points)
                    left -= len(rows)
                if not left:
                    return

    def painting(
        self,
        image: Any,
        stride: int = 4,
        *,
        out: str | Path | None = None,
        region: Region | None = None,
        planes: slice | None = None,
        probabilities: bool = True,
        overwrite: bool = False,
        precision: Precision = "auto",
        cancelled: Callable[[], bool] = never,
        no_glass: bool = False,
        within: str | Path | Mask | None = None,
        **elsewhere: Any,
    ) -> Generator[PaintingProgress, None, PaintedMap]:
        """Paint as `Model.painting` does, block by block as the server paints them.

        Raises
        ------
        InputError
            As there, when the server refuses or is lost, or when told to resume, or to paint on
            a cluster.
        """
        for name in ("resume", "scheduler", "workers"):
            if elsewhere.get(name):
                raise InputError(
                    "a painting on a server cannot do this",
                    setting=name,
                    suggestion=({name: None}, "or", {"server": None}),
                )
        stack = as_stack(image)
        grid = MapGrid.over(stack, stride, region, planes)
        check_image(stack, self.document)
        mask = open_within(within, grid)
        self.cancelled = cancelled
        remote = self._send(stack, [grid.image_plane(i) for i in np.ndindex(*grid.leading)])
        with self._painting(remote, grid, precision, probabilities=probabilities) as job:
            if not job.begun(cancelled):
                raise self._connection.cancelled()
            chosen = job.told.precision
            header = map_header(
                grid,
                self.document,
                probabilities=probabilities,
                precision=chosen,
                no_glass=no_glass,
                within=mask,
            )
            kept = kept_cells(grid, mask, no_glass=no_glass)
            store: MapStore
            if out is None:
                store = memory = MemoryStore(header)
            else:
                store = open_store(out, header, chunk=grid.block, overwrite=overwrite)
            with kept_or_abandoned(store):
                tally = BlockTally(grid, store, grid.block_count, kept)
                yield tally.start()
                for found in job.blocks(cancelled):
                    report = _report(found, job)
                    painted = found.classes, found.probabilities
                    if kept is not None:
                        painted = leave_out(painted, kept(found.block))
                    store.write(found.block, *painted)
                    yield tally.add(found.block, report)
                tally.conclude()
        if out is None:
            return memory.map
        logger.info("wrote the map %s", out)
        return read_map(out)

    @contextlib.contextmanager
    def _painting(
        self, image: RemoteImage, grid: MapGrid, precision: Precision, *, probabilities: bool
    ) -> Iterator[RemotePainting]:
        """Begin a painting, which ends with the block however that ends."""
        ask = self._which | self._size(grid.stack) | {"precision": precision}
        job = RemotePainting(image, grid, ask, len(self.scheme) if probabilities else 0)
        try:
            yield job
        finally:
            job.end()

    def _ask(
        self, stack: ImageStack, image: RemoteImage, where: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        ask = self._which | self._size(stack)
        ask |= {"image_id": image.key, "coordinates": where.tolist()}
        answer = self._connection.ask("POST", "/v1/classify", ask, cancelled=self.cancelled)
        try:
            rows = _Predicted.model_validate(answer).predictions
            found = [[row.probabilities[name] for name in self.scheme.names] for row in rows]
            array = np.array(found, np.float32).reshape(-1, len(self.scheme))
            if len(array) != len(where) or not np.isfinite(array).all():
                raise ValueError
        except (ValidationError, KeyError, ValueError) as error:
            raise InputError(
                f"{self.address}: its answer is not one to these points; use the same version of "
                "this program on both computers"
            ) from error
        return array

    def _send(self, stack: ImageStack, planes: Sequence[Index]) -> RemoteImage:
        """Give an image at the server, which has it already if it was the last."""
        key = image_key(stack, planes)
        if self._image is not None and self._image[0] == key:
            with contextlib.suppress(Refused):
                self._connection.ask("GET", f"/v1/images/{self._image[1].key}", patient=True)
                return self._image[1]
        self._forget()
        if self._shared is not None:
            image = name_image(self._connection, stack, self._shared)
        else:
            image = send_image(self._connection, stack, planes, self._limits, self.cancelled)
        self._image = key, image
        return image

    def _forget(self) -> None:
        last, self._image = self._image, None
        if last is not None:
            last[1].forget()

    def _size(self, stack: ImageStack) -> dict[str, Any]:
        return {} if stack.pixel_size is None else {"pixel_size": stack.pixel_size}


def connect(
    model: str | Path,
    server: str,
    *,
    token_file: Path | None = None,
    token_in_clear: bool = False,
    shared: Path | None = None,
) -> RemoteModel:
    """Find a model at a server.

    Parameters
    ----------
    model
        A model file, whose checksum one of the server's models must have, or the name of one.
    server
        Address of the server.
    token_file
        File with the token; without it the token is `$LUNGCLS_TOKEN`, if that is set.
    token_in_clear
        Whether the token may cross a network unencrypted.
    shared
        A folder here that the server reads too: images in it are named, not sent.

    Raises
    ------
    InputError
        When the server is not there, or has no such model.
    """
    connection = Connection(server, read_token(token_file), token_in_clear=token_in_clear)
    try:
        return _found(connection, model, shared)
    except BaseException:
        connection.close()
        raise


def _found(connection: Connection, model: str | Path, shared: Path | None) -> RemoteModel:
    try:
        listing = _Listing.model_validate(connection.ask("GET", "/v1/models"))
    except ValidationError as error:
        raise InputError(
            f"{connection.address}: does not say what this program must know "
            f"({one_line(error)}); use the same version on both computers"
        ) from error
    known, path = listing.models, Path(model)
    if path.is_file():
        document, _ = read_model(path)
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        chosen = [each for each in known if each.sha256 == own]
        if not chosen:
            raise _unknown(connection, known, f"it does not have the model {path}", own)
        return RemoteModel(connection, chosen[0].name, own, document, listing.limits, shared)
    chosen = [each for each in known if each.name == str(model)]
    if not chosen:
        raise _unknown(connection, known, f"it has no model {str(model)!r}, nor is that a file")
    name, sha256 = chosen[0].name, chosen[0].sha256
    card = connection.ask("GET", f"/v1/models/{quote(name, safe='')}")
    try:
        document = ModelDocument.model_validate(card)
    except ValidationError as error:
        raise InputError(
            f"{connection.address}: what it says about {name} cannot be used ({one_line(error)})"
        ) from error
    if card.get("sha256") != sha256:
        raise InputError(f"{connection.address}: its model {name} was changed just now; try again")
    return RemoteModel(connection, name, sha256, document, listing.limits, shared)


def _unknown(
    connection: Connection, known: Sequence[_Listed], problem: str, own: str = ""
) -> InputError:
    named = ", ".join(f"{each.name} (SHA-256 {each.sha256[:12]}…)" for each in known[:10])
    wanted = f" (SHA-256 {own[:12]}…)" if own else ""
    return InputError(
        f"{connection.address}: {problem}{wanted}, but {named or 'none'}",
        suggestion=(
            "serve that file there, give the name of a model of the server, or",
            {"server": None},
        ),
    )


def _planes_of(stack: ImageStack, coordinates: NDArray[np.float64]) -> list[Index]:
    found = np.unique(plane_indices(stack, coordinates), axis=0)
    return [tuple(map(int, index)) for index in found]


def _report(found: FetchedBlock, job: RemotePainting) -> BlockReport:
    empty = int((found.classes == 0).sum())
    damage = {} if found.complete else job.damage
    seen = found.complete or empty < found.classes.size
    return BlockReport(damage, empty if found.complete else 0, seen)
