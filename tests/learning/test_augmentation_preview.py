"""The picture of drawn tiles: each point's own pixels first, then what training may see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.augmentation import crop_edge
from napari_lungcls.learning.augmentation_preview import (
    GAP,
    LINE,
    RING,
    SHOWN,
    augmentation_sheet,
    preview_augmentation,
)
from napari_lungcls.learning.examples import Crops
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation
from three_tissues import SCHEME, scene

SCALE = Normalisation(mean=(120, 120, 120), std=(50, 50, 50))
STILL = {"rotation": "none", "flip": False, "colour": 0.0}


def tiles(sheet: Any, rows: int, columns: int, edge: int) -> Any:
    """Cut the tiles out of a sheet, `(rows, columns, edge, edge, 3)`."""
    left = sheet.shape[1] - columns * (edge + GAP)
    cut = sheet[LINE + GAP :, left:].reshape(rows, edge + GAP, columns, edge + GAP, 3)
    return cut.swapaxes(1, 2)[:, :, :edge, :edge]


def sheet_of(tile: int = 32, columns: int = 4, dtype: str = "uint8", **values: Any) -> Any:
    """Tiles of three points at two zooms, each with a second point, and their crops' middles."""
    chosen = TrainingSettings(zooms=(1, 2), tile=tile, **values)
    edge, rng = crop_edge(chosen), np.random.default_rng(0)
    pixels = rng.integers(0, 255, (3, 2, edge, edge, 3)).astype(dtype)
    pixels = pixels * (1 if dtype == "uint8" else 200)
    places = np.full((6, 2, 2), (edge - 1) / 2)
    places[3:] += 9
    crops = Crops(pixels, np.arange(6), np.arange(6) % 3, places)
    scale = SCALE.model_copy(update={"dtype": dtype})
    sheet = augmentation_sheet(
        crops, np.arange(3), ["a", "b", "c"], chosen, scale, rng, columns=columns
    )
    assert (sheet.dtype, sheet.shape[2]) == (np.uint8, 3)
    shown = min(tile, SHOWN)
    cut = (edge - shown) // 2
    own = pixels[:, :, cut : cut + shown, cut : cut + shown].reshape(6, shown, shown, 3)
    return tiles(sheet, 6, columns, max(64, shown)), own


def outside_rings(shown: Any) -> Any:
    """Leave out all lines in which there may be a ring."""
    return np.concatenate([shown[..., :20, :, :], shown[..., -8:, :, :]], -3)


def test_the_first_tile_is_untouched_and_enlarged_and_the_others_are_drawn() -> None:
    shown, own = sheet_of()
    large = own.repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(outside_rings(shown[:, 0]), outside_rings(large))
    for column in (1, 2, 3):
        assert (outside_rings(shown[:, 0]) != outside_rings(shown[:, column])).any((1, 2, 3)).all()
    again, _ = sheet_of()
    np.testing.assert_array_equal(again, shown)


def test_there_is_a_ring_around_every_labelled_point() -> None:
    shown, own = sheet_of(**STILL)
    for first in shown[:, 0]:
        # The point itself in the middle, and another 9 pixels off, in a picture twice as large.
        for middle in (31.5, 31.5 + 18):
            line = first[round(middle), :].astype(int)
            for x in (middle - RING, middle + RING):
                around = line[int(x) - 1 : int(x) + 3]
                assert (around == 255).all(1).any()
    changed = (shown[:, 0] != own.repeat(2, 1).repeat(2, 2)).any((0, 3))
    assert 0 < changed.sum() < 2 * 4 * np.pi * (RING + 2) ** 2


def test_with_everything_off_all_tiles_are_the_same() -> None:
    shown, _ = sheet_of(**STILL)
    assert (shown == shown[:, :1]).all()


def test_of_large_tiles_the_part_around_the_point_is_shown() -> None:
    shown, own = sheet_of(tile=200, columns=2, **STILL)
    assert shown.shape == (6, 2, SHOWN, SHOWN, 3)
    np.testing.assert_array_equal(shown[:, 0, :40], own[:, :40])


def test_other_types_are_stretched_to_what_a_screen_shows() -> None:
    shown, own = sheet_of(dtype="uint16")
    assert own.max() > 30_000
    assert shown[:, 0].min() == 0
    assert shown[:, 0].max() == 255


def test_a_preview_takes_some_points_of_each_class_class_by_class() -> None:
    pairs = [scene(0), scene(1, source="b.tif")]
    chosen = TrainingSettings(zooms=(1,), tile=16, rotation="any", seed=3)
    sheet = preview_augmentation(pairs, chosen, SCHEME, per_class=3, columns=2)
    rows = tiles(sheet, 9, 2, 64)[:, 0]
    bright = np.median(rows, (1, 2, 3)).reshape(3, 3)
    # Dark, grey, bright: the classes of the made tissue, in the order of the scheme.
    assert bright[0].max() < bright[1].min() < bright[1].max() < bright[2].min()
    again = preview_augmentation(pairs, chosen, SCHEME, per_class=3, columns=2)
    np.testing.assert_array_equal(again, sheet)


def test_a_preview_chooses_what_is_left_to_the_program_without_asking_for_weights() -> None:
    sheet = preview_augmentation([scene()], TrainingSettings(), SCHEME, per_class=1, columns=2)
    assert sheet.shape[0] == LINE + GAP + 3 * (SHOWN + GAP)


def test_what_cannot_be_shown_is_refused_in_one_line() -> None:
    stack, points = scene()
    grey = ImageStack(stack.levels[0][..., 0], rgb=False, source="grey.tif")
    with pytest.raises(InputError, match=r"^stain: .*grey\.tif holds uint8 without colours"):
        preview_augmentation([(grey, points)], TrainingSettings(stain=0.05), SCHEME)
    with pytest.raises(InputError, match="two columns"):
        preview_augmentation([scene()], TrainingSettings(), SCHEME, columns=1)
    outside = Points.build(np.array([[900.0, 3.0]] * 3), SCHEME.names)
    with pytest.raises(InputError, match="outside"):
        preview_augmentation([(stack, outside)], TrainingSettings(), SCHEME)
