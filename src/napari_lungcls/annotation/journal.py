"""The journal of a labelling session: every edit is on disk before the window goes on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import platformdirs
from numpy.typing import ArrayLike

from napari_lungcls.annotation.edits import Edit, diff
from napari_lungcls.annotation.records import Header, Line, Matrix, edit_record
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Snapshot
from napari_lungcls.errors import InputError
from napari_lungcls.locks import lock

SUFFIX = ".lungcls-journal"
FOLDER_VARIABLE = "LUNGCLS_JOURNALS"
PATIENCE = 0.5
"""Seconds to wait for another window that only looks."""


def folder() -> Path:
    """Give the folder of the journals: the user's data folder, or `$LUNGCLS_JOURNALS`."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_data_dir("napari-lungcls")) / "journals"


class Journal:
    """A journal that is being written; begin one with `Journal.begin`."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path = path
        self._stream: IO[bytes] | None = stream
        self._size = 0

    @classmethod
    def begin(
        cls,
        points: Snapshot,
        *,
        image: str,
        scheme: ClassScheme,
        source: str = "",
        layer: str = "",
        to_image: ArrayLike | None = None,
        where: Path | None = None,
    ) -> Journal:
        """Begin a journal with the points that are there already.

        Parameters
        ----------
        points
            What the layer holds now, in its own coordinates.
        image, source, layer
            Names of the image, of its file and of the points layer, to be shown later.
        scheme
            The classes.
        to_image
            `(ndim + 1, ndim + 1)` matrix from the coordinates to data pixels of the image,
            where they are not the same.
        where
            Folder; the user's by default.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        header = Header(
            image=_clean(image),
            source=_clean(source),
            layer=_clean(layer),
            ndim=points.ndim,
            scheme=scheme,
            to_image=_matrix(to_image),
            pid=os.getpid(),
            host=socket.gethostname(),
            created=time.time(),
        )
        target = where or folder()
        path = target / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}{SUFFIX}"
        try:
            target.mkdir(parents=True, exist_ok=True)
            stream = path.open("xb")
        except OSError as error:
            _cannot(path, error)
        # Locked before the header is there: who finds no header leaves the file alone.
        lock(stream, PATIENCE)
        journal = cls(path, stream)
        journal._write(header.model_dump_json())
        _sync_folder(target)
        if len(points) or points.columns:
            journal.edit(diff(Snapshot.empty(points.ndim), points))
        return journal

    def edit(self, edit: Edit) -> None:
        """Write an edit; when this returns, it is on the disk.

        Raises
        ------
        InputError
            When it cannot be written; what was written before is still good.
        """
        if not (np.isfinite(edit.new.coordinates).all() and np.isfinite(edit.end).all()):
            self.release()
            raise InputError("a point has no finite position; remove it, or it cannot be kept safe")
        self._write(json.dumps(edit_record(edit), allow_nan=False))

    def scheme(self, scheme: ClassScheme, renamed: Mapping[str, str] | None = None) -> None:
        """Write that there are other classes, `renamed` from old to new names.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        line = Line(scheme=scheme, renamed=dict(renamed or {}))
        self._write(line.model_dump_json(exclude_unset=True))

    def place(self, to_image: ArrayLike) -> None:
        """Write that the layer or the image was moved; the matrix is that of `begin`.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        self._write(Line(place=_matrix(to_image)).model_dump_json(exclude_unset=True))

    def finish(self) -> None:
        """Remove the journal: everything in it is saved elsewhere or not wanted."""
        self.release()
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Leave the journal to whoever looks for unfinished ones."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _write(self, text: str) -> None:
        if self._stream is None:
            raise ValueError("the journal is closed")
        line = text.encode() + b"\n"
        try:
            self._stream.write(line)
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            # Half a line must not stand before the next whole one.
            with contextlib.suppress(OSError):
                self._stream.truncate(self._size)
            self.release()
            _cannot(self.path, error)
        self._size += len(line)


def _clean(name: str) -> str:
    """Make text of a file's name, which may hold bytes that are none."""
    return name.encode("utf-8", "replace").decode()


def _matrix(to_image: ArrayLike | None) -> Matrix | None:
    return None if to_image is None else tuple(map(tuple, np.asarray(to_image, float).tolist()))


def _sync_folder(path: Path) -> None:
    """Force the name of a new file to disk, where folders can be opened."""
    if os.name == "nt":  # pragma: no cover
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot(path: Path, error: OSError) -> NoReturn:
    raise InputError(
        f"the journal {path} cannot be written ({error.strerror}); save the points to a file"
    ) from error
