"""`lungcls patches`: train, evaluate and predict on patch data sets."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from napari_lungcls.cli import console, patches_data
from napari_lungcls.cli.learn import Kind, Places, learn, take_notes
from napari_lungcls.cli.options import (
    CheckpointEvery,
    Classes,
    Device,
    EngineName,
    Json,
    ModelFile,
    ModelOut,
    PixelSize,
    ReportFolder,
    Resume,
    check_file,
    with_settings,
)
from napari_lungcls.cli.patches_data import Attribute, Data, opened
from napari_lungcls.errors import InputError
from napari_lungcls.learning.checkpoint import SECONDS
from napari_lungcls.network.training_data import ModelNotes
from napari_lungcls.patch_datasets.settings import PatchSettings
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from napari_lungcls.learning.progress import TrainingProgress
    from napari_lungcls.learning.run import Trained
    from napari_lungcls.model import Model

PartName = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="NAME",
        help="train, validation, test or all  [default: test, if there is such a part]",
    ),
]
Predictions = Annotated[
    Path | None,
    typer.Option("--predictions", metavar="CSV", help="table of all predictions to write"),
]

SPLIT = {
    "n_train": "train",
    "n_val": "validation",
    "n_test": "test",
    "n_final": "final",
    "split_by": "by",
    "cautions": "cautions",
}
WAYS = {
    "files": "as the files are",
    "group": "by group",
    "random": "at random",
    "none": "not at all",
}

app = typer.Typer(
    help="Train, evaluate and predict on patch data sets; look at them, make them.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.command("info")(patches_data.info)
app.command("export")(patches_data.export)


@app.command("train")
@with_settings(ModelNotes, panel="Model card")
@with_settings(PatchSettings)
def train(
    data: Data,
    out: ModelOut,
    classes: Classes = None,
    attribute: Attribute = None,
    pixel_size: PixelSize = None,
    report: ReportFolder = None,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = SECONDS,
    json: Json = False,
    **settings: Any,
) -> None:
    """Train a network on labelled patches."""
    notes = take_notes(settings)
    train_on(
        data, out, classes, pixel_size, report, settings, notes=notes,
        attribute=attribute, resume=resume, every=checkpoint_every, as_json=json,
    )  # fmt: skip


@app.command("evaluate")
def evaluate(
    model: ModelFile,
    data: Data,
    predictions: Predictions = None,
    part: PartName = None,
    attribute: Attribute = None,
    report: ReportFolder = None,
    engine: EngineName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Compare a model with labelled patches that it has not seen."""
    from napari_lungcls.model import load

    loaded = load(model, engine=engine, device=device)
    evaluate_on(
        loaded, model, data, report,
        predictions=predictions, part=part, attribute=attribute, as_json=json,
    )  # fmt: skip


@app.command("predict")
def predict(
    model: ModelFile,
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="CSV", help="table to write")],
    part: PartName = None,
    attribute: Attribute = None,
    engine: EngineName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write what a model says of patches; they need no class."""
    from napari_lungcls.model import load
    from napari_lungcls.network.decision import predicted_counts
    from napari_lungcls.patch_datasets.predictions import write_predictions

    check_file(out)
    loaded = load(model, engine=engine, device=device)
    patches = opened(data, attribute=attribute, labelled=False).only(part)  # type: ignore[arg-type]
    with console.progress("predicting") as show:
        probabilities = loaded.classify_patches(
            patches, progress=lambda d, t: show(d, t, "patches")
        )
    threshold = loaded.document.threshold
    write_predictions(out, patches, probabilities, loaded.scheme, threshold)
    counts = predicted_counts(probabilities, loaded.scheme.names, threshold)
    result = {"out": str(out), "n": len(patches), "counts": counts}
    said = ", ".join(f"{n} {name}" for name, n in counts.items())
    console.answer(result, f"{len(patches)} patches: {said}\ntable: {out}", as_json=json)


def check_patch_data(data: Sequence[str], command: str, channels: str | None) -> None:
    """Refuse images without points, where only patches may go without, and their options.

    Raises
    ------
    InputError
        Naming the option that is missing or has no meaning.
    """
    from napari_lungcls.patch_datasets.opening import is_patch_data

    for path in data:
        if not is_patch_data(path):
            raise InputError(
                f"Missing option '--points': {path} is no patch data set, and images need points; "
                f"see lungcls {command} --help"
            )
    if channels is not None:
        raise InputError(
            f"--channels {channels}: patches are grey or RGB as they are; leave that out"
        )


def train_on(
    data: Sequence[str],
    out: Path,
    classes: str | None,
    pixel_size: float | None,
    report: Path | None,
    settings: dict[str, Any],
    *,
    notes: ModelNotes,
    attribute: str | None = None,
    resume: bool = False,
    every: float = SECONDS,
    as_json: bool,
) -> None:
    """Train on patches and print what came of it."""
    from napari_lungcls.annotation import ClassScheme
    from napari_lungcls.patch_datasets.training import run_patches

    chosen = PatchSettings.check(**settings)
    scheme = None if classes is None else ClassScheme.parse(classes)
    places = Places.check(out, report, resume=resume, every=every)
    patches = opened(data, attribute=attribute)

    def start(cancelled: Callable[[], bool]) -> Generator[TrainingProgress, None, Trained]:
        return run_patches(
            patches, chosen, patches.scheme(scheme), pixel_size=pixel_size, cancelled=cancelled,
            checkpoint=places.checkpoint,
        )  # fmt: skip

    learn(start, Kind("patches", SPLIT, _words), places, notes, as_json=as_json)


def evaluate_on(
    model: Model,
    path: Path,
    data: Sequence[str],
    report: Path | None,
    *,
    predictions: Path | None = None,
    part: str | None = None,
    attribute: str | None = None,
    as_json: bool,
) -> None:
    """Evaluate on patches and print the figures."""
    from napari_lungcls.evaluation.metrics import summary
    from napari_lungcls.patch_datasets.predictions import PatchPredictions, write_predictions
    from napari_lungcls.reporting import check_report_folder
    from napari_lungcls.reporting.runs import evaluation_report

    if report is not None:
        check_report_folder(report)
    if predictions is not None:
        check_file(predictions)
    patches = opened(data, attribute=attribute).only(part)  # type: ignore[arg-type]
    codes = patches.codes(model.scheme)
    with console.progress("evaluating") as show:
        probabilities = model.classify_patches(patches, progress=lambda d, t: show(d, t, "patches"))
    threshold = model.document.threshold
    found = PatchPredictions(
        codes, probabilities, model.scheme, model.document.temperature, threshold,
        data=patches, rows=np.arange(len(patches)),
    )  # fmt: skip
    metrics = found.metrics()
    if predictions is not None:
        write_predictions(predictions, patches, probabilities, model.scheme, threshold)
    if report is not None:
        facts = {"model": str(path), "patches": patches.source}
        evaluation_report(report, model.document, metrics, facts, found)
    console.answer(metrics.model_dump(mode="json"), summary(metrics, "patches"), as_json=as_json)


def _words(result: dict[str, Any]) -> list[str]:
    lines = []
    for part, said in (("val", "for validation"), ("test", "of the test part")):
        if result[part] is not None:
            lines.append(
                f"accuracy on {result[f'n_{part}']} patches {said}: "
                f"{percent(result[part]['accuracy'])} (balanced "
                f"{percent(result[part]['balanced_accuracy'])}), split "
                f"{WAYS[result['split_by']]}"
            )
    return [*lines, *result["cautions"]]
