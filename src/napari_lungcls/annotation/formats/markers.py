"""The XML of markers that Fiji's Cell Counter writes, and cellfinder after it.

Both have one root element. Cell Counter names its types and counts slices from 1; it loads markers
only onto the image whose name the file has. cellfinder names none, writes `placeholder.tif` for
the image, and counts planes from 0. Positions are whole pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from napari_lungcls.annotation.formats.marks import Context, Marks, number, plane_number, whole
from napari_lungcls.annotation.formats.markup import content, looks_like_xml, mended, root_of, walk
from napari_lungcls.annotation.formats.types import NO_CLASS, names_of_types
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.utils.names import comparable

ROOT = "CellCounter_Marker_File"
PLACEHOLDER = "placeholder.tif"
_IMAGE = [ROOT, "Image_Properties", "Image_Filename"]
_TYPE = [ROOT, "Marker_Data", "Marker_Type"]
_TYPED = re.compile(r"Type -?[0-9]+")
"""What Cell Counter calls a type that nobody named."""


@dataclass
class MarkerFile:
    """What such a file holds: the image's name, and type, position and Z of every marker.

    Attributes
    ----------
    image
        Name of the image.
    names
        Name of each type; None where the file has no place for one.
    markers
        Type, `y`, `x`, and Z as it is written.
    """

    image: str = ""
    names: dict[int, str | None] = field(default_factory=dict)
    markers: list[tuple[int, float, float, int]] = field(default_factory=list)

    @property
    def program(self) -> str:
        """Name of the format; empty when it cannot be told."""
        if any(name is not None for name in self.names.values()):
            return "cell-counter"
        return "cellfinder" if self.image == PLACEHOLDER or min(self.names, default=0) < 0 else ""


def has_markers(data: bytes) -> bool:
    """Tell whether a file is of this kind, whichever program wrote it."""
    return looks_like_xml(data) and root_of(mended(data)) == ROOT


def read_markers(data: bytes, source: str) -> MarkerFile:
    """Read the file.

    Raises
    ------
    InputError
        When it is damaged.
    """
    found = MarkerFile()
    kind: dict[str, str] = {}
    values: dict[str, str] = {}
    pending: list[tuple[float, float, int]] = []

    def start(path: Sequence[str], _attributes: dict[str, str]) -> None:
        if path == _TYPE:
            kind.clear()
            pending.clear()

    def end(path: Sequence[str], text: str) -> None:
        if path == _IMAGE:
            found.image = text
        elif path[:3] != _TYPE:
            return
        elif len(path) == 5 and path[3] == "Marker":
            values[path[4]] = text
        elif len(path) == 4 and path[3] == "Marker":
            what = f"{source}: marker {len(found.markers) + len(pending)}"
            try:
                y, x, z = (values[f"Marker{axis}"] for axis in "YXZ")
            except KeyError as missing:
                raise InputError(f"{what} has no {missing.args[0]}; export them again") from None
            pending.append((number(y, what), number(x, what), whole(z, what)))
            values.clear()
        elif len(path) == 4:
            kind[path[3]] = text
        elif len(path) == 3:
            if "Type" not in kind:
                raise InputError(f"{source}: a Marker_Type has no Type; export the markers again")
            code = whole(kind["Type"], f"{source}: Type")
            found.names[code] = kind.get("Name", found.names.get(code))
            found.markers += [(code, *marker) for marker in pending]

    walk(mended(data), source, start, end)
    return found


def recognise(data: bytes) -> bool:
    """Tell whether Fiji's Cell Counter wrote a file, or may have done so."""
    return has_markers(data) and read_markers(data, "").program in ("cell-counter", "")


def parse(data: bytes, context: Context) -> Marks:
    """Read markers of Cell Counter."""
    found = read_markers(data, context.source)
    named = {
        kind: "" if comparable(name) == NO_CLASS else name
        for kind, name in found.names.items()
        if name and not _TYPED.fullmatch(name)
    }
    used = {kind for kind, *_ in found.markers}
    names = names_of_types(
        used, named, context, what="Type", rename="name the types in Cell Counter (Rename)"
    )
    marks = Marks()
    for kind, y, x, z in found.markers:
        plane = plane_number(z, f"{context.source}: MarkerZ", first=1)
        marks.add((y, x), (plane,), names[kind])
    return marks


def dump(marks: Marks, scheme: ClassScheme, context: Context) -> bytes:
    """Write markers for Cell Counter, with all classes of the scheme."""
    names = [*scheme.names, *([NO_CLASS] if "" in marks.labels else [])]
    image = "" if context.image is None else PurePath(context.image.source).name
    texts = _document(marks, names, image, named=True, first=1)
    return "\r\n".join([*texts, ""]).encode("utf-8")


def document(marks: Marks, kinds: Sequence[str]) -> bytes:
    """Write the XML of cellfinder; `kinds` are the labels of types 1, 2."""
    return "\n".join([*_document(marks, kinds, PLACEHOLDER, named=False, first=0), ""]).encode()


def _document(
    marks: Marks, names: Sequence[str], image: str, *, named: bool, first: int
) -> Iterator[str]:
    rows: dict[str, list[int]] = {name: [] for name in names}
    for row, label in enumerate(marks.labels):
        rows[label or NO_CLASS].append(row)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f"<{ROOT}>"
    yield " <Image_Properties>"
    yield f"  <Image_Filename>{content(image)}</Image_Filename>"
    yield " </Image_Properties>"
    yield " <Marker_Data>"
    yield f"  <Current_Type>{0 if named else 1}</Current_Type>"
    for kind, name in enumerate(names, start=1):
        if not named and not rows[name]:
            continue
        yield "  <Marker_Type>"
        yield f"   <Type>{kind}</Type>"
        if named:
            yield f"   <Name>{content(name)}</Name>"
        for row in rows[name]:
            y, x = marks.positions[row]
            yield "   <Marker>"
            yield f"    <MarkerX>{int(x)}</MarkerX>"
            yield f"    <MarkerY>{int(y)}</MarkerY>"
            yield f"    <MarkerZ>{sum(marks.planes[row]) + first}</MarkerZ>"
            yield "   </Marker>"
        yield "  </Marker_Type>"
    yield " </Marker_Data>"
    yield f"</{ROOT}>"
