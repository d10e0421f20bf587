"""A real server in a thread, and a client of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn


@contextmanager
def serving(model_file: Path, **options: Any) -> Iterator[httpx.Client]:
    """Run a server at a free port, and give a client."""
    from napari_lungcls.serving.app import create_app
    from napari_lungcls.serving.models import read_models
    from napari_lungcls.serving.options import ServerOptions

    app = create_app(read_models([model_file], device="cpu"), ServerOptions(**options))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            client.app = app  # type: ignore[attr-defined]
            yield client
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
