"""What the points that were held out say of a model, and what is chosen on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.calibration import Prior, fit_calibration
from napari_lungcls.evaluation.metrics import score
from napari_lungcls.evaluation.thresholds import choose_threshold
from napari_lungcls.images.pairs import Pair
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.known_points import DIGITS, ImageKey, ImagePoints, KnownPoints, Part
from napari_lungcls.network.model_file import ModelDocument

HeldOut = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Logits `(n, k)` and true classes `(n,)`."""

PLACES = 6
"""Decimals of the probabilities that a model file keeps."""

RowsHeldOut = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Rows of the points `(n,)`, and their logits `(n, k)`."""


@dataclass(frozen=True)
class HeldOutResult:
    """Figures and choices, as the document of a model holds them.

    Attributes
    ----------
    temperature, calibration
        Fitted to the validation points; without any the usual temperature of networks that
        learned such labels, and None.
    threshold, operating_point
        Chosen on them for the aim of the settings; None where the likelier class is answered.
    validation, test
        Figures with both applied, or None.
    """

    temperature: float = 1.0
    calibration: dict[str, Any] | None = None
    threshold: float | None = None
    operating_point: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None
    test: dict[str, Any] | None = None


def evaluate_held_out(
    validation: HeldOut | None,
    test: HeldOut | None,
    settings: TrainingSettings,
    scheme: ClassScheme,
) -> HeldOutResult:
    """Calibrate and choose on the validation points; then score both parts.

    The test part takes no part in either choice.

    Raises
    ------
    InputError
        See `check_aim`.
    """
    check_aim(settings, scheme)
    # Heads that are fitted to a frozen backbone know nothing of smoothed labels.
    smoothed = 0.0 if settings.freezes else settings.label_smoothing
    prior = Prior.of_smoothing(smoothed, len(scheme))
    if validation is None:
        usual = prior.centre
        return HeldOutResult(temperature=usual, test=_scored(test, usual, None, scheme))
    logits, codes = validation
    fitted = fit_calibration(logits, codes, seed=settings.seed, prior=prior)
    chosen = None
    if settings.aim != "most-likely":
        probabilities = softmax(logits / fitted.temperature, axis=1)[:, 1]
        chosen = choose_threshold(probabilities, codes, settings.aim, recall=settings.recall)
    threshold = chosen.value if chosen else None
    return HeldOutResult(
        temperature=fitted.temperature,
        calibration=fitted.model_dump(mode="json"),
        threshold=threshold,
        operating_point=chosen.model_dump(mode="json") if chosen else None,
        validation=_scored(validation, fitted.temperature, threshold, scheme),
        test=_scored(test, fitted.temperature, threshold, scheme),
    )


def check_aim(settings: TrainingSettings, scheme: ClassScheme) -> None:
    """Refuse an aim that needs two classes and validation points where there are none.

    Raises
    ------
    InputError
        Naming what is missing.
    """
    if settings.aim == "most-likely":
        return
    if len(scheme) != 2:
        raise InputError(
            f"{settings.aim} is for two classes, and the scheme {scheme.name!r} has {len(scheme)}",
            setting="aim",
            suggestion={"aim": "most-likely"},
        )
    if settings.val_fraction == 0 and settings.folds == 1:
        raise InputError(
            f"{settings.aim} needs validation points to choose the threshold on",
            setting="aim",
            suggestion={"val_fraction": 0.2, "aim": "most-likely"},
        )


def remember_points(
    pairs: Sequence[Pair],
    trained: NDArray[np.intp],
    held: Mapping[Part, RowsHeldOut | None],
    document: ModelDocument,
    before: ModelDocument | None = None,
) -> KnownPoints:
    """Write down which points a network learned from, and what it said of those held out.

    Parameters
    ----------
    pairs
        Images with all their points; rows count them through over all images.
    trained
        Rows that the network learned from.
    held
        What was held out, by part.
    document
        Of the model: classes and temperature.
    before
        Of the model that the training went on with: its points were learned from as well.
    """
    ends = np.cumsum([len(points) for _, points in pairs])
    codes = np.concatenate([points.codes(document.scheme) for _, points in pairs])
    where = [at for _, points in pairs for at in np.round(points.coordinates, DIGITS).tolist()]
    found: list[dict[str, Any]] = [
        {
            **ImageKey.of(stack)._asdict(),
            **{key: [] for key in ("trained", "held_out", "parts", "truth", "probabilities")},
        }
        for stack, _ in pairs
    ]
    for row in trained.tolist():
        found[int(np.searchsorted(ends, row, side="right"))]["trained"].append(where[row])
    for part, each in held.items():
        rows, logits = (np.zeros(0, np.intp), np.zeros((0, 1))) if each is None else each
        shares = np.round(softmax(logits / document.temperature, axis=1), PLACES).tolist()
        for row, probabilities in zip(rows.tolist(), shares, strict=True):
            image = found[int(np.searchsorted(ends, row, side="right"))]
            image["held_out"].append(where[row])
            image["parts"].append(part)
            image["truth"].append(int(codes[row]))
            image["probabilities"].append(probabilities)
    images = [ImagePoints.model_validate(each) for each in found]
    if before is None:
        return KnownPoints(images=images)
    earlier = before.points or KnownPoints(complete=False)
    learned = [
        ImagePoints(name=i.name, shape=i.shape, pixels=i.pixels, trained=i.trained)
        for i in earlier.images
    ]
    return KnownPoints(images=[*images, *learned], complete=earlier.complete)


def _scored(
    held: HeldOut | None, temperature: float, threshold: float | None, scheme: ClassScheme
) -> dict[str, Any] | None:
    if held is None:
        return None
    logits, codes = held
    probabilities = softmax(logits / temperature, axis=1)
    return score(codes, probabilities, scheme.names, threshold).model_dump(mode="json")
