"""`lungcls evaluate`: a model against labelled points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli import console, patches
from napari_lungcls.cli.options import (
    Channels,
    Device,
    EngineName,
    Images,
    Json,
    PixelSize,
    ReportFolder,
    Stride,
    TablesUnlessPatches,
    check_file,
)
from napari_lungcls.cli.remote import (
    Server,
    ServerModel,
    Shared,
    TokenFile,
    TokenInClear,
    opened_model,
)
from napari_lungcls.errors import InputError


def evaluate(
    model: ServerModel,
    images: Images,
    points: TablesUnlessPatches = None,
    painted: Annotated[
        bool,
        typer.Option(
            "--painted",
            help="read the cells of a map at --stride, not the map exactly at the points",
        ),
    ] = False,
    stride: Stride = 4,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    report: ReportFolder = None,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="CSV", help="points file with every prediction"),
    ] = None,
    engine: EngineName = None,
    device: Device = "auto",
    server: Server = None,
    token_file: TokenFile = None,
    token_in_clear: TokenInClear = False,
    shared: Shared = None,
    json: Json = False,
) -> None:
    """Compare a model with labelled points, or patches, that it has not seen."""
    from napari_lungcls.evaluation.metrics import summary
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.images.stack import check_inside
    from napari_lungcls.model import load
    from napari_lungcls.network.suitability import warn_of_misfits
    from napari_lungcls.reporting import check_report_folder
    from napari_lungcls.reporting.predictions import write_predictions
    from napari_lungcls.reporting.runs import evaluation_report

    if not points:
        patches.check_patch_data(images, "evaluate", channels)
        if server is not None:
            raise InputError("patches are evaluated on this computer; leave --server out")
        patches.evaluate_on(
            load(model, engine=engine, device=device), model, images, report,
            predictions=predictions, as_json=json,
        )  # fmt: skip
        return
    if report is not None:
        check_report_folder(report)
    if predictions is not None:
        check_file(predictions)
    pairs = open_pairs(images, points, pixel_size, channels)
    for stack, table in pairs:
        check_inside(stack, table.coordinates, table.source)
    place = (server, token_file, token_in_clear, shared)
    with (
        opened_model(model, engine, device, *place) as loaded,
        console.progress("evaluating") as show,
    ):
        for stack, _ in pairs:
            warn_of_misfits(stack, loaded.document)
        found = loaded.predictions(
            pairs,
            painted=painted,
            stride=stride,
            progress=lambda done, total: show(done, total, "points"),
        )
    metrics = found.metrics()
    if predictions is not None:
        write_predictions(predictions, found)
    if report is not None:
        how = f"from the cells of a map at stride {stride}" if painted else "exactly at the points"
        evaluation_report(
            report,
            loaded.document,
            metrics,
            {
                "model": str(model),
                "images": ", ".join(images),
                "points": ", ".join(map(str, points)),
                "predictions read": how,
                "computed by": server or "this computer",
            },
            found,
        )
    console.answer(metrics.model_dump(mode="json"), summary(metrics, "points"), as_json=json)
