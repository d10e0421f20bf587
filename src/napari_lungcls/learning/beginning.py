"""What every training begins with, on points or on patches: checks, origin, identity."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import LungclsWarning
from napari_lungcls.learning.augmentation import check_changes
from napari_lungcls.learning.checkpoints import Checkpoint
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.start import Origin, open_origin
from napari_lungcls.learning.verdict import check_aim
from napari_lungcls.network.compatibility import colour_remark

ANYWHERE = {"engine", "device", "precision"}
"""Settings that say where a run computes, and may change when it goes on."""


def begin(
    settings: TrainingSettings, scheme: ClassScheme, images: Sequence[tuple[str, str, bool]]
) -> Origin:
    """Check what can be checked before anything is read, and open what the run starts from.

    Parameters
    ----------
    settings
        As the user gave them.
    scheme
        The classes.
    images
        Type, name, and whether it has colours, of each image or part.

    Raises
    ------
    InputError
        When settings, classes and images do not go together.

    Warns
    -----
    LungclsWarning
        When the run goes on with a model of colour images on grey ones, or the reverse.
    """
    check_aim(settings, scheme)
    for dtype, source, rgb in images:
        check_changes(settings, dtype, source, rgb=rgb)
    origin = open_origin(settings, scheme)
    if origin.model is not None:
        for _, source, rgb in images:
            if line := colour_remark(origin.model[0], source, rgb=rgb):
                warnings.warn(line, LungclsWarning, stacklevel=2)
    return origin


def common_colours(images: Sequence[tuple[str, str, bool]]) -> bool | None:
    """Tell whether all images have colours, as `begin` takes them; None if only some do."""
    found = {rgb for _, _, rgb in images}
    return found.pop() if len(found) == 1 else None


def identify(
    data: Mapping[str, Any],
    settings: TrainingSettings,
    scheme: ClassScheme,
    checkpoint: Checkpoint | None,
) -> dict[str, Any]:
    """Tell a run from others: it goes on only with the data and settings it began with.

    Parameters
    ----------
    data
        Tells what is learned from.
    settings
        Complete.
    scheme
        The classes.
    checkpoint
        To go on from, if it says so.

    Returns
    -------
    dict
        The fingerprint of the run.

    Raises
    ------
    InputError
        When the checkpoint is of another run.
    """
    fixed = settings.model_dump(mode="json", exclude=ANYWHERE)
    fingerprint = {
        **data,
        "classes": list(scheme.names),
        **{f"setting {name}": value for name, value in fixed.items()},
    }
    if checkpoint is not None:
        checkpoint.check(fingerprint)
    return fingerprint
