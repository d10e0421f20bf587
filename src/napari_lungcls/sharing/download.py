"""Downloading one file: so many bytes at most, never unencrypted, hashed as it arrives."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urljoin

import httpx

from napari_lungcls.errors import InputError
from napari_lungcls.sharing.addresses import check_encrypted
from napari_lungcls.utils.addresses import is_loopback, web_address

logger = logging.getLogger(__name__)

REDIRECTS = 5
TIMES = httpx.Timeout(20, read=60)

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and in all; 0 where that is not known."""


def download(
    url: str,
    path: Path,
    most: int,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> str:
    """Download a file, and give its SHA-256.

    Parameters
    ----------
    url
        Where it is.
    path
        Where it goes.
    most
        Bytes that it may have.
    headers
        Sent to the host of `url` only, as they may hold a token.
    progress
        Told of every piece.

    Raises
    ------
    InputError
        When it cannot be had, is larger, or the way to it is not encrypted.
    """
    host, here = web_address(url).netloc, url
    trust = not is_loopback(web_address(url).hostname or "")
    try:
        with httpx.Client(timeout=TIMES, trust_env=trust) as client:
            for _ in range(REDIRECTS + 1):
                check_encrypted(here)
                own = dict(headers or {}) if web_address(here).netloc == host else {}
                logger.debug("GET %s", here.partition("?")[0])
                with client.stream("GET", here, headers=own) as answer:
                    if not answer.has_redirect_location:
                        return _save(answer, path, most, url, progress)
                    here = urljoin(here, answer.headers["location"])
    except httpx.HTTPError as error:
        raise InputError(f"{url}: cannot be fetched ({error or type(error).__name__})") from error
    raise InputError(f"{url}: leads from one address to the next without an end")


def _save(
    answer: httpx.Response, path: Path, most: int, url: str, progress: Progress | None
) -> str:
    if answer.status_code != 200:
        raise InputError(
            f"{url}: the server answers {answer.status_code} {answer.reason_phrase}; check the "
            "address"
        )
    told = answer.headers.get("content-length", "")
    total = int(told) if told.isdigit() and "content-encoding" not in answer.headers else 0
    if total > most:
        raise _too_large(url, most)
    digest, done = hashlib.sha256(), 0
    with path.open("wb") as file:
        for piece in answer.iter_bytes(2**18):
            done += len(piece)
            if done > most:
                raise _too_large(url, most)
            digest.update(piece)
            file.write(piece)
            if progress:
                progress(done, total)
    return digest.hexdigest()


def _too_large(url: str, most: int) -> InputError:
    return InputError(
        f"{url}: is larger than {most / 1e6:g} MB; models are smaller",
        suggestion=("if it is one nevertheless,", {"max_mb": ...}),
    )
