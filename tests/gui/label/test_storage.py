"""Points to files and autosaves, and back."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from napari.layers._source import layer_source

from napari_lungcls.annotation import Points, read_points, write_points
from napari_lungcls.annotation.autosave import unfinished
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.label import summary
from napari_lungcls.gui.label.controller import Labeller
from napari_lungcls.gui.label.strips import unsaved_words

CRASH = """
import os, signal, sys
import numpy as np

from napari.components import ViewerModel
from napari_lungcls.gui.label.controller import Labeller

viewer = ViewerModel()
viewer.add_image(np.zeros((4, 50, 60), np.uint8), name="lung.tif", scale=(3, 0.5, 0.5))
labeller = Labeller(viewer)
labeller.choose_image(viewer.layers[0])
labeller.press("duct")
viewer.layers[0].scale = (1, 2, 2)
labeller.set_scheme(labeller.scheme)
for n in range(20):
    labeller.press(("alveoli", "septa", "duct")[n % 3])
    labeller.layer.add([n % 4, n, 2 * n])
labeller.undo()
labeller.add_points([[1, 2, 3]], ["duct"])
print("done", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_saved_points_have_pixels_of_the_image_and_all_columns(start, viewer, tmp_path, journals):
    labeller = start((5, 40, 50), scale=(2, 0.5, 0.5), translate=(10, 1, 2))
    labeller.press("duct")
    labeller.layer.add([[3, 10.25, 20.5]])
    labeller.add_points([[4, 1, 2]], ["septa"])
    assert labeller.annotation.unsaved
    assert "unsaved changes" in summary.total(labeller)
    path = labeller.save(tmp_path / "p.lungcls.csv")
    found = read_points(path)
    assert found.coordinates.tolist() == [[3, 10.25, 20.5], [4, 1, 2]]
    assert list(found.labels) == ["duct", "septa"]
    assert list(found.column("source")) == ["", "model"]
    assert not labeller.annotation.unsaved
    assert list(journals.glob("*")) == []
    assert "unsaved" not in summary.total(labeller)
    assert summary.proposed_file(labeller) == str(path)
    # What comes after is kept with all that the file holds.
    labeller.layer.add([[0, 0, 0]])
    labeller.close()
    (entry,) = unfinished(journals)
    assert len(entry.points) == 3


def test_an_opened_file_is_edited_and_its_columns_are_kept(start, tmp_path, journals):
    path = tmp_path / "some points.lungcls.csv"
    write_points(path, Points.build([[1, 2], [3, 4.5]], ["duct", "outside"], group=["007", "8"]))
    labeller = start(scale=(0.5, 0.5))
    layer = labeller.open(path)
    assert layer.name == "some points"
    assert labeller.scheme.name == "lung-full"
    assert not labeller.annotation.unsaved
    labeller.press("septa")
    layer.add([9, 9])
    labeller.save(path)
    again = read_points(path)
    assert list(again.labels) == ["duct", "outside", "septa"]
    assert list(again.column("group"))[:2] == ["007", "8"]
    np.testing.assert_array_equal(again.coordinates, [[1, 2], [3, 4.5], [9, 9]])


def test_points_of_qupath_on_the_first_plane_open_on_a_stack(start, tmp_path):
    path = write_points(tmp_path / "p.geojson", Points.build([[0, 20, 10]], ["septa"]))
    labeller = start((4, 50, 60))
    layer = labeller.open(path)
    assert layer.data.tolist() == [[0, 20, 10]]
    assert list(layer.features["class"]) == ["septa"]


def test_what_cannot_be_opened_or_saved_is_named(start, tmp_path):
    labeller = start()
    with pytest.raises(InputError, match="no point to save"):
        labeller.save(tmp_path / "x.csv")
    labeller.new_points()
    with pytest.raises(InputError, match="no point to save"):
        labeller.save(tmp_path / "x.csv")
    path = write_points(tmp_path / "3d.csv", Points.build([[1, 2, 3]], ["duct"]))
    with pytest.raises(InputError, match="points of 3 axes, but the image has 2"):
        labeller.open(path)
    assert len(labeller.viewer.layers) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_window_loses_nothing(start, journals, tmp_path):
    ended = subprocess.run([sys.executable, "-c", CRASH], stdout=subprocess.PIPE, timeout=120)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"done\n")
    labeller = start((4, 50, 60), scale=(3, 0.5, 0.5))
    (entry,) = labeller.recovery.unfinished
    now = datetime.datetime.fromtimestamp(entry.when)
    assert unsaved_words(entry, now) == f"20 points on “lung.tif” from {now:%H:%M} were not saved."
    layer = labeller.restore(entry)
    assert labeller.waiting() == [layer], "nobody knows that this array is the one from before"
    assert labeller.layer is None
    labeller.attach(layer, labeller.image)
    rows = [[n % 4, n, 2 * n] for n in range(19)]
    assert layer.data.tolist() == [*rows, [1, 2, 3]]
    names = [("alveoli", "septa", "duct")[n % 3] for n in range(19)]
    assert layer.features["class"].tolist() == [*names, "duct"]
    np.testing.assert_allclose(layer.scale, (3, 0.5, 0.5))
    assert labeller.recovery.unfinished == []
    assert labeller.annotation.unsaved
    labeller.close()
    (again,) = unfinished(journals)
    assert len(again.points) == 20
    assert again.path != entry.path


def test_what_is_discarded_can_be_taken_back(start, journals):
    labeller = start()
    labeller.press("duct")
    labeller.layer.add([1, 2])
    other = Labeller(labeller.viewer)
    assert other.recovery.unfinished == []
    labeller.viewer.layers.remove(labeller.layer)
    assert labeller.layer is None
    (entry,) = labeller.recovery.unfinished
    assert unsaved_words(entry, datetime.datetime(2001, 1, 1)).startswith(
        "1 point on “lung.tif” from "
    )
    assert "was not saved" in unsaved_words(entry, datetime.datetime(2001, 1, 1))
    labeller.recovery.discard(entry)
    assert labeller.recovery.unfinished == []
    with pytest.raises(InputError, match="is gone"):
        other.restore(entry)
    other.close()
    (aside,) = labeller.recovery.discarded
    labeller.recovery.take_back(aside)
    assert labeller.recovery.discarded == {}
    (again,) = labeller.recovery.unfinished
    layer = labeller.restore(again)
    assert layer.data.tolist() == [[1, 2]]


def test_a_sample_is_known_again(start, journals):
    labeller = start()
    with layer_source(sample=("napari-lungcls", "synthetic_stack")):
        first = labeller.viewer.add_image(np.zeros((4, 50, 60), np.uint8), name="stack")
    labeller.choose_image(first)
    labeller.press("duct")
    labeller.layer.add([1, 2, 3])
    labeller.viewer.layers.clear()
    with layer_source(sample=("napari-lungcls", "synthetic_stack")):
        again = labeller.viewer.add_image(np.zeros((4, 50, 60), np.uint8), scale=(3, 1, 1))
    labeller.viewer.add_image(np.zeros((4, 50, 60), np.uint8), name="stack")
    (entry,) = labeller.recovery.unfinished
    layer = labeller.restore(entry)
    assert (labeller.image, labeller.layer) == (again, layer)
    assert layer.data.tolist() == [[1, 2, 3]]
    np.testing.assert_array_equal(layer.scale, (3, 1, 1))


def test_restored_points_are_not_put_on_another_image(start, viewer, journals):
    labeller = start((4, 20, 20))
    labeller.press("duct")
    labeller.layer.add([1, 2, 3])
    viewer.layers.clear()
    assert labeller.image is None
    (entry,) = labeller.recovery.unfinished
    viewer.add_image(np.zeros((4, 20, 20)), name="another", scale=(1, 2, 2))
    labeller.choose_image(labeller.viewer.layers[0])
    layer = labeller.restore(entry)
    assert labeller.recovery.unfinished == []
    assert (labeller.layer, labeller.waiting()) == (None, [layer])
    labeller.press("septa")
    labeller.layer.add([0, 1, 1])
    labeller.close()
    found = {
        entry.header.image: entry.points.coordinates.tolist() for entry in unfinished(journals)
    }
    assert found == {"lung.tif": [[1, 2, 3]], "another": [[0, 1, 1]]}


def test_a_file_that_names_its_image_goes_there(start, tmp_path):
    labeller = start()
    other = labeller.viewer.add_image(np.zeros((30, 40), np.uint8), name="b", scale=(4, 4))
    points = Points.build([[1, 2]], ["duct"])
    path = write_points(tmp_path / "p.csv", points.with_columns(image="b.tif"))
    layer = labeller.open(path)
    assert (labeller.image, labeller.layer) == (other, layer)
    labeller.choose_image(labeller.viewer.layers[0])
    path = write_points(tmp_path / "q.csv", points.with_columns(image="c.tif"))
    layer = labeller.open(path)
    assert (labeller.layer, labeller.waiting()) == (None, [layer])
    other.name = "c"
    labeller.viewer.layers.selection.active = layer
    late = labeller.viewer.add_image(np.zeros((30, 40), np.uint8), name="d", scale=(3, 3))
    assert labeller.waiting() == []
    assert layers.image_of(labeller.viewer, layer) is other
    assert layer.scale.tolist() == [4, 4]
    assert late.name == "d"


def test_a_moved_image_does_not_move_restored_points(start, journals):
    labeller = start()
    labeller.press("duct")
    labeller.layer.add([10, 20])
    labeller.image.scale = (2, 2)
    labeller.layer.add([30, 40])
    labeller.close()
    (entry,) = unfinished(journals)
    assert entry.points.coordinates.tolist() == [[10, 20], [30, 40]]


def test_labelling_goes_on_when_nothing_can_be_autosaved(start, journals, monkeypatch):
    labeller = start()
    said: list[str] = []
    labeller.problem.disconnect()
    labeller.problem.connect(said.append)
    labeller.press("duct")
    labeller.layer.add([1, 2])
    with monkeypatch.context() as patch:
        patch.setattr(labeller.annotation._autosave, "write", _full_disk)
        labeller.layer.add([3, 4])
    assert said == ["no space"]
    assert labeller.annotation.unsaved
    labeller.layer.add([5, 6])
    labeller.close()
    assert [len(entry.points) for entry in unfinished(journals)] == [3]


def _full_disk(header: object, points: object) -> None:
    raise InputError("no space")
