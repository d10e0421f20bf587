"""A first map while someone is still labelling: heads on a backbone that stays as it is."""

from __future__ import annotations

from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.pretrained import IMAGENET
from napari_lungcls.utils.downloads import is_cached


def preview_settings(settings: TrainingSettings) -> TrainingSettings:
    """Turn settings into those of a preview, which takes half a minute.

    The backbone is frozen, every point is used, and nothing is downloaded: without weights of the
    user's choice, ImageNet's are taken if they lie in the cache, else random ones, whose
    features still tell textures apart.
    """
    pretrained = settings.pretrained
    if pretrained in ("auto", "imagenet", "none"):
        pretrained = "imagenet" if is_cached(IMAGENET) else "none"
    changes = {
        "freeze": "yes",
        "pretrained": pretrained,
        "val_fraction": 0.0,
        "test_fraction": 0.0,
        "folds": 1,
        "final": "none",
    }
    return settings.model_copy(update=changes)
