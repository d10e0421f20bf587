"""Closing napari: what is not saved is named, and nothing of it is lost by accident."""

import threading

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QMessageBox, QPushButton

from known_maps import bright_model
from napari_lungcls.gui import activity, dialogs
from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.kept import folder, keep, left_behind
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.points_layer import annotation_layer, fill
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.workers import cancel_all, start_call
from napari_lungcls.model import load
from three_tissues import QUICK, SCHEME, scene


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    made = make_napari_viewer_proxy(show=True)
    # The fixture closes it once more, and needs what a closed window deletes.
    main_window(made).setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    # napari's own question would wait for an answer.
    get_settings().application.confirm_close_window = False
    yield made
    cancel_all()


@pytest.fixture
def train(viewer):
    """Open Train, with an image and its points."""
    stack, points = scene(0)
    image = viewer.add_image(stack.levels[0], rgb=True, name="section")
    fill(annotation_layer(viewer, image, SCHEME), points, SCHEME)
    made = TrainModel(viewer)
    viewer.window.add_dock_widget(made, name="Train")
    return made


@pytest.fixture
def answer(monkeypatch):
    """Give the question an answer when it comes; return what it said."""
    said = []

    def choose(name):
        def click():
            box = QApplication.activeModalWidget()
            assert isinstance(box, QMessageBox)
            said.append(box.text())
            box.findChild(QPushButton, f"unsaved_{name}").click()

        def execute(box):
            QTimer.singleShot(0, click)
            return real(box)

        real = QMessageBox.exec
        monkeypatch.setattr(QMessageBox, "exec", execute)

    choose.said = said
    return choose


def cross(viewer):
    """Close the window as its frame does, by an event that Qt calls spontaneous."""
    window = main_window(viewer)
    QApplication.sendEvent(window.windowHandle(), QCloseEvent())
    QApplication.processEvents()
    return window


def begin(train, qtbot, epochs=1000):
    train.form.fill(QUICK.model_copy(update={"zooms": (1,), "epochs": epochs, "patience": epochs}))
    qtbot.waitUntil(train.run.start_button.isEnabled)
    train.start()


def test_nothing_unsaved_is_no_question(viewer, train, answer):
    answer("cancel")
    window = cross(viewer)
    assert answer.said == []
    assert not window.isVisible()


def test_cancel_leaves_everything_as_it_is(viewer, train, answer, qtbot):
    session(viewer).add(bright_model(), "lung 16:43")
    answer("cancel")
    window = cross(viewer)
    assert answer.said == ["Unsaved: model lung 16:43."]
    assert window.isVisible()
    assert session(viewer).current.name == "lung 16:43"


def test_keep_lets_a_training_end_and_the_next_session_offers_its_network(
    viewer, train, answer, qtbot, make_napari_viewer_proxy
):
    begin(train, qtbot)
    qtbot.waitUntil(lambda: len(train.curves.history.records) >= 2, timeout=60_000)
    answer("keep")
    window = cross(viewer)
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=20_000)
    assert len(answer.said) == 1
    assert "the training in progress (epoch " in answer.said[0]
    assert "its best network counts as a model" in answer.said[0]
    (path,) = folder().glob("*.safetensors")
    assert len(load(path).document.history) >= 2
    later = make_napari_viewer_proxy(show=True)
    again, paint = TrainModel(later), PaintMap(later)
    for widget, name in ((again, "Train"), (paint, "Paint")):
        later.window.add_dock_widget(widget, name=name)
    assert again.models.current.text().startswith("1 unsaved model from an earlier session")
    for box in (again.models.choice, paint.choices.model_box):
        assert box.itemText(1) == f"{path.stem} (not saved)"
    box = again.models.choice
    box.setCurrentIndex(1)
    box.activated.emit(1)
    qtbot.waitUntil(lambda: session(later).current is not None)
    assert session(later).current.name == path.stem
    assert "kept for next time" in again.models.current.text()
    assert paint.choices.model.name == path.stem
    # It is unsaved still, and once it is saved nothing is kept any more.
    target = path.parent.parent / f"{path.parent.name}-saved.safetensors"
    with qtbot.waitSignal(again.models.save_to(target).ended):
        pass
    assert session(later).current.path == target
    assert not path.exists()
    assert left_behind() == []


def test_discard_leaves_nothing(viewer, train, answer, qtbot):
    model = bright_model()
    session(viewer).add(model, "lung 16:43", kept=keep(model))
    answer("discard")
    window = cross(viewer)
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=20_000)
    assert list(folder().iterdir()) == []


def test_save_all_writes_models_and_maps_into_one_folder(
    viewer, answer, qtbot, tmp_path, monkeypatch
):
    paint = PaintMap(viewer)
    viewer.window.add_dock_widget(paint, name="Paint")
    session(viewer).add(bright_model(), "lung 16:43")
    viewer.add_image(np.full((64, 64), 100, np.float32), name="lung")
    paint.start()
    qtbot.waitUntil(lambda: not paint.painting.busy, timeout=30_000)
    monkeypatch.setattr(dialogs.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    answer("save")
    window = cross(viewer)
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=20_000)
    assert answer.said == ["Unsaved:\n• model lung 16:43\n• map lung map"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "lung 16-43.safetensors",
        "lung map.ome.zarr",
    }


def test_the_menu_asks_too_and_a_script_is_not_asked(viewer, train, answer, qtbot):
    session(viewer).add(bright_model(), "lung 16:43")
    answer("cancel")
    window = main_window(viewer)
    window.close(quit_app=False, confirm_need=True)
    assert len(answer.said) == 1
    assert window.isVisible()
    viewer.close()
    assert len(answer.said) == 1


def test_a_model_outlives_a_window_that_is_closed_without_a_question(viewer, train, qtbot):
    begin(train, qtbot, epochs=2)
    qtbot.waitUntil(lambda: bool(session(viewer).models), timeout=60_000)
    # Another window of today leaves it alone while this one is open.
    assert left_behind() == []
    kept = session(viewer).current.kept.path
    viewer.close()
    (left,) = left_behind()
    assert left.path == kept
    left.release()


@pytest.mark.parametrize("part", [False, True], ids=["the window's", "a part's"])
def test_what_ends_as_the_window_closes_is_not_shown_any_more(viewer, train, qtbot, part):
    shown = []
    job = start_call(
        lambda: "map",
        owner=train if part else main_window(viewer),
        returned=shown.append,
        ended=lambda: shown.append("end"),
    )
    assert job.wait()
    main_window(viewer).close()
    qtbot.waitUntil(lambda: not job.running)
    assert shown == []


def test_a_window_that_is_only_hidden_goes_on(viewer, train, qtbot):
    shown = []
    job = start_call(lambda: "map", owner=train, returned=shown.append)
    assert job.wait()
    main_window(viewer).hide()
    qtbot.waitUntil(lambda: not job.running)
    assert shown == ["map"]


def test_a_job_that_outlives_its_window_shows_no_progress(viewer, train, qtbot, monkeypatch):
    # Its bar would be a new window for a moment, and napari would go on without any to be seen.
    made, may_end = [], threading.Event()
    monkeypatch.setattr(activity, "AFTER", 100)
    monkeypatch.setattr(activity, "ActivityBar", lambda *_: made.append("bar"))
    job = start_call(may_end.wait, owner=train, title="Painting")
    main_window(viewer).close()
    qtbot.wait(300)
    may_end.set()
    qtbot.waitUntil(lambda: not job.running)
    assert made == []
