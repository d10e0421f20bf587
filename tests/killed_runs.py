"""A training run in a process of its own, which a test kills.

The server that forks such processes imports this module first, so that each starts at once:
PyTorch's optimisers import `torch._dynamo`, which alone takes seconds.
"""

from __future__ import annotations

from pathlib import Path

import torch._dynamo  # noqa: F401

import napari_lungcls.network.engines.torch.engine  # noqa: F401
from napari_lungcls.learning.checkpoint import Checkpoint
from napari_lungcls.network.model_file import write_model
from three_tissues import QUICK, run, scene

LONG = QUICK.model_copy(
    update={"epochs": 8, "dropout": 0.3, "final": "anew", "unfreeze_after": 2,
            "schedule": "plateau", "step_epochs": 1, "test_fraction": 0.2}
)  # fmt: skip
"""Everything that a run remembers from step to step."""


def train_to_the_end(checkpoint: Path, out: Path) -> None:
    """Train, going on from a checkpoint if there is one, and write the model."""
    kept = Checkpoint(checkpoint, resume=checkpoint.exists(), every=0)
    trained = run([scene()], LONG, checkpoint=kept)[1]
    write_model(out, trained.document, trained.state)
    kept.remove()
