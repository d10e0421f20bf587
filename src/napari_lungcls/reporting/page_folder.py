"""A page in a folder of its own, with the files that it shows beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import check_writable, write_whole
from napari_lungcls.utils.printable import printable

GENERATOR = Markup('<meta name="generator" content="napari-lungcls">')
"""In the head of every page, by which a later report recognises an earlier one."""

INDEX = "index.html"


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


def write_folder(
    folder: Path, files: Mapping[str, bytes], page: str, stale: Iterable[str] = ()
) -> Path:
    """Write files and then the page that shows them; `stale` ones of an earlier page go.

    Raises
    ------
    InputError
        When the folder cannot be made or written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {folder} ({error.strerror}); give another one"
        ) from error
    for name, data in files.items():
        write_whole(folder / name, data)
    index = folder / INDEX
    was_there = index.exists()
    write_whole(index, printable(page).encode("utf-8"))
    for name in stale if was_there else ():
        (folder / name).unlink(missing_ok=True)
    return index


def page_environment() -> Environment:
    """Give what fills the templates; every text is escaped."""
    return Environment(
        loader=PackageLoader("napari_lungcls.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _is_ours(index: Path) -> bool:
    try:
        with index.open("rb") as stream:
            return GENERATOR.encode("ascii") in stream.read(4096)
    except OSError:
        return False
