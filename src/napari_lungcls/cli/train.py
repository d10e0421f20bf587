"""`lungcls train`: from images and labelled points to a model file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from napari_lungcls.cli import patches
from napari_lungcls.cli.learn import Kind, Places, learn, take_notes
from napari_lungcls.cli.options import (
    Channels,
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
    with_settings,
)
from napari_lungcls.learning.checkpoint import SECONDS
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.training_data import ModelNotes
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from napari_lungcls.learning.progress import TrainingProgress
    from napari_lungcls.learning.run import Trained

SPLIT = {
    "n_train": "train",
    "n_val": "validation",
    "n_test": "test",
    "n_buffered": "n_buffered",
    "n_final": "final",
}


@with_settings(ModelNotes, panel="Model card")
@with_settings(TrainingSettings)
def train(
    images: Images,
    out: ModelOut,
    points: TablesUnlessPatches = None,
    classes: Classes = None,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    report: ReportFolder = None,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = SECONDS,
    settings_file: SettingsFile = None,
    json: Json = False,
    **settings: Any,
) -> None:
    """Train a network on labelled points, or on patches."""
    from napari_lungcls.annotation import ClassScheme
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.learning.run import run_training
    from napari_lungcls.learning.settings_file import chosen_settings, read_settings

    notes = take_notes(settings)
    if not points:
        patches.check_patch_data(images, "train", channels)
        patches.train_on(
            images, out, classes, pixel_size, report,
            {**(read_settings(settings_file) if settings_file else {}), **settings},
            notes=notes, resume=resume, every=checkpoint_every, as_json=json,
        )  # fmt: skip
        return
    chosen = chosen_settings(settings_file, settings)
    scheme = ClassScheme.parse(classes or "lung")
    places = Places.check(out, report, resume=resume, every=checkpoint_every)
    pairs = open_pairs(images, points, pixel_size, channels)

    def start(cancelled: Callable[[], bool]) -> Generator[TrainingProgress, None, Trained]:
        return run_training(
            pairs, chosen, scheme, cancelled=cancelled, checkpoint=places.checkpoint
        )

    learn(start, Kind("points", SPLIT, _words), places, notes, as_json=json)


def _words(result: dict[str, Any]) -> list[str]:
    val, split = result["val"], result["split"]
    lines = []
    if val is not None:
        lines.append(
            f"accuracy on {val['n']} points it has not seen: "
            f"{percent(val['accuracy'])} (balanced "
            f"{percent(val['balanced_accuracy'])})"
        )
        if lost := result["n_buffered"]:
            lines.append(f"{lost} points lie in no region of the split and were left out")
    elif not result["n_val"]:
        lines.append("no points were kept for validation")
    for number, fold in enumerate(split.get("folds", ()), 1):
        lines.append(f"  fold {number}: {percent(fold['accuracy'])}")
    if result["test"] is not None:
        test = result["test"]
        lines.append(
            f"accuracy on {test['n']} test points, looked at once: {percent(test['accuracy'])}"
        )
    if result["n_final"]:
        lines.append(f"then trained on all {result['n_final']} points; the figures are the split's")
    return lines
