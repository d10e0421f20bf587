"""Model cards: what is known about a model, for people and for programs.

After Mitchell et al. 2019, "Model cards for model reporting", doi 10.1145/3287560.3287596. A
card is made of the model file alone, which a stranger may have written: nothing in it is trusted.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.calibration import Calibration
from napari_lungcls.evaluation.intervals import Interval, wilson, wilson_auc
from napari_lungcls.evaluation.metrics import Metrics
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.humanize import count, percent
from napari_lungcls.utils.printable import printable

M = TypeVar("M", bound=BaseModel)

UNSAID = "not recorded"
"""What a card says of what older model files do not hold."""

INTERVALS = (
    "By networks that had not seen these points. In brackets 95 % intervals, as if points were "
    "independent of each other."
)

LISTED = 20
"""Images, and groups, that the card for people names."""

_KEPT = {
    "group": "groups (animals, slides) kept together",
    "image": "images kept whole",
    "blocks": "blocks of the images",
    "files": "parts that the data came in",
    "none": "none: every point was learned from",
}
_PARTS = {"train": "training", "validation": "validation", "test": "test"}
_WORDS = {
    "intended_use": "Intended use",
    "limitations": "Limitations",
}


class Figure(NamedTuple):
    """A share, or an area under a curve, with its 95 % interval and the points behind it."""

    value: float
    interval: Interval
    n: int

    def __str__(self) -> str:
        """Write it for people."""
        low, high = (f"{100 * end:.1f}" for end in self.interval)
        return f"{percent(self.value)} ({low} to {high})"

    def to_json(self) -> dict[str, Any]:
        """Write it for programs."""
        return {"value": self.value, "low": self.interval[0], "high": self.interval[1], "n": self.n}


class CardSection(NamedTuple):
    """A part of a card.

    Attributes
    ----------
    title
        Its heading.
    facts
        What is known, by name.
    table
        Rows of a table, the header first; may be empty.
    words
        A text.
    """

    title: str
    facts: Mapping[str, str] = {}
    table: Sequence[Sequence[str]] = ()
    words: str = ""


@dataclass(frozen=True)
class ModelCard:
    """What is known about a model.

    Attributes
    ----------
    document
        What its file says.
    name
        What it is called.
    sha256
        Checksum of its file; empty if it has none.

    Raises
    ------
    InputError
        When the figures in the document are damaged.

    Examples
    --------
    >>> card = lc.load("lung.safetensors").card("lung")
    >>> card.to_json()["data"]["counts"]
    {'alveoli': 20, 'septa': 20, 'duct': 20}
    >>> print(card.markdown().splitlines()[0])
    # Model card: lung
    """

    document: ModelDocument
    name: str = "model"
    sha256: str = ""
    metrics: Mapping[str, Metrics] = field(init=False)
    calibration: Calibration | None = field(init=False)

    def __post_init__(self) -> None:
        """Check the figures."""
        parts = {"validation": self.document.validation, "test": self.document.test}
        checked = {name: self._checked(Metrics, part) for name, part in parts.items()}
        metrics = {name: part for name, part in checked.items() if part is not None}
        names = list(self.document.scheme.names)
        for each in metrics.values():
            shape = {len(names), len(each.confusion), *map(len, each.confusion)}
            if each.classes != names or list(each.per_class) != names or len(shape) > 1:
                raise self._damaged("they are of other classes")
            if sum(map(sum, each.confusion)) != each.n:
                raise self._damaged("their points do not add up")
        object.__setattr__(self, "metrics", metrics)
        object.__setattr__(
            self, "calibration", self._checked(Calibration, self.document.calibration)
        )

    @classmethod
    def of_file(cls, path: str | os.PathLike[str], document: ModelDocument) -> ModelCard:
        """Make the card of a model file that has been read.

        Raises
        ------
        InputError
            When the file is gone, or the figures in the document are damaged.
        """
        try:
            with open(path, "rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from error
        return cls(document, printable(Path(path).stem), checksum)

    def figures(self, part: str) -> dict[str, Figure]:
        """Give the figures of the points of a part that was held out, with their intervals.

        Parameters
        ----------
        part
            `validation` or `test`.

        Returns
        -------
        dict
            `accuracy`, and of each class `recall …`, `precision …` and `AUC …`, where they are
            defined; nothing if the part is empty.

        Raises
        ------
        InputError
            When a figure is no share.
        """
        metrics = self.metrics.get(part)
        return {} if metrics is None else dict(self._figures(metrics))

    def _figures(self, metrics: Metrics) -> Iterator[tuple[str, Figure]]:
        def share(value: float, n: int) -> Figure:
            return Figure(value, wilson(value, n), n)

        try:
            yield "accuracy", share(metrics.accuracy, metrics.n)
            for column, (name, each) in enumerate(metrics.per_class.items()):
                called = sum(row[column] for row in metrics.confusion)
                support = sum(metrics.confusion[column])
                if support:
                    yield f"recall {name}", share(each.recall, support)
                if called:
                    yield f"precision {name}", share(each.precision, called)
                if each.auc is not None:
                    others = metrics.n - support
                    ends = wilson_auc(each.auc, support, others)
                    yield f"AUC {name}", Figure(each.auc, ends, metrics.n)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def to_json(self) -> dict[str, Any]:
        """Write the card for programs."""
        document, names = self.document, self.document.scheme.names
        data, calibration = document.data, self.calibration

        def by_class(counts: Sequence[int]) -> dict[str, int]:
            return dict(zip(names, counts, strict=True))

        return {
            "name": self.name,
            "sha256": self.sha256 or None,
            "notes": document.notes.model_dump(),
            "data": {
                "counts": None if data is None else by_class(data.counts()),
                "images": []
                if data is None
                else [
                    image.model_dump(mode="json") | {"counts": by_class(image.counts)}
                    for image in data.images
                ],
                "groups": {}
                if data is None
                else {name: by_class(counts) for name, counts in data.groups.items()},
                "pixel_size": document.pixel_size,
                "rgb": document.rgb,
                "dtype": document.network.normalisation.dtype,
            },
            "split": {
                key: document.split.get(key)
                for key in ("by", "train", "validation", "test", "n_buffered", "final")
            },
            "metrics": {
                part: {name: each.to_json() for name, each in self.figures(part).items()}
                for part in self.metrics
            },
            "calibration": {"temperature": document.temperature}
            | (
                {}
                if calibration is None
                else calibration.model_dump(
                    include={"n", "ece_before", "ece_after", "ece_by_chance"}, mode="json"
                )
            ),
            "adapted": None if document.adapted is None else document.adapted.model_dump(),
            "created": document.created,
            "software": dict(document.software),
        }

    def sections(self) -> list[CardSection]:
        """Write the card for people, part by part."""
        notes = self.document.notes
        found = [CardSection("Description", words=notes.description)] if notes.description else []
        for name, title in _WORDS.items():
            found.append(CardSection(title, words=getattr(notes, name) or "Nothing was written."))
        return [*found, self._data(), self._split(), *self._metrics(), self._made()]

    def text(self) -> str:
        """Write the card as plain lines."""
        lines = [f"Model card: {self.name}"]
        for section in self.sections():
            lines += ["", section.title, *filter(None, [section.words])]
            lines += [f"  {name}: {value}" for name, value in section.facts.items()]
            widths = [max(map(len, column)) for column in zip(*section.table, strict=True)]
            for row in section.table:
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                lines.append(f"  {'  '.join(cells)}".rstrip())
        return "\n".join(lines)

    def markdown(self) -> str:
        """Write the card as GitHub's Markdown; what the file says is text in it, never markup."""
        lines = [f"# Model card: {_escaped(self.name)}"]
        for section in self.sections():
            lines += ["", f"## {section.title}", ""]
            lines += [_escaped(line) for line in section.words.splitlines()]
            lines += [f"- {_escaped(n)}: {_escaped(value)}" for n, value in section.facts.items()]
            if section.table:
                header, *rows = ([_escaped(cell) for cell in row] for row in section.table)
                rule = ["---"] * len(header)
                lines += ["", *(f"| {' | '.join(row)} |" for row in (header, rule, *rows))]
        return "\n".join(lines) + "\n"

    def _data(self) -> CardSection:
        document, names = self.document, self.document.scheme.names
        data, size = document.data, document.pixel_size
        colours = {True: "RGB", False: "grey", None: "RGB and grey, or unknown"}[document.rgb]
        facts = {
            "classes": ", ".join(names),
            "staining": document.notes.staining or "not said",
            "pixel size": "unknown" if size is None else f"{size:g} µm",
            "intensities": f"{document.network.normalisation.dtype}, {colours}",
            "looks of the images": UNSAID
            if document.appearance is None
            else f"known from {document.appearance.tiles} tiles",
            "images": UNSAID if data is None else f"{len(data.images):,}",
            "groups": UNSAID if data is None else f"{len(data.groups) or 'none named'}",
        }
        if data is None:
            return CardSection("Data", facts)
        rows = [("all", data.counts())]
        rows += [(f"group {name}" if name else "no group", n) for name, n in data.groups.items()]
        rows += [(image.name, image.counts) for image in data.images]
        more = len(rows) - LISTED
        table = [("labelled", *names), *((n, *map(str, counts)) for n, counts in rows[:LISTED])]
        words = f"{more} more rows are in the file." if more > 0 else ""
        return CardSection("Data", facts, table, words)

    def _split(self) -> CardSection:
        split = self.document.split
        by = str(split.get("by", UNSAID))
        facts = {"by": _KEPT.get(by, by)}
        facts |= {said: str(split.get(part, "–")) for part, said in _PARTS.items()}
        if lost := split.get("n_buffered"):
            facts["left out between regions"] = str(lost)
        if isinstance(folds := split.get("folds"), list):
            facts["folds"] = str(len(folds))
        if final := split.get("final"):
            facts["then trained on all"] = str(final)
        return CardSection("Split", facts)

    def _metrics(self) -> Iterator[CardSection]:
        for part, metrics in self.metrics.items():
            figures = self.figures(part)
            columns = ("recall", "precision", "AUC")
            rows = [
                (
                    name,
                    str(each.support),
                    *(str(figures.get(f"{column} {name}", "–")) for column in columns),
                )
                for name, each in metrics.per_class.items()
            ]
            facts = {"accuracy": f"{figures['accuracy']} of {count(metrics.n, 'point')}"}
            table = [("class", "points", *columns), *rows]
            yield CardSection(f"Metrics on {part} points", facts, table, INTERVALS)
        if not self.metrics:
            yield CardSection("Metrics", words="No points were held out: the accuracy is unknown.")
        facts = {"temperature": f"{self.document.temperature:.3g}"}
        if (found := self.calibration) is not None:
            facts |= {
                "fitted on": count(found.n, "point"),
                "expected calibration error before": f"{found.ece_before:.3f}",
                "expected calibration error after": f"{found.ece_after:.3f}",
                "of a calibrated model by chance": f"{found.ece_by_chance:.3f}",
            }
        yield CardSection("Calibration", facts)

    def _made(self) -> CardSection:
        document = self.document
        facts = {"adapted to": document.adapted.image} if document.adapted is not None else {}
        facts |= {
            "created": document.created,
            "zooms": ", ".join(map(str, document.network.zooms)),
            "started from": document.pretrained,
            "engine": f"{document.engine or UNSAID} on {document.device or UNSAID}",
            **{f"version of {name}": each for name, each in document.software.items()},
            "sha256": self.sha256 or "not saved yet",
        }
        return CardSection("Versions", facts)

    def _checked(self, kind: type[M], value: Mapping[str, Any] | None) -> M | None:
        try:
            return None if value is None else kind.model_validate(value)
        except ValidationError as error:
            raise self._damaged(str(error.errors()[0]["msg"])) from error

    def _damaged(self, why: str) -> InputError:
        return InputError(
            f"{self.name}: the figures in the model file are damaged ({why}); "
            "train and save the model anew"
        )


def _escaped(text: str) -> str:
    """Write a text so that Markdown shows it as it is, in one line."""
    one_line = " ".join(str(text).split())
    plain = re.sub(r"([\\`*_{}\[\]<>#|!&~])", r"\\\1", one_line)
    # What would begin a list, or underline a heading.
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", plain)
