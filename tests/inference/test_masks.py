"""One mask per class: what is in them, where they lie, and what becomes of older ones."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image
from napari_lungcls.inference import store_tiff


def test_each_class_has_a_mask(tmp_path, header, random_map, monkeypatch):
    monkeypatch.setattr(store_tiff, "TILE", 16)
    painted = random_map(header((2, 40, 33), probabilities=False, scale=(1.0, 3.0, 3.0)))
    told = []
    path = painted.save(tmp_path / "m.masks", progress=lambda *step: told.append(step))
    names = ["1-alveoli.ome.tif", "2-septa.ome.tif", "3-duct.ome.tif"]
    assert sorted(each.name for each in path.iterdir()) == names
    assert told == [(i, 3 * 2 * 9) for i in range(3 * 2 * 9 + 1)]
    for value, name in enumerate(names, start=1):
        with tifffile.TiffFile(path / name) as tif:
            found, page, described = tif.asarray(), tif.pages[0], tif.ome_metadata
        np.testing.assert_array_equal(found, np.where(painted.classes == value, 255, 0))
        assert (found.dtype, page.tile) == (np.uint8, (16, 16))
        # A cell is 3 by 3 µm, and the first lies at −2.75, −2.5.
        assert 'PhysicalSizeY="3.0"' in described
        assert 'PositionY="-2.75"' in described
        assert 'PositionX="-2.5"' in described
    stack = open_image(path / names[1])
    assert (stack.shape, stack.pixel_size) == ((2, 40, 33), 3.0)


def test_only_masks_are_replaced_and_nothing_is_left_of_half_a_folder(tmp_path, header, random_map):
    painted = random_map(header((5, 6), probabilities=False))
    path = tmp_path / "m.masks"
    assert painted.save(path, cancelled=lambda: True) is None
    assert not any(tmp_path.iterdir())
    painted.save(path)
    with pytest.raises(InputError, match=r"m\.masks: exists already"):
        painted.save(path)
    painted.save(path, overwrite=True)
    (path / "thesis.doc").touch()
    with pytest.raises(InputError, match=r"m\.masks: exists already"):
        painted.save(path, overwrite=True)
    assert (path / "thesis.doc").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["m.masks"]
