"""The table of other programs' points: what a file is, what reads and writes it, what it loses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_lungcls.annotation.columns import IMAGE_COLUMN
from napari_lungcls.annotation.formats import asap, cellfinder, imagej, markers, qupath
from napari_lungcls.annotation.formats.marks import Context, Marks
from napari_lungcls.annotation.formats.markup import looks_like_xml, mended, root_of, walk
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError

Planes = Literal["t and z", "slice", "z", "none"]


@dataclass(frozen=True)
class PointsFormat:
    """One way in which another program keeps points.

    Attributes
    ----------
    name
        What it is called in calls and commands.
    label
        What it is called in texts.
    suffixes
        How its names end.
    recognise
        Tells from the content whether a file is one.
    parse, dump
        Read and write it.
    corner
        Whether the centre of the first pixel is 0.5; it is 0 otherwise.
    whole
        Whether positions are whole pixels.
    planes
        How it says in which plane a point lies.
    columns
        Which further columns it keeps: all, none, or those of these names.
    told
        Says what else it loses.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    recognise: Callable[[bytes], bool]
    parse: Callable[[bytes, Context], Marks]
    dump: Callable[[Marks, ClassScheme, Context], bytes]
    corner: bool = False
    whole: bool = False
    planes: Planes = "none"
    columns: bool | tuple[str, ...] = False
    told: Callable[[Marks, ClassScheme], str] | None = None


POINTS_FORMATS = (
    PointsFormat(
        qupath.NAME, "QuPath GeoJSON", (".geojson",),
        qupath.recognise, qupath.parse, qupath.dump,
        corner=True, planes="t and z", columns=True,
    ),
    PointsFormat(
        "cell-counter", "Fiji Cell Counter", (".xml",),
        markers.recognise, markers.parse, markers.dump,
        whole=True, planes="slice", columns=(IMAGE_COLUMN,),
    ),
    PointsFormat(
        "imagej", "ImageJ multi-point selection", (".roi",),
        imagej.recognise, imagej.parse, imagej.dump, planes="slice",
    ),
    PointsFormat(
        "cellfinder", "cellfinder XML", (".xml",),
        cellfinder.recognise_xml, cellfinder.parse_xml, cellfinder.dump_xml,
        whole=True, planes="z", told=cellfinder.told,
    ),
    PointsFormat(
        "cellfinder-yaml", "cellfinder YAML", (".yml", ".yaml"),
        cellfinder.recognise_yaml, cellfinder.parse_yaml, cellfinder.dump_yaml,
        whole=True, planes="z", told=cellfinder.told,
    ),
    PointsFormat(
        "asap", "ASAP", (".xml",), asap.recognise, asap.parse, asap.dump,
        corner=True, columns=("name",),
    ),
)  # fmt: skip
"""The YAML of cellfinder is asked for before JSON, as it may look like it."""

NAMES = tuple(form.name for form in POINTS_FORMATS)


def named_format(name: str) -> PointsFormat:
    """Give the format of that name.

    Raises
    ------
    InputError
        When there is none.
    """
    for form in POINTS_FORMATS:
        if form.name == name:
            return form
    raise InputError(f"{name}: there is no such format of points", suggestion=f"use {_or(NAMES)}")


def format_of(data: bytes, source: str) -> PointsFormat | None:
    """Tell from the content which program's points a file holds; None for none of them.

    Raises
    ------
    InputError
        When it can be of two programs that mean different things by it, or is damaged.
    """
    order = sorted(POINTS_FORMATS, key=lambda form: form.name != "cellfinder-yaml")
    found = [form for form in order if form.recognise(data)]
    if len(found) > 1 and found[0].name != "cellfinder-yaml":
        kinds: list[str | dict[str, str]] = [{"kind": found[0].name}]
        for form in found[1:]:
            kinds += ["or", {"kind": form.name}]
        raise InputError(
            f"{source}: may be of {_or(form.label for form in found)}, which count planes from 1 "
            "and from 0",
            suggestion=kinds,
        )
    if not found and looks_like_xml(data):
        walk(mended(data), source)  # Says what is wrong with it, if anything is.
    return found[0] if found else None


def kind_of_head(head: bytes) -> str | None:
    """Guess from the first bytes which format a file may have; None when it has none of these.

    Both kinds of markers count as Cell Counter's.
    """
    if imagej.recognise(head):
        return "imagej"
    if cellfinder.recognise_yaml(head):
        return "cellfinder-yaml"
    if looks_like_xml(head):
        return {markers.ROOT: "cell-counter", asap.ROOT: "asap"}.get(root_of(mended(head)) or "")
    return qupath.NAME if qupath.recognise(head) else None


def format_to_write(path: Path, kind: str | None) -> PointsFormat | None:
    """Give the format to write into a file, by its name or by `kind`; None for a CSV table.

    Raises
    ------
    InputError
        When there is no such format, or several programs' files end like this.
    """
    if kind == "csv":
        return None
    if kind is not None:
        return named_format(kind)
    found = [form for form in POINTS_FORMATS if path.name.lower().endswith(form.suffixes)]
    if len(found) > 1:
        raise InputError(
            f"{path}: several programs have points in {path.suffix}; say which",
            setting="kind",
            suggestion=f"use {_or(form.name for form in found)}",
        )
    return found[0] if found else None


def _or(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
