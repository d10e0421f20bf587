"""What a report says, and writing it into a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.learning.answers import Answers
from napari_lungcls.learning.calibration import Calibration
from napari_lungcls.learning.history import EpochRecord
from napari_lungcls.learning.intervals import wilson
from napari_lungcls.learning.metrics import Metrics
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.reporting import figures, page, pictures, rendering, sections, tables
from napari_lungcls.reporting.sections import Sections, basis_of
from napari_lungcls.utils.atomic_write import atomic_write, check_writable
from napari_lungcls.utils.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INDEX = "index.html"
_FIXED = tuple(
    f"{name}.{suffix}"
    for name, suffixes in (
        ("confusion", ("csv", "svg", "png")),
        ("per_class", ("csv",)),
        ("history", ("csv",)),
        ("learning_curves", ("svg", "png")),
        ("reliability", ("csv", "svg", "png")),
        ("roc", ("csv", "svg", "png")),
        ("precision_recall", ("csv", "svg", "png")),
        ("one_vs_rest", ("csv",)),
        ("class_counts", ("csv", "svg", "png")),
        ("mistakes", ("csv", "svg", "png")),
    )
    for suffix in suffixes
)
_SHOWN_SIDE = 800


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a report.

    Attributes
    ----------
    name
        Short, such as "truth".
    caption
        What it shows.
    array
        `(y, x, 3)` uint8. The page shows it at most 800 pixels wide and high and links to
        the file, which has it whole.
    """

    name: str
    caption: str
    array: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Refuse what is no picture before anything is written."""
        shape, dtype = self.array.shape, self.array.dtype
        if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(f"a picture is (y, x, 3) uint8, not {shape} {dtype}")


@dataclass(frozen=True, eq=False)
class Report:
    """What a report says; what is left out has no section.

    Attributes
    ----------
    title
        Heading of the page.
    facts
        Name and value of what should be known: model, images, settings, duration.
    metrics
        Figures on points with known classes.
    history
        The epochs of a training.
    pictures
        Shown side by side, three to a row.
    notes
        Sentences for the reader, such as warnings.
    scheme
        Gives the classes their colours.
    answers
        What the model said at the points of `metrics`: curves, reliability, mistakes.
    document
        Of that model; without it mistakes have no pictures and are left out.
    calibration
        What the temperature did, cross-fitted; shown in place of a reliability diagram of
        `answers` when it was fitted on them, which flatters.
    counts
        Points of each class of the scheme, by part ("training", "validation").
    basis
        What every figure must say beside its number of points, such as that
        patches were split at random.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    metrics: Metrics | None = None
    history: Sequence[EpochRecord] | None = None
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()
    scheme: ClassScheme | None = None
    answers: Answers | None = None
    document: ModelDocument | None = None
    calibration: Calibration | None = None
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    basis: str = ""

    @property
    def colors(self) -> dict[str, str]:
        """`#rrggbb` by class name."""
        if self.scheme is None:
            return {}
        return dict(zip(self.scheme.names, self.scheme.colors, strict=True))


def check_report_folder(directory: str | os.PathLike[str]) -> Path:
    """Find out, before the work whose report it will be, whether a folder can take it.

    Raises
    ------
    InputError
        When the path is a file, cannot be written, or holds a page of someone else's.
    """
    folder = Path(directory)
    known = folder
    while not known.exists() and known.parent != known:
        known = known.parent
    if not known.is_dir():
        raise InputError(f"{known} is a file; give the name of a folder for the report")
    check_writable(known / INDEX)
    if (folder / INDEX).exists() and not _is_ours(folder / INDEX):
        raise InputError(f"{folder} holds an {INDEX} that is not a report; give another folder")
    return folder


def write_report(directory: str | os.PathLike[str], report: Report) -> Path:
    """Write `index.html`, the figures as SVG and PNG, and the tables as CSV.

    The page comes last and is complete in itself. An earlier report in the folder is
    replaced; its page stays valid until then.

    Parameters
    ----------
    directory
        Made if it does not exist.
    report
        What to write.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        When the folder cannot take a report; see `check_report_folder`.
    """
    folder = check_report_folder(directory)
    made = Sections()
    files = made.files
    confusion, curves = _add_figures(files, report)
    _add_sections(made, report)
    shown = _add_pictures(files, report.pictures)
    text = page.html_page(
        page.PageParts(
            title=report.title,
            facts=report.facts,
            metrics=report.metrics,
            confusion=confusion,
            curves=curves,
            pictures=shown,
            notes=report.notes,
            colors=report.colors,
            files=list(files),
            sections=made.html,
        )
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {folder} ({error.strerror}); give another one"
        ) from error
    for name, content in files.items():
        _write(folder / name, content)
    index = folder / INDEX
    stale = [name for name in _FIXED if name not in files] if index.exists() else []
    _write(index, printable(text).encode("utf-8"))
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return index


def _add_figures(files: dict[str, bytes], report: Report) -> tuple[str, str]:
    """Put figures and tables among the files; give the figures as parts of the page."""
    confusion = curves = ""
    if report.metrics is not None:
        files["confusion.csv"] = tables.confusion_csv(report.metrics).encode("utf-8")
        files["per_class.csv"] = tables.per_class_csv(report.metrics).encode("utf-8")
        low, high = wilson(report.metrics.accuracy, report.metrics.n)
        note = (
            f"{report.metrics.n} points. Accuracy {report.metrics.accuracy:.3f}, 95 % Wilson "
            f"interval {low:.3f} to {high:.3f}. {report.basis}"
        ).strip()
        drawn = figures.confusion_figure(report.metrics, report.colors, note)
        confusion = _add_figure(files, "confusion", drawn, "Confusion matrix")
    if report.history:
        files["history.csv"] = tables.history_csv(report.history).encode("utf-8")
        counted = {name: sum(numbers) for name, numbers in report.counts.items()}
        drawn = figures.curves_figure(
            report.history, _learning_note(report, counted), counted.get("validation")
        )
        curves = _add_figure(files, "learning_curves", drawn, "Loss and accuracy by epoch")
    return confusion, curves


def _learning_note(report: Report, counted: Mapping[str, int]) -> str:
    """Say on how many points the learning curves rest, as far as that is known."""
    parts = [
        f"{counted[name]} {name} points" for name in ("training", "validation") if counted.get(name)
    ]
    said = f"{' and '.join(parts)}. " if parts else ""
    if counted.get("validation"):
        said += "The band is the 95 % Wilson interval. "
    if report.history and all(record.val_accuracy is None for record in report.history):
        said += "Training points only: this does not show how well unseen points are answered. "
    basis = report.basis or (basis_of(report.document) if report.document else "")
    return f"{said}{basis}".strip()


def _add_sections(made: Sections, report: Report) -> None:
    """Put what follows the accuracy onto the page."""
    answers, colors = report.answers, report.colors
    if report.calibration is not None:
        sections.add_calibration(made, report.calibration, report.basis)
    elif answers is not None:
        sections.add_reliability(made, answers, report.basis)
    if answers is not None:
        sections.add_curves(made, answers, colors, report.basis)
    if report.counts and report.scheme is not None:
        sections.add_counts(made, report.counts, report.scheme.names, colors)
    if answers is not None and report.document is not None:
        sections.add_mistakes(made, answers, report.document, colors, report.basis)


def _add_figure(files: dict[str, bytes], name: str, figure: Figure, description: str) -> str:
    svg = rendering.svg_of(figure, name)
    files[f"{name}.svg"] = rendering.svg_file(svg).encode("utf-8")
    files[f"{name}.png"] = rendering.png_of(figure)
    return rendering.svg_inline(svg, description)


def _add_pictures(files: dict[str, bytes], shown: Sequence[Picture]) -> list[page.PagePicture]:
    parts = []
    for number, picture in enumerate(shown, start=1):
        slug = re.sub(r"[^a-z0-9]+", "-", picture.name.lower()).strip("-")[:40]
        name = f"picture-{number}-{slug}.png" if slug else f"picture-{number}.png"
        files[name] = pictures.png_bytes(picture.array)
        small = pictures.png_bytes(pictures.downsample_picture(picture.array, _SHOWN_SIDE))
        parts.append(
            page.PagePicture(picture.name, picture.caption, pictures.data_uri(small), name)
        )
    return parts


def _is_ours(index: Path) -> bool:
    try:
        with index.open("rb") as stream:
            return page.GENERATOR.encode("ascii") in stream.read(4096)
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as aside:
        aside.write_bytes(content)
