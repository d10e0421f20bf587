"""Autosave: the unsaved points of each layer in a file, from which a later session restores them.

The file is replaced as a whole after every change and forced to the disk, so that it is complete
whenever a process or a computer stops. A lock file beside it tells other windows that it is in use.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
)

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import replace_synced, sync_folder
from napari_lungcls.utils.locks import Claim, Claimed

SUFFIX = ".lungcls-autosave"
DISCARDED = "-discarded"
_NEW, _LOCK = ".new", ".lock"
KEPT_DAYS = 30
"""How long discarded points can be taken back."""

FOLDER_VARIABLE = "LUNGCLS_JOURNALS"
_JOURNAL = ".lungcls-journal"
"""Suffix of the files of development versions, which wrote edits one by one."""

_LARGEST = 2**30
_PATIENCE = 0.5
"""Seconds to wait for another window that only looks."""


def folder() -> Path:
    """Give the folder of autosaved points: in the user's data folder, or `$LUNGCLS_JOURNALS`."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_data_dir("napari-lungcls")) / "journals"


def _as_text(name: str) -> str:
    """Make text of a file's name, which may hold bytes that are none."""
    return name.encode("utf-8", "replace").decode()


Text = Annotated[str, BeforeValidator(_as_text)]


class AutosaveHeader(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """What autosaved points belong to.

    Attributes
    ----------
    image
        Name of the image layer.
    source
        File or sample of the image, or empty.
    shape
        Pixels of the image along each axis; empty if it was not open.
    pixels
        Fingerprint of the image's pixels, or empty.
    layer
        Name of the points layer.
    scheme
        The classes.
    """

    image: Text
    source: Text = ""
    shape: tuple[NonNegativeInt, ...] = ()
    pixels: Text = ""
    layer: Text = ""
    scheme: ClassScheme


class _Document(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """All of the file. Cells are text, as in a points file."""

    format: Literal["napari-lungcls autosave"]
    version: Literal[1]
    header: AutosaveHeader
    ndim: Annotated[int, Field(ge=2, le=32)]
    coordinates: tuple[tuple[FiniteFloat, ...], ...]
    columns: dict[str, tuple[str, ...]]

    def points(self) -> Points:
        """Give the points.

        Raises
        ------
        InputError
            When columns or positions do not fit together.
        """
        if any(len(row) != self.ndim for row in self.coordinates):
            raise InputError(f"not all positions have {self.ndim} axes")
        where = np.reshape(self.coordinates, (len(self.coordinates), self.ndim))
        columns = {name: list(cells) for name, cells in self.columns.items()}
        return Points.build(where).with_columns(**columns)


class Autosave:
    """The file of one layer; it exists while the layer has something unsaved.

    Parameters
    ----------
    where
        Folder; the user's by default.
    """

    def __init__(self, where: Path | None = None) -> None:
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}{SUFFIX}"
        self.path = (where or folder()) / name
        self._claim: Claim | None = None
        self._places = _Places()

    def write(self, header: AutosaveHeader, points: Points) -> None:
        """Replace the file; the points are on the disk when this returns.

        Parameters
        ----------
        header
            What the points belong to.
        points
            All points of the layer, in data pixels of the image.

        Raises
        ------
        InputError
            When it cannot be written; what was written before stays.
        """
        columns = {name: points.column(name) for name in points.columns}
        document = {
            "format": "napari-lungcls autosave",
            "version": 1,
            "header": header.model_dump(mode="json"),
            "ndim": points.ndim,
            "columns": {name: list(cells) for name, cells in columns.items() if cells is not None},
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        text = f'{text[:-1]}, "coordinates": {self._places.text(points.coordinates)}}}'
        aside = _beside(self.path, _NEW)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._claim is None:
                self._claim = Claim(_beside(self.path, _LOCK))
            # A cell may hold bytes that are no text.
            aside.write_bytes(text.encode("utf-8", "replace"))
            replace_synced(aside, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise InputError(
                f"unsaved points cannot be kept in {self.path} ({error.strerror}); save them to a "
                "file"
            ) from error

    def remove(self) -> None:
        """Delete the file: its points are saved elsewhere, or there are none."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leave the file to whoever restores it."""
        if self._claim is not None:
            _beside(self.path, _NEW).unlink(missing_ok=True)
            self._claim.release()
            self._claim = None


class _Places:
    """Positions as JSON; most changes add a point or leave all where they are."""

    def __init__(self) -> None:
        self._written, self._text = np.empty((0, 0)), "[]"

    def text(self, coordinates: NDArray[np.float64]) -> str:
        """Give the text of `(n, ndim)` positions, made anew only for those after the known ones."""
        old = len(self._written)
        known = 0 < old <= len(coordinates) and np.array_equal(coordinates[:old], self._written)
        rest = json.dumps(coordinates[old if known else 0 :].tolist(), allow_nan=False)
        if not known:
            self._text = rest
        elif len(coordinates) > old:
            self._text = f"{self._text[:-1]}, {rest[1:]}"
        self._written = coordinates
        return self._text


@dataclass(frozen=True)
class Unfinished:
    """Points that were never saved, from a window that is gone.

    Attributes
    ----------
    path
        The file.
    header, points
        What is in it.
    when
        When they were last changed, in seconds since 1970.
    """

    path: Path
    header: AutosaveHeader
    points: Points
    when: float


def read_autosave(path: Path) -> Unfinished:
    """Read a file of autosaved points.

    Raises
    ------
    InputError
        When it cannot be read or is damaged.
    """
    try:
        when, size = path.stat().st_mtime, path.stat().st_size
        if size > _LARGEST:
            raise InputError(f"{path}: {size} bytes are too many for autosaved points")
        document = _Document.model_validate_json(path.read_bytes())
        return Unfinished(path, document.header, document.points(), when)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from error
    except (ValidationError, InputError) as error:
        problem = one_line(error) if isinstance(error, ValidationError) else str(error)
        raise InputError(
            f"{path} holds unsaved points but is damaged: {problem}; delete it, or correct it and "
            "start again"
        ) from error


def unfinished(where: Path | None = None) -> list[Unfinished]:
    """List the points that nobody is labelling any more, those first that were changed longest ago.

    Files that are damaged or that another window has are left out; see `unreadable`.

    Parameters
    ----------
    where
        Folder; the user's by default.
    """
    found = []
    for path in (where or folder()).glob(f"*{SUFFIX}"):
        with contextlib.suppress(InputError), _claimed(path):
            found.append(read_autosave(path))
    return sorted(found, key=lambda entry: (entry.when, entry.path))


def unreadable(where: Path | None = None) -> list[str]:
    """Say in one line each what is in the folder but cannot be restored, and what to do."""
    target, said = where or folder(), []
    for path in sorted(target.glob(f"*{SUFFIX}")):
        try:
            read_autosave(path)
        except InputError as error:
            # Another window may have removed it in the meantime.
            said += [str(error)] if path.exists() else []
    if journals := sorted(target.glob(f"*{_JOURNAL}")):
        said.append(
            f"{target} holds unsaved points of a development version ({len(journals)} files "
            f"*{_JOURNAL}), which this version cannot read; restore and save them with that "
            "version, or delete the files"
        )
    return said


@contextlib.contextmanager
def claimed(entry: Unfinished) -> Iterator[Unfinished]:
    """Keep other windows from unfinished points; their file is deleted when the block ends well.

    Raises
    ------
    InputError
        When another window was faster.
    """
    with _claimed(entry.path, _PATIENCE):
        yield entry
        entry.path.unlink(missing_ok=True)


def discard(entry: Unfinished) -> Path:
    """Put unfinished points aside, so that they are offered no more; give where they are.

    Raises
    ------
    InputError
        When another window was faster.
    """
    aside = _beside(entry.path, DISCARDED)
    with _claimed(entry.path, _PATIENCE):
        try:
            entry.path.rename(aside)
            os.utime(aside)
        except OSError as error:
            raise InputError(f"{entry.path} cannot be put aside ({error.strerror})") from error
    return aside


def take_back(aside: Path, when: float) -> None:
    """Offer discarded points again.

    Parameters
    ----------
    aside
        Where `discard` put them.
    when
        When they were last changed, in seconds since 1970; the file tells when they were discarded.

    Raises
    ------
    InputError
        When they are gone.
    """
    try:
        back = aside.rename(aside.with_name(aside.name.removesuffix(DISCARDED)))
        os.utime(back, (when, when))
    except OSError as error:
        raise InputError(
            f"{aside} cannot be taken back ({error.strerror}); what was discarded "
            f"{KEPT_DAYS} days ago is deleted"
        ) from error


def delete_discarded(where: Path | None = None) -> None:
    """Delete what was discarded, or left half written, long ago."""
    for aside in (where or folder()).glob(f"*{SUFFIX}*"):
        with contextlib.suppress(OSError):
            old = time.time() - aside.stat().st_mtime > KEPT_DAYS * 86400
            if old and aside.name.endswith((DISCARDED, _NEW)):
                aside.unlink()


@contextlib.contextmanager
def _claimed(path: Path, patience: float = 0.0) -> Iterator[None]:
    try:
        claim = Claim(_beside(path, _LOCK), patience, heed_others=True)
    except Claimed as error:
        raise InputError(
            f"{path} is in use by {error}; another window is labelling these points"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be locked ({error.strerror})") from error
    try:
        if not path.exists():
            raise InputError(f"{path} is gone; another window has restored or discarded it")
        yield
    finally:
        # Left where a process was killed while it wrote.
        _beside(path, _NEW).unlink(missing_ok=True)
        claim.release()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
