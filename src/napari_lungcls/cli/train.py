"""`lungcls train`: from images and labelled points to a model file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_lungcls.cli import console, patches
from napari_lungcls.cli.options import (
    CheckpointEvery,
    Classes,
    Images,
    Json,
    ModelOut,
    PixelSize,
    ReportFolder,
    Resume,
    SettingsFile,
    TablesUnlessPatches,
    check_file,
    with_settings,
)
from napari_lungcls.learning.checkpoints import SECONDS, Checkpoint, checkpoint_path
from napari_lungcls.learning.settings import TrainingSettings

if TYPE_CHECKING:
    from napari_lungcls.annotation import ClassScheme


@with_settings(TrainingSettings)
def train(
    images: Images,
    out: ModelOut,
    points: TablesUnlessPatches = None,
    classes: Classes = None,
    pixel_size: PixelSize = None,
    report: ReportFolder = None,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = SECONDS,
    settings_file: SettingsFile = None,
    json: Json = False,
    **settings: Any,
) -> None:
    """Train a network on labelled points, or on patches."""
    from napari_lungcls.annotation import ClassScheme
    from napari_lungcls.generators import exhaust
    from napari_lungcls.learning.settings_file import chosen_settings, read_settings
    from napari_lungcls.network.modelfile import check_model_name
    from napari_lungcls.pairing import open_pairs
    from napari_lungcls.reporting import check_report_folder
    from napari_lungcls.reporting.runs import training_report
    from napari_lungcls.trainings import training

    if not points:
        patches.check_patch_data(images, "train")
        patches.train_on(
            images, out, classes, pixel_size, report,
            {**(read_settings(settings_file) if settings_file else {}), **settings},
            resume=resume, every=checkpoint_every, as_json=json,
        )  # fmt: skip
        return
    chosen = chosen_settings(settings_file, settings)
    scheme = ClassScheme.parse(classes or "lung")
    check_file(check_model_name(out))
    if report is not None:
        check_report_folder(report)
    pairs = open_pairs(images, points, pixel_size)
    checkpoint = Checkpoint(checkpoint_path(out), resume=resume, every=checkpoint_every)
    rehearse(chosen, scheme)
    began = time.perf_counter()
    with console.progress("training") as show, console.interruptible() as cancelled:
        run = training(
            pairs, settings=chosen, classes=scheme, cancelled=cancelled, checkpoint=checkpoint
        )
        model = exhaust(run, lambda p: show(p.done, p.total, p.words))
        stopped = cancelled()
    model.save(out)
    if not stopped:
        checkpoint.remove()
    document = model.document
    result = {
        "model": str(out),
        "n_train": document.split["train"],
        "n_val": document.split["validation"],
        "n_test": document.split["test"],
        "n_buffered": document.split["n_buffered"],
        "n_final": document.split["final"],
        "epochs": len(document.history),
        "seconds": round(time.perf_counter() - began, 2),
        "engine": document.engine,
        "device": document.device,
        "split": document.split,
        "val": document.validation,
        "test": document.test,
    }
    if report is not None:
        training_report(report, document, result)
    console.answer(result, _text(result, document.pretrained), as_json=json)
    if stopped:
        raise console.Interrupted(
            f"training was interrupted; {out} holds what was learned until then, and the same "
            "command with --resume goes on"
        )


def rehearse(settings: TrainingSettings, scheme: ClassScheme) -> None:
    """Start the network on one black pixel, before the real points are read.

    Engine, device, weights and a shape that no network can have are found out in this way,
    and not after the minutes that the windows of a large stack take.

    Raises
    ------
    InputError
        When one of them cannot be used.
    """
    from napari_lungcls.learning.dataset import PointSet
    from napari_lungcls.learning.layout import Layout
    from napari_lungcls.learning.start import open_origin, start_network

    one = np.zeros(1, np.intp)
    place = np.zeros((1, 2))
    origin = open_origin(settings, scheme)
    chosen = origin.shaped(settings).resolved(None)
    shape = (1, len(chosen.zooms), 1, 1, 3)
    points = PointSet(Layout(place, one, one, one), np.zeros(shape, np.uint8), place[np.newaxis])
    dtype = origin.model[0].network.normalisation.dtype if origin.model else "uint8"
    start_network(points, one, chosen, len(scheme), dtype, origin)


def _text(result: dict[str, Any], pretrained: str) -> str:
    val, split = result["val"], result["split"]
    lines = [
        f"trained on {result['n_train']} points for {result['epochs']} epochs in "
        f"{result['seconds']:.0f} s ({result['engine']} on {result['device']})",
    ]
    if pretrained != "none":
        lines.append(f"started from {pretrained}")
    if val is None:
        lines.append("no points were kept for validation")
    else:
        lines.append(
            f"accuracy on {val['n']} points it has not seen: "
            f"{console.percent(val['accuracy'])} (balanced "
            f"{console.percent(val['balanced_accuracy'])}); {result['n_buffered']} points too "
            "near to them were left out"
        )
        lines += _reservations(split)
    for number, fold in enumerate(split.get("folds", ()), 1):
        lines.append(f"  fold {number}: {console.percent(fold['accuracy'])}")
    if result["test"] is not None:
        test = result["test"]
        lines.append(
            f"accuracy on {test['n']} test points, looked at once: "
            f"{console.percent(test['accuracy'])}"
        )
    if result["n_final"]:
        lines.append(f"then trained on all {result['n_final']} points; the figures are the split's")
    return "\n".join([*lines, f"model: {result['model']}"])


def _reservations(split: dict[str, Any]) -> list[str]:
    """Say what flatters the figures, if anything does."""
    if not split["buffer_relaxed"]:
        return []
    return [
        f"this flatters: with a buffer of {split['buffer']:g} pixels in place of "
        f"{split['full_buffer']:.0f}, windows of training and validation share pixels"
    ]
