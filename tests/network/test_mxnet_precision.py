"""Convolutions of MXNet in other numbers than float32.

MXNet has convolutions in float16 on GPUs only. On the CPU float64 takes their place, with which
all but their rounding is the same: casts, shared parameters, steps, checkpoints and painting.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from engine_examples import SPECS, TINY, answers, examples
from known_network import random_state
from napari_lungcls.errors import InputError
from napari_lungcls.network.engines import Engine, OptimizerOptions, create_engine
from napari_lungcls.network.spec import NetworkSpec

pytestmark = [
    pytest.mark.parametrize("engine_name", ["mxnet"], indirect=True),
    pytest.mark.usefixtures("engine_name"),
]


@pytest.fixture
def mxnet_precision(engine_name: str) -> ModuleType:
    from napari_lungcls.network.engines.mxnet import training as mxnet_precision

    return mxnet_precision


@pytest.fixture
def doubled(mxnet_precision: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fp16 be possible on the CPU, and mean float64."""
    from napari_lungcls.network.engines.mxnet import engine as mxnet_engine

    monkeypatch.setitem(mxnet_precision.TYPES, "fp16", "float64")
    monkeypatch.setattr(mxnet_engine, "resolve_precision", lambda precision, context: precision)


def build(spec: NetworkSpec, name: str = "mxnet", device: str = "cpu") -> Engine:
    engine = create_engine(name, spec, device=device)
    engine.load(random_state(spec, 1))
    return engine


def train(engine: Engine, steps: int, first: int = 0, rate: float = 1e-3) -> list[float]:
    return [
        engine.train_step(examples(engine.spec, 16, i), *answers(16, i), rate).loss
        for i in range(first, first + steps)
    ]


def difference(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize(
    ("precision", "device", "wanted"),
    [
        ("auto", "cpu", "fp32"), ("auto", "gpu", "fp16"), ("fp32", "cpu", "fp32"),
        ("fp32", "gpu", "fp32"), ("fp16", "gpu", "fp16"), ("fp16", "cpu", "on GPUs only"),
        ("bf16", "cpu", "torch"), ("bf16", "gpu", "torch"),
    ],
)  # fmt: skip
def test_precisions_that_a_device_has(
    mxnet_precision: ModuleType, precision: str, device: str, wanted: str
) -> None:
    context = SimpleNamespace(device_type=device)
    if wanted in mxnet_precision.TYPES:
        assert mxnet_precision.resolve_precision(precision, context) == wanted
    else:
        with pytest.raises(InputError, match=f"^precision: .*{precision}.*{wanted}"):
            mxnet_precision.resolve_precision(precision, context)


def test_the_processor_trains_and_paints_in_fp32() -> None:
    engine = build(TINY)
    for precision in ("fp16", "bf16"):
        with pytest.raises(InputError, match=f"^precision: .*{precision}"):
            engine.prepare(OptimizerOptions(precision=precision))
        with pytest.raises(InputError, match=f"^precision: .*{precision}"):
            engine.painting(cast("Any", precision))
    engine.prepare(OptimizerOptions(precision="auto"))
    assert engine.precision == engine.painting("auto").precision == "fp32"


def test_convolutions_compute_in_their_type_between_float32() -> None:
    from napari_lungcls.network.engines.mxnet.net import GluonConvolution, mx, to_device

    block = GluonConvolution(2, 1, 1, 1, reflect=False, bias=False, computing="float64")
    block.initialize(mx.init.Zero())
    block.hybridize()
    # Products that float32 cannot hold, and that cancel.
    block.weight.set_data(to_device(np.array([1e30, -1e30]).reshape(1, 2, 1, 1), mx.cpu()))
    images = to_device(np.full((1, 2, 3, 3), 1e30), mx.cpu())
    images.attach_grad()
    with mx.autograd.record():
        result = block(images)
    result.backward()
    assert (result.asnumpy() == 0).all()
    for array in (result, images.grad, block.weight.data(), block.weight.grad()):
        assert array.dtype == np.float32
    np.testing.assert_allclose(block.weight.grad().asnumpy().ravel(), 9e30, rtol=1e-6)


@pytest.mark.usefixtures("doubled")
@pytest.mark.parametrize("name", ["two zooms", "deepest only"])
@pytest.mark.parametrize("freeze", [False, True])
def test_only_the_rounding_differs_from_training_in_fp32(name: str, freeze: bool) -> None:
    engines = [build(SPECS[name]) for _ in range(2)]
    losses = []
    for engine, precision in zip(engines, ("fp32", "fp16"), strict=True):
        engine.prepare(OptimizerOptions(optimizer="sgd", freeze=freeze, precision=precision))
        assert engine.precision == precision
        # One step: a ReLU that rounding lets through in the second changes the gradient.
        losses.append(train(engine, 1))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    for wanted, found in (
        [engine.state() for engine in engines],
        [engine.optimizer_state() for engine in engines],
    ):
        assert found.keys() == wanted.keys()
        for key, array in found.items():
            assert array.dtype == np.float32
            error, largest = np.abs(array - wanted[key]).max(), np.abs(wanted[key]).max()
            assert error <= 1e-3 * largest, key


@pytest.mark.usefixtures("doubled")
@pytest.mark.parametrize("name", ["mxnet", "torch"])
@pytest.mark.filterwarnings("ignore:.*not written by the engine")
def test_a_checkpoint_goes_on_in_fp32_and_in_the_other_engine(name: str) -> None:
    engine, other = build(TINY), build(TINY, name)
    engine.prepare(OptimizerOptions(precision="fp16"))
    train(engine, 2)
    other.prepare(OptimizerOptions())
    other.load(engine.state())
    other.load_optimizer_state(engine.optimizer_state())
    np.testing.assert_allclose(train(other, 3, 2), train(engine, 3, 2), rtol=1e-3)


@pytest.mark.usefixtures("doubled")
def test_answers_follow_training_and_stay_in_float32() -> None:
    engine, plain = build(TINY), build(TINY)
    engine.prepare(OptimizerOptions(precision="fp16"))
    train(engine, 1)
    engine.unfreeze()
    train(engine, 1)
    plain.load(engine.state())
    tiles = examples(TINY, 4)
    np.testing.assert_array_equal(engine.logits(tiles), plain.logits(tiles))
    engine.prepare(OptimizerOptions())
    assert engine.precision == "fp32"


@pytest.mark.usefixtures("doubled")
def test_painting_in_another_precision() -> None:
    engine: Any = build(SPECS["two zooms"])
    tile = np.random.default_rng(0).integers(0, 255, (192, 384, 3)).astype(np.float32)
    tile[80, 90] = np.nan
    assert [engine.painting(cast("Any", p)).precision for p in ("fp16", "fp32")] == ["fp16", "fp32"]
    for zoom in engine.spec.zooms:
        wanted = engine.head_maps(tile, zoom)
        for stage, maps in engine.head_maps(tile, zoom, "fp16").items():
            assert maps.dtype == np.float32
            seen = np.isfinite(wanted[stage])
            assert not seen.all()
            np.testing.assert_array_equal(np.isfinite(maps), seen)
            assert 0 < difference(maps[seen], wanted[stage][seen]) <= 1e-5
    # What is loaded later is seen by both.
    before = engine.head_maps(tile, 1, "fp16")
    engine.load(random_state(engine.spec, 2))
    assert not np.array_equal(engine.head_maps(tile, 1, "fp16")[1], before[1], equal_nan=True)


@pytest.mark.usefixtures("doubled")
def test_a_step_of_the_engine_is_left_out_too() -> None:
    engine: Any = build(TINY)
    before = engine.state()
    engine.prepare(OptimizerOptions(precision="fp16"))
    engine._scale.factor = 2.0**128
    assert np.isfinite(train(engine, 1)).all()
    after = engine.state()
    assert engine._scale.factor == 2.0**127
    for name, array in before.items():
        assert np.isfinite(after[name]).all()
        # Statistics are of the forward pass, which was in order.
        assert np.array_equal(after[name], array) == ("running" not in name), name


@pytest.mark.gpu
def test_a_gpu_trains_and_paints_in_fp16() -> None:
    engine: Any = build(TINY, device="cuda")
    engine.prepare(OptimizerOptions(precision="auto"))
    assert engine.precision == "fp16"
    tiles = examples(TINY, 16)
    codes, weights = answers(16)
    steps = [engine.train_step(tiles, codes, weights, 0.005) for _ in range(40)]
    assert steps[-1].loss < 0.2 * steps[0].loss
    assert all(array.dtype == np.float32 for array in engine.state().values())
    assert all(np.isfinite(array).all() for array in engine.state().values())
    tile = np.random.default_rng(0).integers(0, 255, (192, 256, 3)).astype(np.uint8)
    painted = [engine.head_maps(tile, 1, precision)[1] for precision in ("fp32", "fp16")]
    assert 0 < difference(painted[1], painted[0]) < 0.02
