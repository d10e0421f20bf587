"""File locks that the system releases when a process dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import IO

# Windows refuses to read locked bytes, so lock one far beyond the end of any file.
_FAR = 1 << 40
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)

_IN_USE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY, errno.ETXTBSY, errno.EDEADLK)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS)
_IN_USE_ON_WINDOWS = (32, 33)
"""ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION."""
_LOCKED = re.compile(r"unable to lock file|GetLastError\(\) = 3[23]\b")


def lock(stream: IO[bytes], patience: float = 0.0) -> bool | None:
    """Lock an open file until it is closed.

    Parameters
    ----------
    stream
        The file.
    patience
        Seconds to wait for a process that only checks whether the file is locked.

    Returns
    -------
    bool or None
        Whether the lock was acquired; None if the file system does not support locks.
    """
    until = time.monotonic() + patience
    while (got := _try(stream)) is False and time.monotonic() < until:
        time.sleep(0.01)
    return got


if sys.platform == "win32":  # pragma: no cover - for Windows
    import msvcrt

    def _try(stream: IO[bytes]) -> bool | None:
        place = stream.tell()
        stream.seek(_FAR)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return None if error.errno in _UNSUPPORTED else False
        finally:
            stream.seek(place)
        return True

else:
    import fcntl

    def _try(stream: IO[bytes]) -> bool | None:
        try:
            # flock and not lockf: it also holds between two windows of one process.
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return None if error.errno in _UNSUPPORTED else False
        return True


def is_running(pid: int) -> bool:
    """Return whether a process exists, for file systems without locks."""
    if pid <= 0:
        return False
    if sys.platform == "win32":  # pragma: no cover - os.kill would end the process there
        import psutil

        return bool(psutil.pid_exists(pid))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


class Claim:
    """A lock file by which one process claims something for itself.

    It is removed when the work ends. If the process is killed, the file stays but no longer
    blocks others.

    Parameters
    ----------
    path
        The lock file.
    patience
        Seconds to wait for somebody who holds it.
    heed_others
        Whether a lock file of another computer counts where the file system has no locks. By
        default it does not: the process may have been killed, and nobody can tell.

    Raises
    ------
    Claimed
        When another process, or another part of this one, holds it.
    """

    def __init__(self, path: Path, patience: float = 0.0, *, heed_others: bool = False) -> None:
        self.path, self._heed_others = path, heed_others
        while True:
            stream = path.open("a+b")
            try:
                if self._take(stream, patience):
                    break
            except BaseException:
                stream.close()
                raise
            stream.close()
        stream.truncate(0)
        stream.write(f"{os.getpid()} {socket.gethostname()}".encode())
        stream.flush()
        self._stream: IO[bytes] | None = stream

    def _take(self, stream: IO[bytes], patience: float) -> bool:
        """Lock the file; False when it was removed in the meantime and is to be made again."""
        got = lock(stream, patience)
        stream.seek(0)
        pid, _, host = stream.read(300).decode(errors="replace").partition(" ")
        if got is None:
            # No locks on this file system: rely on the process number, on this computer only.
            here = host == socket.gethostname() and pid.isdecimal()
            got = not (is_running(int(pid)) if here else host and self._heed_others)
        if not got:
            raise Claimed(f"process {pid} on {host}" if host else "another process")
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.stat(self.path), os.fstat(stream.fileno()))
        return False

    def release(self) -> None:
        """Release the claim; a second call does nothing."""
        if self._stream is None:
            return
        if sys.platform != "win32":
            # Remove it while it is locked, so that whoever waits for it notices that it is gone.
            self.path.unlink(missing_ok=True)
        self._stream.close()
        if sys.platform == "win32":  # pragma: no cover - open files cannot be removed there
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        self._stream = None


class Claimed(Exception):
    """Another process holds the claim; the message says which."""


def why_unreadable(error: BaseException) -> str | None:
    """Explain why an existing file cannot be opened, with the remedy.

    Parameters
    ----------
    error
        What opening it raised.

    Returns
    -------
    str or None
        The rest of a sentence that begins with the file's name; None if the file itself or its
        name is at fault.
    """
    if not isinstance(error, OSError):
        return None
    # HDF5 puts the error numbers of the system into its message.
    text = str(error)
    if error.errno in _NO_LOCKS and "lock" in text:
        return (
            "lies on a disk that knows no locks; copy it to another disk, or set the environment "
            "variable HDF5_USE_FILE_LOCKING to FALSE"
        )
    shared = getattr(error, "winerror", None) in _IN_USE_ON_WINDOWS or _LOCKED.search(text)
    if error.errno in _IN_USE or shared or (error.errno == errno.EACCES and os.name == "nt"):
        return "is open in another program; close the other program, then try again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "must not be read by this user; change its permissions"
    return None
