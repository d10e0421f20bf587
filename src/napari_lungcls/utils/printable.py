"""Names as every file and terminal can hold them."""

from __future__ import annotations

import contextlib
import os
import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTES = range(0xDC80, 0xDD00)
"""What Python decodes bytes 0x80 to 0xFF of a file name to that are no UTF-8 (PEP 383)."""


def printable(name: str | os.PathLike[str]) -> str:
    r"""Write a name so that every file and terminal in UTF-8 can hold it.

    Bytes of a file name that are no UTF-8 become `%` and two digits: `schnitt_%E4.tif`. All
    other names stay as they are.
    """
    text = os.fspath(name)
    if _SURROGATE.search(text) is None:
        return text
    with contextlib.suppress(UnicodeEncodeError):
        # Where the system's own encoding is ASCII, UTF-8 comes as such bytes too.
        text = os.fspath(name).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _SURROGATE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"%{code - 0xDC00:02X}" if code in _BYTES else f"%u{code:04X}"
