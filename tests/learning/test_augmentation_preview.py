"""The picture of drawn windows: each point's own pixels first, then what training may see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.imaging.windows import read_windows
from napari_lungcls.learning.augmentation_preview import (
    GAP,
    LINE,
    RING,
    augmentation_sheet,
    preview_augmentation,
)
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation
from three_tissues import SCHEME, scene

SCALE = Normalisation(mean=(120, 120, 120), std=(50, 50, 50))
STILL = {"rotation": "none", "flip": False, "random_phase": False, "colour": 0.0, "sharpness": 0.0}


def tiles(sheet: Any, rows: int, columns: int, edge: int) -> Any:
    """Cut the windows out of a sheet, `(rows, columns, edge, edge, 3)`."""
    left = sheet.shape[1] - columns * (edge + GAP)
    cut = sheet[LINE + GAP :, left:].reshape(rows, edge + GAP, columns, edge + GAP, 3)
    return cut.swapaxes(1, 2)[:, :, :edge, :edge]


def sheet_of(columns: int = 4, dtype: str = "uint8", **values: Any) -> tuple[Any, Any]:
    """Windows of 32 pixels of three points at two zooms, and the windows as painting reads them."""
    stack, points = scene()
    image = ImageStack(stack.levels[0].astype(dtype) * (1 if dtype == "uint8" else 200))
    chosen = TrainingSettings(zooms=(1, 2), window=32, **values)
    where = points.coordinates[:3]
    squares, places = read_windows(image, where, (1.0, 2.0), 140)
    own, _ = read_windows(image, where, (1.0, 2.0), 32)
    scale = SCALE.model_copy(update={"dtype": dtype})
    rng = np.random.default_rng(0)
    sheet = augmentation_sheet(
        squares, places, ["a", "b", "c"], chosen, scale, rng, columns=columns
    )
    assert (sheet.dtype, sheet.shape[2]) == (np.uint8, 3)
    return tiles(sheet, 6, columns, 64), own.reshape(6, 32, 32, 3)


def outside_rings(windows: Any) -> Any:
    """Leave out the middle, where the ring of an untouched window is drawn."""
    around = np.ones(64, bool)
    around[32 - RING - 3 : 32 + RING + 3] = False
    return windows[..., np.ix_(around, around)[0], np.ix_(around, around)[1], :]


def test_the_first_window_is_untouched_and_enlarged_and_the_others_are_drawn() -> None:
    shown, own = sheet_of()
    large = own.repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(outside_rings(shown[:, 0]), outside_rings(large))
    for column in (1, 2, 3):
        assert (outside_rings(shown[:, 0]) != outside_rings(shown[:, column])).any((1, 2, 3)).all()
    again, _ = sheet_of()
    np.testing.assert_array_equal(again, shown)


def test_with_everything_off_all_windows_are_the_same() -> None:
    shown, _ = sheet_of(**STILL)
    off = shown[:, 1:].astype(int) - shown[:, 1:2]
    assert (off == 0).all()
    # Drawn windows lie where the point is, not at the next whole pixel.
    near = np.abs(
        outside_rings(shown[:, 1]).astype(float).mean((1, 2))
        - outside_rings(shown[:, 0]).mean((1, 2))
    )
    assert near.max() < 6


def test_other_types_are_stretched_to_what_a_screen_shows() -> None:
    shown, own = sheet_of(dtype="uint16")
    assert own.max() > 30_000
    assert shown[:, 0].min() == 0
    assert shown[:, 0].max() == 255


def test_a_preview_takes_some_points_of_each_class_class_by_class() -> None:
    chosen = TrainingSettings(zooms=(1,), window=32, seed=3)
    sheet = preview_augmentation([scene(0), scene(1)], chosen, SCHEME, per_class=3, columns=2)
    rows = tiles(sheet, 9, 2, 64)[:, 0]
    bright = outside_rings(rows).mean((1, 2, 3)).reshape(3, 3)
    # Dark, grey, bright: the classes of the made tissue, in the order of the scheme.
    assert bright[0].max() < bright[1].min() < bright[1].max() < bright[2].min()
    again = preview_augmentation([scene(0), scene(1)], chosen, SCHEME, per_class=3, columns=2)
    np.testing.assert_array_equal(again, sheet)


def test_what_cannot_be_shown_is_refused_in_one_line() -> None:
    stack, points = scene()
    grey = ImageStack(stack.levels[0][..., 0], rgb=False, source="grey.tif")
    with pytest.raises(InputError, match=r"^--stain .*grey\.tif holds uint8 without colours"):
        preview_augmentation([(grey, points)], TrainingSettings(stain=0.05), SCHEME)
    with pytest.raises(InputError, match="two columns"):
        preview_augmentation([scene()], TrainingSettings(), SCHEME, columns=1)
    outside = Points.build(np.array([[900.0, 3.0]] * 3), SCHEME.names)
    with pytest.raises(InputError, match="outside"):
        preview_augmentation([(stack, outside)], TrainingSettings(), SCHEME)
