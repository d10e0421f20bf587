"""PyTorch's optimisers do what they do, without importing PyTorch's compiler."""

import inspect
import subprocess
import sys

import pytest
import torch

from napari_lungcls.network.engines.protocol import OptimizerOptions
from napari_lungcls.network.engines.torch.optimizer import make_optimizer, set_rate

PLAIN = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

STEP = """
import sys
import numpy as np
from napari_lungcls.network.engines.protocol import OptimizerOptions
from napari_lungcls.network.engines.torch.engine import TorchEngine
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.network.tiles import Tiles
scale = Normalisation(mean=(0.0,) * 3, std=(1.0,) * 3)
engine = TorchEngine(NetworkSpec(classes=2, tile=64, normalisation=scale), device="cpu")
engine.prepare(OptimizerOptions())
pixels = np.random.default_rng(0).random((2, 1, 64, 64, 3))
tiles = Tiles(pixels, np.arange(2), np.full((2, 1, 2), 16.0))
engine.train_step(tiles, np.arange(2), np.ones(2, np.float32), 1e-3)
engine.load_optimizer_state(engine.optimizer_state())
assert "torch" in sys.modules
assert "torch._dynamo" not in sys.modules
"""


def test_training_does_not_import_the_compiler() -> None:
    ended = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", PLAIN)
def test_steps_are_pytorch_s_own_to_the_last_bit(name) -> None:
    options = OptimizerOptions(optimizer=name, weight_decay=0.03)
    draws = torch.Generator().manual_seed(0)
    start, pull = (torch.randn(3, 4, generator=draws) for _ in range(2))
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    made = make_optimizer(options, {"heads.x": ours})
    (group,) = made.param_groups
    taken = inspect.signature(PLAIN[name]).parameters
    known = {k: v for k, v in group.items() if k in taken and k != "params"}
    plain = PLAIN[name]([theirs], **{**known, "lr": 0.1})
    set_rate(made, 0.1)
    for step in range(4):
        for optimizer, at in ((made, ours), (plain, theirs)):
            optimizer.zero_grad(set_to_none=True)
            assert at.grad is None
            ((at - pull) ** 2).sum().backward()
            optimizer.step()
        assert torch.equal(ours, theirs)
        assert not torch.equal(ours, start)
        if step == 1:  # As from a checkpoint.
            made.load_state_dict(made.state_dict())
    assert ours.requires_grad
    assert ours.grad_fn is None
