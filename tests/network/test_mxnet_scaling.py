"""Scaling the loss for float16 in MXNet, on gradients that are made up."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine_examples import devices
from napari_lungcls.network.engines import OptimizerOptions


@pytest.fixture
def mxnet_precision() -> ModuleType:
    devices("mxnet")
    from napari_lungcls.network.engines.mxnet import training as mxnet_precision

    return mxnet_precision


class Slope:
    """Parameters whose gradient is what one says."""

    def __init__(self, **options: Any) -> None:
        from napari_lungcls.network.engines.mxnet.net import mx, to_device
        from napari_lungcls.network.engines.mxnet.training import Optimizer

        self._mx, self._array = mx, to_device
        self.parameters = {
            name: mx.gluon.Parameter(name, shape=(3,)) for name in ("heads.bias", "bn1.bias")
        }
        for parameter in self.parameters.values():
            parameter.initialize(mx.init.One())
        self.optimizer = Optimizer(OptimizerOptions(**options), self.parameters)

    def step(self, scale: Any, gradients: NDArray[Any]) -> NDArray[Any]:
        """Take a step, and return the parameters `(2, 3)`; gradients are of that shape too."""
        with self._mx.autograd.record():
            parts = [
                parameter.data() * self._array(gradient, self._mx.cpu())
                for parameter, gradient in zip(self.parameters.values(), gradients, strict=True)
            ]
            loss = (parts[0] + parts[1]).sum()
        scale.step(loss, self.optimizer, 0.01)
        return np.stack([each.data().asnumpy() for each in self.parameters.values()])


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_scaling_alone_changes_nothing(
    mxnet_precision: ModuleType, optimizer: str, clip: float | None
) -> None:
    rng = np.random.default_rng(0)
    slopes = [
        Slope(optimizer=optimizer, clip_norm=clip, weight_decay=0.1, backbone_lr_factor=0.5)
        for _ in range(2)
    ]
    scales = [mxnet_precision.LossScale(dynamic=dynamic) for dynamic in (False, True)]
    for _ in range(4):
        gradients = rng.normal(0, 1, (2, 3))
        wanted, found = (
            slope.step(scale, gradients) for slope, scale in zip(slopes, scales, strict=True)
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert [scale.factor for scale in scales] == [1, 2**16]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("part", [0, 1])
def test_a_gradient_that_is_not_finite_is_not_followed(
    mxnet_precision: ModuleType, value: float, part: int
) -> None:
    slope, scale = Slope(clip_norm=None), mxnet_precision.LossScale(dynamic=True)
    gradients = np.ones((2, 3))
    before, moments = slope.step(scale, gradients), slope.optimizer.state()
    gradients[part, 1] = value
    np.testing.assert_array_equal(slope.step(scale, gradients), before)
    assert scale.factor == 2**15
    after = slope.optimizer.state()
    for name, array in moments.items():
        np.testing.assert_array_equal(after[name], array)
    assert (slope.step(scale, np.ones((2, 3))) < before).all()


def test_the_gradient_of_a_frozen_backbone_does_not_count(mxnet_precision: ModuleType) -> None:
    slope, scale = Slope(clip_norm=None, freeze=True), mxnet_precision.LossScale(dynamic=True)
    gradients = np.ones((2, 3))
    gradients[1] = np.nan
    found = slope.step(scale, gradients)
    assert (found[0] < 1).all()
    assert (found[1] == 1).all()
    assert scale.factor == 2**16


def test_without_scaling_every_step_is_taken(mxnet_precision: ModuleType) -> None:
    slope, scale = Slope(clip_norm=None), mxnet_precision.LossScale(dynamic=False)
    assert np.isnan(slope.step(scale, np.full((2, 3), np.nan))).all()
    assert scale.factor == 1


def test_the_factor_falls_until_it_fits_and_rises_with_patience(
    mxnet_precision: ModuleType,
) -> None:
    # Times 2**13 they are beyond float32.
    slope, scale = Slope(optimizer="sgd", clip_norm=None), mxnet_precision.LossScale(dynamic=True)
    scale.patience = 3
    large = np.full((2, 3), 2.0**115)
    factors, moved = [], []
    before = np.ones((2, 3))
    for _ in range(8):
        after = slope.step(scale, large)
        factors.append(int(np.log2(scale.factor)))
        moved.append(not np.array_equal(after, before))
        before = after
    assert factors == [15, 14, 13, 12, 12, 12, 13, 12]
    assert moved == [False] * 4 + [True] * 3 + [False]
    # A step that is left out begins the count anew.
    for wanted in (12, 12, 13):
        slope.step(scale, np.ones((2, 3)))
        assert scale.factor == 2**wanted


def test_the_factor_has_bounds(mxnet_precision: ModuleType) -> None:
    slope, scale = Slope(clip_norm=None), mxnet_precision.LossScale(dynamic=True)
    for _ in range(20):
        slope.step(scale, np.full((2, 3), np.nan))
    assert scale.factor == 1
    scale.patience = 1
    for _ in range(30):
        slope.step(scale, np.ones((2, 3)))
    assert scale.factor == 2**24
