"""Folders of pictures: a folder per class, perhaps below train, val and test."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.opening import PICTURES, TIFF
from napari_lungcls.patch_datasets.dataset import Part, Role, role_of
from napari_lungcls.patch_datasets.pictures import opened_pictures
from napari_lungcls.utils.humanize import listing
from napari_lungcls.utils.printable import printable
from napari_lungcls.utils.progress import Step

SUFFIXES = (*PICTURES, *TIFF)
_HIDDEN = ("__macosx", "@eadir", "$recycle.bin", "system volume information",
           "thumbs.db", "desktop.ini")  # fmt: skip
"""What systems leave in folders, beside names that begin with a dot."""
_SIDECARS = (".csv", ".tsv", ".txt", ".json", ".xml", ".yaml", ".yml", ".md", ".html", ".log",
             ".py", ".ipynb", ".xlsx", ".pdf")  # fmt: skip
"""What lies beside pictures and never is one."""


@dataclass(frozen=True, eq=False)
class Tree:
    """What lies in a folder, without what is hidden.

    Attributes
    ----------
    path
        The folder.
    files
        Pictures that lie directly in it.
    folders
        The folders in it.
    others
        Other files that lie directly in it.
    """

    path: Path
    files: list[Path] = field(default_factory=list)
    folders: list[Tree] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self.path.name

    @cached_property
    def pictures(self) -> list[Path]:
        """All pictures in it, at any depth."""
        return sorted(self.files + [path for folder in self.folders for path in folder.pictures])

    @cached_property
    def full(self) -> list[Tree]:
        """The folders in it that have pictures."""
        return [folder for folder in self.folders if folder.pictures]

    @property
    def parts(self) -> list[Tree]:
        """The folders with pictures that are called train, val, test or alike."""
        return [folder for folder in self.full if role_of(folder.name)]

    def passed_over(self) -> Counter[str]:
        """Count the files that are no pictures, at any depth, by suffix."""
        own = Counter(path.suffix.lower() for path in self.others)
        return sum((folder.passed_over() for folder in self.folders), own)


def look_into(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Tree:
    """List a folder and what is below it; links are followed, but not in a circle.

    Raises
    ------
    InputError
        When a folder cannot be read.
    """
    tree = Tree(folder)
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        here = above | {(status.st_dev, status.st_ino)}
        for entry in entries:
            if is_hidden(entry.name):
                continue
            path = folder / entry.name
            suffix = path.suffix.lower()
            if entry.is_dir():
                status = path.stat()
                if (status.st_dev, status.st_ino) not in here:
                    tree.folders.append(look_into(path, here))
            elif suffix in SUFFIXES:
                tree.files.append(path)
            else:
                tree.others.append(path)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); check its rights"
        ) from error
    return tree


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is no part of any data: hidden, or left by a system."""
    return name.startswith(".") or name.lower() in _HIDDEN


def read_folder(tree: Tree, *, labelled: bool = True) -> Generator[Step, None, list[Part]]:
    """Open a folder per class, perhaps below the folders train, val and test.

    Raises
    ------
    InputError
        When there are no pictures in folders, or it is unclear which folders are the classes.
    """
    _check_depth(tree)
    roots = _parts_of(tree)
    if roots:
        loose = tree.files
        parts = []
        for root in roots:
            parts.append((yield from _classes(root, role_of(root.name) or "", labelled)))
        _compare_classes(tree, parts)
    else:
        parts = [(yield from _classes(tree, "", labelled))]
        loose = tree.files if parts[0].names else []
    _say_what_is_left(tree, loose)
    return parts


def _parts_of(tree: Tree) -> list[Tree]:
    """Return the folders train, val and test, if that is what they are.

    A class may be called `test` as well; then it has no folders in it, and others beside it.
    """
    parts = tree.parts
    others = [folder for folder in tree.full if folder not in parts]
    if not parts or not others:
        return parts
    names = listing(folder.name for folder in others)
    called = listing(folder.name for folder in parts)
    if any(part.full for part in parts):
        raise InputError(
            f"{tree.path}: has {called} for parts of a data set, and {names} beside; move "
            f"{names} elsewhere or into the parts, or give the parts one by one"
        )
    warnings.warn(
        f"{tree.path}: {called} is taken for a class, as {names} beside it; if it is a part of the "
        "data set, put a folder for each class into it",
        LungclsWarning,
        stacklevel=2,
    )
    return []


def _check_depth(tree: Tree) -> None:
    """Refuse a folder that holds the data set, in place of being it."""
    if tree.files or not tree.full:
        return
    inner = [folder for folder in tree.full if folder.parts and not role_of(folder.name)]
    if len(tree.full) == 1 and (only := tree.full[0]).full and not only.files:
        if not role_of(only.name):
            raise InputError(
                f"{tree.path}: holds only {only.name}, which holds "
                f"{listing(folder.name for folder in only.full)}; give {only.path}"
            )
    elif len(inner) == 1 and inner[0].parts[0].full:
        raise InputError(
            f"{inner[0].path}: has the folders {listing(part.name for part in inner[0].parts)}; "
            f"give {inner[0].path} in place of {tree.path}"
        )
    elif inner:
        part = inner[0].parts[0]
        raise InputError(
            f"{tree.path}: the class folders {listing(folder.name for folder in inner)} hold "
            f"{listing(part.name for part in inner[0].parts)}; put the parts above the classes, "
            f"{tree.path / part.name / inner[0].name} in place of {part.path}"
        )


def _classes(tree: Tree, role: Role, labelled: bool) -> Generator[Step, None, Part]:
    _check_classes(tree, labelled)
    names = tuple(printable(folder.name) for folder in tree.full)
    paths = [path for folder in tree.full for path in folder.pictures] or tree.pictures
    pixels = yield from opened_pictures(paths, str(tree.path))
    labels = None
    if names:
        labels = np.repeat(np.arange(len(names)), [len(folder.pictures) for folder in tree.full])
    files = tuple(path.relative_to(tree.path).as_posix() for path in paths)
    return Part(str(tree.path), role, pixels, labels, names or None, files=files)


def _check_classes(tree: Tree, labelled: bool) -> None:
    """Refuse a folder without pictures, and one with a class that has none."""
    empty = [folder for folder in tree.folders if not folder.pictures]
    if not tree.pictures or (labelled and not tree.full):
        found = tree.passed_over()
        but = f", but {_counted(found)}" if found else ""
        raise InputError(
            f"{tree.path}: holds no pictures in folders of their class{but}; make one folder per "
            f"class, with {', '.join(SUFFIXES)} files"
        )
    if not empty or not tree.full:
        return
    found = empty[0].passed_over()
    but = f"holds no pictures that can be read, but {_counted(found)}" if found else "is empty"
    what = f"{empty[0].path}: the class folder {but}"
    if labelled:
        raise InputError(f"{what}; convert its pictures to PNG, or move the folder elsewhere")
    warnings.warn(f"{what}; it is passed over", LungclsWarning, stacklevel=2)


def _compare_classes(tree: Tree, parts: list[Part]) -> None:
    """Say where the parts of a data set have other classes than its first part."""
    first = parts[0]
    for part in parts[1:]:
        ours, theirs = set(first.names or ()), set(part.names or ())
        if differing := ours ^ theirs:
            case = {name.casefold() for name in ours} == {name.casefold() for name in theirs}
            warnings.warn(
                f"{tree.path}: {Path(first.source).name} and {Path(part.source).name} have other "
                f"classes, {listing(sorted(differing))} {'by case' if case else 'in one'} only",
                LungclsWarning,
                stacklevel=2,
            )


def _say_what_is_left(tree: Tree, loose: Collection[Path]) -> None:
    """Warn of pictures that lie elsewhere than others, and of files of other kinds."""
    found = tree.passed_over()
    said = []
    if loose:
        said.append(
            f"{len(loose)} pictures in no class folder ({listing(path.name for path in loose)})"
        )
    if not set(found) <= {*_SIDECARS}:
        said.append(f"{found.total()} other files ({_counted(found)})")
    if said:
        warnings.warn(
            f"{tree.path}: passed over {' and '.join(said)}", LungclsWarning, stacklevel=2
        )


def _counted(found: Counter[str]) -> str:
    return listing(f"{suffix or 'no suffix'} ({count})" for suffix, count in found.most_common())
