"""Cells on bare glass or outside of a mask are left empty: in memory, in files, resumed."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import tifffile
import zarr

import napari_lungcls as lc
from known_maps import bright_model
from napari_lungcls.errors import InputError
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.leaving_out import cell_middles
from napari_lungcls.utils.progress import exhaust


@pytest.fixture(scope="module")
def section():
    """Noisy tissue on the right, bright glass on the left."""
    pixels = np.random.default_rng(0).integers(90, 180, (2, 640, 900)).astype(np.float32)
    pixels[:, :, :400] = 250
    return lc.as_stack(pixels)


def test_glass_is_empty_and_tissue_as_ever(section, tmp_path):
    model = bright_model()
    plain = model.paint(section, stride=8)
    out = tmp_path / "map.ome.zarr"
    with warnings.catch_warnings():
        # Cells that are left out are no damage.
        warnings.simplefilter("error")
        memory = model.paint(section, stride=8, no_glass=True)
        stored = model.paint(
            section, stride=8, no_glass=True, out=out, planes=slice(1, 2), region=(
                slice(0, 640), slice(160, 900))
        )  # fmt: skip
    empty = memory.classes == 0
    assert empty[:, :, :40].all()
    assert not empty[:, :, 60:].any()
    np.testing.assert_array_equal(memory.classes[~empty], plain.classes[~empty])
    assert not memory.probabilities[:, empty].any()
    np.testing.assert_array_equal(np.asarray(stored.classes)[0], memory.classes[1][:, 20:])
    assert memory.header.provenance["left_out"] == "bare glass left out"
    assert "left_out" not in plain.header.provenance


def test_it_is_resumed_as_it_was_begun(section, tmp_path):
    model, out = bright_model(), tmp_path / "map.ome.zarr"
    wanted = model.paint(section, stride=4, no_glass=True)
    steps = model.painting(
        section, 4, out=out, no_glass=True, cancelled=iter([False, True]).__next__
    )
    assert [step.done for step in steps] == [0, 1]
    with pytest.raises(InputError, match="no_glass"):
        model.paint(section, 4, out=out, resume=True)
    found = model.paint(section, 4, out=out, resume=True, no_glass=True)
    np.testing.assert_array_equal(np.asarray(found.classes), wanted.classes)


CORNERS = [[300, 100], [700, 100], [700, 500], [300, 500], [300, 100]]
"""`x, y` of a square in the section, partly on glass, from the corner of the first pixel."""


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """The square as polygons, labels of the image's size, and labels a quarter as high and wide."""
    folder = tmp_path_factory.mktemp("masks")
    labels = np.zeros((640, 900), np.uint16)
    labels[100:500, 300:700] = 7
    polygon = {"type": "Polygon", "coordinates": [CORNERS]}
    (folder / "square.geojson").write_text(json.dumps({"type": "Feature", "geometry": polygon}))
    tifffile.imwrite(folder / "square.tif", labels)
    zarr.create_array(folder / "small.zarr", data=labels[::4, ::4])
    return folder


@pytest.mark.parametrize("name", ["square.geojson", "square.tif", "small.zarr"])
def test_masks_of_all_kinds_keep_the_same_cells(section, masks, name):
    model, square = bright_model(), np.zeros((2, 160, 225), bool)
    square[:, 25:125, 75:175] = True
    plain = model.paint(section, stride=4)
    painted = model.paint(section, stride=4, within=masks / name)
    np.testing.assert_array_equal(painted.classes, np.where(square, plain.classes, 0))
    np.testing.assert_array_equal(painted.probabilities, np.where(square, plain.probabilities, 0))
    assert painted.header.provenance["within"] == name
    assert "within" not in plain.header.provenance
    # An odd stride, of which cells are cut: their middle pixels tell.
    part = {"stride": 7, "region": (slice(3, 640), slice(5, 897)), "planes": slice(1, 2)}
    cells = model.paint(section, within=masks / name, **part).classes[0] > 0
    y, x = (first + 3 + 7 * np.arange(n) for first, n in ((3, 91), (5, 128)))
    wanted = ((y >= 100) & (y < 500))[:, None] & ((x >= 300) & (x < 700))
    np.testing.assert_array_equal(cells, wanted)


def test_with_bare_glass_both_hold(section, masks):
    model, file = bright_model(), masks / "square.geojson"
    both, one, other = (
        np.asarray(model.paint(section, stride=8, **options).classes)
        for options in ({"within": file, "no_glass": True}, {"within": file}, {"no_glass": True})
    )
    np.testing.assert_array_equal(both, np.where(other > 0, one, 0))
    assert 0 < np.count_nonzero(both) < np.count_nonzero(one)
    *_, last = model.painting(section, 8, within=file, no_glass=True)
    assert last.left_out == {
        "outside of square.geojson": np.count_nonzero(one == 0),
        "bare glass": np.count_nonzero((one > 0) & (both == 0)),
    }


class _Watched:
    """An array that notes which rows are read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, []

    def __getitem__(self, key):
        self.read.append(key[-2])
        return self.array[key]


def test_nothing_is_read_for_blocks_outside(tmp_path, monkeypatch):
    monkeypatch.setattr(MapGrid, "block", 8)
    level = _Watched(np.random.default_rng(0).uniform(0, 250, (640, 900)).astype(np.float32))
    image = lc.as_stack([level])
    model = bright_model()
    corner = {"type": "Polygon", "coordinates": [[[0, 0], [90, 0], [90, 90], [0, 90], [0, 0]]]}
    (tmp_path / "corner.json").write_text(json.dumps(corner))
    for within, last in ((tmp_path / "corner.json", 128), (None, 640)):
        # Somebody looks, so that nothing is read ahead.
        looks = {"in_view": lambda: None, "precision": "fp32"}
        run = model.painting(image, 8, within=within, **looks)
        # The image was looked at, here and there.
        next(run)
        level.read.clear()
        exhaust(run)
        # Blocks have 64 pixels, and tiles around them are read.
        assert last <= max(rows.stop for rows in level.read) <= last + 128


def test_another_mask_does_not_resume(section, masks, tmp_path):
    model, out = bright_model(), tmp_path / "map.ome.zarr"
    labels = tifffile.imread(masks / "square.tif")
    labels[498:500, 698:700] = 0
    tifffile.imwrite(tmp_path / "less.tif", labels)

    def begin(**options):
        model.paint(
            section, 4, out=out, overwrite=True, cancelled=iter([False, True]).__next__, **options
        )

    begin(within=masks / "square.tif")
    for other in ({"within": tmp_path / "less.tif"}, {}):
        with pytest.raises(InputError, match=r"another setting within; use within=\.\.\. as then"):
            model.paint(section, 4, out=out, resume=True, **other)
    # The file may be another; what lies inside may not.
    found = model.paint(section, 4, out=out, resume=True, within=masks / "square.geojson")
    wanted = model.paint(section, 4, within=masks / "square.tif")
    np.testing.assert_array_equal(np.asarray(found.classes), wanted.classes)
    begin()
    with pytest.raises(InputError, match="another setting within; leave within out as then"):
        model.paint(section, 4, out=out, resume=True, within=masks / "square.tif")


def test_a_mask_of_another_size_is_refused(section, tmp_path):
    for shape in ((640, 899), (320, 300), (213, 300), (1280, 1800), (3, 640, 900)):
        tifffile.imwrite(tmp_path / "m.tif", np.ones(shape, np.uint8), photometric="minisblack")
        with pytest.raises(InputError, match=r"^within: .*make one of the same size, or of one"):
            bright_model().paint(section, within=tmp_path / "m.tif")
    with pytest.raises(InputError, match=r"^within: .*does not exist"):
        bright_model().paint(section, within=tmp_path / "none.geojson")
    painted = bright_model().paint(section, 4, out=tmp_path / "map.ome.zarr").header
    assert painted.shape == (2, 160, 225), "which goes into the image"
    with pytest.raises(InputError, match=r"^within: .*is a painted map; give polygons, or an im"):
        bright_model().paint(section, within=tmp_path / "map.ome.zarr")


def test_middles_of_cells_lie_in_the_image():
    grid = MapGrid.over(lc.as_stack(np.zeros((50, 70), np.uint8)), 8, (slice(9, 50), slice(0, 70)))
    (block,) = grid.blocks()
    found = cell_middles(grid, block)
    assert found.shape == (*grid.shape, 2)
    y, x = grid.positions(block)
    assert np.abs(found[:-1, 0, 0] - y[:-1]).max() <= 0.5
    assert np.abs(found[0, :-1, 1] - x[:-1]).max() <= 0.5
    assert found.reshape(-1, 2).max(axis=0).tolist() <= [49, 69]
