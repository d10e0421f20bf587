"""Locks of files that the system drops when a process dies, however it dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import IO

# Windows refuses to read locked bytes: the locked one lies where no file ends.
_FAR = 1 << 40
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


def lock(stream: IO[bytes], patience: float = 0.0) -> bool | None:
    """Lock an open file until it is closed.

    Parameters
    ----------
    stream
        The file.
    patience
        Seconds to wait for somebody who only looks whether the file is locked.

    Returns
    -------
    bool or None
        Whether it is ours now; None where the file system has no locks.
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
    """Tell whether a process of this number exists, for where there are no locks."""
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
