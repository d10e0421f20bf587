"""The form of the training settings: complete, and the same values out as in."""

from typing import Any

import pytest
from pydantic import Field
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QWidget

from napari_lungcls.gui.train.form import SettingsForm
from napari_lungcls.learning.settings import TrainingSettings

OTHERS = TrainingSettings(
    zooms=(1, 8),
    tile=48,
    stages=(-1, 2, 3),
    hidden=0,
    pooling="mean",
    padding="zeros",
    device="cuda:1",
    pretrained="/data/weights.safetensors",
    freeze="yes",
    epochs=7,
    batch_size=16,
    learning_rate=0.00025,
    schedule="step",
    step_epochs=3,
    step_factor=0.125,
    optimizer="sgd",
    weight_decay=0.00001,
    clip_norm=2.5,
    dropout=0.1,
    zoom_dropout=0.375,
    prior=(0.5, 0.25, 0.25),
    precision="fp32",
    unfreeze_after=3,
    backbone_lr_factor=0.5,
    min_epochs=4,
    min_delta=0.125,
    warm_up=0.5,
    beta1=0.5,
    beta2=0.75,
    epsilon=0.001,
    momentum=0.5,
    label_smoothing=0.125,
    scale=0.125,
    elastic=2.0,
    brightness=0.125,
    contrast=0.25,
    stain=0.375,
    blur=1.5,
    noise=0.5,
    test_fraction=0.25,
    split_by="image",
    folds=5,
    final="anew",
    use_audit=True,
    aim="recall",
    recall=0.5,
    patience=5,
    seed=4_294_967_295,
    rotation="any",
    flip=False,
    colour=0.1,
    val_fraction=0.0,
)


@pytest.fixture
def form(qtbot: Any) -> SettingsForm:
    made = SettingsForm()
    qtbot.addWidget(made)
    return made


def test_every_field_has_a_control_with_a_name_and_a_tooltip(form):
    assert list(form.controls) == list(TrainingSettings.model_fields)
    for name in TrainingSettings.model_fields:
        native = form.findChild(QWidget, f"field_{name}")
        assert native is form.controls[name].native
        assert native.toolTip()


def test_untouched_it_gives_the_defaults(form):
    assert form.settings() == TrainingSettings()
    assert form.problem == ""


def test_what_goes_in_comes_out(form):
    # Every field but the engine, of which there may be one only, differs from its default.
    same = {n for n, f in TrainingSettings.model_fields.items() if getattr(OTHERS, n) == f.default}
    assert same == {"engine"}
    form.fill(OTHERS)
    assert form.settings() == OTHERS
    form.defaults.click()
    assert form.settings() == TrainingSettings()


def test_choices_are_shown_in_plain_words(form):
    box = form.findChild(QComboBox, "field_final")
    assert [box.itemText(i) for i in range(box.count())] == [
        "keep training on all points",
        "train anew on all points",
        "keep the network",
    ]
    assert box.toolTip().endswith("Default: keep training on all points.")
    box.setCurrentText("keep the network")
    assert form.settings().final == "none"


def test_a_new_field_of_the_model_appears(qtbot):
    class More(TrainingSettings):
        nice: float = Field(0.001, ge=0, le=1, title="Nice", json_schema_extra={"in_sight": True})
        word: str = Field("x", title="Word")
        share: float | None = Field(None, ge=0, le=1, title="Share")

    form = SettingsForm(More)
    qtbot.addWidget(form)
    assert form.findChild(QWidget, "field_nice").text() == "0.00100"
    form.set("nice", 0.125)
    form.set("word", "y")
    form.set("share", 0.5)
    settings = form.settings()
    assert (settings.nice, settings.word, settings.share) == (0.125, "y", 0.5)


def test_small_numbers_are_not_rounded_away(form):
    rate = form.findChild(QWidget, "field_learning_rate")
    assert rate.text() == "0.00100"
    rate.stepUp()
    assert form.settings().learning_rate == pytest.approx(0.0011)
    rate.setValue(0.00003)
    assert form.settings().learning_rate == pytest.approx(0.00003)


def test_what_is_wrong_stands_below(form, qtbot):
    zooms = form.findChild(QLineEdit, "field_zooms")
    with qtbot.waitSignal(form.changed):
        zooms.setText("1, 1")
    assert form.problem.startswith("Zooms: must be positive whole numbers")
    assert form.message.text() == form.problem
    assert not form.message.isHidden()
    zooms.setText("1, 4")
    assert (form.problem, form.message.isHidden()) == ("", True)
    assert form.settings().zooms == (1, 4)


def test_automatic_epochs(form):
    automatic = form.findChild(QCheckBox, "field_epochs_automatic")
    number = form.findChild(QWidget, "field_epochs_value")
    assert automatic.isChecked()
    assert not number.isEnabled()
    automatic.click()
    assert number.isEnabled()
    number.setValue(3)
    assert form.settings().epochs == 3
    automatic.click()
    assert form.settings().epochs is None


def test_weights_from_a_file(form):
    choice = form.findChild(QComboBox, "field_pretrained_choice")
    path = form.findChild(QWidget, "field_pretrained_other")
    assert [choice.itemText(i) for i in range(choice.count())] == [
        "ImageNet if there",
        "random numbers",
        "ImageNet",
        "file…",
    ]
    assert choice.toolTip().endswith("Default: ImageNet if there.")
    assert path.isHidden()
    choice.setCurrentText("file…")
    assert not path.isHidden()
    assert form.problem == "Start from: give a file"
    form.set("pretrained", "/data/w.pth")
    assert form.settings().pretrained == "/data/w.pth"
    choice.setCurrentText("ImageNet")
    assert form.settings().pretrained == "imagenet"


def test_stages_are_named(form):
    stages = form.findChild(QLineEdit, "field_stages")
    assert stages.text() == "auto"
    form.set("stages", (-1, 0, 4))
    assert stages.text() == "detail, stem, layer4"
    assert form.settings().stages == (-1, 0, 4)
    stages.setText("stem, layer9")
    assert form.problem.startswith("Stages: must be some of detail, stem, layer1")


def test_frequencies_of_classes_are_chosen_or_given(form):
    choice = form.findChild(QComboBox, "field_prior_choice")
    numbers = form.findChild(QLineEdit, "field_prior_other")
    assert [choice.itemText(i) for i in range(choice.count())] == [
        "as among the points",
        "all equal",
        "numbers…",
    ]
    choice.setCurrentText("all equal")
    assert form.settings().prior == "equal"
    choice.setCurrentText("numbers…")
    assert form.problem == "Class frequencies: give numbers"
    numbers.setText("0.6, 0.2, 0.2")
    assert form.settings().prior == (0.6, 0.2, 0.2)
    numbers.setText("0.6, many")
    assert form.problem.startswith("Class frequencies: ")


def test_the_tile_begins_with_a_usual_edge(form):
    form.findChild(QCheckBox, "field_tile_automatic").click()
    assert form.settings().tile == 256
