"""The sections of a report about answers: their figures and tables, and the words beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from napari_lungcls.learning.answers import Answers
from napari_lungcls.learning.calibration import Calibration, at_temperature
from napari_lungcls.learning.discrimination import ClassCurves, class_curves
from napari_lungcls.learning.reliability import (
    error_by_chance,
    expected_calibration_error,
    reliability,
)
from napari_lungcls.reporting import curves, figures, mistakes, pictures, rendering, tables
from napari_lungcls.utils.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_lungcls.network.model_file import ModelDocument

INTERVALS = "95 % intervals take points as independent of each other"


@dataclass
class Sections:
    """Collects sections of a page and the files that belong to them.

    Attributes
    ----------
    files
        Content by name.
    html
        Heading and content, in the order of the page.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    html: list[tuple[str, str]] = field(default_factory=list)

    def figure(self, name: str, drawn: Figure, description: str, caption: str = "") -> str:
        """Keep a figure as SVG and PNG, and give it as an element of the page."""
        svg = rendering.svg_of(drawn, name)
        self.files[f"{name}.svg"] = rendering.svg_file(svg).encode("utf-8")
        self.files[f"{name}.png"] = rendering.png_of(drawn)
        under = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        return f"<figure>{rendering.svg_inline(svg, description)}{under}</figure>"

    def table(self, name: str, text: str) -> None:
        """Keep a table."""
        self.files[f"{name}.csv"] = printable(text).encode("utf-8")

    def add(self, heading: str, content: str) -> None:
        """Put a section at the end."""
        self.html.append((heading, content))


def basis_of(document: ModelDocument) -> str:
    """Say what takes from the worth of every figure on the validation points."""
    return " ".join(document.split.get("cautions", []))


def add_calibration(sections: Sections, calibration: Calibration, basis: str) -> None:
    """Add what temperature scaling did on the validation points, cross-fitted."""
    shown = [("before", calibration.before), ("after", calibration.after)]
    words = (
        f"Temperature {calibration.temperature:.3g}, fitted on {calibration.n} validation points. "
        f"Expected calibration error {calibration.ece_before:.3f} before and "
        f"{calibration.ece_after:.3f} after; a perfectly calibrated model would show about "
        f"{calibration.ece_by_chance:.3f} on as many points. “After” is cross-fitted: each point "
        "is answered at a temperature that was found without it."
    )
    _reliability(sections, shown, f"{calibration.n} validation points", words, basis)


def add_reliability(sections: Sections, answers: Answers, basis: str) -> None:
    """Add how sure and how right the answers are, without and with the model's temperature."""
    probabilities, n = answers.probabilities, len(answers)
    error, chance = (
        expected_calibration_error(probabilities, answers.codes),
        error_by_chance(probabilities),
    )
    after = ("answers", reliability(probabilities, answers.codes))
    words = (
        f"Expected calibration error {error:.3f}; a perfectly calibrated model would show about "
        f"{chance:.3f} on as many {answers.noun}."
    )
    shown = [after]
    if answers.temperature != 1:
        raw = at_temperature(probabilities, 1 / answers.temperature)
        plain = expected_calibration_error(raw, answers.codes)
        shown = [("before", reliability(raw, answers.codes)), ("after", after[1])]
        own = f"{answers.temperature:.3g}"
        words += f" Without the model's temperature of {own} it would be {plain:.3f}."
    _reliability(sections, shown, f"{n} {answers.noun}", words, basis)


def _reliability(
    sections: Sections, shown: Sequence[curves.Labelled], points: str, words: str, basis: str
) -> None:
    note = f"{points}; bars are 95 % Wilson intervals. {basis}".strip()
    drawn = curves.reliability_figure(shown, note)
    sections.table("reliability", tables.reliability_csv(shown))
    content = sections.figure(
        "reliability", drawn, "Reliability diagram",
        "On the dashed line, answers given with 80 % are right in 80 % of cases. Bins of equal "
        "width by the probability of the likeliest class; below, how many points each has.",
    )  # fmt: skip
    sections.add(
        "Calibration",
        f'<div class="columns">\n{content}\n<p>{escape(words)}</p>\n</div>',
    )


def add_curves(sections: Sections, answers: Answers, colors: Mapping[str, str], basis: str) -> None:
    """Add ROC and precision-recall curves of each class against the rest."""
    drawn = class_curves(answers.codes, answers.probabilities, answers.scheme.names)
    if not drawn:
        return
    sections.table("one_vs_rest", tables.one_vs_rest_csv(drawn))
    sections.table("roc", tables.roc_csv(drawn))
    sections.table("precision_recall", tables.precision_recall_csv(drawn))
    note = (
        f"{len(answers)} {answers.noun}, each class against the rest; in brackets 95 % intervals. "
        f"{basis}"
    )
    left = sections.figure(
        "roc", curves.roc_figure(drawn, colors, note.strip()), "ROC curves",
        "ROC. Intervals after Newcombe (2006) with the error of Hanley and McNeil.",
    )  # fmt: skip
    right = sections.figure(
        "precision_recall", curves.precision_recall_figure(drawn, colors, note.strip()),
        "Precision-recall curves",
        "Precision and recall. Wilson intervals for as many points as the class has.",
    )  # fmt: skip
    rows = "\n".join(_curve_row(curve, colors) for curve in drawn)
    sections.add(
        "Every class against the rest",
        f'<div class="columns">\n{left}\n{right}\n</div>\n<table class="spaced">\n<thead><tr>'
        "<th>Class</th><th>Points</th><th>AUC</th><th>95 % interval</th>"
        "<th>Average precision</th><th>95 % interval</th></tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>\n"
        f'<p class="soft">{escape(INTERVALS)}. Guessing has an AUC of 0.5 and an average '
        "precision equal to the share of the class.</p>",
    )


def _curve_row(curve: ClassCurves, colors: Mapping[str, str]) -> str:
    (a, b), (c, d) = curve.auc_interval, curve.average_precision_interval
    color = colors.get(curve.name)
    chip = f'<span class="chip" style="background: {escape(color)}"></span>' if color else ""
    return (
        f"<tr><td>{chip}{escape(curve.name)}</td><td>{curve.positives}</td>"
        f"<td>{curve.auc:.3f}</td><td>{a:.3f} to {b:.3f}</td>"
        f"<td>{curve.average_precision:.3f}</td><td>{c:.3f} to {d:.3f}</td></tr>"
    )


def add_counts(
    sections: Sections,
    counts: Mapping[str, Sequence[int]],
    names: Sequence[str],
    colors: Mapping[str, str],
) -> None:
    """Add how many points each class has."""
    sections.table("class_counts", tables.counts_csv(counts, names))
    drawn = curves.counts_figure(counts, names, colors)
    sections.add(
        "Points of each class",
        sections.figure("class_counts", drawn, "Points of each class in each part"),
    )


def add_mistakes(
    sections: Sections,
    answers: Answers,
    document: ModelDocument,
    colors: Mapping[str, str],
    basis: str,
) -> None:
    """Add the worst mistakes with the tissue around them."""
    found = mistakes.worst_mistakes(answers, document)
    sections.table("mistakes", tables.mistakes_csv(found))
    if not found:
        sections.add("Mistakes", '<p class="soft">None: all were answered right.</p>')
        return
    shown = [mistake for mistake in found if mistake.pictures]
    zooms = document.network.zooms
    note = (
        f"The {len(shown)} worst of {len(found)} mistakes in {len(answers)} {answers.noun}; "
        f"the tissue at zoom {', '.join(map(str, zooms))}. {basis}"
    ).strip()
    sections.figure("mistakes", mistakes.gallery_figure(shown, zooms, colors, note), "Mistakes")
    cards = "\n".join(_card(mistake, zooms, colors) for mistake in shown)
    sections.add(
        "Worst mistakes",
        f'<p class="soft">{escape(note)}</p>\n<div class="cards">\n{cards}\n</div>',
    )


def _card(mistake: mistakes.Mistake, zooms: Sequence[int], colors: Mapping[str, str]) -> str:
    images = "".join(
        f'<img src="{pictures.data_uri(pictures.png_bytes(picture))}" alt="zoom {zoom}">'
        for zoom, picture in zip(zooms, mistake.pictures, strict=True)
    )
    lines = "".join(
        f"<span>{said}</span><span>"
        f'<span class="chip" style="background: {escape(colors.get(name, figures.NO_COLOR))}">'
        f"</span>{escape(name)}</span><span>{100 * probabilities:.1f} %</span>"
        for said, name, probabilities in (
            ("said", mistake.answer, mistake.p_answer),
            ("is", mistake.truth, mistake.p_truth),
        )
    )
    return (
        f'<figure class="card panel"><div class="squares">{images}</div><figcaption>'
        f'<div class="said">{lines}</div>{escape(mistake.image)} {escape(mistake.place)}'
        "</figcaption></figure>"
    )
