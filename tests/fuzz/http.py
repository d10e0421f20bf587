"""A real app whose routes get damaged requests, in this process and without a socket.

A request is written as bytes: a line with method and path, lines of headers, an empty line, and the
body. An answer of 500 or more is a crash, but 503 and 504, by which a server defends itself.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import io
import json
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import httpx
import imageio.v3 as iio
import numpy as np

from fuzz.files import Target
from fuzz.mutations import mutated as damaged
from fuzz.mutations import odd_tree

BOUNDARY = "frontier"
REFUSED_BY_LOAD = (503, 504)


class AppCrashed(AssertionError):
    """The app answered that it has a defect."""


class RunningApp:
    """An app with a small model, and the loop that runs it."""

    def __init__(self) -> None:
        from known_maps import bright_model
        from napari_lungcls.serving.app import create_app
        from napari_lungcls.serving.models import read_models
        from napari_lungcls.serving.options import ServerOptions

        self._folder = tempfile.TemporaryDirectory(prefix="lungcls-fuzz-")
        top = Path(self._folder.name)
        root = top / "root"
        root.mkdir()
        iio.imwrite(root / "a.tif", np.full((40, 40), 200, np.float32))
        (top / "secret.tif").write_bytes((root / "a.tif").read_bytes())
        with contextlib.suppress(OSError):  # Windows asks for a privilege.
            (root / "out.tif").symlink_to(top / "secret.tif")
        model = bright_model().save(top / "bright.safetensors")
        options = ServerOptions(
            roots=(root,), max_image_mb=1, max_megapixels=1, max_points=100, timeout=20,
            keep_jobs=1, max_images=4,
        )  # fmt: skip
        self._app = create_app(read_models([model], device="cpu"), options)
        self._loop = asyncio.new_event_loop()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self._app), base_url="http://fuzz"
        )
        atexit.register(self.close)

    def ask(self, data: bytes) -> bool:
        """Send a request; True if it was answered with what it asked for."""
        request = parsed(data)
        if request is None:
            return False
        method, path, headers, body = request
        try:
            found = self._loop.run_until_complete(self._send(method, path, headers, body))
        except httpx.InvalidURL:
            return False
        jobs = self._app.state.service.jobs
        broken = [job for job in list(jobs._jobs.values()) if "a defect" in job.error]
        for job in broken:
            job.error = "seen"
        if broken or not jobs._thread.is_alive():
            raise AppCrashed("a painting ended in another way than by a refusal")
        if found.status_code >= 500 and found.status_code not in REFUSED_BY_LOAD:
            raise AppCrashed(f"{found.status_code} {found.text[:200]}")
        if found.status_code >= 400:
            said = found.json()["error"]
            assert said["problem"], found.text
        return found.status_code < 400

    async def _send(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> httpx.Response:
        # Not through httpx's own addresses, which would refuse what a client may well send.
        request = self._client.build_request(method, "/", content=body)
        request.headers = httpx.Headers([*headers, (b"host", b"fuzz")])
        raw, _, query = path.partition("?")
        request.url = httpx.URL("http://fuzz").copy_with(
            raw_path=(raw + ("?" + query if query else "")).encode("ascii", "ignore") or b"/"
        )
        return await self._client.send(request)

    def close(self) -> None:
        """End what the app runs."""
        service = self._app.state.service
        service.dispatcher.close()
        service.jobs.close(0)
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()
        self._folder.cleanup()


def parsed(data: bytes) -> tuple[str, str, list[tuple[bytes, bytes]], bytes] | None:
    """Read a request; None where no server would have got one."""
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("latin-1").splitlines()
    method, _, path = lines[0].partition(" ") if lines else ("", "", "")
    plain = all(32 < ord(c) < 127 for c in path)
    if method not in ("GET", "POST", "DELETE", "PUT") or not path.startswith("/") or not plain:
        return None
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon and name.isascii() and name.replace("-", "").isalnum():
            value = value.strip().replace("\0", "")
            headers.append((name.encode(), value.encode("latin-1")))
    return method, path, headers, body


def written(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Write a request."""
    lines = [f"{method} {path}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\n".join(lines).encode("latin-1", "replace") + b"\n\n" + body


def picture(kind: str) -> bytes:
    """Encode a small image."""
    whole = io.BytesIO()
    pixels = np.random.default_rng(0).integers(90, 210, (40, 40))
    pixels = pixels.astype(np.float32 if kind == ".tif" else np.uint8)
    iio.imwrite(whole, pixels, extension=kind)
    return whole.getvalue()


def form(fields: dict[str, str], image: bytes) -> bytes:
    """Encode a form with a file."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return b"".join([*parts, file.encode(), image, f"\r\n--{BOUNDARY}--\r\n".encode()])


def requests() -> list[bytes]:
    """One request of each kind that the app takes."""
    multipart = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    as_json = {"content-type": "application/json"}
    asked = {"path": "a.tif", "coordinates": [[20, 10], [3.5, 4]], "model": "bright"}
    painted = {"path": "a.tif", "stride": 8, "format": "png", "region": [0, 16, 0, 16]}
    tiff = picture(".tif")
    attributes = {"x-amzn-sagemaker-custom-attributes": "coordinates=[[20,10]];pixel-size=1.8"}
    return [
        written("POST", "/v1/classify", as_json, json.dumps(asked).encode()),
        written("POST", "/v1/classify", multipart, form({"coordinates": "[[20,10]]"}, tiff)),
        written("POST", "/v1/classify", multipart, form({"channels": "0"}, picture(".png"))),
        written("POST", "/v1/classify?model=bright", {"content-type": "image/tiff"}, tiff),
        written("POST", "/v1/paint", as_json, json.dumps(painted).encode()),
        written("POST", "/v1/images", {"content-type": "image/tiff"}, tiff),
        written("POST", "/invocations", {"content-type": "image/jpeg"}, picture(".jpeg")),
        written(
            "POST",
            "/endpoints/bright/invocations",
            {"content-type": "image/tiff", "accept": "application/jsonlines"} | attributes,
            tiff,
        ),
        written("GET", "/v1/models/bright", {}, b""),
        written("GET", "/v1/jobs/none/map.png", {}, b""),
        written("GET", "/page/app.js", {}, b""),
    ]


def request(data: bytes, random: Random) -> bytes:
    """Damage a request: the fields of its JSON, or any byte of head or body."""
    head, _, body = data.partition(b"\n\n")
    kind = random.random()
    if kind < 0.4 and body.startswith(b"{"):
        tree = odd_tree(json.loads(body), random)
        return head + b"\n\n" + json.dumps(tree).encode("utf-8", "surrogatepass")
    if kind < 0.6:
        return damaged(head, random) + b"\n\n" + body
    if kind < 0.95:
        return head + b"\n\n" + damaged(body, random)
    return damaged(data, random)


def http_target() -> Target:
    """Make the target of HTTP requests."""
    app: Any = None

    def read(data: bytes) -> bool:
        nonlocal app
        app = app or RunningApp()
        found: bool = app.ask(data)
        return found

    return Target(read, requests(), request)
