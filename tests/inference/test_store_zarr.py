"""What other programs see of a map in OME-Zarr."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models.v04.image import Image
from ome_zarr_models.v04.image_label import ImageLabel

from napari_lungcls.images.opening import open_image
from napari_lungcls.inference.store_zarr import halve_classes, halve_probabilities


@pytest.mark.parametrize("shape", [(20, 30), (2, 20, 30), (3, 2, 20, 30)])
def test_the_metadata_is_valid(tmp_path, header, random_map, shape):
    path = random_map(header(shape)).save(tmp_path / "m.ome.zarr")
    label = ImageLabel.from_zarr(zarr.open_group(path, mode="r")).attributes
    axes = {2: "yx", 3: "zyx", 4: "tzyx"}[len(shape)]
    described = label.multiscales[0]
    assert [axis.name for axis in described.axes] == list(axes)
    assert [axis.unit for axis in described.axes if axis.type == "space"] == ["micrometer"] * min(
        3, len(shape)
    )
    assert [c.label_value for c in label.image_label.colors] == [0, 1, 2, 3]
    assert label.image_label.colors[1].rgba == (0x00, 0x57, 0xD9, 255)
    classes = [p.model_extra["class"] for p in label.image_label.properties]
    assert classes == ["not painted", "alveoli", "septa", "duct"]
    image = Image.from_zarr(zarr.open_group(path / "probabilities", mode="r")).attributes
    wanted = {2: "cyx", 3: "czyx", 4: "tczyx"}[len(shape)]
    assert [axis.name for axis in image.multiscales[0].axes] == list(wanted)
    assert [channel.label for channel in image.omero.channels] == classes[1:]


def test_other_units_are_left_out(tmp_path, header, random_map):
    path = random_map(header((5, 6), unit="pixel")).save(tmp_path / "m.ome.zarr")
    described = ImageLabel.from_zarr(zarr.open_group(path, mode="r")).attributes.multiscales[0]
    assert [axis.unit for axis in described.axes] == [None, None]


def test_ome_zarr_sees_a_label_image(tmp_path, header, random_map, caplog):
    wanted = random_map(header((2, 20, 30)))
    path = wanted.save(tmp_path / "m.ome.zarr")
    (node,) = Reader(parse_url(str(path)))()
    np.testing.assert_array_equal(np.asarray(node.data[0]), wanted.classes)
    scale, translation = node.metadata["coordinateTransformations"][0]
    assert scale["scale"] == [2, 3, 4]
    assert translation["translation"] == [-3, -2.75, -2.5]
    assert node.metadata["color"][3] == pytest.approx([0, 0xB3 / 255, 0x86 / 255, 1])
    assert node.metadata["properties"][2] == {"class": "septa"}
    (node,) = Reader(parse_url(str(path / "probabilities")))()
    np.testing.assert_array_equal(np.asarray(node.data[0]), wanted.probabilities)
    assert node.metadata["channel_names"] == ["alveoli", "septa", "duct"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def _stored(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_chunks_are_nested_and_empty_ones_are_not_stored(tmp_path, header, random_map):
    wanted = random_map(header((2, 20, 30), probabilities=False))
    wanted.classes[1] = 0
    path = wanted.save(tmp_path / "m.ome.zarr")
    stored = [".zattrs", ".zgroup", "0/.zarray", "0/0/0/0"]
    assert [name for name in _stored(path) if name != "0/.zattrs"] == stored


@pytest.mark.parametrize("shape", [(1025, 700), (2, 511, 513), (511, 511)])
def test_levels_lie_where_the_cells_lie(tmp_path, header, random_map, shape):
    described = header(shape)
    wanted = random_map(described)
    path = wanted.save(tmp_path / "m.ome.zarr")
    group = zarr.open_group(path, mode="r")
    levels = group.attrs["multiscales"][0]["datasets"]
    assert [level["path"] for level in levels] == [str(i) for i in range(len(levels))]
    assert max(group[levels[-1]["path"]].shape[-2:]) < 512
    assert len(levels) == {1025: 3, 511: 1, 513: 2}[max(shape)]
    for number, level in enumerate(levels):
        scale, translation = (list(t.values())[1] for t in level["coordinateTransformations"])
        # The centre of a coarse cell is the mean of the centres of the cells it covers.
        cells = np.arange(2**number)
        for axis in (-2, -1):
            centres = described.translate[axis] + described.scale[axis] * cells
            assert translation[axis] == pytest.approx(centres.mean())
            assert scale[axis] == described.scale[axis] * 2**number
        assert (scale[:-2], translation[:-2]) == (
            list(described.scale[:-2]),
            list(described.translate[:-2]),
        )


def test_a_map_opens_as_an_image_with_its_pyramid(tmp_path, header, random_map):
    wanted = random_map(header((600, 700), scale=(2.0, 2.0)))
    stack = open_image(wanted.save(tmp_path / "m.ome.zarr"))
    assert (stack.pixel_size, stack.scale, stack.translate) == (2.0, (2, 2), (-3, -2.75))
    assert stack.factors == (1, 2)
    expected = halve_classes(wanted.classes)
    np.testing.assert_array_equal(stack.levels[1], expected)
    stored = zarr.open_array(tmp_path / "m.ome.zarr" / "probabilities" / "1", mode="r")
    assert stored.shape == (3, 300, 350)
    np.testing.assert_array_equal(stored[1], halve_probabilities(wanted.probabilities[1]))


@given(arrays("uint8", st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_the_commonest_class_wins(cells):
    half = halve_classes(cells)
    assert half.shape == tuple((n + 1) // 2 for n in cells.shape)
    even = np.pad(cells, [(0, n % 2) for n in cells.shape], mode="edge")
    for (i, j), found in np.ndenumerate(half):
        square = even[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel().tolist()
        most = max(square.count(value) for value in square)
        assert found == next(value for value in square if square.count(value) == most)


def test_probabilities_are_averaged():
    cells = np.array([[0, 1, 0.5], [1, 0, 0.25]], "float16")
    np.testing.assert_array_equal(halve_probabilities(cells), [[0.5, 0.375]])
    assert halve_probabilities(cells).dtype == np.float16
