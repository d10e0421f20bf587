"""The page of a report: one HTML file that needs no other. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from napari_lungcls.learning.intervals import wilson
from napari_lungcls.learning.metrics import Metrics
from napari_lungcls.reporting.style import CSS

GENERATOR = '<meta name="generator" content="napari-lungcls">'
"""In the head of every page, by which a later report recognises an earlier one."""

# The page needs nothing from anywhere, so nothing may be fetched, whatever a name says.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class PagePicture(NamedTuple):
    """A picture as the page shows it: `source` is a data address, `file` lies beside it."""

    name: str
    caption: str
    source: str
    file: str


class PageParts(NamedTuple):
    """What the page is made of.

    Figures are SVG elements, ready to stand in it, and so is what `sections` hold below their
    headings.
    """

    title: str
    facts: Mapping[str, str]
    metrics: Metrics | None
    confusion: str
    curves: str
    pictures: Sequence[PagePicture]
    notes: Sequence[str]
    colors: Mapping[str, str]
    files: Sequence[str]
    sections: Sequence[tuple[str, str]] = ()


def html_page(parts: PageParts) -> str:
    """Write the page; sections without content are left out."""
    title = escape(parts.title)
    sections = (
        _facts(parts.facts),
        _notes(parts.notes),
        _pictures(parts.pictures, parts.colors),
        _results(parts.metrics, parts.confusion, parts.colors),
        *(_section(heading, content) for heading, content in parts.sections),
        _section(
            "Learning curves",
            f'<figure class="curves">{parts.curves}</figure>' if parts.curves else "",
        ),
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            GENERATOR,
            f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>",
            f"<h1>{title}</h1>",
            *(section for section in sections if section),
            _footer(parts.files),
            "</body>\n</html>\n",
        ]
    )


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>" if content else ""


def _facts(facts: Mapping[str, str]) -> str:
    rows = "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f'<dl class="facts panel">\n{rows}\n</dl>' if rows else ""


def _notes(notes: Iterable[str]) -> str:
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    return _section("Notes", f'<ul class="notes">\n{items}\n</ul>' if items else "")


def _pictures(pictures: Sequence[PagePicture], colors: Mapping[str, str]) -> str:
    if not pictures:
        return ""
    figures = "\n".join(
        f'<figure><a href="{escape(p.file)}"><img src="{p.source}" alt="{escape(p.name)}"></a>'
        f"<figcaption><b>{escape(p.name)}</b> {escape(p.caption)}</figcaption></figure>"
        for p in pictures
    )
    across = min(3, len(pictures))
    legend = "\n".join(f"<li>{_chip(c)}{escape(name)}</li>" for name, c in colors.items())
    return _section(
        "Pictures",
        f'<div class="pictures across{across}">\n{figures}\n</div>'
        + (f'\n<ul class="legend">\n{legend}\n</ul>' if legend else ""),
    )


def _results(metrics: Metrics | None, confusion: str, colors: Mapping[str, str]) -> str:
    if metrics is None:
        return _section(
            "Accuracy",
            '<p class="soft">Not measured: no labelled points were held out or evaluated.</p>',
        )
    low, high = wilson(metrics.accuracy, metrics.n)
    points = "point" if metrics.n == 1 else "points"
    tiles = "\n".join(
        (
            _tile("Accuracy", metrics.accuracy, f"95 % interval {low:.3f} to {high:.3f}"),
            _tile("Balanced accuracy", metrics.balanced_accuracy, "mean recall"),
            _tile("Macro F1", metrics.f1_macro, "mean over classes"),
            _tile("AUC", metrics.auc_ovr, "one class against the rest"),
        )
    )
    wide = " wide" if len(metrics.classes) > 5 else ""
    return _section(
        f"Accuracy on {metrics.n} {points}",
        f'<div class="tiles">\n{tiles}\n</div>\n'
        '<p class="soft">The interval is the Wilson score interval and takes the points as '
        "independent of each other.</p>\n"
        f'<div class="columns{wide}">\n'
        f"<figure>{confusion}<figcaption>Points of each true class (rows) by predicted class "
        f"(columns), with their share of the row.</figcaption></figure>\n"
        f"{_class_table(metrics, colors)}\n</div>",
    )


def _tile(label: str, value: float | None, note: str) -> str:
    shown, note = ("—", "needs two classes") if value is None else (f"{value:.3f}", note)
    return (
        f'<div class="tile panel">{escape(label)}<b>{shown}</b>'
        f'<span class="soft">{escape(note)}</span></div>'
    )


def _class_table(metrics: Metrics, colors: Mapping[str, str]) -> str:
    head = "".join(f"<th>{c}</th>" for c in ("Class", "Precision", "Recall", "F1", "Points"))
    rows = "\n".join(
        f"<tr><td>{_chip(colors.get(name))}{escape(name)}</td><td>{row.precision:.3f}</td>"
        f"<td>{row.recall:.3f}</td><td>{row.f1:.3f}</td><td>{row.support}</td></tr>"
        for name, row in metrics.per_class.items()
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


def _chip(color: str | None) -> str:
    return f'<span class="chip" style="background: {escape(color)}"></span>' if color else ""


def _footer(files: Iterable[str]) -> str:
    links = "\n".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in files)
    return (
        f"<footer>\nnapari-lungcls · beside this page: {links}\n</footer>"
        if links
        else ("<footer>napari-lungcls</footer>")
    )
