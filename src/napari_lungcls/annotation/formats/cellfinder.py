"""Points of cellfinder (brainglobe): XML after Cell Counter's, and YAML since 2025.

Types are 1 for what is no cell (or not known yet) and 2 for a cell. Positions are whole voxels,
planes count from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from napari_lungcls.annotation.documents import PlainLoader, check_yaml
from napari_lungcls.annotation.formats.markers import document, has_markers, read_markers
from napari_lungcls.annotation.formats.marks import Context, Marks, number, plane_number, whole
from napari_lungcls.annotation.formats.types import NO_CLASS, names_of_types
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError

NAMES = {1: "no cell", 2: "cell"}

LARGEST_YAML = 2**26
"""Bytes of the largest YAML that is read."""

DEEPEST = 8
"""Lists and mappings inside each other."""

_KEY = "CellCounter_Marker_File"
_KEYS = rb"brainglobe_utils_version|CellCounter_Marker_File|num_candidates|candidate_cells"
_BEGINS = re.compile(rb"""^[\s{]*["']?(""" + _KEYS + rb""")["']?\s*:""", re.MULTILINE)


def recognise_xml(data: bytes) -> bool:
    """Tell whether cellfinder wrote a file of markers, or may have done so."""
    return has_markers(data) and read_markers(data, "").program in ("cellfinder", "")


def recognise_yaml(data: bytes) -> bool:
    """Tell whether a file is the YAML of cellfinder."""
    return _BEGINS.search(data[:4096]) is not None and _KEY.encode() in data


def parse_xml(data: bytes, context: Context) -> Marks:
    """Read markers of cellfinder."""
    found = read_markers(data, context.source)
    names = _names({kind for kind, *_ in found.markers}, context)
    marks = Marks()
    for kind, y, x, z in found.markers:
        plane = plane_number(z, f"{context.source}: MarkerZ")
        marks.add((y, x), (plane,), names[kind])
    return marks


def parse_yaml(data: bytes, context: Context) -> Marks:
    """Read candidates from YAML; their `metadata` become columns where they are plain values."""
    rows = []
    for place, cell in enumerate(_candidates(data, context.source)):
        what = f"{context.source}: candidate {place}"
        if not isinstance(cell, dict) or not {"x", "y", "z", "type"} <= cell.keys():
            raise InputError(f"{what} lacks x, y, z or type; export the cells again")
        position = (number(cell["y"], f"{what}: y"), number(cell["x"], f"{what}: x"))
        plane = plane_number(cell["z"], f"{what}: z")
        rows.append((position, plane, whole(cell["type"], f"{what}: type"), cell.get("metadata")))
    names = _names({kind for *_, kind, _ in rows}, context)
    marks = Marks()
    for position, plane, kind, notes in rows:
        said = notes.items() if isinstance(notes, dict) else ()
        columns = {
            f"cellfinder {key}": str(value)
            for key, value in said
            if isinstance(key, str) and isinstance(value, str | int | float)
        }
        marks.add(position, (plane,), names[kind], columns)
    return marks


def _names(used: set[int], context: Context) -> dict[int, str]:
    known = {} if context.classes is not None else NAMES
    return names_of_types(used, known, context)


def _candidates(data: bytes, source: str) -> list[Any]:
    if len(data) > LARGEST_YAML:
        raise InputError(f"{source}: more than {LARGEST_YAML} bytes of YAML; export XML instead")
    try:
        text = data.decode("utf-8-sig")
        check_yaml(text, source, deepest=DEEPEST, remedy="export the cells again", plain=True)
        found = yaml.load(text, PlainLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{source}{line}: is no YAML; export the cells again") from error
    except (RecursionError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: is no YAML ({error}); export the cells again") from error
    cells = found.get("candidate_cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise InputError(f"{source}: has no list candidate_cells; export the cells again")
    return cells


def kinds(marks: Marks, scheme: ClassScheme) -> list[str]:
    """Give the labels that are types 1 and 2.

    Raises
    ------
    InputError
        When there are points of more than two classes.
    """
    used = set(marks.labels)
    if used <= {"", *NAMES.values()}:
        return list(NAMES.values())
    if not used <= {"", *scheme.names[:2]}:
        raise InputError(
            f"cellfinder knows two types, and there are points of {', '.join(sorted(used - {''}))}",
            suggestion=({"classes": ...}, "for a scheme of two classes, or another format"),
        )
    return list(scheme.names[:2])


def told(marks: Marks, scheme: ClassScheme) -> str:
    """Say which class became which type; empty where they are cellfinder's own."""
    names = kinds(marks, scheme)
    if names == list(NAMES.values()):
        return "points without a class (they are type 1)" if "" in marks.labels else ""
    said = ", ".join(f"{name} is type {kind}" for kind, name in enumerate(names, start=1))
    return f"names of classes ({said}" + (", as is no class)" if "" in marks.labels else ")")


def dump_xml(marks: Marks, scheme: ClassScheme, context: Context) -> bytes:
    """Write markers for cellfinder."""
    names = kinds(marks, scheme)
    first = [label or names[0] for label in marks.labels]
    return document(Marks(marks.positions, marks.planes, first), names)


def dump_yaml(marks: Marks, scheme: ClassScheme, context: Context) -> bytes:
    """Write candidates for cellfinder."""
    return "\n".join([*_lines(marks, kinds(marks, scheme)), ""]).encode()


def _lines(marks: Marks, names: list[str]) -> Iterator[str]:
    types = {name: kind for kind, name in enumerate(names, start=1)} | {"": 1, NO_CLASS: 1}
    yield f"{_KEY}: true"
    yield f"num_candidates: {len(marks)}"
    yield "candidate_cells:" + ("" if len(marks) else " []")
    for (y, x), plane, label in zip(marks.positions, marks.planes, marks.labels, strict=True):
        at = f"x: {int(x)}, y: {int(y)}, z: {sum(plane)}"
        yield f"- {{{at}, type: {types[label]}, metadata: {{}}}}"
