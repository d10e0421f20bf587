"""What a run starts from, and what it refuses to start from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.learning.dataset import PointSet
from napari_lungcls.learning.start import normalisation_of
from scattered import scattered
from three_tissues import QUICK, SCHEME, run, scene


def made(squares: Any) -> PointSet:
    """Make points of nothing but the pixels around them."""
    n = len(squares)
    return PointSet(scattered(0, n), squares, np.zeros((n, 1, 2)))


@pytest.mark.parametrize("bright", [False, True])
def test_the_normalisation_is_exact_however_many_pixels_there_are(bright: bool) -> None:
    # Bright pixels by the million: sums in float32 would stall at 2 ** 31.
    rng = np.random.default_rng(0)
    few = rng.integers(200 if bright else 0, 256, (40, 1, 200, 200, 3), np.uint8)
    few[..., 1] //= 2
    squares = np.tile(few, (4, 1, 1, 1, 1))
    norm = normalisation_of(made(squares), np.arange(160), "uint8", imagenet=False)
    wanted = squares.reshape(-1, 3)
    np.testing.assert_allclose(norm.mean, wanted.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.std, wanted.std(0, dtype=np.float64), rtol=1e-3)


def test_the_normalisation_of_flat_and_faint_images() -> None:
    flat = np.full((4, 1, 9, 9, 3), 7, np.float32)
    assert normalisation_of(made(flat), np.arange(4), "float32", imagenet=False).std == (1, 1, 1)
    faint = np.random.default_rng(0).uniform(0, 1e-8, (9, 1, 20, 20, 3)).astype(np.float32)
    faint[..., 2] = 0
    norm = normalisation_of(made(faint), np.arange(9), "float32", imagenet=False)
    assert norm.std[0] == pytest.approx(faint[..., 0].std(), rel=1e-3)
    assert 0 < norm.std[2] < 0.01 * norm.std[0]


def test_the_normalisation_sees_the_training_part_only() -> None:
    squares = np.zeros((6, 1, 9, 9, 3), np.uint8)
    squares[3:] = 200
    assert normalisation_of(made(squares), np.arange(3), "uint8", imagenet=False).mean == (0, 0, 0)


def test_pretrained_weights_expect_imagenet_s_scale() -> None:
    rng = np.random.default_rng(0)
    squares = rng.integers(0, 256, (9, 1, 20, 20, 3))
    eight = normalisation_of(made(squares.astype(np.uint8)), np.arange(9), "uint8", imagenet=True)
    np.testing.assert_allclose(eight.mean, np.array([0.485, 0.456, 0.406]) * 255)
    np.testing.assert_allclose(eight.std, np.array([0.229, 0.224, 0.225]) * 255)
    sixteen = normalisation_of(
        made((squares * 257).astype(np.uint16)), np.arange(9), "uint16", imagenet=True
    )
    np.testing.assert_allclose(sixteen.mean, np.array(eight.mean) * 257, rtol=0.02)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    settings = QUICK.model_copy(
        update={"optimizer": "sgd", "learning_rate": 10.0, "clip_norm": 1e30, "epochs": 40,
                "schedule": "constant"}
    )  # fmt: skip
    with pytest.raises(InputError, match=r"no longer a number at a learning rate of .*smaller"):
        run([scene()], settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": (4,), "window": 32}, "window of 32 is too small"),
        ({"stages": (5,)}, "stages are 1, 2, 3 and 4"),
        ({"engine": "jax"}, "no engine 'jax'"),
        ({"device": "cuda:99"}, "no device 'cuda:99'"),
        ({"zooms": (1, 100)}, "zoom 100 is larger than the image"),
        ({"zooms": (8,), "window": 64}, r"no split keeps every class.*a validation share of 0"),
        ({"pretrained": "/no/such/file"}, "/no/such/file"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run([scene()], QUICK.model_copy(update=change))


def test_points_and_images_that_cannot_be_trained_on_are_refused() -> None:
    stack, points = scene()
    dark = points.select(points.codes(SCHEME) == 0)
    with pytest.raises(InputError, match="all points are 'dark'"):
        run([(stack, dark)])
    with pytest.raises(InputError, match="2 points are fewer than the 3 classes"):
        run([(stack, points.select([0, 1]))])
    with pytest.raises(InputError, match=r"outside a.tif"):
        run([(stack, Points.build(points.coordinates + 400, points.labels))])
    with pytest.raises(InputError, match="'pink' is unknown"):
        run([(stack, Points.build(points.coordinates, ["pink"] * 90))])
    holes = np.asarray(stack.levels[0]).astype(np.float32)
    holes[200:240] = np.nan
    with pytest.raises(InputError, match="holds NaN or infinite values"):
        run([(ImageStack(holes), points)])
