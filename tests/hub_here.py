"""A stand-in for the Hugging Face hub over real HTTP: what its library asks to read and write."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class HubHere:
    """Repositories in memory; large files lie on a second server, as they do on the hub.

    Attributes
    ----------
    commits
        Of each repository, what it holds after each: path to bytes.
    seen
        Method, path and headers of all requests.
    token
        What writers must send.
    lies
        Bytes that are given in the place of any large file.
    """

    def __init__(self, token: str = "hf_here") -> None:
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: dict[str, bool] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.token, self.lies = token, None
        self.blobs: dict[str, bytes] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def _body(self) -> bytes:
                if self.headers.get("transfer-encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length") or 0))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def _answer(self) -> None:
                body = self._body()
                path = unquote(urlsplit(self.path).path)
                headers = {k.lower(): v for k, v in self.headers.items()}
                hub.seen.append((self.command, path, headers))
                status, more, data = hub.answer(self.command, path, headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                if "Content-Length" not in more:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_HEAD = do_POST = do_PUT = _answer

        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.01,)) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()
        self.url, self.store = (f"http://127.0.0.1:{s.server_port}" for s in self._servers)

    def stop(self) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Add a commit, and give its name."""
        made = self.commits.setdefault(repository, [])
        made.append((made[-1] if made else {}) | files)
        self.blobs |= {hashlib.sha256(data).hexdigest(): data for data in files.values()}
        return self.oid(len(made) - 1)

    @staticmethod
    def oid(number: int) -> str:
        return hashlib.sha1(str(number).encode()).hexdigest()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if found := re.fullmatch(r"/blob/([0-9a-f]{64})", path):
            if method == "PUT":
                self.blobs[found[1]] = body
                return 200, {}, b""
            return 200, {}, self.blobs[found[1]] if self.lies is None else self.lies
        knows = headers.get("authorization") == f"Bearer {self.token}"
        if method == "POST" and not knows:
            return _error(401, "", "Invalid credentials")
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.commits:
                return _json({"url": f"{self.url}/{name}"}, 409)
            self.private[name] = bool(asked.get("private") or asked.get("visibility") == "private")
            self.commit(name, {".gitattributes": b""})
            return _json({"url": f"{self.url}/{name}"})
        found = re.match(r"/(?:api/models/)?([^/]+/[^/.]+)", path)
        if found is None or found[1] not in self.commits:
            return _error(404, "RepoNotFound", "Repository Not Found")
        return self._repository(found[1], path[found.end() :], body)

    def _repository(self, name: str, rest: str, body: bytes) -> Any:
        made = self.commits[name]
        part, _, rest = rest.lstrip("/").partition("/")
        if part == "preupload":
            files = [
                {"path": f["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular"}
                for f in json.loads(body)["files"]
            ]  # fmt: skip
            return _json({"files": files})
        if part == ".git":
            objects = [
                o | {"actions": {"upload": {"href": f"{self.store}/blob/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            return _json({"transfer": "basic", "objects": objects})
        if part == "commit":
            files = {}
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.blobs[value["oid"]]
            oid = self.commit(name, files)
            return _json({"commitUrl": f"{self.url}/{name}/commit/{oid}", "commitOid": oid})
        if part not in ("revision", "resolve", "tree", ""):
            return _error(404, "", f"nothing at {part}")
        revision, _, file = rest.partition("/")
        known = {"main": len(made) - 1} | {self.oid(i): i for i in range(len(made))}
        if (revision or "main") not in known:
            return _error(404, "RevisionNotFound", "Revision Not Found")
        number = known[revision or "main"]
        held, oid = made[number], self.oid(number)
        if part == "tree":
            return _json(
                [{"type": "file", "path": p, "size": len(d), "oid": oid} for p, d in held.items()]
            )
        if part != "resolve":
            return _json({"id": name, "sha": oid})
        if file not in held:
            return _error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": oid})
        data = held[file]
        more = {"X-Repo-Commit": oid, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        if not file.endswith(".safetensors"):
            return 200, more, data
        sha256 = hashlib.sha256(data).hexdigest()
        more |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
        return 302, more | {"Location": f"{self.store}/blob/{sha256}"}, b""


def _json(document: Any, status: int = 200) -> Any:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _error(status: int, code: str, text: str, more: dict[str, str] | None = None) -> Any:
    return status, {"X-Error-Code": code, "X-Error-Message": text} | (more or {}), b""
