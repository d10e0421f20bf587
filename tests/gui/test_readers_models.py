"""Models opened in napari: they join the session, and Paint opens with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from known_network import make_document, make_spec, random_state
from napari_lungcls.errors import InputError
from napari_lungcls.gui.readers import model_reader
from napari_lungcls.gui.session import session
from napari_lungcls.model import Model
from plugin_in_napari import NAME, plugin_registered

PAINT = "Paint (Lung classification)"
SPEC = make_spec()


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    with plugin_registered():
        yield make_napari_viewer_proxy()


@pytest.fixture
def model(tmp_path) -> Path:
    return Model(make_document(SPEC), random_state(SPEC)).save(tmp_path / "lung.safetensors")


def test_a_model_that_is_opened_is_the_one_that_paint_offers(viewer, model):
    assert viewer.open(str(model), plugin=NAME) == []
    current = session(viewer).current
    assert (current.name, current.path) == ("lung", model)
    np.testing.assert_array_equal(
        current.model.state["heads.bias"], random_state(SPEC)["heads.bias"]
    )
    assert PAINT in viewer.window.dock_widgets
    assert list(viewer.layers) == []


def test_a_second_model_finds_paint_open(viewer, model):
    other = Model(make_document(SPEC), random_state(SPEC, 1)).save(
        model.with_name("other.safetensors")
    )
    viewer.open([str(model), str(other)], plugin=NAME)
    assert [known.name for known in session(viewer).models] == ["lung", "other"]
    assert session(viewer).current.name == "other"
    assert list(viewer.window.dock_widgets) == [PAINT]
    viewer.window.dock_widgets[PAINT].parent().hide()
    viewer.open(str(model), plugin=NAME)
    assert session(viewer).current.name == "lung"
    assert list(viewer.window.dock_widgets) == [PAINT]
    assert not viewer.window.dock_widgets[PAINT].parent().isHidden()


def dropped(viewer, path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    button, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    drop = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, button, keys)
    # What the window receives from the mouse; napari has no public way to it.
    viewer.window._qt_viewer.dropEvent(drop)


def test_a_model_is_dropped_on_the_viewer(make_napari_viewer, model):
    with plugin_registered():
        viewer = make_napari_viewer()
        dropped(viewer, model)
        assert session(viewer).current.name == "lung"
        assert PAINT in viewer.window.dock_widgets


def test_a_bad_model_that_is_dropped_is_told(make_napari_viewer, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"x")
    with plugin_registered():
        viewer = make_napari_viewer()
        # napari wraps the line into words of its own, and shows both.
        with pytest.raises(ValueError, match=r"InputError: .*bad\.safetensors"):
            dropped(viewer, tmp_path / "bad.safetensors")


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_a_file_that_is_no_model_is_told(viewer, tmp_path, content):
    path = tmp_path / "weights.safetensors"
    if content is None:
        from safetensors.numpy import save_file

        save_file({"conv1.weight": np.zeros(3, np.float32)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.safetensors") as caught:
        viewer.open(str(path), plugin=NAME)
    assert "\n" not in str(caught.value)
    assert session(viewer).models == ()
    assert not viewer.window.dock_widgets


def test_without_a_viewer_the_line_says_so(model):
    assert model_reader("a.csv") is None
    with pytest.raises(InputError, match="start napari first"):
        model_reader(str(model))(str(model))


def test_opening_a_model_does_not_import_torch(model, qapp):
    code = f"""
import sys, napari
from napari_lungcls.gui.session import session
from napari_lungcls.gui.readers import model_reader
from plugin_in_napari import plugin_registered
with plugin_registered():
    viewer = napari.Viewer(show=False)
    model_reader({str(model)!r})({str(model)!r})
    assert session(viewer).current.name == "lung"
    assert not {{"torch", "mxnet"}} & set(sys.modules), "an engine was imported"
    viewer.close()
"""
    tests = str(Path(__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {tests!r})\n{code}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
