"""A network that predicts: the engine that computes it, and what its model file says."""

from __future__ import annotations

from dataclasses import dataclass

from napari_lungcls.network.engines.protocol import Engine
from napari_lungcls.network.model_file import ModelDocument


@dataclass(frozen=True, eq=False)
class Predictor:
    """All that predicting needs beside the image.

    Attributes
    ----------
    engine
        The network on its device.
    document
        What its model file says: classes, pixel size, temperature, threshold.
    """

    engine: Engine
    document: ModelDocument
