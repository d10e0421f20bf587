"""Comparing two models in a real window: at points, as maps, and what stands in the way."""

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from known_network import intensity_engine, make_document, make_spec
from napari_lungcls.gui.compare import ComparePanel
from napari_lungcls.gui.compare.region import region_around
from napari_lungcls.gui.points_layer import annotation_layer, fill
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.model import Model
from napari_lungcls.network.known_points import ImagePoints, KnownPoints
from napari_lungcls.network.spec import Normalisation
from three_tissues import SCHEME, scene

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def viewer(make_napari_viewer_proxy: Any) -> Any:
    made = make_napari_viewer_proxy()
    yield made
    cancel_all()


def model(weight, trained=()):
    """Make a model that calls everything `dark`, or with a weight below 0 `grey`."""
    bare = Normalisation(mean=(0, 0, 0), std=(1, 1, 1), dtype="uint8")
    spec = make_spec(stages=(-1, 1), normalisation=bare)
    engine = intensity_engine(spec, {(1, -1): weight})
    known = ImagePoints(name="section", shape=(400, 400), trained=[tuple(at) for at in trained])
    document = make_document(spec, scheme=SCHEME, points=KnownPoints(images=[known]))
    return Model(document, engine.state(), device="cpu")


def wait(qtbot, panel):
    qtbot.waitUntil(lambda: panel.comparison.job is None, timeout=120_000)


def test_two_models_are_compared_at_points_and_as_maps(viewer, qtbot):
    panel = ComparePanel(viewer)
    viewer.window.add_dock_widget(panel, name="Compare")
    assert panel.run.words.text() == "Train or load a second model to compare it with."
    stack, points = scene(0)
    image = viewer.add_image(stack.levels[0], rgb=True, name="section", scale=(2, 2))
    layer = annotation_layer(viewer, image, SCHEME)
    fill(layer, points, SCHEME)
    session(viewer).add(model(1.0), "old")
    assert not panel.run.start_button.isEnabled()
    session(viewer).add(model(-1.0, trained=layer.data[:10]), "new")
    assert [box.currentText() for box in panel.models] == ["old", "new"]

    QTest.mouseClick(panel.run.start_button, LEFT)
    wait(qtbot, panel)
    found = panel.comparison.points
    truth = points.labels[10:]
    assert found.summary.n == 80
    assert "10 points not counted: new learned from them." in panel.result.text()
    # The one calls all of them dark, the other none.
    assert {found.summary.only_a, found.summary.only_b} >= {int((truth == "dark").sum())}
    shown = panel.shows[1] if found.summary.only_a else panel.shows[0]
    assert not shown.isHidden()
    QTest.mouseClick(shown, LEFT)
    rows = found.rows(a=bool(found.summary.only_a), b=not found.summary.only_a)
    assert len(layer.selected_data) == len(rows)
    QTest.mouseClick(panel.strip.next_button, LEFT)
    (row,) = layer.selected_data
    np.testing.assert_allclose(layer.data[row], found.places[rows[1]].where, atol=1e-3)

    QTest.mouseClick(panel.run.other_button, LEFT)
    wait(qtbot, panel)
    assert not panel.comparison.refused, panel.comparison.words
    names = [made.name for made in panel.comparison.layers]
    assert names == ["old (compared)", "new (compared)", "old and new differ"]
    assert panel.comparison.maps.share == 1
    assert panel.difference.text().startswith("100.0 % of the cells differ, on ")
    assert [made.visible for made in panel.comparison.layers] == [False, False, True]
    QTest.mouseClick(panel.maps[0], LEFT)
    assert [made.visible for made in panel.comparison.layers] == [True, False, False]
    before = len(viewer.layers)
    QTest.mouseClick(panel.run.other_button, LEFT)
    wait(qtbot, panel)
    assert len(viewer.layers) == before

    panel.models[0].setCurrentIndex(1)
    panel.models[0].activated.emit(1)
    assert not panel.run.start_button.isEnabled()
    assert panel.run.start_button.toolTip() == "Choose two different models."


def test_at_most_the_middle_of_the_view_is_painted():
    seen = slice(100, 3100), slice(5, 700)
    assert region_around(seen) == (slice(1088, 2112), slice(5, 700))
    assert region_around((slice(0, 1025), slice(0, 10)))[0] == slice(0, 1024)
