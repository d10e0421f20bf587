"""The Paint window, driven as a user drives it."""

import time

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QWidget

from known_maps import bright_model, paint
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.maps import map_of
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.images.opening import as_stack
from napari_lungcls.model import Model

PLACE = {"scale": (2.0, 0.5, 0.5), "translate": (3.0, 11.0, 13.0)}


def child(window, name):
    found = window.findChild(QWidget, name)
    assert found is not None, name
    return found


def click(qtbot, window, name):
    qtbot.mouseClick(child(window, name), Qt.MouseButton.LeftButton)


def choose(box, text):
    box.setCurrentText(text)
    box.activated.emit(box.currentIndex())


def run(qtbot, window):
    click(qtbot, window, "paint_start")
    finish(qtbot, window)


def finish(qtbot, window):
    qtbot.waitUntil(lambda: not window.painting.busy, timeout=30_000)


def steps(monkeypatch, before):
    """Have `before(done)` called before every step that a model's painting takes."""
    painting = Model.painting

    def slow(self, *arguments, **options):
        generator = painting(self, *arguments, **options)
        for step in generator:
            yield step
            before(step.done)
        return step.map

    monkeypatch.setattr(Model, "painting", slow)


def test_without_model_or_image_it_says_what_to_do(viewer, qtbot, blocky):
    window = PaintMap(viewer)
    qtbot.addWidget(window)
    assert not child(window, "paint_start").isEnabled()
    assert window.choices.estimate.text() == "No model yet: train one, or load one from a file."
    session(viewer).add(bright_model(), "m")
    assert window.choices.estimate.text() == "No image yet: open one, or drop it on the viewer."
    viewer.add_image(blocky(64, 64), name="lung")
    assert child(window, "paint_start").isEnabled()
    assert window.choices.estimate.text() == "16 × 16 cells, 1.28 kB"
    assert child(window, "paint_model").currentText() == "m"
    assert child(window, "paint_extent").isHidden()


def test_the_map_that_is_painted_is_the_core_s_map_in_its_place(window, viewer, qtbot, blocky):
    image = viewer.add_image(blocky(3, 64, 80), name="lung", **PLACE)
    child(window, "paint_extent").setCurrentText("Whole stack")
    child(window, "paint_stride").setValue(2)
    child(window, "with_confidence").setChecked(True)
    run(qtbot, window)
    expected = paint(as_stack(image), stride=2)
    assert [layer.name for layer in viewer.layers] == ["lung", "lung map"]
    np.testing.assert_array_equal(viewer.layers["lung map"].data, expected.classes)
    # One more layer at the most, whatever of the map is shown.
    box = child(window, "map_shows")
    for what, name, values in (
        ("probability of class 1", "class 1", expected.probabilities[1]),
        ("confidence", "confidence", expected.probabilities.max(axis=0)),
        ("probability of class 0", "class 0", expected.probabilities[0]),
    ):
        choose(box, what)
        assert [layer.name for layer in viewer.layers] == ["lung", f"lung map: {name}", "lung map"]
        np.testing.assert_array_equal(viewer.layers[1].data, values)
        assert [layer.visible for layer in viewer.layers] == [True, True, False]
        assert box.currentText() == what
    choose(box, "classes")
    assert [layer.visible for layer in viewer.layers] == [True, True]
    choose(box, "confidence")
    viewer.layers.remove("lung map: confidence")
    assert box.currentText() == "classes"
    choose(box, "classes")
    np.testing.assert_allclose(viewer.layers["lung map"].translate, [3, 11.25, 13.25])
    assert window.run_bar.words.text().startswith("Painted 32 × 40 cells in 3 planes in ")
    shares = expected.fractions()
    shown = [label.text() for label in window.maps.legend.shares]
    assert shown == [f"{100 * share:.1f} %" for share in shares.values()]


def test_planes_are_chosen_and_nothing_else_is_painted(window, viewer, qtbot, blocky):
    viewer.add_image(blocky(4, 64, 80), name="lung", **PLACE)
    viewer.dims.set_current_step(0, 2)
    child(window, "with_probabilities").setChecked(False)
    child(window, "paint_extent").setCurrentText("This plane")
    assert child(window, "paint_first").parentWidget().isHidden()
    run(qtbot, window)
    assert [layer.name for layer in viewer.layers] == ["lung", "lung map"]
    assert viewer.layers["lung map"].data.shape == (1, 16, 20)
    assert viewer.layers["lung map"].translate[0] == 3 + 2 * 2
    child(window, "paint_extent").setCurrentText("Range of planes")
    child(window, "paint_first").setValue(1)
    child(window, "paint_last").setValue(2)
    run(qtbot, window)
    again = viewer.layers["lung map [1]"]
    assert again.data.shape == (2, 16, 20)
    assert again.translate[0] == 3 + 2
    # The earlier map is hidden, not lost.
    assert [layer.visible for layer in viewer.layers] == [True, False, True]


def test_only_what_the_canvas_shows_is_painted(make_napari_viewer_proxy, qtbot, blocky):
    viewer = make_napari_viewer_proxy(show=True)
    window = PaintMap(viewer)
    viewer.window.add_dock_widget(window, name="Paint")
    session(viewer).add(bright_model(), "m")
    image = viewer.add_image(blocky(512, 512), name="lung", scale=(2, 2))
    viewer.scene.camera.zoom *= 8
    viewer.scene.camera.center = (0, 300, 700)
    child(window, "paint_in_view").setChecked(True)
    qtbot.waitUntil(lambda: image.corner_pixels[0, 1] > 250)
    low, high = image.corner_pixels
    run(qtbot, window)
    layer = viewer.layers["lung map"]
    first = image.world_to_data(layer.data_to_world((0, 0)))
    last = image.world_to_data(layer.data_to_world(np.array(layer.data.shape) - 1))
    # Cells of 4 pixels cover what is in view, and no cell lies outside it.
    assert (np.abs(first - 1.5 - low) <= 1).all()
    assert (np.abs(last + 1.5 - high) <= 4).all()
    assert layer.data.all()
    cancel_all()


def test_the_plane_in_view_is_painted_first_and_seen_at_once(
    window, viewer, qtbot, blocky, monkeypatch
):
    go, order = [], []

    def wait(done):
        if done == 1:
            order.extend(np.flatnonzero(viewer_map()[0].data.any(axis=(1, 2))))
            while not go:
                time.sleep(0.005)

    def viewer_map():
        return [window.painting.class_layer]

    monkeypatch.setattr("napari_lungcls.gui.workers.BETWEEN_REPORTS", 0)
    ready = []
    steps(monkeypatch, lambda done: until(ready) if done == 0 else wait(done))
    viewer.add_image(blocky(5, 64, 80), name="lung")
    viewer.dims.set_current_step(0, 3)
    child(window, "paint_extent").setCurrentText("Whole stack")
    click(qtbot, window, "paint_start")
    qtbot.waitUntil(lambda: window.painting.class_layer is not None)
    layer = window.painting.class_layer
    assert not layer.data.any()
    assert layer.get_value((3, 8, 8)) in (0, None)
    assert not child(window, "save_map").isEnabled()
    ready.append(True)
    qtbot.waitUntil(lambda: bool(order))
    assert order == [3]
    # What the timer refreshes is what the canvas has.
    qtbot.waitUntil(lambda: bool(layer.get_value((3, 8, 8))), timeout=2000)
    go.append(True)
    finish(qtbot, window)
    assert layer.data.all()
    assert child(window, "save_map").isEnabled()


def until(flag):
    while not flag:
        time.sleep(0.005)


def test_cancel_keeps_what_is_painted_and_says_how_much(window, viewer, qtbot, blocky, monkeypatch):
    monkeypatch.setattr("napari_lungcls.gui.workers.BETWEEN_REPORTS", 0)
    go = []
    steps(monkeypatch, lambda done: until(go) if done == 1 else None)
    viewer.add_image(blocky(4, 64, 80), name="lung")
    child(window, "paint_extent").setCurrentText("Whole stack")
    click(qtbot, window, "paint_start")
    qtbot.waitUntil(lambda: window.run_bar.words.text().startswith("25 % painted"))
    click(qtbot, window, "paint_cancel")
    go.append(True)
    finish(qtbot, window)
    words = "Cancelled: 25 % painted; the layer keeps this part."
    assert window.run_bar.words.text() == words
    assert (viewer.layers["lung map"].data > 0).mean() == 0.25


def test_pause_holds_the_painting(window, viewer, qtbot, blocky, monkeypatch):
    monkeypatch.setattr("napari_lungcls.gui.workers.BETWEEN_REPORTS", 0)
    done, go = [], []
    steps(monkeypatch, lambda n: (done.append(n), until(go) if n == 1 else None))
    viewer.add_image(blocky(4, 64, 80), name="lung")
    child(window, "paint_extent").setCurrentText("Whole stack")
    click(qtbot, window, "paint_start")
    qtbot.waitUntil(lambda: done[-1:] == [1])
    click(qtbot, window, "paint_pause")
    go.append(True)
    qtbot.wait(150)
    assert done[-1] == 1
    click(qtbot, window, "paint_pause")
    finish(qtbot, window)
    assert done == [0, 1, 2, 3, 4]


def test_removing_the_layer_ends_the_painting(window, viewer, qtbot, blocky, monkeypatch):
    monkeypatch.setattr("napari_lungcls.gui.workers.BETWEEN_REPORTS", 0)
    go = []
    steps(monkeypatch, lambda done: until(go) if done == 1 else None)
    viewer.add_image(blocky(4, 64, 80), name="lung")
    child(window, "paint_extent").setCurrentText("Whole stack")
    click(qtbot, window, "paint_start")
    qtbot.waitUntil(lambda: window.painting.class_layer is not None)
    viewer.layers.remove("lung map")
    go.append(True)
    finish(qtbot, window)
    assert window.run_bar.words.text().startswith("Cancelled: ")


def test_a_model_that_does_not_fit_is_refused_in_one_line(window, viewer, qtbot):
    viewer.add_image(np.zeros((64, 64), np.uint8), name="lung")
    assert not child(window, "paint_start").isEnabled()
    assert "holds uint8 and the model was trained on float32" in window.choices.estimate.text()
    assert window.choices.estimate.styleSheet()
    other = viewer.add_image(np.zeros((64, 64), np.float32), name="other")
    window.choices.image_box.choose(other)
    assert child(window, "paint_start").isEnabled()
    assert not window.choices.estimate.styleSheet()


def test_a_refusal_during_the_run_is_red_until_something_changes(
    window, viewer, qtbot, blocky, monkeypatch
):
    def refuse(self, *arguments, **options):
        yield from ()
        raise InputError("the disk is full; free space")

    monkeypatch.setattr(Model, "painting", refuse)
    viewer.add_image(blocky(64, 64), name="lung")
    run(qtbot, window)
    assert window.run_bar.words.text() == "The disk is full; free space"
    assert window.run_bar.words.styleSheet()
    child(window, "paint_stride").setValue(8)
    assert window.run_bar.words.text() == ""
    assert not window.run_bar.words.styleSheet()


def test_where_model_and_image_differ_is_said_before_the_start(window, viewer, qtbot, blocky):
    document = bright_model().document.model_copy(update={"rgb": True, "pixel_size": 0.5})
    session(viewer).add(Model(document, bright_model().state, device="cpu"), "of colours")
    image = viewer.add_image(blocky(64, 64), name="lung")
    said = window.caution.text()
    assert "trained on RGB images and layer 'lung' is grey" in said
    assert "does not tell its pixel size" in said
    assert not window.caution.isHidden()
    run(qtbot, window)
    # The core says the same while it paints: it stands there once, and stays.
    assert len(window.painting.warnings) == 2
    assert window.caution.text() == said
    child(window, "paint_model").setCurrentText("bright or dark")
    session(viewer).choose("bright or dark")
    viewer.layers.remove(image)


def test_a_painting_outlives_its_window_and_shows_itself_again(
    window, viewer, qtbot, blocky, monkeypatch
):
    monkeypatch.setattr("napari_lungcls.gui.workers.BETWEEN_REPORTS", 0)
    go = []
    steps(monkeypatch, lambda done: until(go) if done == 1 else None)
    viewer.add_image(blocky(4, 64, 80), name="lung")
    child(window, "paint_extent").setCurrentText("Whole stack")
    click(qtbot, window, "paint_start")
    qtbot.waitUntil(lambda: window.run_bar.words.text().startswith("25 % painted"))
    job = window.painting.job
    click(qtbot, window, "paint_pause")
    window.parent().titleBarWidget().close_button.click()
    again = PaintMap(viewer)
    viewer.window.add_dock_widget(again, name="Paint again")
    assert again.painting.job is job
    assert not child(again, "paint_start").isEnabled()
    assert again.run_bar.words.text() == "paused"
    assert child(again, "paint_pause").isChecked()
    assert again.maps.layer == viewer.layers["lung map"]
    assert not child(again, "save_map").isEnabled()
    again.start()
    assert again.painting.job is job
    click(qtbot, again, "paint_pause")
    go.append(True)
    finish(qtbot, again)
    assert again.run_bar.words.text().startswith("Painted ")
    assert viewer.layers["lung map"].data.all()
    assert [layer.name for layer in viewer.layers].count("lung map") == 1
    assert child(again, "save_map").isEnabled()


def test_a_painting_that_ends_unseen_is_told(window, viewer, qtbot, blocky, monkeypatch):
    told = []
    monkeypatch.setattr("napari_lungcls.gui.notices.show_info", told.append)
    viewer.add_image(blocky(64, 80), name="lung")
    click(qtbot, window, "paint_start")
    run_of_it = window.painting
    window.parent().titleBarWidget().close_button.click()
    qtbot.waitUntil(lambda: not run_of_it.busy, timeout=30_000)
    assert told[0].startswith("Painted ")
    again = PaintMap(viewer)
    qtbot.addWidget(again)
    assert again.run_bar.words.text() == told[0]


def test_an_image_that_cannot_be_painted_says_why(window, viewer, monkeypatch):
    def refuse(image):
        raise InputError("Intensities must be numbers")

    monkeypatch.setattr("napari_lungcls.gui.paint.choices.stack_of", refuse)
    viewer.add_image(np.zeros((64, 64), np.float32), name="lung")
    assert not child(window, "paint_start").isEnabled()
    assert "Intensities must be numbers" in window.choices.estimate.text()


def test_the_choice_of_a_model_is_shared(window, viewer, blocky):
    viewer.add_image(blocky(64, 64), name="lung")
    models = session(viewer)
    models.add(bright_model(), "second")
    box = child(window, "paint_model")
    assert box.currentText() == "second"
    box.setCurrentText("bright or dark")
    box.activated.emit(box.currentIndex())
    assert models.current.name == "bright or dark"


def test_a_model_is_loaded_from_its_file(window, viewer, qtbot, tmp_path):
    path = bright_model().save(tmp_path / "lung.safetensors")
    window.choices.model_box.load_from(path)
    qtbot.waitUntil(lambda: session(viewer).current.name == "lung")
    assert child(window, "paint_model").currentText() == "lung"
    assert session(viewer).current.path == path


def test_destroying_the_window_leaves_nothing_behind(viewer, qtbot, blocky):
    image = viewer.add_image(blocky(64, 64), name="lung")
    session(viewer)
    events = (
        viewer.layers.events.inserted,
        viewer.layers.events.removed,
        viewer.cursor.events.position,
        viewer.dims.events.current_step,
        image.events.name,
    )
    before = [len(event.callbacks) for event in events]
    slots = len(session(viewer).changed)
    window = PaintMap(viewer)
    assert [len(event.callbacks) for event in events] != before
    with qtbot.waitSignal(window.destroyed):
        window.deleteLater()
    assert [len(event.callbacks) for event in events[:4]] == before[:4]
    assert len(session(viewer).changed) == slots
    viewer.cursor.position = (3, 3)
    viewer.layers.remove(image)


def test_an_extent_that_is_wrong_is_refused_before_the_run(window, viewer, qtbot, blocky):
    viewer.add_image(blocky(4, 64, 80), name="lung")
    child(window, "paint_extent").setCurrentText("Range of planes")
    child(window, "paint_first").setValue(3)
    child(window, "paint_last").setValue(1)
    assert "the first must not come after the last" in window.choices.estimate.text()
    with pytest.raises(InputError):
        window.choices.plan()
    click(qtbot, window, "paint_start")
    assert window.painting.job is None
    assert "the first must not come after the last" in window.run_bar.words.text()


def test_the_window_stays_alive_while_a_map_is_painted(window, viewer, qtbot, blocky):
    viewer.add_image(blocky(1024, 1024), name="lung")
    child(window, "paint_stride").setValue(1)
    beats = []
    beat = QTimer()
    beat.setInterval(10)
    beat.timeout.connect(lambda: beats.append(time.perf_counter()))
    click(qtbot, window, "paint_start")
    qtbot.waitUntil(lambda: window.painting.class_layer is not None)
    painted = []
    window.painting.job.ended.connect(lambda: painted.append(time.perf_counter()))
    beat.start()
    finish(qtbot, window)
    beat.stop()
    gaps = np.diff(beats)
    during = np.array(beats[1:]) < painted[0]
    print(f"longest gap of a 10 ms timer while painting: {1000 * max(gaps[during]):.0f} ms")
    print(f"longest gap with the layers added after it: {1000 * max(gaps):.0f} ms")
    assert during.sum() > 20
    assert max(gaps) < 3


def foam(edge=300, wide=800, high=400):
    """Tissue with airspaces of 12 pixels, and bare glass beside it."""
    y, x = np.mgrid[:high, :wide]
    wall = ((y % 16 < 4) | (x % 16 < 4)) & (x < edge)
    return np.where(wall, 100, 230).astype(np.float32)


def test_bare_glass_is_left_empty_unless_the_model_knows_it(window, viewer, qtbot):
    viewer.add_image(foam(), name="lung")
    box = child(window, "paint_no_glass")
    assert box.isChecked()
    run(qtbot, window)
    cells = viewer.layers["lung map"].data
    assert cells[:, :70].all()
    assert not cells[:, 80:].any()
    assert not map_of(viewer.layers["lung map"]).probabilities[:, :, 80:].any()
    assert window.run_bar.words.text().endswith("62 % left empty: bare glass.")
    # The shares are those of the tissue.
    shown = [float(label.text().rstrip(" %")) for label in window.maps.legend.shares]
    assert sum(shown) == pytest.approx(100, abs=0.2)
    box.click()
    run(qtbot, window)
    assert viewer.layers["lung map [1]"].data.all()
    document = bright_model().document
    scheme = ClassScheme.of_names(["tissue", "Glass"], "two")
    known = document.model_copy(update={"scheme": scheme})
    session(viewer).add(Model(known, bright_model().state, device="cpu"), "with glass")
    assert not box.isChecked()


def test_painting_inside_outlines_and_nowhere_else(window, viewer, qtbot, blocky):
    viewer.add_image(blocky(2, 128, 160), name="lung", scale=(2, 0.5, 0.5))
    assert child(window, "paint_within").isHidden()
    shapes = viewer.add_shapes(name="region", scale=(2, 0.5, 0.5), ndim=3)
    shapes.add_rectangles([[1, 31.5, 39.5], [1, 31.5, 79.5], [1, 63.5, 79.5], [1, 63.5, 39.5]])
    assert not child(window, "paint_within").isHidden()
    child(window, "paint_within").setCurrentText("region")
    child(window, "paint_extent").setCurrentText("Whole stack")
    run(qtbot, window)
    layer = viewer.layers["lung map"]
    assert layer.data.shape == (2, 8, 10)
    assert not layer.data[0].any()
    assert layer.data[1].all()
    np.testing.assert_allclose(layer.translate, [0, 16.75, 20.75])
    assert window.run_bar.words.text().endswith("50 % left empty: outside of layer 'region'.")
    assert map_of(layer).header.provenance["within"] == "layer 'region'"
    # A triangle cuts its cells; what is drawn while it is chosen counts.
    shapes.data = []
    assert "has no outline" in window.choices.estimate.text()
    shapes.add_polygons([[1, 0, 0], [1, 0, 120], [1, 120, 0]])
    assert window.choices.estimate.text().startswith("31 × 31 cells")
    run(qtbot, window)
    painted = viewer.layers["lung map [1]"].data[1]
    assert painted[0, :29].all()
    assert not painted[29, 5:].any()
    assert np.count_nonzero(painted) == 29 * 30 / 2
    viewer.layers.remove("region")
    assert child(window, "paint_within").isHidden()
    assert window.choices.estimate.text().startswith("32 × 40 cells in 2 planes")
