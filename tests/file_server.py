"""A real HTTP server over a folder, for tests of downloads."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class FileServer:
    """Serves a folder on this machine, and notes what it was asked."""

    def __init__(self, folder: Path) -> None:
        requests: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def copyfile(self, source: Any, outputfile: Any) -> None:
                # A client that refuses what comes goes away in the middle.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    super().copyfile(source, outputfile)

            def log_message(self, format: str, *args: object) -> None:
                requests.append(self.path)

        self.folder = folder
        self.requests = requests
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(Handler, directory=str(folder))
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
