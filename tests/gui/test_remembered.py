"""What was chosen last comes back, can be seen, and can be forgotten."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui import remembered
from napari_lungcls.gui.paint.choices import DEFAULT_STRIDE
from napari_lungcls.gui.remembered import RememberedChoices, choices

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(JSON)
def test_whatever_stands_in_the_file_it_can_be_read(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("choices") / "choices.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    known = RememberedChoices(path)
    assert isinstance(known.get("paint"), dict)
    known.put("paint", {"stride": 2})
    assert RememberedChoices(path).get("paint") == {"stride": 2}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"paint": 3}', "x" * (remembered.LARGEST + 1)])
def test_a_damaged_file_is_none(tmp_path, text):
    path = tmp_path / "choices.json"
    path.write_text(text, encoding="utf-8")
    assert RememberedChoices(path).get("paint") == {}


def test_where_nothing_can_be_written_choices_last_as_long_as_the_program(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    known = RememberedChoices(tmp_path / "file" / "choices.json")
    known.put("paint", {"stride": 2})
    assert known.get("paint") == {"stride": 2}


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


def forget_what_was_read():
    """Do as the next program would: read the file anew."""
    path = Path(os.environ[remembered.FILE_VARIABLE])
    remembered._known.pop(path)
    return json.loads(path.read_text(encoding="utf-8"))


def test_windows_open_as_they_were_used_and_say_so(viewer, qtbot):
    from napari_lungcls.gui.paint.choices import PaintChoices
    from napari_lungcls.gui.train import TrainModel
    from napari_lungcls.gui.train.changed import ChangedSettings

    paint, train = PaintChoices(viewer), TrainModel(viewer)
    for widget in (paint, train):
        qtbot.addWidget(widget)
    changed = train.findChild(ChangedSettings)
    assert changed.isHidden()
    paint.stride_box.setValue(2)
    paint.confidence.setChecked(True)
    paint.extent_box.setCurrentText("Whole stack")
    train.form.set("epochs", 40)
    train.form.set("val_fraction", 0.3)
    train.form.set("seed", 7)
    assert not changed.isHidden()
    assert changed.words.text() == "Changed: Epochs 40, Seed 7, Validation share 0.3"
    # Only what was used is remembered.
    assert choices().get("paint") == choices().get("train") == {}
    paint.remembered.keep()
    train.run.start_clicked.emit()
    stored = forget_what_was_read()
    assert stored["train"] == {"epochs": 40, "val_fraction": 0.3}
    assert stored["paint"]["stride"] == 2

    later, again = PaintChoices(viewer), TrainModel(viewer)
    for widget in (later, again):
        qtbot.addWidget(widget)
    assert later.stride_box.value() == 2
    assert later.confidence.isChecked()
    assert later.extent_box.currentText() == "Whole stack"
    said: QWidget = again.changed_settings
    assert said.words.text() == "Changed: Epochs 40, Validation share 0.3"
    said.restore.click()
    assert said.isHidden()
    assert again.form.settings().epochs is None

    choices().forget()
    assert later.stride_box.value() == DEFAULT_STRIDE
    assert forget_what_was_read() == {}


def test_what_a_field_cannot_have_is_left_out(viewer, qtbot):
    from napari_lungcls.gui.paint.choices import PaintChoices
    from napari_lungcls.gui.train import TrainModel

    choices().put("paint", {"stride": "wide", "planes": "Sideways", "confidence": 1, "other": 2})
    choices().put("train", {"epochs": -3, "zooms": "near", "val_fraction": 0.4, "lr": 9})
    paint, train = PaintChoices(viewer), TrainModel(viewer)
    for widget in (paint, train):
        qtbot.addWidget(widget)
    assert paint.stride_box.value() == DEFAULT_STRIDE
    assert not paint.confidence.isChecked()
    assert train.changed_settings.values() == {"val_fraction": 0.4}
