"""Points of ASAP (Automated Slide Analysis Platform): XML of dots and sets of points.

Positions count from the corner of the first pixel: ASAP draws pixel 10 from 10 to 11. A file is of
one image of one plane.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

from napari_lungcls.annotation.formats.marks import Context, Marks, number
from napari_lungcls.annotation.formats.markup import attribute, looks_like_xml, root_of, walk
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.tables import number_text
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.utils.printable import printable

ROOT = "ASAP_Annotations"
NO_GROUP = "None"
"""The group of what has none."""

_KINDS = ("dot", "pointset")
_PLACE = [ROOT, "Annotations", "Annotation"]


def recognise(data: bytes) -> bool:
    """Tell whether ASAP wrote a file."""
    return looks_like_xml(data) and root_of(data) == ROOT


def parse(data: bytes, context: Context) -> Marks:
    """Read dots and sets of points; other annotations are counted in a warning."""
    found, others = Marks(), 0
    label: str | None = None
    name = ""

    def start(path: Sequence[str], values: dict[str, str]) -> None:
        nonlocal label, name, others
        if path == _PLACE:
            points = values.get("Type", "").lower() in _KINDS
            others += not points
            group = values.get("PartOfGroup", NO_GROUP)
            label = ("" if group == NO_GROUP else group) if points else None
            name = values.get("Name", "")
        elif label is not None and path[:3] == _PLACE and path[3:] == ["Coordinates", "Coordinate"]:
            what = f"{context.source}: {printable(name)}"
            y, x = (number(values.get(axis), f"{what}: {axis}") for axis in "YX")
            found.add((y, x), (), label, {"name": name})

    walk(data, context.source, start)
    if others and len(found):
        warnings.warn(
            f"{printable(context.source)}: {others} of its annotations are no points and are left "
            "out",
            LungclsWarning,
            stacklevel=2,
        )
    return found


def dump(marks: Marks, scheme: ClassScheme, context: Context) -> bytes:
    """Write a dot for each point, and a group for each class."""
    return "\n".join([*_lines(marks, scheme), ""]).encode()


def _lines(marks: Marks, scheme: ClassScheme) -> Iterator[str]:
    colors = dict(zip(scheme.names, scheme.colors, strict=True)) | {"": "#ffffff"}
    if NO_GROUP in scheme.names:
        raise InputError(f"a class {NO_GROUP} is no class for ASAP; rename it")
    names = marks.filled().get("name") or [""] * len(marks)
    yield '<?xml version="1.0"?>'
    yield f"<{ROOT}>"
    yield "\t<Annotations>"
    rows = zip(marks.positions, marks.labels, names, strict=True)
    for row, ((y, x), label, name) in enumerate(rows):
        group, color = attribute(label or NO_GROUP), attribute(colors[label])
        called = attribute(name or f"Annotation {row}")
        yield f'\t\t<Annotation Name={called} Type="Dot" PartOfGroup={group} Color={color}>'
        yield "\t\t\t<Coordinates>"
        place = f'X="{number_text(x)}" Y="{number_text(y)}"'
        yield f'\t\t\t\t<Coordinate Order="0" {place} />'
        yield "\t\t\t</Coordinates>"
        yield "\t\t</Annotation>"
    yield "\t</Annotations>"
    yield "\t<AnnotationGroups>"
    for name, color in zip(scheme.names, scheme.colors, strict=True):
        group = f'Name={attribute(name)} PartOfGroup="{NO_GROUP}" Color="{color}"'
        yield f"\t\t<Group {group}>"
        yield "\t\t\t<Attributes />"
        yield "\t\t</Group>"
    yield "\t</AnnotationGroups>"
    yield f"</{ROOT}>"
