"""The window with all steps, by mouse and keys: a photograph of one's own, with five classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QScrollArea

from driving import Hands
from known_network import make_document, make_spec, random_state
from napari_lungcls.gui.classifier.help_button import PAGES
from napari_lungcls.gui.docks import CLASSIFIER, open_dock
from napari_lungcls.gui.parts import Fold
from napari_lungcls.gui.session import session
from napari_lungcls.model import Model
from plugin_in_napari import plugin_registered

NAMES = ("air", "wall", "vessel", "cartilage", "glass")
EDGE, BAND = 300, 60
WIDE, HIGH = 300, 900


@pytest.fixture(autouse=True)
def _journals(tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGCLS_JOURNALS", str(tmp_path))


@pytest.fixture
def photograph(tmp_path):
    """Five bands, each of another colour."""
    colours = np.random.default_rng(0).integers(30, 220, (len(NAMES), 3))
    pixels = np.repeat(np.repeat(colours[None], EDGE, 0), BAND, 1)
    noise = np.random.default_rng(1).integers(-20, 20, pixels.shape)
    path = tmp_path / "mine.jpg"
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(path, quality=92)
    return path


def known_model(scheme) -> Model:
    """Make a model of random numbers."""
    spec = make_spec(classes=len(scheme))
    return Model(make_document(spec, scheme=scheme), random_state(spec), device="cpu")


def in_view(hands: Hands, window, name: str) -> None:
    """See that a button can be seen without scrolling, whole, in a narrow and low window."""
    button = hands.find(name)
    parent = button.parentWidget()
    while parent is not window:
        assert not isinstance(parent, QScrollArea), f"{name} scrolls away"
        parent = parent.parentWidget()
    where = QRect(button.mapTo(window, QPoint(0, 0)), button.size())
    assert window.rect().contains(where), (name, where, window.rect())
    for area in filter(QScrollArea.isVisible, window.findChildren(QScrollArea)):
        assert area.horizontalScrollBar().maximum() == 0, f"{name}: {area} is too narrow"
    assert window.width() <= WIDE + 5
    assert hands.window.height() <= HIGH


def unfolded_in_view(hands: Hands, window, name: str) -> None:
    """See the same with all that can be folded open, and where lengths are in micrometres too."""
    image = hands.viewer.layers["mine"]
    image.scale, image.units = (0.325, 0.325), ("um", "um")
    hands.settle()
    folds = [fold for fold in window.findChildren(Fold) if fold.isVisible()]
    for fold in folds:
        fold.button.setChecked(True)
    hands.settle()
    in_view(hands, window, name)
    for fold in folds:
        fold.button.setChecked(False)


def open_window(hands: Hands):
    """Open the window in a napari of 900 pixels, as narrow as it may be."""
    hands.window.resize(1240, HIGH)
    window = open_dock(hands.viewer, CLASSIFIER)
    hands.until(lambda: window.body is not None, 60, "the steps")
    hands.window.resizeDocks([window.parent()], [WIDE], Qt.Orientation.Horizontal)
    hands.settle(0.2)
    return window


def test_a_photograph_with_five_classes_of_ones_own(make_napari_viewer, photograph):
    with plugin_registered():
        viewer = make_napari_viewer(show=True)
        hands = Hands(viewer)
        window = open_window(hands)
        in_view(hands, window, "open_image")
        hands.click("step_train")
        assert "Open an image first." in hands.find("missing_train").text()
        hands.click("step_label")
        hands.file(photograph, "open_image")
        hands.until(lambda: window.stack.currentWidget() is window.body.label, 30, "labelling")
        labeller = window.body.watch.labeller
        label_own_classes(hands, window, labeller)
        unfolded_in_view(hands, window, "go_to_train")
        hands.click("go_to_train")
        assert not window.body.pages[window.step].top.isVisible()
        assert "zooms 1, 2" in hands.find("looks").text()
        unfolded_in_view(hands, window, "train_start")
        assert hands.find("train_start").isEnabled()
        # Training takes minutes on a busy machine; whole_way.py does it in this window.
        session(viewer).add(known_model(labeller.scheme), "known")
        hands.until(lambda: "known is ready" in hands.find("next_step").text())
        hands.click("step_paint")
        unfolded_in_view(hands, window, "paint_start")
        assert window.body.pages[window.step].panel.choices.image is viewer.layers["mine"]
        hands.click("paint_start")
        hands.until(lambda: "Painted" in hands.find("next_step").text(), 120, "the map")
        hands.click("step_measure")
        unfolded_in_view(hands, window, "measure_start")
        assert hands.find("measure_start").isEnabled()
        # A second image, chosen in one step, is the image of all.
        second = viewer.add_image(np.zeros((80, 90), np.uint8), name="second")
        viewer.layers.selection.active = viewer.layers["mine"]
        assert labeller.image is viewer.layers["mine"]
        hands.choose("grid_image", "second")
        assert labeller.image is second
        hands.click("step_paint")
        assert window.body.pages[window.step].panel.choices.image is second
        # So is one that is selected in napari's list.
        viewer.layers.selection.active = second
        viewer.layers.selection.active = viewer.layers["mine"]
        assert window.body.pages[window.step].panel.choices.image is viewer.layers["mine"]


def label_own_classes(hands: Hands, window, labeller) -> None:
    """Name five classes, label one point of each by key and click, and add nine more."""
    hands.click("card_own")
    hands.type("own_classes", "air")
    hands.click("use_own_classes")
    assert "two classes" in hands.find("own_problem").text()
    hands.type("own_classes", ", ".join(NAMES))
    hands.click("use_own_classes")
    assert labeller.scheme.names == NAMES
    image = hands.viewer.layers["mine"]
    assert not hands.find("go_to_train").isEnabled()
    for code, spec in enumerate(labeller.scheme.classes):
        hands.key(spec.key)
        hands.point(image.data_to_world((40, BAND * code + 30)))
    assert list(labeller.layer.features["class"]) == list(NAMES)
    hands.until(lambda: "1/1/1/1/1 points" in hands.find("next_step").text())
    rows = np.arange(80, 260, 20)
    for code, name in enumerate(NAMES):
        where = np.column_stack([rows, np.full(len(rows), BAND * code + 30)])
        labeller.add_points(where, [name] * len(rows), "manual")
    hands.until(lambda: "Enough" in hands.find("next_step").text())


def test_closed_it_gives_the_keys_back_and_a_new_one_goes_on(make_napari_viewer):
    with plugin_registered():
        viewer = make_napari_viewer(show=True)
        image = viewer.add_image(np.zeros((60, 60), np.uint8))
        hands = Hands(viewer)
        window = open_window(hands)
        hands.key("a")
        hands.point(image.data_to_world((20, 20)))
        window.parent().destroyOnClose()
        hands.settle()
        hands.key("s")
        hands.point(image.data_to_world((40, 40)))
        points = window.body.watch.labeller.layer
        # To napari, S is the tool that selects.
        assert list(points.features["class"]) == ["alveoli"]
        again = open_window(hands)
        assert again is not window
        hands.key("s")
        hands.point(image.data_to_world((50, 20)))
        assert list(points.features["class"])[-1] == "septa"
        assert open_dock(viewer, "Train") is again.body.pages[again.step].panel


def test_help_opens_the_page_of_the_step(make_napari_viewer, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    with plugin_registered():
        viewer = make_napari_viewer(show=True)
        hands = Hands(viewer)
        open_window(hands)
        hands.click("help")
        viewer.add_image(np.zeros((60, 60), np.uint8))
        hands.click("step_paint")
        hands.click("help")
    address = "https://napari-lungcls.github.io/napari-lungcls/"
    assert opened == [f"{address}tutorial.html", f"{address}painting-window.html"]
    for page in ("tutorial", *PAGES.values()):
        assert (Path(__file__).parents[3] / "docs" / f"{page}.md").exists()
