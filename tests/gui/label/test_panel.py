"""The window in a real viewer: real clicks on the canvas, real keys, every kind of image."""

from __future__ import annotations

import gc
import subprocess
import sys

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton, QSpinBox

from napari_lungcls.annotation import Points, read_points, write_points
from napari_lungcls.annotation.autosave import SUFFIX
from napari_lungcls.errors import InputError
from napari_lungcls.gui.label import LabelPoints
from napari_lungcls.gui.layers import positions
from napari_lungcls.gui.parts import Fold
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train.pairs import obstacle
from napari_lungcls.stereology.design import SampledImage, make_grid
from napari_lungcls.stereology.design_check import check_design
from plugin_in_napari import plugin_registered

TURN = np.array([[0.8, -0.6], [0.6, 0.8]])
IMAGES = {
    "plane": ((60, 80), {}),
    "scaled, moved": ((60, 80), {"scale": (0.45, 0.45), "translate": (100, -7)}),
    "stack": ((7, 60, 80), {"scale": (2.5, 0.5, 0.5), "translate": (3, 10, 20)}),
    "time and z": ((3, 5, 60, 80), {"scale": (1, 4, 0.5, 0.5)}),
    "RGB": ((60, 80, 3), {"rgb": True, "scale": (2, 2)}),
    "RGB stack": ((4, 60, 80, 3), {"rgb": True}),
    "turned": ((60, 80), {"rotate": TURN, "scale": (1.5, 1.5)}),
    "turned stack": ((4, 60, 80), {"rotate": 30, "scale": (2, 1, 1)}),
    "multiscale": ((60, 80), {"multiscale": True, "scale": (0.5, 0.5)}),
}


def add_image(viewer, shape, options, seed=0):
    data = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
    if options.get("multiscale"):
        data = [data, data[::2, ::2], data[::4, ::4]]
    viewer.add_image(data, name="lung.tif", **options)
    return getattr(viewer, "__wrapped__", viewer).layers[-1]


@pytest.fixture
def shown(make_napari_viewer_proxy, journals, qtbot):
    with plugin_registered():
        yield _maker(make_napari_viewer_proxy(show=True))


def _maker(viewer):
    def make(shape=(60, 80), **options):
        image = add_image(viewer, shape, options)
        panel = LabelPoints(viewer)
        viewer.window.add_dock_widget(panel, name="Label points")
        QApplication.processEvents()
        return panel, image

    return make


def canvas_of(panel):
    # Private, but only the canvas takes real clicks.
    return panel.labeller.viewer.window._qt_viewer.canvas


def screen_of(panel, world):
    """Find where on the canvas a world place `(y, x)` in the plane in view is drawn."""
    canvas = canvas_of(panel)
    scene = canvas.view.scene
    node = scene.node_transform(canvas.view.canvas.scene)
    return node.map([world[-1], world[-2], 0, 1])[:2] / node.map([0, 0, 0, 1])[3]


def click(panel, image, where):
    world = image.data_to_world(where)
    dims = panel.labeller.viewer.dims
    for axis in range(len(world) - 2):
        dims.set_point(axis, world[axis])
    QApplication.processEvents()
    x, y = screen_of(panel, world)
    point = QPoint(round(x), round(y))
    QTest.mouseClick(canvas_of(panel).native, Qt.MouseButton.LeftButton, pos=point)
    QApplication.processEvents()
    return x - point.x(), y - point.y()


def press(panel, key, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(canvas_of(panel).native, key, modifier)
    QApplication.processEvents()


def button(panel, name):
    found = panel.findChild(QPushButton, name)
    assert found is not None, name
    return found


@pytest.mark.parametrize("kind", IMAGES)
def test_clicked_and_added_points_are_where_they_should_be(shown, kind, tmp_path):
    shape, options = IMAGES[kind]
    panel, image = shown(shape, **options)
    clicks_are_right_to_a_fraction_of_a_pixel(panel, image, shape)
    button(panel, "new_points").click()
    added_points_are_saved_in_pixels_of_the_image(panel, image, tmp_path)


def clicks_are_right_to_a_fraction_of_a_pixel(panel, image, shape):
    press(panel, Qt.Key.Key_D)
    rng = np.random.default_rng(3)
    ndim = image.ndim
    for n in range(3):
        where = rng.uniform(12, 45, ndim)
        where[:-2] = [rng.integers(size) for size in shape[: ndim - 2]]
        click(panel, image, where)
        (row,) = positions(panel.labeller.layer, image, [n])
        # The mouse has whole screen pixels: a click can be off by half of one each way.
        next_pixel = image.data_to_world(where + np.eye(ndim)[-1])
        step = screen_of(panel, next_pixel) - screen_of(panel, image.data_to_world(where))
        zoom = np.linalg.norm(step)
        np.testing.assert_allclose(row, where, atol=0.75 / zoom)
        np.testing.assert_allclose(row[:-2], where[:-2], atol=1e-6)
        assert zoom > 3
    assert panel.labeller.layer.features["class"].tolist() == ["duct"] * 3
    assert button(panel, "class_button_duct").isChecked()


def added_points_are_saved_in_pixels_of_the_image(panel, image, tmp_path):
    where = np.random.default_rng(5).uniform(0, 3, (4, image.ndim))
    panel.add_points(where, ["septa"] * 4)
    world = np.array([image.data_to_world(row) for row in where])
    np.testing.assert_allclose(
        [panel.labeller.layer.data_to_world(row) for row in panel.labeller.layer.data], world
    )
    panel.save_points(tmp_path / "p.csv")
    np.testing.assert_allclose(read_points(tmp_path / "p.csv").coordinates, where, atol=1e-9)


def test_keys_label_and_never_do_what_napari_would(shown):
    panel, image = shown()
    labeller = panel.labeller
    press(panel, Qt.Key.Key_S)
    layer = labeller.layer
    assert (str(layer.mode), labeller.current) == ("add", "septa")
    click(panel, image, (10, 10))
    press(panel, Qt.Key.Key_A)
    click(panel, image, (20, 20))
    assert layer.features["class"].tolist() == ["septa", "alveoli"]
    # A selects all points in napari, 1 deletes what is selected, 5 would move the layer.
    press(panel, Qt.Key.Key_3)
    assert str(layer.mode) == "select"
    click(panel, image, (10, 10))
    assert layer.selected_data == {0}
    for key in (Qt.Key.Key_1, Qt.Key.Key_5):
        press(panel, key)
    assert (len(layer.data), str(layer.mode)) == (2, "select")
    assert "Delete" in labeller.viewer.status
    press(panel, Qt.Key.Key_D)
    assert layer.features["class"].tolist() == ["duct", "alveoli"]
    press(panel, Qt.Key.Key_Delete)
    assert len(layer.data) == 1
    press(panel, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    press(panel, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert layer.features["class"].tolist() == ["septa", "alveoli"]
    labeller.viewer.layers.selection.active = image
    press(
        panel,
        Qt.Key.Key_Z,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
    )
    assert layer.features["class"].tolist() == ["duct", "alveoli"]


def test_digits_and_napari_letters_can_be_keys_of_classes(shown):
    panel, image = shown()
    editor = panel.editor
    for row, key in enumerate("15V"):
        editor.table.item(row, 2).setText(key)
    assert [c.key for c in panel.labeller.scheme.classes] == ["1", "5", "V"]
    for name, key in (("alveoli", "1"), ("septa", "5"), ("duct", "V")):
        press(panel, getattr(Qt.Key, f"Key_{key}"))
        assert panel.labeller.current == name
    assert panel.labeller.layer.visible
    click(panel, image, (10, 10))
    press(panel, Qt.Key.Key_1)
    assert len(panel.labeller.layer.data) == 1


def test_a_drag_with_the_mouse_is_one_undo(shown):
    panel, image = shown()
    press(panel, Qt.Key.Key_D)
    click(panel, image, (20, 20))
    layer = panel.labeller.layer
    before = layer.data.copy()
    press(panel, Qt.Key.Key_3)
    click(panel, image, (20, 20))
    native = canvas_of(panel).native
    start, end = (
        QPoint(*np.round(screen_of(panel, image.data_to_world(p))).astype(int).tolist())
        for p in ((20, 20), (40, 50))
    )
    QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=start)
    for step in range(1, 6):
        QTest.mouseMove(native, start + (end - start) * step / 5)
        QApplication.processEvents()
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=end)
    QApplication.processEvents()
    np.testing.assert_allclose(layer.data, [[40, 50]], atol=1)
    assert "move 1 point" in button(panel, "undo").toolTip()
    button(panel, "undo").click()
    np.testing.assert_array_equal(layer.data, before)


def test_the_panel_shows_counts_and_what_is_unsaved(shown, tmp_path):
    panel, _ = shown((5, 60, 80))
    assert not button(panel, "undo").isEnabled()
    assert not button(panel, "save_points").isEnabled()
    button(panel, "class_button_septa").click()
    panel.labeller.layer.add([[2, 1, 1], [2, 2, 2], [4, 1, 1]])
    assert panel.total.text() == "3 points, 2 in this plane • unsaved changes"
    panel.labeller.viewer.dims.set_point(0, 4)
    assert panel.total.text().startswith("3 points, 1 in this plane")
    assert panel.findChild(object, "class_count_septa").text() == "3"
    panel.save_points(tmp_path / "p.csv")
    assert panel.total.text() == "3 points, 1 in this plane"
    choice = panel.findChild(QComboBox, "points_choice")
    assert [choice.itemText(i) for i in range(2)] == ["lung.tif points", "a new layer"]
    choice.setCurrentIndex(1)
    choice.activated.emit(1)
    assert session(panel.labeller.viewer).target is None
    panel.open_points(tmp_path / "p.csv")
    assert choice.currentText() == "p"


def test_classes_are_edited_in_place(shown):
    panel, _ = shown()
    editor = panel.editor
    panel.add_points([[1, 1], [2, 2]], ["duct", "septa"])
    editor.table.item(2, 1).setText("airway")
    assert panel.labeller.layer.features["class"].tolist() == ["airway", "septa"]
    assert editor.preset.currentText() == "lung, edited"
    editor.table.item(0, 2).setText("S")
    assert "two classes have the key 'S'" in editor.error.text()
    assert panel.labeller.scheme.classes[0].key == "A"
    editor.table.item(0, 2).setText("x")
    assert editor.error.text() == ""
    editor.table.setCurrentCell(1, 1)
    button(panel, "class_remove").click()
    assert "there is 1 point of class 'septa'" in editor.error.text()
    button(panel, "class_add").click()
    assert panel.labeller.scheme.names == ("alveoli", "septa", "airway", "class 1")
    button(panel, "class_up").click()
    button(panel, "class_up").click()
    assert panel.labeller.scheme.names == ("alveoli", "class 1", "septa", "airway")
    editor.recolor(1, "#123456")
    assert panel.labeller.scheme.colors[1] == "#123456"
    assert button(panel, "class_button_class 1").text().strip() == "class 1"
    button(panel, "class_remove").click()
    assert len(panel.labeller.scheme) == 3


def test_phase_and_role_are_chosen_in_the_table(shown):
    panel, _ = shown()
    editor = panel.editor
    editor.table.item(2, 3).setText("none")
    editor.table.item(2, 4).setText("lung")
    editor.table.item(0, 4).setText("–")
    scheme = panel.labeller.scheme
    assert scheme.phases == ("air", "tissue", "none")
    assert [spec.role for spec in scheme.classes] == [None, "parenchyma", "lung"]
    assert scheme.name == "lung, edited"
    editor.table.editItem(editor.table.item(1, 4))
    (box,) = editor.table.findChildren(QComboBox)
    assert box.currentText() == "parenchyma"
    assert [box.itemText(i) for i in range(box.count())] == ["parenchyma", "lung", "exclude", "–"]
    box.setCurrentText("exclude")
    box.activated.emit(2)
    assert panel.labeller.scheme.classes[1].role == "exclude"
    assert editor.table.item(1, 4).text() == "exclude"


def test_points_of_a_design_are_labelled_without_harm(shown, tmp_path):
    panel, _ = shown((60, 80))
    points = make_grid([SampledImage("lung.tif", (60, 80))], 9, lines=7.5)
    panel.open_points(write_points(tmp_path / "audit.csv", points))
    layer = panel.labeller.layer
    layer.mode = "select"
    layer.selected_data = {0, 1, 4}
    press(panel, Qt.Key.Key_S)
    panel.save_points(tmp_path / "done.csv")
    read = read_points(tmp_path / "done.csv")
    checked = check_design(read)
    assert checked.unanswered == len(read) - 3
    assert (checked.missing, checked.uncounted) == (0, len(read))
    layer.add([[30, 40]])
    panel.save_points(tmp_path / "more.csv")
    with pytest.raises(InputError, match="points that were placed, suggested or corrected"):
        check_design(read_points(tmp_path / "more.csv"))


def test_schemes_from_presets_and_files(shown, tmp_path):
    panel, _ = shown()
    editor = panel.editor
    editor.preset.setCurrentText("lung-full")
    editor.preset.activated.emit(1)
    assert len(panel.labeller.scheme) == 5
    editor.save(tmp_path / "s.yaml")
    assert editor.error.text() == "saved as s.yaml"
    editor.preset.activated.emit(0)
    assert panel.labeller.scheme.name == "lung"
    editor.load(tmp_path / "s.yaml")
    assert panel.labeller.scheme.name == "lung-full"
    editor.load(tmp_path / "none.yaml")
    assert "does not exist" in editor.error.text()
    panel.add_points([[1, 1]], ["outside"])
    editor.preset.activated.emit(0)
    assert "point of class 'outside'" in editor.error.text()
    assert panel.labeller.scheme.name == "lung-full"


def test_what_a_closed_window_left_is_offered_and_restored(
    make_napari_viewer_proxy, journals, qtbot
):
    first = make_napari_viewer_proxy(show=True)
    add_image(first, (60, 80), {})
    panel = LabelPoints(first)
    first.window.add_dock_widget(panel)
    panel.add_points([[1, 2], [3, 4]], ["duct", "septa"], source="")
    close(panel)
    reopen(panel)
    first.close()
    qtbot.wait(50)
    second = make_napari_viewer_proxy(show=True)
    add_image(second, (60, 80), {}, seed=1)
    panel = LabelPoints(second)
    second.window.add_dock_widget(panel)
    assert len(panel.labeller.recovery.unfinished) == 1
    QApplication.processEvents()
    assert panel.strip.isVisible()
    button(panel, "restore").click()
    QApplication.processEvents()
    assert not panel.strip.isVisible()
    # It is another array of that name: the user says whether it is the same.
    assert panel.labeller.layer is None
    choose_image_of_waiting(panel, "lung.tif")
    assert not panel.waiting.isVisible()
    assert panel.labeller.layer.data.tolist() == [[1, 2], [3, 4]]
    second.layers.remove(panel.labeller.layer)
    assert panel.strip.isVisible()
    button(panel, "discard").click()
    assert panel.findChild(QPushButton, "restore") is None
    assert panel.strip.isVisible()
    button(panel, "take_back").click()
    # By now the points are known to be those of this image, and go there.
    button(panel, "restore").click()
    assert panel.labeller.layer.data.tolist() == [[1, 2], [3, 4]]
    assert not panel.strip.isVisible()


CLOSING = """
import napari, numpy
from qtpy.QtTest import QTest
from napari_lungcls.annotation.autosave import unfinished
from napari_lungcls.errors import InputError
from napari_lungcls.gui.label import LabelPoints

viewer = napari.Viewer()
viewer.add_image(numpy.zeros((60, 80), numpy.uint8), name="lung.tif")
panel = LabelPoints(viewer)
viewer.window.add_dock_widget(panel)
panel.add_points([[1, 2], [3, 4]], ["duct", "septa"])
QTest.qWait(50)
assert not unfinished()
viewer.window._qt_window.close()
QTest.qWait(50)
print(len(unfinished()), "left")
"""


def test_a_window_that_the_user_closes_gives_its_points_free(journals, qapp):
    # In a process of its own: napari keeps a viewer whose window was closed.
    ended = subprocess.run([sys.executable, "-c", CLOSING], capture_output=True, timeout=120)
    assert ended.stdout.decode().splitlines()[-1:] == ["1 left"], ended.stderr.decode()


def choose_image_of_waiting(panel, name):
    QApplication.processEvents()
    assert panel.waiting.isVisible()
    choice = panel.findChild(QComboBox, "waiting_choice")
    index = choice.findText(name)
    choice.setCurrentIndex(index)
    choice.activated.emit(index)
    QApplication.processEvents()


def test_keys_are_given_back(shown):
    panel, image = shown()
    viewer, layer = panel.labeller.viewer, panel.labeller.new_points()
    assert len(layer.keymap) == 9
    assert (len(viewer.keymap), len(image.keymap)) == (7, 0)
    viewer.layers.selection.active = image
    assert (len(viewer.keymap), len(image.keymap), len(layer.keymap)) == (7, 7, 0)
    close(panel)
    assert not viewer.keymap
    assert not image.keymap


def close(panel):
    """Click on napari's ✕ of the dock."""
    dock = panel.parentWidget()
    QTest.mouseClick(dock.title.close_button, Qt.MouseButton.LeftButton)
    QApplication.processEvents()


def reopen(panel):
    viewer = panel.labeller.viewer
    again = LabelPoints(viewer)
    viewer.window.add_dock_widget(again, name="Label points")
    QApplication.processEvents()
    return again


def labels(panel):
    return panel.labeller.layer.features["class"].tolist()


def test_a_closed_dock_lets_go_and_another_shows_the_same(shown, journals):
    first, image = shown()
    press(first, Qt.Key.Key_S)
    click(first, image, (10, 10))
    close(first)
    press(first, Qt.Key.Key_A)
    assert first.labeller.current == "septa"
    panel = reopen(first)
    assert panel.labeller is first.labeller
    assert button(panel, "class_button_septa").isChecked()
    assert panel.findChild(object, "class_count_septa").text() == "1"
    for key, y in ((Qt.Key.Key_A, 20), (Qt.Key.Key_D, 40)):
        press(panel, key)
        for x in (20, 40, 60):
            click(panel, image, (y, x))
    assert labels(panel) == ["septa", *["alveoli"] * 3, *["duct"] * 3]
    assert button(panel, "class_button_duct").isChecked()
    with pytest.raises(RuntimeError, match="deleted"):
        first.objectName()
    assert len(list(journals.glob(f"*{SUFFIX}"))) == 1
    second = reopen(panel)
    for view in (panel, second):
        assert button(view, "class_button_duct").isChecked()
        assert view.points.currentText() == "lung.tif points"
    button(second, "class_button_alveoli").click()
    assert button(panel, "class_button_alveoli").isChecked()
    close(second)
    press(panel, Qt.Key.Key_S)
    assert panel.labeller.current == "septa"
    button(panel, "undo").click()
    assert len(labels(panel)) == 6
    gc.collect()
    assert len(list(journals.glob(f"*{SUFFIX}"))) == 1


@pytest.mark.parametrize("active", ["truth", "map", "foreign labels", "none"])
def test_keys_act_whatever_layer_is_selected(shown, active):
    panel, image = shown()
    viewer = panel.labeller.viewer
    if active == "none":
        viewer.layers.selection.clear()
    else:
        kind = {} if active == "foreign labels" else {"lungcls": {"kind": active}}
        viewer.add_labels(np.zeros((60, 80), np.uint8), name=active, metadata=kind)
    press(panel, Qt.Key.Key_A)
    click(panel, image, (20, 30))
    assert labels(panel) == ["alveoli"]
    if active != "none":
        viewer.layers.selection.active = viewer.layers[active]
        press(panel, Qt.Key.Key_D)
        assert "is selected now; click on the image to add duct" in panel.hint.text()
        click(panel, image, (40, 30))
        assert labels(panel) == ["alveoli", "duct"]
        assert "duct: click on the image" in panel.hint.text()


def test_keys_of_classes_are_letters_in_a_text_field(shown):
    panel, _ = shown()
    window = panel.window()
    for field in (QLineEdit(), QSpinBox()):
        panel.labeller.viewer.window.add_dock_widget(field, name=type(field).__name__)
        QApplication.processEvents()
        window.activateWindow()
        field.setFocus()
        QTest.keyClicks(field, "sd1")
        assert panel.labeller.current == "alveoli"
    assert panel.labeller.layer is None
    assert field.value() == 10


def test_a_click_outside_the_image_adds_nothing_and_says_so(shown):
    panel, image = shown(scale=(0.5, 0.5))
    said: list[str] = []
    panel.labeller.problem.connect(said.append)
    panel.labeller.viewer.scene.camera.zoom /= 2
    press(panel, Qt.Key.Key_A)
    click(panel, image, (-8, 30))
    click(panel, image, (30, 86))
    assert len(said) == 2
    assert "outside the image 'lung.tif'" in said[0]
    click(panel, image, (30, 70))
    assert labels(panel) == ["alveoli"]
    assert not panel.labeller.layer.selected_data


def test_rescaling_the_image_between_clicks_moves_no_point(shown, tmp_path):
    panel, image = shown((5, 60, 80))
    press(panel, Qt.Key.Key_D)
    places = [(1, 10, 20), (2, 50, 70), (3, 30, 41)]
    for where, scale in zip(places, [(1, 1, 1), (5, 0.5, 0.5), (2, 3, 3)], strict=True):
        image.scale = scale
        panel.labeller.viewer.reset_view()
        click(panel, image, where)
    panel.save_points(tmp_path / "p.lungcls.csv")
    found = read_points(tmp_path / "p.lungcls.csv").coordinates
    np.testing.assert_allclose(found, places, atol=0.2)
    np.testing.assert_allclose(found[:, 0], [1, 2, 3], atol=1e-6)
    panel.labeller.layer.save(str(tmp_path / "q.lungcls.csv"), plugin="napari-lungcls")
    assert (tmp_path / "q.lungcls.csv").read_bytes() == (tmp_path / "p.lungcls.csv").read_bytes()


def test_points_that_came_before_their_image_wait_for_it(shown, tmp_path):
    path = tmp_path / "mine.lungcls.csv"
    write_points(path, Points.build([[3, 196.5, 50]], ["duct"]))
    panel, _ = shown((5, 300, 80), scale=(5, 0.5, 0.5))
    viewer = panel.labeller.viewer
    other = viewer.add_image(np.zeros((5, 300, 80), np.uint8), name="b", scale=(2, 1.8, 1.8))
    (layer,) = viewer.open(str(path), plugin="napari-lungcls")
    QApplication.processEvents()
    assert panel.waiting.isVisible()
    assert panel.points.findText("mine") < 0
    assert "wait" in obstacle([(other, layer)])
    choose_image_of_waiting(panel, "b")
    assert (panel.labeller.image, panel.labeller.layer) == (other, layer)
    assert panel.images.layer is other
    assert "wait" not in obstacle([(other, layer)])
    assert "belongs to the image 'b'" in obstacle([(viewer.layers[0], layer)])
    panel.save_points(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
    click(panel, other, (3, 196.5, 50))
    assert str(layer.get_value(viewer.cursor.position, world=True)) in {"0", "1"}


def test_the_points_of_a_closed_image_are_not_those_of_the_next(shown):
    panel, image = shown()
    press(panel, Qt.Key.Key_S)
    click(panel, image, (20, 20))
    layer = panel.labeller.layer
    panel.labeller.viewer.layers.remove(image)
    other = add_image(panel.labeller.viewer, (60, 80), {}, seed=1)
    QApplication.processEvents()
    assert panel.images.layer is other
    assert panel.waiting.isVisible()
    assert panel.points.count() == 1
    press(panel, Qt.Key.Key_D)
    click(panel, other, (30, 30))
    assert labels(panel) == ["duct"]
    assert layer.features["class"].tolist() == ["septa"]


def test_many_selected_points_are_relabelled_loudly(shown):
    panel, image = shown()
    press(panel, Qt.Key.Key_S)
    click(panel, image, (20, 20))
    layer = panel.labeller.layer
    layer.add(np.random.default_rng(0).uniform(0, 50, (2499, 2)))
    layer.mode = "select"
    layer.selected_data = set(range(2500))
    press(panel, Qt.Key.Key_A)
    assert set(labels(panel)) == {"alveoli"}
    assert "2,500 points are alveoli now; Ctrl-Z takes that back" in panel.hint.text()
    press(panel, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert set(labels(panel)) == {"septa"}
    panel.editor.table.item(1, 1).setText("wall")
    assert set(labels(panel)) == {"wall"}
    press(panel, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (set(labels(panel)), len(layer.data)) == ({"septa"}, 2500)
    assert panel.editor.table.item(1, 1).text() == "septa"


def test_many_unsaved_sets_are_one_list(make_napari_viewer_proxy, journals, qtbot):
    for number in range(4):
        viewer = make_napari_viewer_proxy()
        add_image(viewer, (60, 80), {}, seed=number)
        panel = LabelPoints(viewer)
        viewer.window.add_dock_widget(panel)
        panel.add_points([[1, 2]] * (number + 1), ["duct"] * (number + 1), source="")
        viewer.close()
        qtbot.wait(20)
    viewer = make_napari_viewer_proxy(show=True)
    panel = LabelPoints(viewer)
    viewer.window.add_dock_widget(panel)
    QApplication.processEvents()
    box = panel.findChild(QComboBox, "unsaved_choice")
    assert [box.itemText(i).split(" ")[0] for i in range(box.count())] == ["4", "3", "2", "1"]
    assert panel.strip.height() < 120
    box.setCurrentIndex(2)
    qtbot.mouseClick(button(panel, "restore"), Qt.MouseButton.LeftButton)
    assert [len(layer.data) for layer in viewer.layers] == [2]
    qtbot.mouseClick(button(panel, "discard_all"), Qt.MouseButton.LeftButton)
    assert panel.findChild(QPushButton, "restore") is None
    qtbot.mouseClick(button(panel, "take_back"), Qt.MouseButton.LeftButton)
    # One alone needs no list.
    assert panel.findChild(QComboBox, "unsaved_choice") is None
    assert "1 point on" in "".join(label.text() for label in panel.strip.findChildren(QLabel))


def test_points_outside_are_shown_or_left_out(make_napari_viewer, journals, tmp_path, qtbot):
    viewer = make_napari_viewer(show=True)
    image = add_image(viewer, (60, 80), {})
    panel = LabelPoints(viewer)
    viewer.window.add_dock_widget(panel)
    points = Points.build([[10, 10], [20, 300], [30, 30], [400, 5]], ["duct"] * 4)
    panel.open_points(write_points(tmp_path / "p.csv", points))
    QApplication.processEvents()
    assert panel.outside.findChild(QLabel).text() == "2 points lie outside the image."
    layer = panel.labeller.layer
    assert obstacle([(image, layer)]).startswith("2 points lie outside the image")
    qtbot.mouseClick(button(panel, "outside_show"), Qt.MouseButton.LeftButton)
    assert set(layer.selected_data) == {1, 3}
    assert viewer.scene.camera.center[-2:] == (20, 300)
    qtbot.mouseClick(button(panel, "outside_leave"), Qt.MouseButton.LeftButton)
    assert layer.data.tolist() == [[10, 10], [30, 30]]
    assert panel.outside.isHidden()
    panel.labeller.undo()
    assert not panel.outside.isHidden()


def test_a_new_class_is_named_at_once(shown, qtbot):
    panel, _ = shown()
    panel.findChild(Fold).button.click()
    add = button(panel, "class_add")
    for name in ("vessel", "airway"):
        qtbot.mouseClick(add, Qt.MouseButton.LeftButton)
        field = panel.editor.table.findChildren(QLineEdit)[-1]
        qtbot.keyClicks(field, name)
        qtbot.keyClick(field, Qt.Key.Key_Return)
        QApplication.processEvents()
    assert panel.labeller.scheme.names[3:] == ("vessel", "airway")
    panel.labeller.new_points()
    panel.labeller.layer.name = "mine"
    assert panel.points.currentText() == "mine"
