"""Who may ask, and how much: tokens, web pages of other addresses, bytes of a body."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from napari_lungcls.serving.errors import Refusal, error_response
from napari_lungcls.serving.options import ServerOptions

OPEN = ("/healthz", "/readyz", "/ping", "/", "/openapi.json")
"""Routes that ask for no token; so do the files of the page."""


class Guard:
    """Refuses requests without the token, and those that a web page of another address makes.

    A browser lets any page send a form to a server on the same computer: without this check a
    page could keep it busy, though not read what it says.

    Parameters
    ----------
    app
        What is guarded.
    options
        The token, and the addresses that may call.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        self._app, self._options = app, options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        if not self._may(headers):
            answer = error_response(
                403,
                "a web page of another address called",
                "who runs the server may allow its address",
            )
            await answer(scope, receive, send)
            return
        is_open = path in OPEN or path.startswith("/page/") or scope["method"] == "OPTIONS"
        if not is_open and not self._known(headers):
            answer = error_response(
                401,
                "the token is missing or wrong",
                "send Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or origin in self._options.allow_origins:
            return True
        return "*" in self._options.allow_origins or urlsplit(origin).netloc == headers.get("host")

    def _known(self, headers: Headers) -> bool:
        token = self._options.token
        if token is None:
            return True
        given = headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


class BodyLimit:
    """Refuses bodies that are too large, by what they say and by what arrives.

    Parameters
    ----------
    app
        What reads them.
    most
        Bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count what it sends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > self._most:
            await error_response(413, *self._words())(scope, receive, send)
            return
        arrived = 0

        async def count() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._most:
                raise Refusal(413, *self._words())
            return message

        await self._app(scope, count, send)

    def _words(self) -> tuple[str, str]:
        return (
            f"the request has more than {self._most / 1e6:g} MB",
            "send a smaller image; who runs the server may allow larger ones",
        )
