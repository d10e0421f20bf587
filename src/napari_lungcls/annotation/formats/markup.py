"""XML of strangers: no DTD, no entities, nothing deep or endless; and XML that is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.utils.printable import printable

DEEPEST = 16
"""Elements inside each other."""

MOST_ELEMENTS = 2**25

LONGEST = 2**16
"""Characters of text in one element."""

Start = Callable[[Sequence[str], dict[str, str]], None]
End = Callable[[Sequence[str], str], None]

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold, however they are written."""

_BARE = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")


class _Found(Exception):
    """The root element was found."""


def walk(data: bytes, source: str, start: Start | None = None, end: End | None = None) -> None:
    """Read XML and tell of each element.

    Parameters
    ----------
    data
        The document.
    source
        Its name, for messages.
    start
        Told the names of an element and those around it, from the outermost, and its attributes.
    end
        Told the same names, and the text that stands in it, without spaces at its ends.

    Raises
    ------
    InputError
        When it is no XML, has a document type or entities, or is too deep or too large.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    path: list[str] = []
    texts: list[list[str]] = []
    sizes: list[int] = []
    count = 0

    def refuse(*_: object) -> int:
        raise InputError(
            f"{source}: has a document type or entities, which points files do not need; export "
            "the points again, or remove it"
        )

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(path) >= DEEPEST or count > MOST_ELEMENTS:
            raise InputError(
                f"{source}: is too deep or too large for a points file; check the name"
            )
        path.append(name)
        texts.append([])
        sizes.append(0)
        if start is not None:
            start(path, attributes)

    def text(found: str) -> None:
        sizes[-1] += len(found)
        if sizes[-1] > LONGEST:
            raise InputError(f"{source}: the text of {shown(path[-1])} is too long; shorten it")
        texts[-1].append(found)

    def closed(_name: str) -> None:
        if end is not None:
            end(path, "".join(texts[-1]).strip())
        path.pop()
        texts.pop()
        sizes.pop()

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = opened
    parser.CharacterDataHandler = text
    parser.EndElementHandler = closed
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputError(
            f"{source}, line {error.lineno}: {expat.ErrorString(error.code)}; export the points "
            "again"
        ) from error
    except (LookupError, UnicodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: its letters cannot be read; save it as UTF-8") from error


def root_of(data: bytes) -> str | None:
    """Name the outermost element; None where there is none."""

    def found(path: Sequence[str], _attributes: dict[str, str]) -> None:
        raise _Found(path[0])

    try:
        walk(data, "", found)
    except _Found as root:
        return str(root)
    except InputError:
        pass
    return None


def looks_like_xml(data: bytes) -> bool:
    """Tell whether text begins as XML does, in UTF-8 or UTF-16."""
    for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"):
        data = data.removeprefix(mark)
    return data[:64].lstrip(b" \t\r\n\x00").startswith(b"<")


def mended(data: bytes) -> bytes:
    """Write bare `&` as XML wants them, which some programs do not."""
    return data if data[:2] in (b"\xff\xfe", b"\xfe\xff") else _BARE.sub(b"&amp;", data)


def content(text: str) -> str:
    """Write text between two tags; see `attribute`."""
    return escape(_allowed(text))


def attribute(text: str) -> str:
    """Write an attribute's value with its quotes.

    Raises
    ------
    InputError
        When XML cannot hold a character of it.
    """
    return quoteattr(_allowed(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _allowed(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise InputError(f"{shown(text)} has a character that XML cannot hold; rename it")
    return printable(text)
