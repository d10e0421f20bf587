"""Comparing names of images, groups and classes."""

from __future__ import annotations

import functools
import itertools
import os
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.utils.printable import printable

_INVISIBLE = "\ufeff\u200b\u2060"
_FILE_URL = re.compile(r"file:(?://(?:localhost)?(?=/))?", re.IGNORECASE)
_WINDOWS_ROOT = re.compile(r"^/(?=[A-Za-z]:/)")


@functools.lru_cache(maxsize=2**14)
def comparable(name: str) -> str:
    """Return the form in which names are compared.

    Backslashes become slashes, spaces around the name and around slashes are removed, and
    letters are composed (Unicode's NFC). Case is kept.
    """
    text = unicodedata.normalize("NFC", printable(name)).replace("\\", "/")
    return "/".join(_stripped(part) for part in _stripped(text).split("/"))


def _stripped(text: str) -> str:
    return text.strip().strip(_INVISIBLE).strip()


class KnownNames:
    """Names in which others can be looked up, however they are spelled.

    Parameters
    ----------
    names
        The known names; of equal ones the first counts.
    what
        What a name stands for, for warnings, such as ``class``.
    """

    def __init__(self, names: Iterable[str], what: str) -> None:
        self._names, self._what = list(names), what
        self._places: dict[str, int] = {}
        self._folded: dict[str, list[int]] = {}
        for place, name in enumerate(self._names):
            key = comparable(name)
            if key not in self._places:
                self._places[key] = place
                self._folded.setdefault(key.casefold(), []).append(place)

    def place(self, name: str, source: str = "") -> int | None:
        """Find a name; a unique one that differs only by case is taken, with a warning.

        Parameters
        ----------
        name
            The name to look up.
        source
            Where it comes from, for the warning.
        """
        key = comparable(name)
        if key in self._places:
            return self._places[key]
        near = self._folded.get(key.casefold(), [])
        if len(near) != 1:
            return None
        warnings.warn(
            f"{source}{': ' if source else ''}{self._what} {printable(name)!r} is taken for "
            f"{printable(self._names[near[0]])!r}, which differs only by case",
            LungclsWarning,
            stacklevel=2,
        )
        return near[0]


def distinct(names: Iterable[str]) -> list[str]:
    """Return each name once, in the order and spelling of its first occurrence."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(comparable(name), name)
    return list(first.values())


def warn_of_case(names: Iterable[str], what: str, source: str) -> None:
    """Warn if names differ only by case, and so count as different.

    Parameters
    ----------
    names
        In any number and order.
    what
        What they stand for, in the plural, such as ``groups``.
    source
        Where they come from.
    """
    seen: dict[str, str] = {}
    for name in distinct(dict.fromkeys(names)):
        other = seen.setdefault(comparable(name).casefold(), name)
        if other != name:
            warnings.warn(
                f"{source}: the {what} {printable(other)!r} and {printable(name)!r} differ only by "
                "case and count as two; spell them alike if they are one",
                LungclsWarning,
                stacklevel=2,
            )


class Folder:
    """A folder in which files are found by their names in tables from any system.

    Parameters
    ----------
    path
        The folder to which relative names refer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listed: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path:
        """Return the path of `name`: the file spelled exactly so, else one with an equal name.

        `file://` URLs are understood. If there is no such file, the path it would have is
        returned.
        """
        exact = self.path / name
        if os.path.lexists(exact):
            return exact
        named = _path_text(name)
        path = Path(self.path, named)
        if os.path.lexists(path):
            return path
        found = Path(path.anchor) if Path(named).is_absolute() else self.path
        for part in Path(named).parts:
            if part != path.anchor:
                found = self._child(found, part)
        return found

    def key(self, name: str) -> str:
        """Return the full path of `name`, in the form in which images are compared."""
        return path_key(self.find(name))

    def _child(self, folder: Path, part: str) -> Path:
        if os.path.lexists(folder / part):
            return folder / part
        if folder not in self._listed:
            try:
                entries = os.listdir(folder)
            except (OSError, ValueError):
                entries = []
            self._listed[folder] = {comparable(entry): entry for entry in entries}
        return folder / self._listed[folder].get(comparable(part), part)


class KnownImages:
    """Images to which tables refer, by their paths.

    Parameters
    ----------
    paths
        As the user gives them.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]]) -> None:
        self._paths = [os.fspath(path) for path in paths]
        self._keys = [path_key(path) for path in paths]
        self._known = KnownNames(self._keys, "image")

    def given_twice(self) -> int | None:
        """Return the position of the first image that is given twice."""
        return next((i for i, key in enumerate(self._keys) if key in self._keys[:i]), None)

    def place(self, name: str, folder: Folder, source: str = "") -> int | None:
        """Return which image a table in `folder` means by `name`; None if it is another one.

        One that differs only by case is taken, with a warning, unless it is another file.
        """
        path = folder.find(name)
        key = path_key(path)
        if key in self._keys:
            return self._keys.index(key)
        if os.path.exists(path):
            same = (i for i, image in enumerate(self._paths) if _same_file(path, image))
            return next(same, None)
        return self._known.place(key, source)


def _same_file(path: Path, other: str) -> bool:
    """Return whether two names are the same file, as on a case-insensitive disk."""
    return os.path.exists(other) and os.path.samefile(path, other)


def numbered(name: str) -> Iterator[str]:
    """Give `name`, `name (2)`, `name (3)`, …, of which to take the first that is free."""
    yield name
    for number in itertools.count(2):
        yield f"{name} ({number})"


def path_key(path: str | os.PathLike[str]) -> str:
    """Return the full path of a file in the form in which images are compared."""
    try:
        whole = os.path.realpath(path)
    except (OSError, ValueError):
        whole = os.path.abspath(path)
    return comparable(os.path.normcase(whole))


def _path_text(name: str) -> str:
    """Write a path with this system's slashes, without the prefix of a URL."""
    text = _stripped(name).replace("\\", "/")
    if prefix := _FILE_URL.match(text):
        text = _WINDOWS_ROOT.sub("", unquote(text[prefix.end() :]))
    return "/".join(_stripped(part) for part in text.split("/"))
