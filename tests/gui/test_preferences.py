"""What napari's preferences say, and what stands in when they say nothing of use."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.gui.preferences import Preferences, checked, preferences
from plugin_in_napari import NAME, plugin_registered


@pytest.fixture
def registered(plugin_settings):
    with plugin_registered() as manager:
        yield manager


def test_without_the_plugin_there_are_defaults(plugin_settings):
    assert preferences() == Preferences(engine="torch", device="auto", folder=Path.home())


def test_what_the_user_chose_is_read(registered, tmp_path):
    from napari.settings import get_plugin_settings

    assert preferences() == Preferences()
    chosen = get_plugin_settings(NAME).defaults
    chosen.device = " CUDA:1 "
    chosen.folder = str(tmp_path)
    assert preferences() == Preferences(device="cuda:1", folder=tmp_path)
    with pytest.raises(ValueError, match="allowed enum values"):
        chosen.engine = "tensorflow"


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_devices(device):
    assert checked({"device": device}).device == device


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("engine", "caffe", "there is no engine 'caffe'; choose from torch"),
        ("device", "gpu", "there is no device 'gpu'; use auto, cpu, cuda, cuda:1 or mps"),
        ("device", "cuda:x", "there is no device"),
        ("device", 3, "there is no device"),
        ("folder", "/absent/folder", "there is no folder /absent/folder"),
    ],
)
def test_what_cannot_be_used_is_told_and_left_out(name, value, words, tmp_path):
    others = {"engine": "torch", "device": "cpu", "folder": str(tmp_path)}
    with pytest.warns(LungclsWarning) as caught:
        found = checked(others | {name: value})
    (warning,) = caught
    line = f"Preferences > Lung classification > {name}: {words}"
    assert str(warning.message).startswith(line)
    expected = Preferences(device="cpu", folder=tmp_path).model_dump()
    expected[name] = getattr(Preferences(), name)
    assert found.model_dump() == expected


def test_an_empty_folder_is_home():
    assert checked({"folder": " "}).folder == Path.home()


def test_a_tilde_is_home():
    assert checked({"folder": "~"}).folder == Path.home()
