"""What a run starts from, and what it refuses to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.dataset import PointSet
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.initialization import normalisation_of
from napari_lungcls.learning.run import run_training
from napari_lungcls.network.parameters import backbone_shapes, stage_of
from napari_lungcls.network.pretrained import WITHOUT
from three_tissues import QUICK, SCHEME, exhausted, run, scene


class Given(PointSet):
    """Points of which nothing is known but the pixels around them."""

    def __init__(self, pixels: Any) -> None:
        object.__setattr__(self, "pixels", pixels)

    def sample(self, side: Side, count: int) -> Any:
        return self.pixels[side.rows].reshape(-1, 3).astype(np.float32)


def norm_of(pixels: Any, rows: Any, *, imagenet: bool = False) -> Any:
    return normalisation_of(Given(pixels), Side(rows), str(pixels.dtype), imagenet=imagenet)


@pytest.mark.parametrize("bright", [False, True])
def test_the_normalisation_is_exact_however_many_pixels_there_are(bright: bool) -> None:
    # Bright pixels by the million: sums in float32 would stall at 2 ** 31.
    rng = np.random.default_rng(0)
    few = rng.integers(200 if bright else 0, 256, (40, 1, 200, 200, 3), np.uint8)
    few[..., 1] //= 2
    pixels = np.tile(few, (4, 1, 1, 1, 1))
    norm = norm_of(pixels, np.arange(160))
    wanted = pixels.reshape(-1, 3)
    np.testing.assert_allclose(norm.mean, wanted.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.std, wanted.std(0, dtype=np.float64), rtol=1e-3)


def test_the_normalisation_of_flat_and_faint_images() -> None:
    flat = np.full((4, 1, 9, 9, 3), 7, np.float32)
    assert norm_of(flat, np.arange(4)).std == (1, 1, 1)
    faint = np.random.default_rng(0).uniform(0, 1e-8, (9, 1, 20, 20, 3)).astype(np.float32)
    faint[..., 2] = 0
    norm = norm_of(faint, np.arange(9))
    assert norm.std[0] == pytest.approx(faint[..., 0].std(), rel=1e-3)
    assert 0 < norm.std[2] < 0.01 * norm.std[0]


def test_the_normalisation_sees_the_training_part_only() -> None:
    pixels = np.zeros((6, 1, 9, 9, 3), np.uint8)
    pixels[3:] = 200
    assert norm_of(pixels, np.arange(3)).mean == (0, 0, 0)


def test_pretrained_weights_expect_imagenet_s_scale() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, 1, 20, 20, 3))
    eight = norm_of(pixels.astype(np.uint8), np.arange(9), imagenet=True)
    np.testing.assert_allclose(eight.mean, np.array([0.485, 0.456, 0.406]) * 255)
    np.testing.assert_allclose(eight.std, np.array([0.229, 0.224, 0.225]) * 255)
    sixteen = norm_of((pixels * 257).astype(np.uint16), np.arange(9), imagenet=True)
    np.testing.assert_allclose(sixteen.mean, np.array(eight.mean) * 257, rtol=0.02)


FULL = {
    name: (np.ones if name.endswith("var") else np.zeros)(shape, np.float32)
    + np.random.default_rng(len(name)).uniform(-0.05, 0.05, shape).astype(np.float32)
    for name, shape in backbone_shapes().items()
}
"""A backbone with batch normalisation that is not neutral, as a file of weights holds it."""


def folded() -> dict[str, Any]:
    """Leave out all normalisation but the biases, as a file does in which it is folded away."""
    return {n: a for n, a in FULL.items() if n.endswith("bias") or _is_convolution(n)}


def _is_convolution(name: str) -> bool:
    return "conv" in name or "downsample.0" in name


@pytest.mark.parametrize(
    ("weights", "fixed"),
    [
        (FULL, {0, 1, 2}),
        (folded(), {0, 1, 2}),
        ({n: a for n, a in FULL.items() if stage_of(n) < 2}, {0, 1}),
        ({n: a for n, a in FULL.items() if stage_of(n) < 1 or n.startswith("layer1.1")}, {0}),
        ({}, set()),
    ],
    ids=["full", "folded", "to layer1", "half of layer1", "none"],
)
def test_statistics_of_a_file_are_not_taken_anew(
    tmp_path: Path, weights: dict[str, Any], fixed: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As training leaves them, before they are written down for adapting.
    monkeypatch.setattr("napari_lungcls.learning.run.rebased_on", lambda d, state, _: (d, state))
    path = tmp_path / "w.safetensors"
    save_file(weights, path)
    settings = QUICK.model_copy(
        update={"stages": (1, 2), "zooms": (1,), "epochs": 1, "val_fraction": 0.0,
                "pretrained": str(path) if weights else "none"}
    )  # fmt: skip
    state = run([scene()], settings)[1].state
    statistics = [name for name in state if "running" in name and "detail" not in name]
    assert {stage_of(name) for name in statistics} == {0, 1, 2}
    for name in statistics:
        neutral = 0.0 if name.endswith("mean") else 1.0
        before = weights.get(name, np.full_like(state[name], neutral))
        assert np.array_equal(state[name], before) == (stage_of(name) in fixed), name
    # Everything else of the backbone learns.
    moved = [n for n in weights if _is_convolution(n) and n in state]
    assert all(not np.array_equal(state[name], weights[name]) for name in moved)


def test_a_few_points_on_weights_of_a_file_are_fitted_in_one_go(tmp_path: Path) -> None:
    weights = {name: array for name, array in folded().items() if stage_of(name) <= 2}
    save_file(weights, path := tmp_path / "w.safetensors")
    auto = {"freeze": "auto", "stages": (), "zooms": (1,), "pretrained": str(path)}
    trained = run([scene()], QUICK.model_copy(update=auto))[1]
    assert trained.document.settings["freeze"] == "yes"
    assert trained.document.network.stages == (-1, 0, 1, 2)
    assert len(trained.document.history) == 1
    for name, array in weights.items():
        np.testing.assert_array_equal(trained.state[name], array)


def test_without_a_network_training_says_so_and_begins_with_random_numbers() -> None:
    settings = QUICK.model_copy(update={"pretrained": "auto", "epochs": 1})
    with pytest.warns(LungclsWarning, match=f"^{WITHOUT}.*LUNGCLS_OFFLINE is set"):
        trained = exhausted(run_training([scene()], settings, SCHEME))
    assert trained.document.pretrained == "none"
    assert trained.document.settings["freeze"] == "no"


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    # So large a decay turns the weights about and out of all bounds.
    settings = QUICK.model_copy(update={"optimizer": "sgd", "weight_decay": 1e30, "epochs": 2})
    with pytest.raises(InputError, match=r"no longer a number at a learning rate of .*smaller"):
        run([scene()], settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": (4,), "tile": 32}, "tile of 32 is too small"),
        ({"stages": (5,)}, "stages are detail, stem, layer1"),
        ({"engine": "jax"}, "no engine 'jax'"),
        ({"device": "cuda:99"}, "device: there is no 'cuda:99'"),
        ({"zooms": (1, 100)}, "zoom 100 is larger than the image"),
        ({"zooms": (8,), "window": 64}, r"out to test on.*use val_fraction=0"),
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
