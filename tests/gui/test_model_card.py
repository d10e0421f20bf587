"""The card of a model in a window."""

import hashlib

import pytest
from qtpy.QtWidgets import QApplication

from known_maps import bright_model
from napari_lungcls.gui.model_card import ModelCardButton
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.model import load


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    made = make_napari_viewer_proxy()
    yield made
    cancel_all()


@pytest.fixture
def card_button(viewer, qtbot):
    made = ModelCardButton(viewer)
    qtbot.addWidget(made)
    return made


def test_words_are_saved_in_the_file(viewer, card_button, qtbot, tmp_path):
    assert not card_button.isEnabled()
    model, path = bright_model(), tmp_path / "bright.safetensors"
    model.describe(description="tells bright from dark")
    session(viewer).add(model, "bright", model.save(path))
    assert card_button.isEnabled()
    dialog = card_button.open_card()
    assert "tells bright from dark" in dialog.browser.toPlainText()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    qtbot.waitUntil(lambda: before in dialog.browser.toPlainText())
    dialog.texts["limitations"].setPlainText("<b>no</b> nights")
    dialog.save_button.click()
    assert "<b>no</b> nights" in dialog.browser.toPlainText()

    def is_saved():
        after = hashlib.sha256(path.read_bytes()).hexdigest()
        return after != before and after in dialog.browser.toPlainText()

    qtbot.waitUntil(is_saved)
    assert load(path).document.notes.limitations == "<b>no</b> nights"
    dialog.copy_button.click()
    assert "\\<b\\>no\\</b\\> nights" in QApplication.clipboard().text()
    dialog.close()


def test_too_many_words_stay_in_the_box(viewer, card_button, monkeypatch):
    said = []
    monkeypatch.setattr("napari_lungcls.gui.model_card.refuse", said.append)
    session(viewer).add(bright_model(), "bright")
    dialog = card_button.open_card()
    dialog.texts["limitations"].setPlainText("x" * 5000)
    dialog.save_button.click()
    assert len(said) == 1
    assert session(viewer).current.model.document.notes.limitations == ""
    assert len(dialog.texts["limitations"].toPlainText()) == 5000
    dialog.close()
