"""Painting in reduced precision: only where it is asked for or changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from known_network import make_document, make_spec, random_engine
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference import precision
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.painter import Painter
from napari_lungcls.model import Model
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.engines.torch.engine import TorchEngine

SPEC = make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2))
MODEL = Model(make_document(SPEC), random_engine(SPEC, 3).state(), device="cpu")
STACK = ImageStack(np.random.default_rng(0).integers(0, 255, (300, 280, 3), np.uint8))


def test_bf16_gives_nearly_the_same_map() -> None:
    exact, rough = (MODEL.paint(STACK, 4, precision=name) for name in ("fp32", "bf16"))
    assert (exact.header.provenance["precision"], rough.header.provenance["precision"]) == (
        "fp32", "bf16"
    )  # fmt: skip
    assert (exact.classes == rough.classes).mean() > 0.97
    apart = np.abs(np.subtract(exact.probabilities, rough.probabilities, dtype=np.float32))
    assert 0 < apart.max() < 0.2


def test_what_the_device_cannot_do_is_refused() -> None:
    with pytest.raises(InputError, match="fp16"):
        MODEL.paint(STACK, 8, precision="fp16")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let `auto` try bf16 on small maps and any CPU, and note what was made."""
    made: list[str] = []
    original = TorchEngine.painting

    def painting(self: TorchEngine, precision: Any = "fp32") -> Painting:
        made.append("bf16" if precision == "auto" else precision)
        return original(self, made[-1])  # type: ignore[arg-type]

    monkeypatch.setattr(TorchEngine, "painting", painting)
    monkeypatch.setattr(precision, "SMALL", 0)
    return made


def test_auto_takes_the_faster_one_when_classes_stay(tried: list[str]) -> None:
    # Where all that differs is a toss-up, nothing speaks against it.
    state = {n: a * (0.01 if n.startswith("heads.zoom") else 1) for n, a in MODEL.state.items()}
    decided = Model(MODEL.document, state | {"heads.bias": np.float32([3, 0, 0])}, device="cpu")
    painted = decided.paint(STACK, 8)
    assert sorted(tried) == ["bf16", "fp32"]
    assert painted.header.provenance["precision"] == "bf16"


def test_auto_falls_back_and_says_so(tried: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Shifted so that every class wins somewhere by little: rounding decides.
    monkeypatch.setattr(precision, "TOSS_UP", 0.0)
    grid = MapGrid.over(STACK, 8)
    painter = Painter(MODEL.engine.painting(), SPEC, (1.0, 3.0))
    logits = painter.logits(STACK.plane(), *grid.positions(next(grid.blocks())))
    bias = MODEL.state["heads.bias"] - np.median(np.asarray(logits), (1, 2))
    torn = Model(MODEL.document, MODEL.state | {"heads.bias": bias}, device="cpu")
    with pytest.warns(LungclsWarning, match="would change their class; the map is painted in fp32"):
        painted = torn.paint(STACK, 8)
    assert painted.header.provenance["precision"] == "fp32"


def test_small_maps_are_painted_exactly() -> None:
    assert MODEL.paint(STACK, 8).header.provenance["precision"] == "fp32"
