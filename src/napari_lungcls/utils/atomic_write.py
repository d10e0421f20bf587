"""Writing files atomically: to a temporary file first, which is then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from napari_lungcls.errors import InputError


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Check before a long job whether its output can be written to `path`.

    Parameters
    ----------
    path
        The file or folder to be written. Its parent folders are not created.

    Raises
    ------
    InputError
        When the parent folder does not exist, is not a folder, or is not writable.
    """
    target = Path(path)
    parent = target.absolute().parent
    if not parent.is_dir():
        raise InputError(f"{target}: the folder {parent} does not exist; create it first")
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise InputError(
            f"{target}: cannot write in {parent} ({error.strerror}); choose another output"
        ) from error
    return target


@contextlib.contextmanager
def writing(target: str | os.PathLike[str], *more: type[Exception]) -> Iterator[None]:
    """Turn a full disk, a lost folder, or one of `more` errors into one line for the user."""
    expected: tuple[type[Exception], ...] = (OSError, *more)
    try:
        yield
    except expected as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{os.fspath(target)}: cannot be written ({why}); free space there or choose another "
            "output"
        ) from error


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and move it there if the block succeeds.

    After an error the temporary file is removed and an older file stays as it was. The
    temporary name keeps the suffix, by which many libraries choose the format.
    """
    target = check_writable(path)
    if target.is_dir():
        raise InputError(f"{target} is a folder; give the name of a file")
    handle, name = tempfile.mkstemp(
        prefix=f".{target.name}.", suffix="".join(target.suffixes), dir=target.absolute().parent
    )
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o666 & ~_umask())
        try:
            replace_synced(aside, target)
        except PermissionError as error:
            # Windows does not replace a table that is open in Excel.
            raise InputError(
                f"{target}: cannot be written ({error.strerror}); close the program that has it "
                "open, or choose another output"
            ) from error
    finally:
        aside.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file as `atomic_write` does."""
    with atomic_write(path) as aside:
        aside.write_bytes(content)


def replace_synced(aside: Path, target: Path) -> None:
    """Move a complete file into place, with its contents flushed to disk first."""
    with aside.open("rb+") as stream:
        os.fsync(stream.fileno())
    os.replace(aside, target)


def sync_folder(path: Path) -> None:
    """Force the names of new and renamed files to the disk, where folders can be opened."""
    if os.name == "nt":  # pragma: no cover
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def remove_store(path: Path) -> None:
    """Remove an unfinished folder store that this package created."""
    shutil.rmtree(path, ignore_errors=True)
