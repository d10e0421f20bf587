"""Requests to a server: its token, time-outs, what is tried again, and errors with remedies."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.utils.addresses import is_loopback, web_address

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "LUNGCLS_TOKEN"
"""Environment variable with the token, where no file is named."""

TIMES = httpx.Timeout(10, read=120, write=60)
"""Seconds to reach a server and to wait for it, which gives a request up after 60 itself."""

KEPT = httpx.Limits(max_connections=4, keepalive_expiry=2)
"""Connections are left before the server leaves them, which uvicorn does after 5 seconds."""

TRIES = 6
"""Requests that are sent to a server that is busy or lost, the first included."""

LONGEST_WAIT = 30.0
"""Seconds between two of them, whatever the server asks for."""

LARGEST = 64_000_000
"""Bytes of an answer."""

Content = Callable[[], Iterator[bytes]]
"""Gives a body from its beginning, once for each try."""


def never() -> bool:
    """Say no: nobody cancels."""
    return False


class Cancelled(InputError):
    """The user does not want the answer any more."""


def read_token(file: Path | None) -> str | None:
    """Read the token of a server from a file, or from `$LUNGCLS_TOKEN`; None without either.

    Raises
    ------
    InputError
        When the file cannot be read, or what it holds cannot be a token.
    """
    if file is None:
        where, token = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "").strip()
    else:
        try:
            with file.open(encoding="ascii") as stream:
                where, token = str(file), stream.read(4096).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: the token cannot be read from it ({error})") from error
    if token and (len(token) > 1000 or not token.isascii() or not token.isprintable()):
        raise InputError(f"{where}: a token is one word of plain characters")
    if any(character.isspace() for character in token) or (file is not None and not token):
        raise InputError(f"{where}: holds no token, which is one word")
    return token or None


class Connection:
    """A server, for one thread at a time.

    Parameters
    ----------
    address
        Such as `https://lab.example:8080`.
    token
        What it asks for; it is sent with every request and never shown.
    token_in_clear
        Whether the token may cross a network unencrypted.

    Raises
    ------
    InputError
        When the address is none, or the token would be readable on the way.
    """

    def __init__(
        self, address: str, token: str | None = None, *, token_in_clear: bool = False
    ) -> None:
        parts = web_address(address, "server")
        is_safe = parts.scheme == "https" or is_loopback(parts.hostname or "")
        if token is not None and not is_safe and not token_in_clear:
            raise InputError(
                f"{parts.netloc} is reached without encryption, and the token could be read on "
                "the way",
                setting="server",
                suggestion=(
                    "use an address with https, a tunnel to this computer, or",
                    {"token_in_clear": True},
                    "if the network is trusted",
                ),
            )
        self.address = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # A proxy of the system must not see what goes to this computer.
        trust = not is_loopback(parts.hostname or "")
        self._client = httpx.Client(
            base_url=self.address, headers=headers, timeout=TIMES, limits=KEPT, trust_env=trust
        )

    def ask(
        self,
        method: str,
        path: str,
        document: dict[str, Any] | None = None,
        *,
        content: Content | None = None,
        kind: str = "application/json",
        patient: bool = False,
        cancelled: Callable[[], bool] = never,
    ) -> dict[str, Any]:
        """Send a request, and give the document that is answered.

        Parameters
        ----------
        method, path
            What is asked.
        document, content, kind
            A document as body, or bytes of some media type.
        patient
            Whether to try again when the server cannot be reached.
        cancelled
            Asked before every try, and while waiting for it.

        Raises
        ------
        Cancelled
            If it was cancelled.
        InputError
            When the server cannot be reached, refuses, or answers something else.
        """
        if document is not None:
            body = json.dumps(document).encode()
            content = lambda: iter((body,))  # noqa: E731
        data = self.fetch(
            method, path, LARGEST, content=content, kind=kind, patient=patient, cancelled=cancelled
        )
        if not data:
            return {}
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._stranger()
        return found

    def fetch(
        self,
        method: str,
        path: str,
        most: int,
        *,
        content: Content | None = None,
        kind: str = "application/json",
        patient: bool = False,
        cancelled: Callable[[], bool] = never,
    ) -> bytes:
        """Send a request, and give the bytes that are answered, `most` at most; see `ask`."""
        for attempt in range(1, TRIES + 1):
            if cancelled():
                raise self.cancelled()
            try:
                status, wait, data = self._once(method, path, most, content, kind)
            except httpx.TransportError as error:
                if not patient or attempt == TRIES:
                    raise self._lost(error) from error
                status, wait = 0, 2.0 ** (attempt - 1)
            if status not in (0, 503):
                return self._checked(status, data)
            if attempt == TRIES:
                break
            wait = min(wait, LONGEST_WAIT)
            state = "is busy" if status else "does not answer"
            warnings.warn(
                f"{self.address} {state}; trying again in {wait:g} s ({attempt} of {TRIES - 1})",
                LungclsWarning,
                stacklevel=2,
            )
            self._wait(wait, cancelled)
        return self._checked(status, data)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _once(
        self, method: str, path: str, most: int, content: Content | None, kind: str
    ) -> tuple[int, float, bytes]:
        logger.debug("%s %s%s", method, self.address, path)
        body = None if content is None else content()
        headers = {} if content is None else {"Content-Type": kind}
        with self._client.stream(method, path, content=body, headers=headers) as answer:
            data = bytearray()
            for part in answer.iter_bytes():
                data += part
                if len(data) > most:
                    raise InputError(
                        f"{self.address}: answers more than {most / 1e6:.3g} MB, which is no "
                        "answer to this; check the address",
                        setting="server",
                    )
            after = answer.headers.get("retry-after", "")
            return answer.status_code, float(after) if after.isdigit() else 2.0, bytes(data)

    def _wait(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if cancelled():
                raise self.cancelled()
            time.sleep(min(0.1, left))

    def _checked(self, status: int, data: bytes) -> bytes:
        """Give what was answered, or raise the error that it is."""
        if 200 <= status < 300:
            return data
        if status == 401:
            raise InputError(
                f"{self.address}: the server asks for a token, or for another one",
                suggestion=({"token_file": ...}, f"or put the token into {TOKEN_VARIABLE}"),
            )
        try:
            error = json.loads(data)["error"]
            problem, remedy = str(error["problem"])[:1000], str(error["remedy"])[:1000]
        except (ValueError, KeyError, TypeError):
            raise self._stranger(status) from None
        raise Refused(f"{self.address}: {problem}", status, remedy)

    def _stranger(self, status: int = 200) -> InputError:
        return InputError(
            f"{self.address}: what answers there is no server of this program (HTTP {status}); "
            "check the address",
            setting="server",
        )

    def _lost(self, error: httpx.TransportError) -> InputError:
        late = isinstance(error, httpx.TimeoutException)
        why = "it took too long" if late else str(error) or "the connection broke"
        return InputError(
            f"{self.address}: the server does not answer ({why})",
            setting="server",
            suggestion=(
                "check the address, and that the server runs, or",
                {"server": None},
            ),
        )

    def cancelled(self) -> Cancelled:
        """Say that nobody wants the answer any more."""
        return Cancelled(f"what was asked of {self.address} was cancelled")


class Refused(InputError):
    """A server's refusal.

    Parameters
    ----------
    problem, remedy
        What it says.
    status
        HTTP status.
    """

    def __init__(self, problem: str, status: int, remedy: str) -> None:
        super().__init__(problem, suggestion=remedy)
        self.status = status
