"""The shared parts: they follow the viewer, and let go of it."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_lungcls.gui import messages, parts
from napari_lungcls.gui.run_bar import RunBar
from napari_lungcls.gui.session import session


@pytest.fixture
def viewer():
    return ViewerModel()


def picture(name):
    return Image(np.zeros((4, 4)), name=name)


def test_a_layer_box_follows_the_viewer(qtbot, viewer):
    box = parts.LayerBox(viewer, Image)
    qtbot.addWidget(box)
    seen = []
    box.layer_changed.connect(seen.append)
    assert (box.currentText(), box.isEnabled(), box.layer) == ("no image is open", False, None)
    a = viewer.add_layer(picture("a"))
    viewer.add_points([[1, 2]])
    b = viewer.add_layer(picture("b"))
    assert box.layer is a
    box.choose(b)
    a.name = "other"
    assert [box.itemText(i) for i in range(box.count())] == ["other", "b"]
    viewer.layers.remove(b)
    assert box.layer is a
    viewer.layers.clear()
    assert seen == [a, b, a, None]


def test_a_layer_box_offers_what_is_accepted(qtbot, viewer):
    box = parts.LayerBox(viewer, Image, accept=lambda layer: layer.name != "no")
    qtbot.addWidget(box)
    viewer.add_layer(picture("no"))
    yes = viewer.add_layer(picture("yes"))
    assert box.layer is yes
    assert box.count() == 1


def test_a_destroyed_box_hears_nothing(qtbot, viewer):
    box = parts.LayerBox(viewer, Image)
    with qtbot.waitSignal(box.destroyed):
        box.deleteLater()
    viewer.add_layer(picture("a"))


def test_the_run_bar_goes_through_a_run(qtbot):
    bar = RunBar("Train", pausable=True)
    qtbot.addWidget(bar)
    bar.allow("choose points first")
    assert not bar.start_button.isEnabled()
    assert bar.start_button.toolTip() == "choose points first"
    bar.allow()
    with qtbot.waitSignal(bar.start_clicked):
        bar.start_button.click()
    bar.begin("reading")
    assert not bar.start_button.isEnabled()
    bar.report(3, 10, "epoch 1", 100)
    assert bar.words.text() == "epoch 1, about 2 min left"
    with qtbot.waitSignal(bar.pause_toggled):
        bar.pause_button.click()
    bar.report(4, 10, "epoch 1", None)
    assert bar.words.text() == "paused"
    with qtbot.waitSignal(bar.cancel_clicked):
        bar.cancel_button.click()
    bar.report(5, 10, "epoch 1", None)
    assert bar.words.text() == "cancelling…"
    bar.end("cancelled")
    assert bar.start_button.isEnabled()
    assert not bar.pause_button.isChecked()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds left"),
        (12, "about 10 s left"),
        (100, "about 2 min left"),
        (7200, "about 2.0 h left"),
    ],
)
def test_time_in_words(seconds, words):
    assert messages.remaining(seconds) == words


def test_a_session_belongs_to_its_viewer(viewer):
    heard = []
    here = session(viewer)
    here.changed.connect(lambda: heard.append(here.current and here.current.name))
    assert session(viewer) is here
    assert session(ViewerModel()) is not here
    assert here.current is None
    here.add(object(), "first")
    here.add(object(), "second")
    here.choose("first")
    here.choose("first")
    assert heard == ["first", "second", "first"]
    assert [named.name for named in here.models] == ["first", "second"]
    with pytest.raises(KeyError):
        here.choose("none")
