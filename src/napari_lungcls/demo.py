"""The whole job on a synthetic lung: label, train, paint, and compare with the exact truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points, write_points
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.metrics import validation_of
from napari_lungcls.images.geometry import map_positions
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.learning.progress import TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import Model
from napari_lungcls.reporting import Report, ReportPicture, label_picture, write_report
from napari_lungcls.reporting.runs import history_of, training_facts
from napari_lungcls.synthetic import LungParameters, LungSection, make_section
from napari_lungcls.train_model import training
from napari_lungcls.utils.atomic_write import atomic_write, check_writable
from napari_lungcls.utils.humanize import percent
from napari_lungcls.utils.progress import exhaust

SETTINGS = TrainingSettings(epochs=9, pretrained="none", seed=1)
"""The default settings, but for the start, so that its figures are the same with and without a
network connection, and for the number of steps: it is to take less than three minutes."""

STRIDE = 1
"""Every pixel is judged: the middle of a wider cell may lie between pixels of two classes."""
PIXEL_SIZE = 1.0
LUNG = LungParameters(airway_spacing=None, vessel_spacing=None)
"""Parenchyma only: airways and vessels are too rare in two small sections to learn from."""

TRAIN_SEED, TEST_SEED = 1, 2

READ, TRAINED, PAINTED = 10, 85, 95
"""Per cent of the demonstration that are done after reading, training and painting."""

Show = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Plan:
    """How large a demonstration is.

    Attributes
    ----------
    settings
        What it trains with.
    studied, unseen
        Shapes of the section it trains on and of the one it paints, in pixels.
    points
        Points at random places of the studied section.
    """

    settings: TrainingSettings = SETTINGS
    studied: tuple[int, int] = (2048, 2048)
    unseen: tuple[int, int] = (1024, 1024)
    points: int = 1400


@dataclass(frozen=True)
class Demo:
    """What the demonstration found.

    Attributes
    ----------
    val_accuracy
        On points of the section it trained on, in regions that training did not read.
    painted_accuracy
        Share of all cells of a section never seen before whose class is the exact truth.
    seconds
        From the first section to the report.
    report
        The page.
    share_errors
        For each class, its painted share of the area less the exact one, in percentage points.
    """

    val_accuracy: float
    painted_accuracy: float
    seconds: float
    report: Path
    share_errors: dict[str, float]


def run_demo(
    out: Path,
    show: Show,
    cancelled: Callable[[], bool] = lambda: False,
    plan: Plan | None = None,
) -> Demo:
    """Make two sections, train on points of one, paint the other, and report.

    Parameters
    ----------
    out
        Folder for the sections, points, model, map and report; made if it does not exist.
    show
        Told of steps done, steps in all, and what is being done.
    cancelled
        Asked often; ends the demonstration.
    plan
        How large it is; the usual size if not given.

    Raises
    ------
    InputError
        When the folder cannot be written, or when cancelled.
    """
    plan = plan or Plan()
    _make_folder(out)
    began = time.perf_counter()
    bar = _DemoProgress(show)
    bar.show(0, "making sections")
    studied = make_section(plan.studied, pixel_size=PIXEL_SIZE, seed=TRAIN_SEED, parameters=LUNG)
    unseen = make_section(plan.unseen, pixel_size=PIXEL_SIZE, seed=TEST_SEED, parameters=LUNG)
    for name, section in (("studied", studied), ("unseen", unseen)):
        _write_section(out / f"{name}.ome.tif", section)
    points = points_at_random(studied, plan.points, TRAIN_SEED)
    scheme = ClassScheme.preset("lung")
    write_points(out / "studied.lungcls.csv", points)
    run = training(
        _stack(studied, "studied.ome.tif"),
        points,
        plan.settings,
        classes=scheme,
        cancelled=cancelled,
    )
    model = exhaust(run, bar.follow_training)
    model.save(out / "lung.safetensors")
    painted = exhaust(
        model.painting(
            _stack(unseen, "unseen.ome.tif"),
            STRIDE,
            out=out / "unseen-map.ome.zarr",
            overwrite=True,
            cancelled=cancelled,
        ),
        lambda p: bar.show(_between(TRAINED, PAINTED, p.done, p.total), "painting"),
    )
    if cancelled():
        raise InputError(f"the demonstration was interrupted; {out} holds what it made so far")
    truth = truth_at_cells(unseen.truth, STRIDE)
    accuracy, errors = painted_accuracy(painted, truth), share_errors(painted, truth)
    bar.show(PAINTED, "writing the report")
    validation = validation_of(model.document)
    assert validation is not None
    seconds = time.perf_counter() - began
    page = write_report(out / "report", _report(model, unseen, painted, truth, seconds))
    bar.show(100, "done")
    return Demo(validation.accuracy, accuracy, time.perf_counter() - began, page, errors)


class _DemoProgress:
    """Progress over all parts of the demonstration, which never runs backwards."""

    def __init__(self, show: Show) -> None:
        self._show, self._done = show, 0

    def show(self, done: int, words: str) -> None:
        """Show per cents, or those that were shown before if they are more."""
        self._done = max(self._done, done)
        self._show(self._done, 100, words)

    def follow_training(self, progress: TrainingProgress) -> None:
        """Show where training is: it first reads, then counts its steps from 0."""
        ends = (5, READ) if progress.phase == "reading" else (READ, TRAINED)
        self.show(_between(*ends, progress.done, progress.total), progress.words)


def _between(first: int, last: int, done: int, total: int) -> int:
    return first + (last - first) * done // max(1, total)


def points_at_random(section: LungSection, n: int, seed: int) -> Points:
    """Label `n` random places of a section, as an observer would who clicks blindly."""
    rng = np.random.default_rng(seed)
    pixels = rng.choice(np.flatnonzero(section.truth), n, replace=False)
    names = np.array(section.scheme.names, object)
    coordinates = np.column_stack(np.unravel_index(pixels, section.truth.shape))
    return Points.build(coordinates, names[section.truth.reshape(-1)[pixels] - 1])


def truth_at_cells(truth: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """Return the exact class under the centre of every cell, `(h, w)`, 0 = none.

    For an even stride a centre lies between pixels; the one after it is taken.
    """
    rows, columns = (
        np.floor(map_positions(0, -(-n // stride), stride) + 0.5).astype(int).clip(max=n - 1)
        for n in truth.shape
    )
    cells: NDArray[np.uint8] = truth[np.ix_(rows, columns)]
    return cells


def painted_accuracy(painted: PaintedMap, truth: NDArray[np.uint8]) -> float:
    """Share of the cells with a true class that were painted in it."""
    counted = truth > 0
    return float((np.asarray(painted.classes)[counted] == truth[counted]).mean())


def shares_of(painted: PaintedMap, truth: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Return the painted and the exact share of each class, over the cells with a true class."""
    counted = truth > 0
    names = painted.scheme.names
    found, exact = (
        np.bincount(codes[counted], minlength=len(names) + 1)[1:] / counted.sum()
        for codes in (np.asarray(painted.classes), truth)
    )
    return {name: (float(found[k]), float(exact[k])) for k, name in enumerate(names)}


def share_errors(painted: PaintedMap, truth: NDArray[np.uint8]) -> dict[str, float]:
    """Return by how many percentage points each painted share is too large; see `shares_of`."""
    shares = shares_of(painted, truth).items()
    return {name: 100 * (found - exact) for name, (found, exact) in shares}


def _report(
    model: Model,
    section: LungSection,
    painted: PaintedMap,
    truth: NDArray[np.uint8],
    seconds: float,
) -> Report:
    classes = np.asarray(painted.classes)
    facts = {
        "accuracy of the map, all cells": percent(painted_accuracy(painted, truth)),
        **{
            f"share of {name}": f"{percent(found)}, exactly {percent(exact)}: "
            f"{100 * (found - exact):+.1f} points"
            for name, (found, exact) in shares_of(painted, truth).items()
        },
        "duration": f"{seconds:.0f} s",
        **training_facts(model.document),
    }
    return Report(
        title="Demonstration on a synthetic lung",
        facts=facts,
        metrics=validation_of(model.document),
        history=history_of(model.document),
        pictures=[
            ReportPicture("image", "a section the network has never seen", section.image),
            ReportPicture("truth", "its exact classes", label_picture(truth, section.scheme)),
            ReportPicture(
                "map", f"what was painted, stride {STRIDE}", label_picture(classes, model.scheme)
            ),
        ],
        notes=[
            "The lung is synthetic: it shows that the machine learns what it is shown, not how "
            "well it does on yours."
        ],
        scheme=model.scheme,
    )


def _stack(section: LungSection, name: str) -> ImageStack:
    size = section.pixel_size
    return ImageStack(
        section.image, rgb=True, pixel_size=size, scale=(size, size), unit="micrometer",
        name=name,
    )  # fmt: skip


def _write_section(path: Path, section: LungSection) -> None:
    metadata = {
        "axes": "YXS",
        "PhysicalSizeX": section.pixel_size,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": section.pixel_size,
        "PhysicalSizeYUnit": "µm",
    }
    with atomic_write(path) as aside:
        tifffile.imwrite(
            aside, section.image, ome=True, photometric="rgb", tile=(256, 256),
            compression="zlib", metadata=metadata,
        )  # fmt: skip


def _make_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder", setting="out")
    check_writable(out)
    out.mkdir(exist_ok=True)
    check_writable(out / "report")
