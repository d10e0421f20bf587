"""Finding places and points while labelling: one window, mouse and keys."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from driving import NOTHING, Hands
from napari_lungcls.gui.label import LabelPoints, summary
from napari_lungcls.gui.label.key_note import KeyNote, key_words
from napari_lungcls.gui.label.random_fields import RandomFields, has_tissue
from napari_lungcls.gui.label.right_click import RightClick

RIGHT = Qt.MouseButton.RightButton


def tissue(planes=4):
    """Make planes of bright glass, of which one quarter is tissue."""
    rng = np.random.default_rng(0)
    data = rng.normal(240, 2, (planes, 200, 260))
    data[:, :100, :130] = rng.normal(120, 40, (planes, 100, 130))
    return data.clip(0, 255).astype(np.uint8)


class Fields(QWidget):
    """Every kind of field that letters are typed into."""

    def __init__(self):
        super().__init__()
        console = QPlainTextEdit()
        console.setReadOnly(True)
        fixed = QLineEdit("fixed")
        fixed.setReadOnly(True)
        choice = QComboBox()
        choice.addItems(["one", "two"])
        self.all = [QLineEdit(), QSpinBox(), QDoubleSpinBox(), QPlainTextEdit(), console]
        self.all += [fixed, choice]
        column = QVBoxLayout(self)
        for field in self.all:
            column.addWidget(field)


@pytest.fixture
def window(make_napari_viewer_proxy, journals, qtbot):
    viewer = make_napari_viewer_proxy(show=True)
    viewer = getattr(viewer, "__wrapped__", viewer)
    viewer.add_image(tissue(), name="lung", scale=(3, 0.5, 0.5))
    panel = LabelPoints(viewer)
    viewer.window.add_dock_widget(panel, name="Label points")
    hands = Hands(viewer)
    hands.settle()
    parts = [viewer, panel, hands]
    yield parts
    parts.clear()


def classes(panel):
    return panel.labeller.layer.features["class"].tolist()


def right_click(hands, world, *moves):
    where = hands.at(world)
    QTest.mouseMove(hands.canvas, where)
    QTest.mousePress(hands.canvas, RIGHT, NOTHING, where)
    for move in moves:
        QTest.mouseMove(hands.canvas, hands.at(move))
        hands.settle(0.02)
    QTest.mouseRelease(hands.canvas, RIGHT, NOTHING, hands.at(moves[-1]) if moves else where)
    hands.settle(0.02)


def test_points_are_found_seen_and_relabelled(window):
    viewer, panel, hands = window
    labeller, camera = panel.labeller, viewer.scene.camera
    image = viewer.layers["lung"]
    # The canvas may have got another size since the image was opened.
    hands.settle()
    viewer.fit_to_view()
    hands.settle()
    hands.key("s")
    for x in (20, 40, 60):
        hands.point((20, x))
    layer = labeller.layer
    assert len(layer.data) == 3

    # Rings of 8 to 20 pixels of the screen, letters beside them, whatever the zoom.
    fitted = camera.zoom
    for factor in (0.1, 1, 3, 30):
        camera.zoom = fitted * factor
        assert 8 <= layer.size[0] * camera.zoom * 0.5 <= 20
        assert (layer.size == layer.size[0]).all()
    viewer.fit_to_view()
    fitted = camera.zoom
    hands.until(lambda: np.atleast_1d(layer.text.values).tolist() == ["  S"] * 3, what="letters")

    # The right button: nothing at first, then a class; a drag zooms and adds nothing.
    right_click(hands, (40, 20))
    assert len(layer.data) == 3
    hands.choose("right_click", "duct")
    remembered = RightClick(labeller)
    remembered.follow_scheme()
    assert remembered.name == "duct"
    right_click(hands, (40, 20))
    hands.point((40, 40))
    assert classes(panel) == ["septa"] * 3 + ["duct", "septa"]
    right_click(hands, (40, 60), (45, 60), (55, 60))
    assert len(layer.data) == 5
    assert camera.zoom != fitted
    viewer.fit_to_view()
    hands.key("Ctrl+z")
    hands.key("Ctrl+z")
    assert classes(panel) == ["septa"] * 3
    hands.key("Ctrl+Shift+z")

    # From point to point; the key of a class relabels, in one step.
    hands.key("Period")
    assert layer.selected_data == {0}
    np.testing.assert_allclose(camera.center[1:], image.data_to_world(layer.data[0])[1:])
    hands.key("Period")
    hands.click("previous_point")
    hands.key("a")
    assert classes(panel) == ["alveoli", "septa", "septa", "duct"]
    hands.key("Comma")
    assert layer.selected_data == {3}
    assert "4 of 4: duct" in panel.hint.text()
    hands.key("Ctrl+z")
    assert classes(panel) == ["septa"] * 3 + ["duct"]

    # One class only: the others are hidden, not lost, and nothing is there to undo.
    done = labeller.annotation.undo_text
    hands.choose("show_only", "septa")
    assert layer.shown.tolist() == [True] * 3 + [False]
    assert labeller.annotation.undo_text == done
    viewer.fit_to_view()
    hands.key("s")
    hands.point((80, 80))
    assert layer.shown.tolist() == [True] * 3 + [False, True]
    hands.key("d")
    assert layer.shown.all()
    assert panel.tools.only.currentIndex() == 0

    # Planes and images without points, and random fields.
    plane = viewer.dims.current_step[0]
    hands.click("next_unlabelled")
    assert viewer.dims.current_step[0] == (plane + 1) % 4
    panel.add_points([[i, 5, 5] for i in range(4)], ["duct"] * 4, source="")
    other = viewer.add_image(tissue(1)[0], name="other")
    hands.click("next_unlabelled")
    assert labeller.image is other
    assert not image.visible
    hands.click("random_field")
    assert "random field" in panel.hint.text()
    y, x = other.world_to_data(camera.center)[-2:]
    assert y < 160
    assert x < 190
    hands.find("edge_frame").click()
    assert not viewer.canvas.overlays.get("lungcls_edge")  # The image is too small for one.
    layers = len(viewer.layers)
    image.data = np.zeros((2, 900, 900), np.uint8)
    labeller.choose_image(image)
    (top, left), (bottom, right) = viewer.canvas.overlays["lungcls_edge"].position
    assert bottom - top == pytest.approx((899 - 256) * 0.5 * camera.zoom)
    assert right - left == pytest.approx(bottom - top)
    hands.find("edge_frame").click()
    assert "lungcls_edge" not in viewer.canvas.overlays
    assert len(viewer.layers) == layers


def test_keys_and_fields(window, journals):
    viewer, panel, hands = window
    fields = Fields()
    viewer.window.add_dock_widget(fields, name="fields")
    hands.settle()
    panel.window().activateWindow()
    for field in fields.all:
        field.setFocus()
        hands.until(field.hasFocus)
        QTest.keyClicks(field, "sd1.,")
        assert panel.labeller.current == "alveoli", type(field)
        assert panel.labeller.layer is None, type(field)
    assert panel.keys.isVisible()
    hands.click("key_note_read")
    assert not panel.keys.isVisible()
    # Every button by Tab and with a name; keys of classes act there as well.
    for button in panel.findChildren(QAbstractButton):
        if button.isVisible():
            assert button.focusPolicy() & Qt.FocusPolicy.TabFocus, button.objectName()
            assert button.accessibleName() or button.text(), button.objectName()
    named = hands.find("class_button_septa")
    assert named.accessibleName() == "septa, key S, 0 points"
    named.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(named, Qt.Key.Key_D)
    assert panel.labeller.current == "duct"
    QTest.keyClick(named, Qt.Key.Key_Space)
    assert panel.labeller.current == "septa"
    shapes = viewer.add_shapes(ndim=3, metadata={"lungcls": {"kind": "truth"}})
    hands.key("a")
    assert panel.labeller.current == "alveoli"
    assert viewer.layers.selection.active is panel.labeller.layer
    assert not shapes.data
    assert KeyNote().isHidden()


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"a": 5, "b": 0, "c": 5}, ""),
        ({"a": 40, "b": 3, "c": 44}, "b (3) has few points; the others have about 40."),
        ({"a": 40, "b": 40, "c": 40}, ""),
        ({"a": 90, "b": 1, "c": 2, "d": 80, "e": 85}, "b (1) and c (2) have few points"),
        ({"a": 90}, "b (0) and c (0) have few points"),
    ],
)
def test_an_imbalance_is_said(counts, said):
    found = summary.imbalance(counts, sorted({*"abc", *counts}))
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_what_keys_did_in_napari_is_said():
    assert "A selects all points, S starts selecting" in key_words(["A", "S", "D"])
    assert "in napari" not in key_words(["D"])
    assert "No class has a key" in key_words([])


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("rgb", [False, True])
def test_fields_have_tissue_and_every_plane_its_turn(inverted, rgb):
    import napari

    data = 255 - tissue(3) if inverted else tissue(3)
    big = data.repeat(8, axis=1).repeat(8, axis=2)
    image = napari.layers.Image(np.stack([big] * 3, -1) if rgb else big, rgb=rgb)
    fields, again = RandomFields(image), RandomFields(image)
    drawn = np.array([fields.draw() for _ in range(12)])
    np.testing.assert_array_equal(drawn, [again.draw() for _ in range(12)])
    assert sorted(drawn[:3, 0]) == [0, 1, 2]
    # Half of a field of 400 pixels may lie beside the tissue.
    assert (drawn[:, 1] < 800 + 200).all()
    assert (drawn[:, 2] < 1040 + 200).all()
    assert len(np.unique(drawn[:, 1:], axis=0)) == 12
    assert has_tissue(np.zeros((9, 9, 1)), np.array([3.0, 3.0])).all()
