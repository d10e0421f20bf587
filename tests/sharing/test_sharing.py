"""Models from and to others, over real HTTP: a stand-in for the hub, and a plain server."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import napari_lungcls as lc
from file_server import FileServer
from hub_here import HubHere
from known_network import make_document, make_spec, random_state
from napari_lungcls.model import Model
from napari_lungcls.sharing.addresses import FileAddress, HubAddress, read_address
from napari_lungcls.sharing.exchange import pull, push

# The hub's library hands files to its HTTP library in a former way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

SHA = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: Any) -> Path:
    spec = make_spec(hidden=0)
    model = Model(make_document(spec, pixel_size=1.0), random_state(spec), device="cpu")
    return model.save(tmp_path_factory.mktemp("models") / "lung.safetensors")


@pytest.fixture
def hub(monkeypatch: Any, tmp_path: Path) -> Iterator[HubHere]:
    constants = pytest.importorskip("huggingface_hub.constants")
    found = HubHere()
    monkeypatch.setenv("HF_ENDPOINT", found.url)
    monkeypatch.setenv("HF_TOKEN", found.token)
    # The stand-in speaks Git LFS, as the hub does to those without its newer protocol.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    # Its library asks the real hub for a list of names, unless it has one of today.
    known = tmp_path / "known.json"
    known.write_text('{"standardEnvVars": [], "harnesses": {}}')
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(known), raising=False)
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("LUNGCLS_OFFLINE")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def web(tmp_path: Path, model_file: Path) -> Iterator[FileServer]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "lung.safetensors").write_bytes(model_file.read_bytes())
    server = FileServer(tmp_path / "web")
    yield server
    server.stop()


def left() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Addresses


def test_addresses_are_read_and_written():
    for text, expected in {
        "hf://lab/lungs": HubAddress("lab/lungs"),
        "hf://lab/lungs@v1/a/b.safetensors": HubAddress("lab/lungs", "v1", "a/b.safetensors"),
        f"hf://lab/lungs/m.safetensors#sha256={SHA}": HubAddress(
            "lab/lungs", None, "m.safetensors", SHA
        ),
        f"https://lab.example/a%20b.safetensors#sha256={SHA}": FileAddress(
            "https://lab.example/a%20b.safetensors", SHA
        ),
    }.items():
        assert read_address(text) == expected
        assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lung.safetensors", "no address"),
        ("ftp://lab.example/m.safetensors", "no address"),
        ("http://lab.example/m.safetensors", "use https"),
        ("https://user:word@lab.example/m.safetensors", "password"),
        ("https://lab.example/m.safetensors#sha256=12", "64 digits"),
        ("https://lab.example/m.safetensors#md5=12", "64 digits"),
        ("https://lab.example/m.pkl", "name ends in"),
        ("https://lab.example/", "name ends in"),
        ("hf://lungs", "hf://owner/name"),
        ("hf://lab/../lungs", "hf://owner/name"),
        ("hf://lab/lungs/../../m.safetensors", "no path"),
        ("hf://lab/lungs/m.bin", "name ends in"),
    ],
)
def test_what_is_no_address_is_said(text, words):
    with pytest.raises(lc.InputError, match=words):
        pull(text)
    assert not left()


# The hub


def test_what_is_pushed_can_be_pulled(hub, model_file):
    made = push(model_file, "hf://lab/lungs")
    held = hub.commits["lab/lungs"][-1]
    assert made.card_written
    assert hub.private == {"lab/lungs": True}
    assert held["lung.safetensors"] == model_file.read_bytes()
    card = held["README.md"].decode()
    assert card.startswith("---\nlibrary_name: napari-lungcls\n")
    assert sha256(model_file) in card
    assert str(made.address) == (
        f"hf://lab/lungs@{hub.oid(1)}/lung.safetensors#sha256={sha256(model_file)}"
    )
    for address in ("hf://lab/lungs", "hf://lab/lungs/lung.safetensors", str(made.address)):
        found = pull(address, overwrite=True)
        assert found.path == Path("lung.safetensors")
        assert found.path.read_bytes() == model_file.read_bytes()
        assert found.checked
        assert found.address == made.address
        assert found.document == lc.load(found.path).document
    assert left() == ["lung.safetensors"]
    # The token goes to the hub, and not to where large files lie.
    assert all("authorization" not in h for m, path, h in hub.seen if path.startswith("/blob"))


def test_a_card_of_somebody_else_is_left_alone(hub, model_file):
    hub.commit("lab/lungs", {"README.md": b"# Mine"})
    made = push(model_file, "hf://lab/lungs/models/first.safetensors", public=True)
    assert not made.card_written
    assert hub.commits["lab/lungs"][-1]["README.md"] == b"# Mine"
    assert "models/first.safetensors" in hub.commits["lab/lungs"][-1]
    assert push(model_file, "hf://lab/others", public=True).card_written
    assert push(model_file, "hf://lab/others").card_written
    assert hub.private == {"lab/others": False}


def test_what_the_hub_does_not_have_is_said(hub, model_file, tmp_path):
    hub.commit("lab/lungs", {"a.safetensors": b"1", "b.safetensors": b"2"})
    for address, words in {
        "hf://lab/livers": "no such repository",
        "hf://lab/lungs@v9/a.safetensors": "no such revision",
        "hf://lab/lungs/c.safetensors": "no such file",
        "hf://lab/lungs": r"has the models a\.safetensors, b\.safetensors",
        f"hf://lab/lungs/a.safetensors#sha256={SHA}": "has another file",
        "hf://lab/lungs/a.safetensors": "not a complete",
    }.items():
        with pytest.raises(lc.InputError, match=words):
            pull(address)
    assert not left()
    (tmp_path / "web.safetensors").write_bytes(b"no model")
    with pytest.raises(lc.InputError, match="web"):
        push(tmp_path / "web.safetensors", "hf://lab/lungs")
    with pytest.raises(lc.InputError, match="hf://owner/name"):
        push(model_file, "https://lab.example/lung.safetensors")


def test_who_may_not_write_is_told_to_log_in(hub, model_file, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(lc.InputError, match="hf auth login"):
        push(model_file, "hf://lab/lungs")


def test_a_store_that_gives_another_file_is_caught(hub, model_file):
    push(model_file, "hf://lab/lungs")
    hub.lies = model_file.read_bytes()[:-1] + b"?"
    with pytest.raises(lc.InputError, match="not the one that was told"):
        pull("hf://lab/lungs")
    assert not left()


def test_a_hub_that_is_gone_or_not_encrypted_is_said(monkeypatch, model_file):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    with pytest.raises(lc.InputError, match="use https"):
        pull("hf://lab/lungs/m.safetensors")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(lc.InputError, match="the hub does not do it"):
        pull("hf://lab/lungs/m.safetensors")


# The web


def test_a_file_of_the_web_is_checked(web, model_file):
    url, sum_ = web.url("lung.safetensors"), sha256(model_file)
    with pytest.raises(lc.InputError, match=f"has the SHA-256 {sum_}, and not"):
        pull(f"{url}#sha256={SHA}")
    assert not left()
    seen = []
    found = pull(url, progress=lambda done, total: seen.append((done, total)))
    assert not found.checked
    assert str(found.address) == f"{url}#sha256={sum_}"
    assert seen[-1] == (model_file.stat().st_size,) * 2
    with pytest.raises(lc.InputError, match="exists already"):
        pull(str(found.address))
    assert pull(str(found.address), "other.safetensors").checked
    with pytest.raises(lc.InputError, match="404"):
        pull(web.url("none.safetensors"))
    assert left() == ["lung.safetensors", "other.safetensors"]


def test_what_is_too_large_or_no_model_gets_no_name(web):
    with pytest.raises(lc.InputError, match=r"larger than 0\.002 MB"):
        pull(web.url("lung.safetensors"), max_mb=0.002)
    head = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    for name, data in {
        "empty": b"",
        "pickle": b"\x80\x04K\x01.",
        "huge head": struct.pack("<Q", 2**60) + b"{}",
        "another": struct.pack("<Q", len(head)) + head + b"0000",
    }.items():
        (web.folder / "x.safetensors").write_bytes(data)
        with pytest.raises(lc.InputError, match=r"x\.safetensors") as refused:
            pull(web.url("x.safetensors"))
        assert str(Path.cwd()) not in str(refused.value), name
    assert not left()


def test_a_stream_without_an_end_and_a_way_in_circles_end(model_file):
    import threading
    from http.server import ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/circle"):
                self.send_response(302)
                self.send_header("Location", "/circle.safetensors")
                self.end_headers()
            elif self.path.startswith("/away"):
                self.send_response(302)
                self.send_header("Location", "http://lab.example/m.safetensors")
                self.end_headers()
            else:
                self.send_response(200)
                self.end_headers()
                try:
                    for _ in range(1000):
                        self.wfile.write(b"0" * 10**5)
                except OSError:
                    pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        for name, words in {
            "circle": "without an end",
            "away": "use https",
            "long": "larger",
        }.items():
            with pytest.raises(lc.InputError, match=words):
                pull(f"{base}/{name}.safetensors", max_mb=1)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not left()


def test_nothing_is_fetched_where_that_is_forbidden(monkeypatch, web):
    monkeypatch.setenv("LUNGCLS_OFFLINE", "1")
    with pytest.raises(lc.InputError, match="LUNGCLS_OFFLINE"):
        pull(web.url("lung.safetensors"))
    assert not web.requests
