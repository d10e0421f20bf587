"""`lungcls pull` from a plain server; the hub is tried in tests/sharing."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from file_server import FileServer


@pytest.fixture
def url(lab, tmp_path, monkeypatch):
    (tmp_path / "web").mkdir()
    shutil.copy(lab.model, tmp_path / "web" / "lung.safetensors")
    monkeypatch.delenv("LUNGCLS_OFFLINE")
    monkeypatch.chdir(tmp_path)
    server = FileServer(tmp_path / "web")
    yield server.url("lung.safetensors")
    server.stop()


def test_a_model_is_fetched_and_shown(url, lab, run_cli, tmp_path):
    sha256 = hashlib.sha256(lab.model.read_bytes()).hexdigest()
    said = run_cli("pull", url)
    assert said.code == 0, said.err
    assert "nobody told its checksum" in said.out
    assert f"from: {url}#sha256={sha256}" in said.out
    assert "septa" in said.out
    again = run_cli("pull", f"{url}#sha256={sha256}", "--out", "b.safetensors", "--json").json
    assert (again["sha256"], again["checked"], again["out"]) == (sha256, True, "b.safetensors")
    assert (tmp_path / "lung.safetensors").read_bytes() == lab.model.read_bytes()


def test_what_is_wrong_is_one_line(url, bench):
    assert "use --max-mb" in bench.complaint("pull", url, "--max-mb", "0.01")
    bench.file("lung.safetensors", "kept")
    assert "use --overwrite" in bench.complaint("pull", url)
    assert "hf://owner/name" in bench.complaint("push", bench.lab.model, url + "?x")
