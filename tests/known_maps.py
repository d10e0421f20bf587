"""Maps of a network that tells bright from dark, painted in memory."""

from __future__ import annotations

from typing import Any

from known_network import PLAIN, intensity_engine, make_document, make_spec
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.painted import MemoryStore, PaintedMap
from napari_lungcls.inference.run import map_header, run_painting
from napari_lungcls.model import Model
from napari_lungcls.network.engines import Engine
from napari_lungcls.network.predictor import Predictor

THRESHOLD = 150.0
SLOPE = 0.05
RAMP = make_spec(zooms=(1, 2), stages=(1, 2), normalisation=PLAIN, classes=2)


def brightness(*terms: tuple[int, int]) -> Engine:
    """Make a network whose logits are `SLOPE · (intensity − THRESHOLD)` and 0.

    The intensity is averaged over the terms, each a zoom and a stage.
    """
    engine = intensity_engine(RAMP, dict.fromkeys(terms, SLOPE / len(terms)))
    state = engine.state()
    state["heads.bias"][0] -= SLOPE * THRESHOLD
    engine.load(state)
    return engine


BRIGHTNESS = brightness((1, 1), (2, 2))


def bright_model() -> Model:
    """Make a model of that network."""
    return Model(make_document(RAMP), BRIGHTNESS.state(), device="cpu")


def paint(
    stack: ImageStack,
    engine: Engine = BRIGHTNESS,
    stride: int = 4,
    *,
    pixel_size: float | None = None,
    **options: Any,
) -> PaintedMap:
    grid = MapGrid.over(stack, stride, options.pop("region", None), options.pop("planes", None))
    document = make_document(engine.spec, pixel_size=pixel_size)
    store = MemoryStore(map_header(grid, document, probabilities=True))
    for _ in run_painting(Predictor(engine, document), grid, store, **options):
        pass
    return store.map
