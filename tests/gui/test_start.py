"""`lungcls gui`: the dock, files and the order of libraries."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from tifffile import imwrite

from known_maps import bright_model
from napari_lungcls.cli import gui
from napari_lungcls.errors import InputError
from napari_lungcls.gui import start
from napari_lungcls.gui.docks import CLASSIFIER, PLUGIN, opened
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.network import engines
from plugin_in_napari import plugin_registered


def test_the_dock_the_images_and_the_model(make_napari_viewer, tmp_path, monkeypatch):
    imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint8), resolution=(20000, 20000),
            resolutionunit="CENTIMETER")  # fmt: skip
    damaged = tmp_path / "b.tif"
    damaged.write_bytes(b"II*\0")
    model = bright_model().save(tmp_path / "bright.safetensors")
    refused: list[str] = []
    monkeypatch.setattr(start, "refuse", lambda error: refused.append(str(error)))
    ran: list[Any] = []
    with plugin_registered():
        viewer = make_napari_viewer()
        monkeypatch.setattr(napari, "Viewer", lambda: viewer)
        start.open_napari(
            [tmp_path / "a.tif", damaged, model], run=lambda: ran.append(list(viewer.layers))
        )
        assert opened(viewer, CLASSIFIER) is not None
    (layers,) = ran
    assert [layer.source.reader_plugin for layer in layers] == [PLUGIN]
    assert layers[0].scale.tolist() == [0.5, 0.5]
    assert session(viewer).current.path == model
    assert len(refused) == 1
    assert "b.tif" in refused[0]
    cancel_all()


def test_what_is_missing_is_said_before_anything_opens(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"no\.tif: there is no such file; check the path"):
        gui.gui([tmp_path / "no.tif"])
    find = importlib.util.find_spec
    monkeypatch.setattr(gui, "find_spec", lambda name: None if name == "napari" else find(name))
    with pytest.raises(InputError, match=r"napari is not installed; install it with: pip install"):
        gui.gui([])


@pytest.mark.parametrize(("windows", "first"), [(True, "torch"), (False, "qtpy")])
def test_torch_comes_before_qt_where_it_must(windows, first):
    code = f"""
import sys, types
from napari_lungcls.cli.gui import gui
from napari_lungcls.utils import library_order
library_order.WINDOWS = {windows}
window = types.ModuleType("napari_lungcls.gui.start")
def open_napari(files):
    import qtpy.QtCore
window.open_napari = open_napari
sys.modules[window.__name__] = window
gui([])
print(next(name for name in sys.modules if name in ("torch", "qtpy")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == first


def test_an_engine_that_came_too_late_says_what_to_do(monkeypatch):
    class NotLoaded(OSError):
        winerror = 1114

    def late(_: str) -> None:
        raise NotLoaded(22, "c10.dll")

    monkeypatch.setattr(engines, "import_module", late)
    reason = str(engines.engine_status("torch")["reason"])
    assert reason.startswith("torch cannot be loaded after Qt here")
    assert "start napari anew so that it is loaded first" in reason
    page = Path(__file__).parents[2] / "docs" / "faq.md"
    assert "`lungcls gui`" in page.read_text(encoding="utf-8").split("## The program")[1]
