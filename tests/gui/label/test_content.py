"""Images are known again by their pixels, whatever they are called, now and in later sessions."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_lungcls.annotation import read_points, write_points
from napari_lungcls.annotation.autosave import unfinished
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import fingerprint
from napari_lungcls.gui.label.controller import Labeller


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 255, (3, 60, 80), dtype=np.uint8)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def labeller(journals, viewer):
    made = Labeller(viewer)
    made.viewer.add_image(pixels(0), name="lung.tif")
    made.choose_image(made.viewer.layers[0])
    made.press("duct")
    made.layer.add([1, 20, 30])
    yield made
    made.close()


def test_a_closed_image_finds_its_points_under_another_name(labeller):
    viewer, layer = labeller.viewer, labeller.layer
    viewer.layers.remove(labeller.image)
    viewer.add_image(pixels(1), name="lung.tif")
    assert layers.waits(viewer, layer)
    renamed = viewer.add_image(pixels(0), name="slide 7", scale=(2, 3, 3))
    assert layers.image_of(viewer, layer) is renamed
    assert layer.scale.tolist() == [2, 3, 3]


def test_a_later_session_finds_them_too(labeller, journals, tmp_path):
    path = labeller.save(tmp_path / "p.csv")
    assert len(set(read_points(path).column("image_pixels"))) == 1
    labeller.layer.add([2, 2, 2])
    labeller.close()
    second = ViewerModel()
    later = Labeller(second)
    later.viewer.add_image(pixels(1), name="lung.tif")
    mine = later.viewer.add_image(da.from_array(pixels(0), (1, 30, 40)), name="again")
    later.choose_image(later.viewer.layers[0])
    (entry,) = unfinished(journals)
    restored = later.restore(entry)
    assert later.image is mine
    assert len(restored.data) == 2
    later.choose_image(later.viewer.layers[0])
    opened = later.open(path)
    assert layers.image_of(later.viewer, opened) is mine
    assert "image_pixels" not in opened.features
    assert later.save(tmp_path / "q.csv").read_bytes() == path.read_bytes()
    later.close()


def test_points_of_another_image_warn(labeller, tmp_path):
    path = labeller.save(tmp_path / "lung.tif points.lungcls.csv")
    viewer, said = labeller.viewer, []
    viewer.layers.clear()
    labeller.problem.connect(said.append)
    other = viewer.add_image(pixels(1), name="lung.tif")
    labeller.choose_image(other)
    layer = labeller.open(path)
    assert "set on another image than 'lung.tif'" in said[0]
    assert labeller.waiting() == [layer]
    assert labeller.layer is None
    labeller.attach(layer, other)
    assert "the pixels of 'lung.tif' are not the same" in said[1]
    assert labeller.layer is layer
    # A file of before says nothing of pixels and goes to the chosen image, with a look at places.
    points = read_points(path)
    old = write_points(tmp_path / "old.csv", type(points).build([[1, 20, 300]], ["duct"]))
    labeller.open(old)
    assert "1 of 1 points lie outside the image" in said[2]
    assert len(said) == 3


def test_what_cannot_be_told_apart_has_no_fingerprint(labeller):
    viewer = labeller.viewer
    flat = viewer.add_image(np.zeros((3, 60, 80)))
    far = viewer.add_image(da.zeros((1, 8000, 8000), chunks=-1, dtype=np.uint8))
    assert fingerprint(flat) == fingerprint(far) == ""
    first = viewer.layers[0]
    assert fingerprint(first) == fingerprint(viewer.add_image(pixels(0), colormap="red"))
    assert fingerprint(first) != fingerprint(viewer.add_image(pixels(0)[:2]))
    before = fingerprint(first)
    first.data = pixels(2)
    assert fingerprint(first) != before
