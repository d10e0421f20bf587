"""The page at `/`: its files, and what a browser may load with them."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from napari_lungcls.serving.errors import Refusal

KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Nothing from elsewhere: the page works without the internet."""


def routes() -> APIRouter:
    """Make the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def home() -> Response:
        return _file("index.html")

    @router.get("/page/{name}")
    def part(name: str) -> Response:
        return _file(name)

    return router


def _file(name: str) -> Response:
    kind = next((kind for suffix, kind in KINDS.items() if name.endswith(suffix)), None)
    # Names are compared: the file system is not asked for what a stranger wrote.
    parts = files("napari_lungcls.serving").joinpath("static").iterdir()
    file = next((part for part in parts if part.name == name), None)
    if kind is None or file is None:
        raise Refusal(404, f"{name}: there is no such page")
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(file.read_bytes(), media_type=f"{kind}; charset=utf-8", headers=headers)
