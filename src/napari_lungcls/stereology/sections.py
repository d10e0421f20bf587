"""Reading tables of sections, as people keep them in spreadsheets."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_lungcls.annotation.decimals import read_numbers
from napari_lungcls.annotation.tables import Table, read_table
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.stereology.section_info import (
    PlaneIndex,
    SectionInfo,
    Sections,
    file_name,
    section_name,
)
from napari_lungcls.utils.names import Folder, comparable, warn_of_case
from napari_lungcls.utils.printable import printable

BEGIN = "image,plane,section,animal,group"
TEXTS = ("section", "block", "animal", "group", "sex", "litter", "volume_method", "orientation")
NUMBERS = (
    "lung_volume_cm3",
    "section_spacing_um",
    "section_thickness_um",
    "volume_shrinkage",
    "pixel_size_um",
)
COLUMNS = ("image", "plane", *TEXTS, *NUMBERS)
"""Columns that mean something; others are kept as text."""

OF_THE_ANIMAL = ("group", "sex", "litter", "lung_volume_cm3", "volume_method")
"""Columns that say the same in all rows of an animal; one row is enough."""

LARGEST_SHRINKAGE = 2.0
"""A ratio of volumes above it is a percentage."""


def read_sections(path: str | os.PathLike[str]) -> Sections:
    r"""Read `sections.csv`, in any dialect of spreadsheets; see docs/formats.md.

    Names of images are paths relative to the table. What holds for an animal may stand in one of
    its rows.

    Raises
    ------
    InputError
        When it is no such table, names a plane twice, a number is none, or rows of an animal
        contradict each other.

    Warns
    -----
    LungclsWarning
        When columns are not known, no animal is named, or names differ only by case.

    Examples
    --------
    >>> _ = Path("sections.csv").write_text("image,animal,group\nsection.ome.tif,m1,control\n")
    >>> sections = lc.read_sections("sections.csv")
    >>> sections.find("section.ome.tif").group
    'control'
    """
    file = Path(path)
    table = read_table(file, "sections", BEGIN)
    names = [_plain(name) for name in table.header]
    if "image" not in names:
        raise InputError(
            f"{file} has no column image (columns: {shown(', '.join(table.header))}); name the "
            "image of each section in it"
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{file}: two columns are named {twice}; rename or remove one")
    _warn_of_unknown(file, [name for name in names if name not in COLUMNS])
    rows = _rows(file, table, names)
    _fill_animals(file, table, rows)
    sections = tuple(SectionInfo(**row) for row in rows)
    return Sections(sections, printable(file), _keys_of(file, table, sections))


def _rows(file: Path, table: Table, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read every row, with names in the spelling of their first occurrence."""
    numbers = {
        name: _numbers(file, table, names.index(name), name) for name in NUMBERS if name in names
    }
    spelled: dict[tuple[str, str], str] = {}
    unnamed, rows = 0, []
    for at, (number, cells) in enumerate(table.rows):
        texts = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
        image = texts["image"]
        if not comparable(image):
            raise InputError(f"{file}, row {number}: the image is empty; name it")
        plane = _plane(file, number, texts.get("plane", ""))
        row: dict[str, Any] = {"image": image, "plane": plane}
        for name in TEXTS:
            text = texts.get(name, "")
            row[name] = spelled.setdefault((name, comparable(text)), text)
        unnamed += not row["animal"]
        row["animal"] = row["animal"] or file_name(comparable(image))
        row["section"] = row["section"] or section_name(image, plane or ())
        row |= {name: values[at] for name, values in numbers.items()}
        row["extra"] = {name: text for name, text in texts.items() if name not in COLUMNS}
        rows.append(row)
    for name in ("animal", "group"):
        warn_of_case([row[name] for row in rows], f"{name}s", str(file))
    if unnamed:
        warnings.warn(
            f"{file}: {unnamed} rows name no animal, so their images count as animals",
            LungclsWarning,
            stacklevel=3,
        )
    return rows


def _numbers(file: Path, table: Table, place: int, name: str) -> list[float | None]:
    """Read a column of positive numbers; None where a cell is empty."""
    given = [(number, cells[place]) for number, cells in table.rows if cells[place].strip()]
    values = iter(
        read_numbers(
            [[text] for _, text in given],
            [number for number, _ in given],
            [name],
            str(file),
            separator=table.separator,
        )[:, 0].tolist()
        if given
        else []
    )
    found = [next(values) if cells[place].strip() else None for _, cells in table.rows]
    most = LARGEST_SHRINKAGE if name == "volume_shrinkage" else float("inf")
    for (number, cells), value in zip(table.rows, found, strict=True):
        if value is not None and not 0 < value <= most:
            hint = "the volume after processing over that before, such as 0.6" if (
                name == "volume_shrinkage") else "a positive number"  # fmt: skip
            raise InputError(f"{file}, row {number}: {name} is {shown(cells[place])}; give {hint}")
    return found


def _plane(file: Path, number: int, text: str) -> PlaneIndex | None:
    if not text:
        return None
    if not re.fullmatch(r"\d+(\.0)?([ ,]+\d+)*", text, re.ASCII):
        raise InputError(
            f"{file}, row {number}: the plane is {shown(text)}; give its number, from 0, or "
            "nothing for all planes"
        )
    return tuple(int(word) for word in re.split("[ ,]+", text.removesuffix(".0")))


def _fill_animals(file: Path, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Let what one row says of an animal hold for all of its rows; refuse contradictions."""
    for name in OF_THE_ANIMAL:
        said: dict[str, int] = {}
        for at, row in enumerate(rows):
            if row.get(name) in (None, ""):
                continue
            first = said.setdefault(comparable(row["animal"]), at)
            if rows[first][name] != row[name]:
                one, other = table.rows[first][0], table.rows[at][0]
                raise InputError(
                    f"{file}, row {other}: the animal {shown(row['animal'])} has the {name} "
                    f"{shown(row[name])}, but {shown(rows[first][name])} in row {one}; an animal "
                    "has one, so correct it, or give two animals different names"
                )
        for row in rows:
            first_row = said.get(comparable(row["animal"]))
            if first_row is not None:
                row[name] = rows[first_row][name]


def _keys_of(
    file: Path, table: Table, sections: Sequence[SectionInfo]
) -> dict[tuple[str, PlaneIndex | None], int]:
    folder = Folder(file.absolute().parent)
    keys: dict[tuple[str, PlaneIndex | None], int] = {}
    for at, row in enumerate(sections):
        key = folder.key(row.image), row.plane
        if key in keys:
            plane = "" if row.plane is None else f", plane {' '.join(map(str, row.plane))},"
            raise InputError(
                f"{file}, row {table.rows[at][0]}: {printable(row.image)}{plane} stands in row "
                f"{table.rows[keys[key]][0]} too; remove one"
            )
        keys[key] = at
    return keys


def _warn_of_unknown(file: Path, names: Sequence[str]) -> None:
    if names:
        warnings.warn(
            f"{file}: the columns {', '.join(map(printable, names))} are kept, but mean nothing "
            f"here; those that do are {', '.join(COLUMNS)}",
            LungclsWarning,
            stacklevel=3,
        )


def _plain(name: str) -> str:
    """Write the name of a column as this module does; what it does not know stays as it is."""
    plain = name.strip().lower().replace(" ", "_").replace("µ", "u").replace("μ", "u")
    return plain if plain in COLUMNS else name.strip()
