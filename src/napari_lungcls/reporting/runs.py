"""The reports of the commands: of a training, of an evaluation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_lungcls.learning.history import EpochRecord
from napari_lungcls.learning.metrics import Metrics
from napari_lungcls.network.document import ModelDocument
from napari_lungcls.reporting.report import Report, write_report


def history_of(document: ModelDocument) -> list[EpochRecord]:
    """Return the epochs that a model file remembers."""
    return [EpochRecord(**record) for record in document.history]


def validation_of(document: ModelDocument) -> Metrics | None:
    """Return the figures on points that the network had not seen, if there were any."""
    found = document.validation
    return None if found is None else Metrics.model_validate(found)


def training_facts(document: ModelDocument) -> dict[str, str]:
    """Say in words how a model was made."""
    network, split = document.network, document.split
    facts = {
        "classes": ", ".join(document.scheme.names),
        "zooms": ", ".join(map(str, network.zooms)),
        "window": f"{network.window} level pixels",
        "stages": ", ".join(f"layer{stage}" for stage in network.stages),
        "pixel size": "unknown" if document.pixel_size is None else f"{document.pixel_size:g} µm",
        "trunk started from": "random numbers"
        if document.pretrained == "none"
        else document.pretrained,
        "points trained on": str(split.get("train", "–")),
        "points for validation": str(split.get("validation", "–")),
        "points lost to the buffer": f"{split.get('n_buffered', 0)}, "
        f"closer than {split.get('buffer', 0):.0f} pixels to a validation point",
        "engine": f"{document.engine} on {document.device}",
        "created": document.created,
    }
    return facts


def training_report(
    directory: str | os.PathLike[str], document: ModelDocument, result: Mapping[str, Any]
) -> Path:
    """Write the report of a training run."""
    notes = []
    if document.validation is None:
        notes.append("All points were trained on, so there are no figures on unseen points.")
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
        ),
    )


def evaluation_report(
    directory: str | os.PathLike[str],
    document: ModelDocument,
    metrics: Metrics,
    facts: Mapping[str, str],
) -> Path:
    """Write the report of an evaluation, with the learning curves of the model."""
    return write_report(
        directory,
        Report(
            title="Evaluation",
            facts=dict(facts),
            metrics=metrics,
            history=history_of(document),
            scheme=document.scheme,
        ),
    )
