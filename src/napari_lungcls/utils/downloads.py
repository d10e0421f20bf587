"""Downloading published files into a cache, verified by their hashes."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, TypeVar
from urllib.parse import urlsplit

from napari_lungcls.errors import InputError, Suggestion

Progress = Callable[[int, int], None]
"""Called with the bytes received and the total (0 if the server does not tell)."""

CACHE_VARIABLE = "LUNGCLS_CACHE"
OFFLINE_VARIABLE = "LUNGCLS_OFFLINE"
"""If set, nothing is downloaded; only cached files are used."""

TIMEOUT = 30.0
"""Seconds to wait for a server."""
_CHUNK = 1 << 18


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """One published file.

    Attributes
    ----------
    url
        Where it is.
    sha256
        Its SHA-256; a file with another hash is never read.
    """

    stem: ClassVar[str] = "file"

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name in the cache; includes part of the hash to distinguish sources."""
        suffix = PurePosixPath(urlsplit(self.url).path).suffix
        return f"{self.stem}-{self.sha256[:8]}{suffix}"


Source = TypeVar("Source", bound=Published)


def cache_folder() -> Path:
    """Return the folder for downloads: `$LUNGCLS_CACHE`, else the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("napari-lungcls", appauthor=False))


def is_cached(sources: Sequence[Published], cache: Path | None = None) -> bool:
    """Return whether one of `sources` is cached, so that no download is needed."""
    folder = cache or cache_folder()
    return any((folder / source.file_name).is_file() for source in sources)


def fetch(
    sources: Sequence[Source],
    what: str,
    remedy: Suggestion,
    cache: Path | None = None,
    progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> tuple[Path, Source]:
    """Find one of `sources` in the cache, or download the first one available.

    Parameters
    ----------
    sources
        Equivalent files, in the order in which to try them.
    what
        Names them in errors, such as `the weights`.
    remedy
        What to do if none is available.
    cache
        Where downloads are kept; `cache_folder()` when not given.
    progress
        Called for every chunk received.
    timeout
        Seconds to wait for a server.

    Returns
    -------
    tuple
        The file, which has the hash of its source, and that source.

    Raises
    ------
    InputError
        When nothing is cached and no source is available, or the cache is not writable.
        A download with a wrong hash is removed.
    """
    folder = cache_folder() if cache is None else cache
    for source in sources:
        path = folder / source.file_name
        if _is_whole(path, source):
            logger.debug("using %s from the cache: %s", what, path)
            return path, source
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot keep downloads in {folder} ({error.strerror}); "
            f"name another folder in {CACHE_VARIABLE}"
        ) from error
    if os.environ.get(OFFLINE_VARIABLE):
        raise InputError(
            f"cannot fetch {what}: {OFFLINE_VARIABLE} is set, and nothing is in {folder}",
            suggestion=remedy,
        )
    failures = []
    for source in sources:
        try:
            logger.info("fetching %s: %s", what, source.url)
            return _download(source, folder, progress, timeout), source
        except (OSError, ValueError) as error:
            failures.append(f"{source.url} ({_reason(error, folder)})")
            logger.info("could not fetch %s", failures[-1])
    raise InputError(f"cannot fetch {what}: {'; '.join(failures)}", suggestion=remedy)


def _is_whole(path: Path, source: Published) -> bool:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == source.sha256
    except OSError:
        return False


def _download(source: Published, folder: Path, progress: Progress | None, timeout: float) -> Path:
    import pooch

    # Errors are reported by the caller, and progress by the bar.
    pooch.get_logger().setLevel("WARNING")
    bar = False if progress is None else _Bar(progress)
    path = pooch.retrieve(
        source.url,
        known_hash=f"sha256:{source.sha256}",
        fname=source.file_name,
        path=folder,
        downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK, timeout=timeout),
    )
    return Path(path)


def _reason(error: Exception, folder: Path) -> str:
    """Summarise the long messages of pooch and requests."""
    if isinstance(error, PermissionError):
        return f"cannot write in {folder}"
    response = getattr(error, "response", None)
    if response is not None:
        return f"{response.status_code} {response.reason}"
    if isinstance(error, OSError):
        return error.strerror or "no connection"
    return "what came is not the published file: its SHA-256 differs"


class _Bar:
    """Adapt a callback to the progress bar interface of pooch."""

    def __init__(self, progress: Progress) -> None:
        self.total = 0
        self._done = 0
        self._progress = progress

    def update(self, size: int) -> None:
        """Count a chunk; pooch counts the last, shorter one as a full one."""
        self._done += size
        if self.total:
            self._done = min(self._done, self.total)
        self._progress(self._done, self.total)

    def reset(self) -> None:
        """Restart from 0: pooch does so to report the exact total at the end."""
        self._done = 0

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
