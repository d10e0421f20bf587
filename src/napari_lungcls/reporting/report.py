"""What a model's report says: figures on points, curves of training, mistakes, pictures.

Figures are drawn in `figures`, `curves` and `mistakes`, tables are written in `tables`; the page is
the template `templates/report.html`, which escapes every text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.evaluation.calibration import Calibration, at_temperature
from napari_lungcls.evaluation.intervals import wilson
from napari_lungcls.evaluation.metrics import CLASS_METRICS, HEADLINES, Metrics
from napari_lungcls.evaluation.predictions import Predictions
from napari_lungcls.evaluation.reliability import (
    error_by_chance,
    expected_calibration_error,
    reliability,
)
from napari_lungcls.evaluation.roc_curves import ClassCurves, class_curves
from napari_lungcls.learning.progress import EpochRecord
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.reporting import curves, figures, mistakes, pictures, tables
from napari_lungcls.reporting.page_folder import (
    GENERATOR,
    check_report_folder,
    page_environment,
    write_folder,
)
from napari_lungcls.utils.humanize import percent
from napari_lungcls.utils.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FIGURES = (
    *("confusion", "learning_curves", "reliability", "roc"),
    *("precision_recall", "class_counts", "mistakes"),
)
_TABLES = ("per_class", "history", "one_vs_rest", *(n for n in _FIGURES if n != "learning_curves"))
_FIXED = (
    *(f"{name}.{suffix}" for name in _FIGURES for suffix in ("svg", "png")),
    *(f"{name}.csv" for name in _TABLES),
)
_SHOWN_SIDE = 800


@dataclass(frozen=True, eq=False)
class ReportPicture:
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
    predictions
        What the model said at the points of `metrics`: curves, reliability, mistakes.
    document
        Of that model; without it mistakes have no pictures and are left out.
    calibration
        What the temperature did, cross-fitted; shown in place of a reliability diagram of
        `predictions` when it was fitted on them, which flatters.
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
    pictures: Sequence[ReportPicture] = ()
    notes: Sequence[str] = ()
    scheme: ClassScheme | None = None
    predictions: Predictions | None = None
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


class PagePicture(NamedTuple):
    """A picture as the page shows it: `source` is a data address, `file` lies beside it."""

    name: str
    caption: str
    source: str
    file: str


@dataclass
class ReportContent:
    """What belongs to a report beside its own words.

    Attributes
    ----------
    files
        Bytes by name.
    figures
        Elements of the page, by the name of their files.
    pictures
        As the page shows them.
    calibration
        Says how far probabilities can be trusted.
    curves
        Of each class against the rest.
    worst, note
        Mistakes with pictures, and what is to be said above them; None if nobody looked.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    figures: dict[str, Markup] = field(default_factory=dict)
    pictures: list[PagePicture] = field(default_factory=list)
    calibration: str = ""
    curves: Sequence[ClassCurves] = ()
    worst: Sequence[mistakes.Mistake] | None = None
    note: str = ""

    def add_figure(self, name: str, drawn: Figure, description: str) -> None:
        """Keep a figure as SVG and PNG, and as an element of the page."""
        svg = figures.svg_of(drawn, name)
        self.files[f"{name}.svg"] = figures.svg_file(svg).encode("utf-8")
        self.files[f"{name}.png"] = figures.png_of(drawn)
        self.figures[name] = Markup(figures.svg_inline(svg, description))

    def add_table(self, name: str, text: str) -> None:
        """Keep a table."""
        self.files[f"{name}.csv"] = printable(text).encode("utf-8")


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
    content = _content(report)
    stale = [name for name in _FIXED if name not in content.files]
    return write_folder(folder, content.files, html_page(report, content), stale)


def html_page(report: Report, content: ReportContent) -> str:
    """Write the page; sections without content are left out."""
    environment = page_environment()
    environment.filters["initial"] = lambda text: text[:1].upper() + text[1:]
    environment.filters["percent"] = percent
    environment.filters["png_address"] = lambda array: pictures.data_uri(pictures.png_bytes(array))
    metrics = report.metrics
    return environment.get_template("report.html").render(
        report=report,
        content=content,
        generator=GENERATOR,
        headlines=HEADLINES,
        class_metrics=CLASS_METRICS,
        interval=() if metrics is None else wilson(metrics.accuracy, metrics.n),
        no_color=figures.NO_COLOR,
    )


def basis_of(document: ModelDocument) -> str:
    """Say what takes from the worth of every figure on the validation points."""
    return " ".join(document.split.get("cautions", []))


def _content(report: Report) -> ReportContent:
    """Draw the figures, write the tables, make the pictures."""
    content, predictions = ReportContent(), report.predictions
    if report.metrics is not None:
        _add_metrics(content, report.metrics, report)
    if report.history:
        content.add_table("history", tables.history_csv(report.history))
        counted = {name: sum(numbers) for name, numbers in report.counts.items()}
        drawn = figures.curves_figure(
            report.history, _learning_note(report, counted), counted.get("validation")
        )
        content.add_figure("learning_curves", drawn, "Loss and accuracy by epoch")
    if report.calibration is not None:
        _add_calibration(content, report.calibration, report.basis)
    elif predictions is not None:
        _add_reliability(content, predictions, report.basis)
    if predictions is not None:
        _add_curves(content, predictions, report)
    if report.counts and report.scheme is not None:
        names = report.scheme.names
        content.add_table("class_counts", tables.counts_csv(report.counts, names))
        drawn = curves.counts_figure(report.counts, names, report.colors)
        content.add_figure("class_counts", drawn, "Points of each class in each part")
    if predictions is not None and report.document is not None:
        _add_mistakes(content, predictions, report.document, report)
    _add_pictures(content, report.pictures)
    return content


def _add_metrics(content: ReportContent, metrics: Metrics, report: Report) -> None:
    content.add_table("confusion", tables.confusion_csv(metrics))
    content.add_table("per_class", tables.per_class_csv(metrics))
    low, high = wilson(metrics.accuracy, metrics.n)
    note = (
        f"{metrics.n} points. Accuracy {metrics.accuracy:.3f}, 95 % Wilson interval {low:.3f} to "
        f"{high:.3f}. {report.basis}"
    ).strip()
    drawn = figures.confusion_figure(metrics, report.colors, note)
    content.add_figure("confusion", drawn, "Confusion matrix")


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


def _add_calibration(content: ReportContent, calibration: Calibration, basis: str) -> None:
    """Add what temperature scaling did on the validation points, cross-fitted."""
    shown = [("before", calibration.before), ("after", calibration.after)]
    content.calibration = (
        f"Temperature {calibration.temperature:.3g}, fitted on {calibration.n} validation points. "
        f"Expected calibration error {calibration.ece_before:.3f} before and "
        f"{calibration.ece_after:.3f} after; a perfectly calibrated model would show about "
        f"{calibration.ece_by_chance:.3f} on as many points. “After” is cross-fitted: each point "
        "is answered at a temperature that was found without it."
    )
    _add_diagram(content, shown, f"{calibration.n} validation points", basis)


def _add_reliability(content: ReportContent, predictions: Predictions, basis: str) -> None:
    """Add how sure and how right the predictions are, without and with the model's temperature."""
    probabilities, n = predictions.probabilities, len(predictions)
    error, chance = (
        expected_calibration_error(probabilities, predictions.codes),
        error_by_chance(probabilities),
    )
    after = ("predictions", reliability(probabilities, predictions.codes))
    content.calibration = (
        f"Expected calibration error {error:.3f}; a perfectly calibrated model would show about "
        f"{chance:.3f} on as many {predictions.noun}."
    )
    shown = [after]
    if predictions.temperature != 1:
        raw = at_temperature(probabilities, 1 / predictions.temperature)
        plain = expected_calibration_error(raw, predictions.codes)
        shown = [("before", reliability(raw, predictions.codes)), ("after", after[1])]
        own = f"{predictions.temperature:.3g}"
        content.calibration += f" Without the model's temperature of {own} it would be {plain:.3f}."
    _add_diagram(content, shown, f"{n} {predictions.noun}", basis)


def _add_diagram(
    content: ReportContent, shown: Sequence[curves.Labelled], points: str, basis: str
) -> None:
    note = f"{points}; bars are 95 % Wilson intervals. {basis}".strip()
    content.add_table("reliability", tables.reliability_csv(shown))
    drawn = curves.reliability_figure(shown, note)
    content.add_figure("reliability", drawn, "Reliability diagram")


def _add_curves(content: ReportContent, predictions: Predictions, report: Report) -> None:
    """Add ROC and precision-recall curves of each class against the rest."""
    drawn = class_curves(predictions.codes, predictions.probabilities, predictions.scheme.names)
    if not drawn:
        return
    content.curves = drawn
    content.add_table("one_vs_rest", tables.one_vs_rest_csv(drawn))
    content.add_table("roc", tables.roc_csv(drawn))
    content.add_table("precision_recall", tables.precision_recall_csv(drawn))
    note = (
        f"{len(predictions)} {predictions.noun}, each class against the rest; in brackets 95 % "
        f"intervals. {report.basis}"
    ).strip()
    content.add_figure("roc", curves.roc_figure(drawn, report.colors, note), "ROC curves")
    content.add_figure(
        "precision_recall",
        curves.precision_recall_figure(drawn, report.colors, note),
        "Precision-recall curves",
    )


def _add_mistakes(
    content: ReportContent, predictions: Predictions, document: ModelDocument, report: Report
) -> None:
    """Add the worst mistakes with the tissue around them."""
    found = mistakes.worst_mistakes(predictions, document)
    content.add_table("mistakes", tables.mistakes_csv(found))
    content.worst = [mistake for mistake in found if mistake.pictures]
    if not found:
        return
    zooms = document.network.zooms
    content.note = (
        f"The {len(content.worst)} worst of {len(found)} mistakes in {len(predictions)} "
        f"{predictions.noun}; the tissue at zoom {', '.join(map(str, zooms))}. {report.basis}"
    ).strip()
    drawn = mistakes.gallery_figure(content.worst, zooms, report.colors, content.note)
    content.add_figure("mistakes", drawn, "Mistakes")


def _add_pictures(content: ReportContent, shown: Sequence[ReportPicture]) -> None:
    for number, picture in enumerate(shown, start=1):
        slug = re.sub(r"[^a-z0-9]+", "-", picture.name.lower()).strip("-")[:40]
        name = f"picture-{number}-{slug}.png" if slug else f"picture-{number}.png"
        content.files[name] = pictures.png_bytes(picture.array)
        small = pictures.png_bytes(pictures.downsample_picture(picture.array, _SHOWN_SIDE))
        content.pictures.append(
            PagePicture(picture.name, picture.caption, pictures.data_uri(small), name)
        )
