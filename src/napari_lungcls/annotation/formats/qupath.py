"""Points of QuPath: GeoJSON of annotations, as *Export objects as GeoJSON* writes it.

A position counts from the corner of the first pixel, x before y. All points of a class, plane and
set of notes are one annotation. What a table has beside class and position goes into the
`measurements` of the annotation if it is a number, else into its `metadata`.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from napari_lungcls.annotation.columns import AXIS_COLUMN, CLASS_COLUMN, INDEX_COLUMN
from napari_lungcls.annotation.formats.marks import Context, Marks, number, plane_number
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.tables import number_text
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.utils.printable import printable

NAME = "qupath"

POINTS = re.compile(rb'"(Multi)?Point"')
"""What stands in every GeoJSON that holds points."""

_AGAIN = "export the objects of QuPath again, as GeoJSON"


def recognise(data: bytes) -> bool:
    """Tell whether a file is JSON, of which this is the only kind that holds points."""
    return data.removeprefix(b"\xef\xbb\xbf")[:64].lstrip()[:1] in (b"{", b"[")


def parse(data: bytes, context: Context) -> Marks:
    """Read the points; what else there is, is counted in a warning."""
    found, others = Marks(), 0
    for place, feature in enumerate(_features(_document(data, context.source), context.source)):
        what = f"{context.source}: feature {place}"
        if not isinstance(feature, dict):
            raise InputError(f"{what} is no object; {_AGAIN}")
        geometry = feature.get("geometry") if "geometry" in feature else feature
        positions = _positions(geometry, what)
        if positions is None or not isinstance(geometry, dict):
            others += 1
            continue
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        plane, label, notes = _plane(geometry, what), _class(properties), _notes(properties)
        for y, x in positions:
            found.add((y, x), plane, label, notes)
    if others and len(found):
        warnings.warn(
            f"{printable(context.source)}: {others} of its objects are no points and are left out",
            LungclsWarning,
            stacklevel=2,
        )
    return found


def _document(data: bytes, source: str) -> Any:
    def refuse(text: str) -> None:
        raise ValueError(f"{text} is no number")

    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: is not text in UTF-8; {_AGAIN}") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{source}: is no JSON ({error}); {_AGAIN}") from error


def _features(document: Any, source: str) -> list[Any]:
    features = document.get("features", [document]) if isinstance(document, dict) else document
    if not isinstance(features, list):
        raise InputError(f"{source}: is no GeoJSON; {_AGAIN}")
    return features


def _positions(geometry: Any, what: str) -> list[tuple[float, float]] | None:
    """Give `(y, x)` of a geometry; None when it is none of points."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Point", "MultiPoint"):
        return None
    places = geometry.get("coordinates")
    places = [places] if kind == "Point" else places
    if not isinstance(places, list):
        raise InputError(f"{what} has no coordinates; {_AGAIN}")
    found = []
    for place in places:
        if not isinstance(place, list) or len(place) < 2:
            raise InputError(f"{what} has a point without x and y; {_AGAIN}")
        found.append((number(place[1], f"{what}: y"), number(place[0], f"{what}: x")))
    return found


def _plane(geometry: Mapping[str, Any], what: str) -> tuple[int, int]:
    plane = geometry.get("plane")
    if not isinstance(plane, dict):
        return 0, 0
    return tuple(plane_number(plane.get(axis, 0), f"{what}: {axis}") for axis in "tz")  # type: ignore[return-value]


def _class(properties: Mapping[str, Any]) -> str:
    kind = properties.get("classification")
    if not isinstance(kind, dict):
        return kind if isinstance(kind, str) else ""
    names = kind.get("names")
    if isinstance(names, list):
        return ": ".join(map(str, names))
    name = kind.get("name")
    return name if isinstance(name, str) else ""


def _notes(properties: Mapping[str, Any]) -> dict[str, str]:
    """Give the notes of an annotation as columns: its name, measurements and metadata."""
    found: dict[str, str] = {}
    if isinstance(name := properties.get("name"), str):
        found["name"] = name
    measured = properties.get("measurements")
    if isinstance(measured, list):  # before QuPath 0.4
        measured = {m.get("name"): m.get("value") for m in measured if isinstance(m, dict)}
    for key, value in measured.items() if isinstance(measured, dict) else ():
        if isinstance(key, str) and isinstance(value, int | float) and not isinstance(value, bool):
            found[_free(key)] = _written(value)
    metadata = properties.get("metadata")
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(value, str | int | float):
            found[_free(key)] = value if isinstance(value, str) else json.dumps(value)
    return found


def _written(value: float) -> str:
    try:
        return number_text(float(value))
    except OverflowError:
        return str(value)


def _free(name: str) -> str:
    """Rename what is called like a column of every table."""
    plain = name.strip().lower()
    taken = plain in (INDEX_COLUMN, CLASS_COLUMN) or AXIS_COLUMN.fullmatch(plain)
    return f"QuPath {name}" if taken else name


def dump(marks: Marks, scheme: ClassScheme, context: Context) -> bytes:
    """Write a FeatureCollection."""
    colors = dict(zip(scheme.names, scheme.colors, strict=True))
    numeric = {name for name, texts in marks.columns.items() if _is_numeric(texts)}
    features = []
    for (label, plane, notes), rows in _alike(marks).items():
        geometry: dict[str, Any] = {
            "type": "MultiPoint",
            "coordinates": [list(marks.positions[row][::-1]) for row in rows],
        }
        if any(plane):
            geometry["plane"] = {"c": -1, "z": plane[1], "t": plane[0]}
        properties: dict[str, Any] = {"objectType": "annotation"}
        if label:
            color = list(bytes.fromhex(colors[label][1:]))
            properties["classification"] = {"name": label, "color": color}
        said = {name: text for name, text in zip(marks.columns, notes, strict=True) if text}
        measured = {name: float(text) for name, text in said.items() if name in numeric}
        if measured:
            properties["measurements"] = measured
        if others := {name: text for name, text in said.items() if name not in numeric}:
            properties["metadata"] = others
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return "".join(_lines(features)).encode("utf-8")


def _lines(features: list[dict[str, Any]]) -> Iterator[str]:
    yield '{"type": "FeatureCollection", "features": ['
    for place, feature in enumerate(features):
        text = json.dumps(feature, ensure_ascii=False)
        yield (",\n" if place else "\n") + printable(text)
    yield "\n]}\n"


def _alike(marks: Marks) -> dict[tuple[str, tuple[int, ...], tuple[str, ...]], list[int]]:
    """Give the rows that have class, plane and all notes in common, in their order."""
    texts = list(marks.columns.values())
    found: dict[tuple[str, tuple[int, ...], tuple[str, ...]], list[int]] = {}
    for row, (label, plane) in enumerate(zip(marks.labels, marks.planes, strict=True)):
        found.setdefault((label, plane, tuple(each[row] for each in texts)), []).append(row)
    return found


def _is_numeric(texts: list[str]) -> bool:
    """Tell whether all texts are numbers that come back as the same texts, or empty."""
    try:
        values = {text: float(text) for text in set(texts) if text}
    except ValueError:
        return False
    same = all(math.isfinite(v) and number_text(v) == text for text, v in values.items())
    return bool(values) and same
