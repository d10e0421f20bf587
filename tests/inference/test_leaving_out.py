"""Bare glass that is left empty: in memory, in files, resumed; refused where it cannot be."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import napari_lungcls as lc
from known_maps import bright_model
from napari_lungcls.errors import InputError
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.leaving_out import cell_middles


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


def test_a_cluster_paints_all_cells(section, tmp_path):
    with pytest.raises(InputError, match="a cluster paints all cells; leave no_glass out"):
        bright_model().paint(section, out=tmp_path / "m.ome.zarr", workers=2, no_glass=True)


def test_middles_of_cells_lie_in_the_image():
    grid = MapGrid.over(lc.as_stack(np.zeros((50, 70), np.uint8)), 8, (slice(9, 50), slice(0, 70)))
    (block,) = grid.blocks()
    found = cell_middles(grid, block)
    assert found.shape == (*grid.shape, 2)
    y, x = grid.positions(block)
    assert np.abs(found[:-1, 0, 0] - y[:-1]).max() <= 0.5
    assert np.abs(found[0, :-1, 1] - x[:-1]).max() <= 0.5
    assert found.reshape(-1, 2).max(axis=0).tolist() <= [49, 69]
