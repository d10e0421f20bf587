"""Lists of picture files: SageMaker's augmented manifests, and `.lst` files.

What such a file names is untrusted: a picture is only looked for below the file's own folder.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_lungcls.annotation.texts import decoded, read_limited
from napari_lungcls.errors import InputError
from napari_lungcls.patch_datasets.arrays import as_groups, as_numbers
from napari_lungcls.patch_datasets.dataset import Part, role_within
from napari_lungcls.patch_datasets.pictures import opened_pictures
from napari_lungcls.utils.names import Folder
from napari_lungcls.utils.printable import printable
from napari_lungcls.utils.progress import Step

MANIFEST_SUFFIXES = (".manifest", ".jsonl")
LIST_SUFFIX = ".lst"
NAMES_SUFFIX = ".classes.txt"
"""Of the file beside a list that names its classes, one in a line."""
SOURCE, METADATA, GROUP = "source-ref", "-metadata", "group"
_S3 = re.compile(r"s3://[^/]+/(?P<key>.+)")
_LARGEST = 2**30
"""Bytes of the largest list that is read."""
LONGEST = 1024
"""Characters of a picture's name; S3 has no longer ones."""


def read_manifest(
    path: Path, *, attribute: str | None = None, labelled: bool = True
) -> Generator[Step, None, Part]:
    """Open the patches of an augmented manifest: JSON lines with `source-ref` and a class.

    A picture in S3 is looked for below the manifest's folder, under as much of its key as is
    there: `s3://bucket/lung/a/1.png` as `lung/a/1.png`, `a/1.png` or `1.png`.

    Parameters
    ----------
    path
        The manifest.
    attribute
        The attribute that holds the class; may be left out when there is only one.
    labelled
        Whether patches need a class.

    Raises
    ------
    InputError
        Naming the line that cannot be used.
    """
    paths, names, groups = [], [], []
    folder = Folder(path.parent)
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        entry = _entry(line, where)
        attribute = attribute or _attribute(entry, where, labelled)
        paths.append(_below(folder, _text(entry, SOURCE, where), where))
        if attribute:
            names.append(_class(entry, attribute, where))
        groups.append(str(entry.get(GROUP, "")))
    pixels = yield from opened_pictures(paths, str(path))
    labels, known = None, None
    if names:
        # Whoever numbers classes means their order.
        numbered = dict(sorted({name: code for name, code in names}.items(), key=_by_code))
        known = tuple(numbered)
        labels = np.array([known.index(name) for name, _ in names], np.int64)
    grouped = np.array(groups, object) if any(groups) else None
    return _part(path, pixels, labels, known, paths, as_groups(grouped, len(paths), str(path)))


def read_list(path: Path) -> Generator[Step, None, Part]:
    r"""Open the patches of a `.lst` file: `index<TAB>label<TAB>path` in every line.

    Raises
    ------
    InputError
        Naming the line that cannot be used.
    """
    paths, labels = [], []
    folder = Folder(path.parent)
    for number, row in enumerate(csv.reader(_lines(path), delimiter="\t"), 1):
        if not any(row):
            continue
        where = f"{path}, line {number}"
        if len(row) != 3:
            raise InputError(
                f"{where}: has {len(row)} columns; a line is index, label and path with tabs "
                "between them, and one label"
            )
        try:
            labels.append(float(row[1]))
        except ValueError:
            raise InputError(
                f"{where}: the label {row[1]!r} is no number; number the classes from 0"
            ) from None
        paths.append(_below(folder, row[2], where))
    pixels = yield from opened_pictures(paths, str(path))
    beside = path.with_name(path.stem + NAMES_SUFFIX)
    names = tuple(_lines(beside)) if beside.is_file() else None
    names = tuple(name.strip() for name in names if name.strip()) if names else None
    codes = as_numbers(np.array(labels), names, str(path))
    return _part(path, pixels, codes, names, paths, None)


def _part(path: Path, pixels: Any, labels: Any, names: Any, paths: list[Path], groups: Any) -> Part:
    role = role_within(re.split(r"[^A-Za-z]+", path.stem))
    files = tuple(p.relative_to(path.parent).as_posix() for p in paths)
    return Part(str(path), role, pixels, labels, names, groups, files)


def _lines(path: Path) -> list[str]:
    return decoded(read_limited(path, "list", _LARGEST), path).splitlines()


def _entry(line: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON ({error}); write one object in a line") from error
    if not isinstance(entry, dict):
        raise InputError(f"{where}: is no JSON object; write one with {SOURCE!r} and a class")
    return entry


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(f"{where}: has no text {key!r}; name the picture there")
    return value


def _attribute(entry: dict[str, Any], where: str, labelled: bool) -> str | None:
    """Find the attribute that has a class in its metadata."""
    found = [
        key.removesuffix(METADATA)
        for key, value in entry.items()
        if key.endswith(METADATA) and isinstance(value, dict) and "class-name" in value
    ]
    if len(found) > 1:
        raise InputError(
            f"{where}: has several classes ({', '.join(found)}); say which", setting="attribute"
        )
    if not found and labelled:
        raise InputError(
            f"{where}: has no attribute with a 'class-name' in its '{METADATA}'; label the picture"
        )
    return found[0] if found else None


def _class(entry: dict[str, Any], attribute: str, where: str) -> tuple[str, Any]:
    """Give the name of the class and its number."""
    metadata = entry.get(attribute + METADATA)
    if not isinstance(metadata, dict) or "class-name" not in metadata:
        raise InputError(
            f"{where}: has no class {attribute!r} with a 'class-name' in '{attribute}{METADATA}'; "
            "label the picture, or remove the line"
        )
    return str(metadata["class-name"]), entry.get(attribute)


def _by_code(item: tuple[str, Any]) -> tuple[bool, int | float, str]:
    name, code = item
    known = isinstance(code, int) or (isinstance(code, float) and math.isfinite(code))
    return not known, code if known else 0, name


def _below(folder: Folder, named: str, where: str) -> Path:
    """Give the path of a picture, which must lie below the folder of the list.

    Raises
    ------
    InputError
        When it leaves the folder.
    """
    if len(named) > LONGEST:
        raise InputError(f"{where}: a name of {len(named)} characters is too long for a picture")
    if remote := _S3.fullmatch(named):
        parts = PurePosixPath(remote["key"]).parts
        tried = ["/".join(parts[first:]) for first in range(len(parts))] or [named]
    else:
        tried = [named]
    try:
        named = next((name for name in tried if folder.find(name).is_file()), tried[-1])
        path = os.path.abspath(folder.find(named))
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: {printable(named)} names no picture ({error})") from error
    root = os.path.abspath(folder.path)
    if "\0" in named or not Path(path).is_relative_to(root):
        raise InputError(
            f"{where}: {named} lies outside of the folder {folder.path}; put the pictures below it "
            "and name them from there"
        )
    return folder.path / os.path.relpath(path, root)
