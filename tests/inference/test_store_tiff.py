"""What other programs see of a map in OME-TIFF."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import tifffile

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.images.opening import open_image


@pytest.mark.parametrize(
    ("shape", "axes"), [((20, 30), "YX"), ((2, 20, 30), "ZYX"), ((3, 2, 20, 30), "TZYX")]
)
def test_two_images(tmp_path, header, random_map, shape, axes):
    wanted = random_map(header(shape))
    path = wanted.save(tmp_path / "m.ome.tif")
    with tifffile.TiffFile(path) as tif:
        classes, probabilities = tif.series
        assert (classes.axes, classes.dtype, classes.name) == (axes, np.uint8, "m")
        np.testing.assert_array_equal(classes.asarray(), wanted.classes)
        assert (probabilities.dtype, probabilities.name) == (np.float32, "probabilities")
        assert probabilities.axes.replace("C", "") == axes
        found = np.moveaxis(probabilities.asarray(), probabilities.axes.index("C"), 0)
        np.testing.assert_array_equal(found, wanted.probabilities)
        assert classes.keyframe.is_tiled
        assert classes.keyframe.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert not tif.is_bigtiff


def test_sizes_names_and_colours(tmp_path, header, random_map):
    path = random_map(header((2, 20, 30), unit="nm")).save(tmp_path / "m.ome.tiff")
    with tifffile.TiffFile(path) as tif:
        root = ElementTree.fromstring(tif.ome_metadata)
        colors = tif.pages[0].colormap
    pixels = [e for e in root.iter() if e.tag.endswith("}Pixels")]
    for found in pixels:
        assert float(found.get("PhysicalSizeX")) == pytest.approx(4e-3)
        assert float(found.get("PhysicalSizeY")) == pytest.approx(3e-3)
        assert float(found.get("PhysicalSizeZ")) == pytest.approx(2e-3)
        assert found.get("PhysicalSizeXUnit") == "µm"
    names = [e.get("Name") for e in pixels[1] if e.tag.endswith("}Channel")]
    assert names == ["alveoli", "septa", "duct"]
    np.testing.assert_array_equal(colors[:, 2] // 257, [0xFF, 0xE1, 0x19])


def test_unknown_sizes_are_left_out(tmp_path, header, random_map):
    path = random_map(header((20, 30), unit="pixel")).save(tmp_path / "m.tif")
    with tifffile.TiffFile(path) as tif:
        assert "PhysicalSize" not in tif.ome_metadata


def test_a_map_opens_as_an_image(tmp_path, header, random_map):
    wanted = random_map(header((600, 700), scale=(2.0, 2.0)))
    path = wanted.save(tmp_path / "m.ome.tif")
    with pytest.warns(LungclsWarning, match=r"1 m \(600 × 700\) is taken and 1 left"):
        stack = open_image(path)
    assert (stack.shape, stack.pixel_size, stack.rgb) == ((600, 700), 2.0, False)
    np.testing.assert_array_equal(stack.levels[0], wanted.classes)
    assert stack.levels[0].chunks == (512, 512)
