"""Published files: where they are, what they must hash to, and how they get into the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, TypeVar
from urllib.parse import urlsplit

from napari_lungcls.errors import InputError, Suggestion

Progress = Callable[[int, int], None]
"""Called with the bytes that have come and the bytes in all (0 when the server hides it)."""

CACHE_VARIABLE = "LUNGCLS_CACHE"
OFFLINE_VARIABLE = "LUNGCLS_OFFLINE"
"""Set to anything, nothing is downloaded; what lies in the cache is used."""

TIMEOUT = 30.0
"""Seconds that a server has to answer."""
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Published:
    """One published file.

    Attributes
    ----------
    url
        Where it is.
    sha256
        What it must hash to; a file that does not is never read.
    """

    stem: ClassVar[str] = "file"

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name in the cache; the hash in it keeps the files of two sources apart."""
        suffix = PurePosixPath(urlsplit(self.url).path).suffix
        return f"{self.stem}-{self.sha256[:8]}{suffix}"


Source = TypeVar("Source", bound=Published)


def cache_folder() -> Path:
    """Give the folder for downloads: `$LUNGCLS_CACHE`, else the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("napari-lungcls", appauthor=False))


def is_cached(sources: Sequence[Published], cache: Path | None = None) -> bool:
    """Tell whether one of `sources` lies in the cache, so that nothing need be downloaded."""
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
    """Find one of `sources` in the cache, or download the first that can be had.

    Parameters
    ----------
    sources
        The files, all equally good, in the order in which they are tried.
    what
        Names them in errors, such as `the weights`.
    remedy
        What to do when none can be had.
    cache
        Where downloads are kept; `cache_folder()` when not given.
    progress
        Told about every piece that arrives.
    timeout
        Seconds that a server has to answer.

    Returns
    -------
    tuple
        The file, which has the hash of its source, and that source.

    Raises
    ------
    InputError
        When nothing is cached and no source can be had, or the cache cannot be written.
        A download whose hash is wrong is removed.
    """
    folder = cache_folder() if cache is None else cache
    for source in sources:
        path = folder / source.file_name
        if _is_whole(path, source):
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
            return _download(source, folder, progress, timeout), source
        except (OSError, ValueError) as error:
            failures.append(f"{source.url} ({_reason(error, folder)})")
    raise InputError(f"cannot fetch {what}: {'; '.join(failures)}", suggestion=remedy)


def _is_whole(path: Path, source: Published) -> bool:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == source.sha256
    except OSError:
        return False


def _download(source: Published, folder: Path, progress: Progress | None, timeout: float) -> Path:
    import pooch

    # What goes wrong is said by the caller, and progress by the bar.
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
    """Say in a few words what pooch or requests mean by a long message."""
    if isinstance(error, PermissionError):
        return f"cannot write in {folder}"
    response = getattr(error, "response", None)
    if response is not None:
        return f"{response.status_code} {response.reason}"
    if isinstance(error, OSError):
        return error.strerror or "no connection"
    return "what came is not the published file: its SHA-256 differs"


class _Bar:
    """Make a plain callback look like the progress bar that pooch drives."""

    def __init__(self, progress: Progress) -> None:
        self.total = 0
        self._done = 0
        self._progress = progress

    def update(self, size: int) -> None:
        """Count a piece; pooch counts the last, shorter one as a full one."""
        self._done += size
        if self.total:
            self._done = min(self._done, self.total)
        self._progress(self._done, self.total)

    def reset(self) -> None:
        """Begin again at nothing: pooch does so to report the exact total once more."""
        self._done = 0

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
