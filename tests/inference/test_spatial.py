"""Maps as SpatialData: where cells and points lie in pixels of the image."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.inference.painted import PaintedMap


def test_without_the_library_it_is_refused_with_the_remedy(header, random_map, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spatialdata", None)
    with pytest.raises(InputError, match=r'pip install "napari-lungcls\[spatial\]"'):
        random_map(header((5, 6))).to_spatialdata()


def test_cells_and_points_share_the_pixels_of_the_image(header):
    library = pytest.importorskip("spatialdata", reason="SpatialData is an extra")
    cells = np.zeros((8, 9), np.uint8)
    cells[1, 2] = 2
    painted = PaintedMap(cells, None, header(cells.shape, probabilities=False))
    # The cell of 4 pixels from pixel (20, 40) is the map's cell (1, 2), as it begins at (16, 32).
    found = painted.to_spatialdata(Points.build([[20, 40]], ["septa"], group="m"))
    extent = library.get_extent(found["map"])
    assert {axis: tuple(map(float, ends)) for axis, ends in extent.items()} == {
        "y": (16, 48),
        "x": (32, 68),
    }
    assert found["points"].compute()[["y", "x"]].to_numpy().tolist() == [[20.5, 40.5]]
    assert list(found["classes"].obs["class"]) == list(painted.scheme.names)
    with pytest.raises(InputError, match="has 3 axes and the map 2"):
        painted.to_spatialdata(Points.build([[0, 20, 40]]))
