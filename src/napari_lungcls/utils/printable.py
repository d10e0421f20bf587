"""Names that every file and terminal can represent."""

from __future__ import annotations

import contextlib
import os
import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTES = range(0xDC80, 0xDD00)
"""How Python decodes bytes of file names that are not UTF-8 (PEP 383)."""


def printable(name: str | os.PathLike[str]) -> str:
    r"""Return a name that every UTF-8 file and terminal can represent.

    Bytes of a file name that are not UTF-8 become `%` and two digits: `schnitt_%E4.tif`. All
    other names are unchanged.
    """
    text = os.fspath(name)
    if _SURROGATE.search(text) is None:
        return text
    with contextlib.suppress(UnicodeEncodeError):
        # If the system's encoding is ASCII, UTF-8 also arrives as such bytes.
        text = os.fspath(name).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _SURROGATE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"%{code - 0xDC00:02X}" if code in _BYTES else f"%u{code:04X}"
