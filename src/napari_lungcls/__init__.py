"""Train a ResNet-18 on labelled points and paint what it learned over whole lung sections.

The public names are resolved when first used, so that importing the package loads neither
a deep-learning framework nor Qt.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_lungcls.active_learning.suggest import suggest_points
    from napari_lungcls.annotation import ClassScheme, ClassSpec, Points, read_points, write_points
    from napari_lungcls.errors import InputError, LungclsWarning
    from napari_lungcls.evaluation.metrics import Metrics
    from napari_lungcls.evaluation.model_card import ModelCard
    from napari_lungcls.images.opening import as_stack, open_image
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.images.stack import ImageStack
    from napari_lungcls.inference.painted import PaintedMap, read_map
    from napari_lungcls.inference.run import PaintingProgress
    from napari_lungcls.learning.checkpoint import Checkpoint
    from napari_lungcls.learning.progress import TrainingProgress
    from napari_lungcls.learning.settings import TrainingSettings
    from napari_lungcls.model import Model, load
    from napari_lungcls.patch_datasets.dataset import PatchData
    from napari_lungcls.patch_datasets.export import export_patches
    from napari_lungcls.patch_datasets.opening import open_patches
    from napari_lungcls.reporting.measures import write_measures
    from napari_lungcls.stereology.audit import Audit
    from napari_lungcls.stereology.design import make_grid
    from napari_lungcls.stereology.drawing import SampledImage
    from napari_lungcls.stereology.measure import Measures, measure
    from napari_lungcls.stereology.sections import read_sections
    from napari_lungcls.train_model import patch_training, train, train_patches, training

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "active_learning.suggest": ("suggest_points",),
    "annotation": ("ClassScheme", "ClassSpec", "Points", "read_points", "write_points"),
    "errors": ("InputError", "LungclsWarning"),
    "images.opening": ("as_stack", "open_image"),
    "images.stack": ("ImageStack",),
    "learning.checkpoint": ("Checkpoint",),
    "evaluation.metrics": ("Metrics",),
    "evaluation.model_card": ("ModelCard",),
    "learning.progress": ("TrainingProgress",),
    "learning.settings": ("TrainingSettings",),
    "model": ("Model", "load"),
    "inference.painted": ("PaintedMap", "read_map"),
    "inference.run": ("PaintingProgress",),
    "images.pairs": ("open_pairs",),
    "patch_datasets.dataset": ("PatchData",),
    "patch_datasets.export": ("export_patches",),
    "patch_datasets.opening": ("open_patches",),
    "reporting.measures": ("write_measures",),
    "stereology.audit": ("Audit",),
    "stereology.design": ("make_grid",),
    "stereology.drawing": ("SampledImage",),
    "stereology.measure": ("Measures", "measure"),
    "stereology.sections": ("read_sections",),
    "train_model": ("patch_training", "train", "train_patches", "training"),
}

__all__ = [
    "Audit",
    "Checkpoint",
    "ClassScheme",
    "ClassSpec",
    "ImageStack",
    "InputError",
    "LungclsWarning",
    "Measures",
    "Metrics",
    "Model",
    "ModelCard",
    "PaintedMap",
    "PaintingProgress",
    "PatchData",
    "Points",
    "SampledImage",
    "TrainingProgress",
    "TrainingSettings",
    "as_stack",
    "export_patches",
    "load",
    "make_grid",
    "measure",
    "open_image",
    "open_pairs",
    "open_patches",
    "patch_training",
    "read_map",
    "read_points",
    "read_sections",
    "suggest_points",
    "train",
    "train_patches",
    "training",
    "write_measures",
    "write_points",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("napari-lungcls")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
