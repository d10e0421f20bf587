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
from napari_lungcls.files import check_writable, replacing
from napari_lungcls.learning.history import EpochRecord
from napari_lungcls.learning.metrics import Metrics
from napari_lungcls.reporting import figures, page, pictures, tables

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
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    metrics: Metrics | None = None
    history: Sequence[EpochRecord] | None = None
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()
    scheme: ClassScheme | None = None

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
    files: dict[str, bytes] = {}
    confusion, curves = _add_figures(files, report)
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
    _write(index, text.encode("utf-8"))
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return index


def _add_figures(files: dict[str, bytes], report: Report) -> tuple[str, str]:
    """Put figures and tables among the files; give the figures as parts of the page."""
    confusion = curves = ""
    if report.metrics is not None:
        files["confusion.csv"] = tables.confusion_csv(report.metrics).encode("utf-8")
        files["per_class.csv"] = tables.per_class_csv(report.metrics).encode("utf-8")
        drawn = figures.confusion_figure(report.metrics, report.colors)
        confusion = _add_figure(files, "confusion", drawn, "Confusion matrix")
    if report.history:
        files["history.csv"] = tables.history_csv(report.history).encode("utf-8")
        drawn = figures.curves_figure(report.history)
        curves = _add_figure(files, "learning_curves", drawn, "Loss and accuracy by epoch")
    return confusion, curves


def _add_figure(files: dict[str, bytes], name: str, figure: Figure, description: str) -> str:
    svg = figures.svg_of(figure, name)
    files[f"{name}.svg"] = figures.svg_file(svg).encode("utf-8")
    files[f"{name}.png"] = figures.png_of(figure)
    return figures.svg_inline(svg, description)


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
    with replacing(path) as aside:
        aside.write_bytes(content)
