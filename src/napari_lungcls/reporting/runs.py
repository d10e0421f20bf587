"""The reports of the commands: of a training, of an evaluation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_lungcls.evaluation.calibration import Calibration
from napari_lungcls.evaluation.intervals import wilson
from napari_lungcls.evaluation.metrics import Metrics, validation_of
from napari_lungcls.evaluation.predictions import Predictions
from napari_lungcls.learning.progress import EpochRecord
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.parameters import STAGE_NAMES
from napari_lungcls.reporting.report import Report, basis_of, write_report


def history_of(document: ModelDocument) -> list[EpochRecord]:
    """Return the epochs that a model file remembers."""
    return [EpochRecord(**record) for record in document.history]


def training_facts(document: ModelDocument) -> dict[str, str]:
    """Say in words how a model was made."""
    network, split = document.network, document.split
    facts = {
        "classes": ", ".join(document.scheme.names),
        "zooms": ", ".join(map(str, network.zooms)),
        "tile": f"{network.tile} zoomed pixels",
        "stages": ", ".join(STAGE_NAMES[stage] for stage in network.stages),
        "hidden units": str(network.hidden or "none, linear heads"),
        "pixel size": "unknown" if document.pixel_size is None else f"{document.pixel_size:g} µm",
        "backbone started from": "random numbers"
        if document.pretrained == "none"
        else document.pretrained,
        "points trained on": str(split.get("train", "–")),
        "points for validation": str(split.get("validation", "–")),
        "points left out": f"{split.get('n_buffered', 0)}, in no region of the split",
        "engine": f"{document.engine} on {document.device}",
        "created": document.created,
    }
    if document.test is not None:
        test = Metrics.model_validate(document.test)
        low, high = wilson(test.accuracy, test.n)
        facts["accuracy on the test part"] = (
            f"{test.accuracy:.3f} on {test.n} points that nothing was chosen by, 95 % interval "
            f"{low:.3f} to {high:.3f}"
        )
    return facts


def calibration_of(document: ModelDocument) -> Calibration | None:
    """Return what temperature scaling did, if it was done."""
    found = document.calibration
    return None if found is None else Calibration.model_validate(found)


def counts_of(document: ModelDocument) -> dict[str, list[int]]:
    """Return the points of each class in each part of the split, as far as they are known."""
    known = document.split.get("class_counts")
    if isinstance(known, dict):
        return {"training" if part == "train" else part: list(n) for part, n in known.items()}
    metrics = validation_of(document)
    if metrics is None:
        return {}
    return {"validation": [metrics.per_class[name].support for name in document.scheme.names]}


def training_report(
    directory: str | os.PathLike[str],
    document: ModelDocument,
    result: Mapping[str, Any],
    predictions: Predictions | None = None,
) -> Path:
    """Write the report of a training run.

    Parameters
    ----------
    directory
        See `write_report`.
    document
        Of the model.
    result
        What the command reports: `model` and `seconds`.
    predictions
        Of the model at the validation points, for curves and mistakes.
    """
    notes = []
    basis = basis_of(document)
    if basis:
        notes.append(basis)
    if document.split.get("final"):
        notes.append(
            "The model was then trained on all points; the figures are those of the split before."
        )
    if document.validation is None:
        why = (
            "Training ended before the first epoch did"
            if document.split.get("validation")
            else "All points were trained on"
        )
        notes.append(f"{why}, so there are no figures on unseen points.")
    facts = training_facts(document) | {
        "model": str(result["model"]),
        "duration": f"{result['seconds']:.0f} s",
    }
    return write_report(
        directory,
        Report(
            title="Training",
            facts=facts,
            metrics=validation_of(document),
            history=history_of(document),
            notes=notes,
            scheme=document.scheme,
            predictions=predictions,
            document=document,
            calibration=calibration_of(document),
            counts=counts_of(document),
            basis=basis,
        ),
    )


def evaluation_report(
    directory: str | os.PathLike[str],
    document: ModelDocument,
    metrics: Metrics,
    facts: Mapping[str, str],
    predictions: Predictions | None = None,
) -> Path:
    """Write the report of an evaluation, with the learning curves of the model."""
    counts = {"evaluated": [metrics.per_class[name].support for name in document.scheme.names]}
    if document.threshold is not None:
        facts = dict(facts) | {
            "threshold": f"{document.scheme.names[1]} from probability {document.threshold:.4g}"
        }
    return write_report(
        directory,
        Report(
            title="Evaluation",
            facts=dict(facts),
            metrics=metrics,
            history=history_of(document),
            scheme=document.scheme,
            predictions=predictions,
            document=document,
            counts=counts,
        ),
    )
