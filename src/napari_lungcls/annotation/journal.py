"""The journal of a labelling session: every edit is on disk before the window goes on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import platformdirs

from napari_lungcls.annotation.edits import Edit, diff
from napari_lungcls.annotation.records import Header, line_record
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Snapshot
from napari_lungcls.errors import InputError
from napari_lungcls.utils.locks import lock

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
        shape: tuple[int, ...] = (),
        layer: str = "",
        where: Path | None = None,
    ) -> Journal:
        """Begin a journal with the points that are there already.

        Parameters
        ----------
        points
            What the layer holds now, in data pixels of the image.
        image, source, shape, layer
            The image's name, file and pixels, and the name of the points layer.
        scheme
            The classes.
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
            shape=shape,
            layer=_clean(layer),
            ndim=points.ndim,
            scheme=scheme,
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

    def edit(self, edit: Edit, scheme: ClassScheme | None = None) -> None:
        """Write an edit, with other classes where they changed; it is then on the disk.

        Raises
        ------
        InputError
            When it cannot be written; what was written before is still good.
        """
        if not (np.isfinite(edit.new.coordinates).all() and np.isfinite(edit.end).all()):
            self.release()
            raise InputError("a point has no finite position; remove it, or it cannot be kept safe")
        self._write(json.dumps(line_record(edit, scheme), allow_nan=False))

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
