"""The text of files that editors and spreadsheets saved, in whatever encoding."""

from __future__ import annotations

import codecs
import re
import warnings
from pathlib import Path

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.utils.locks import why_unreadable
from napari_lungcls.utils.printable import printable

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_WORD = re.compile(r"[^\W\d_]+")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_ELSEWHERE = "".join(
    letter
    for byte in range(0x80, 0xA0)
    if (letter := bytes([byte]).decode("cp1252", "ignore")) not in "€…–—\u2018\u2019\u201c\u201d•"
)
"""Characters of Windows-1252 whose bytes are letters on old Macs."""
SAVE = "save it as UTF-8"


def read_limited(path: Path, what: str, most: int) -> bytes:
    """Read a file of at most so many bytes; messages call it a `what` file.

    Raises
    ------
    InputError
        When it is missing, too large, or cannot be read.
    """
    try:
        if (size := path.stat().st_size) > most:
            raise InputError(f"{path}: {size} bytes are too many for a {what} file; check the name")
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name of the {what} file") from None
    except OSError as error:
        why = why_unreadable(error) or f"cannot be read ({error.strerror}); choose a {what} file"
        raise InputError(f"{path} {why}") from error


def decoded(data: bytes, source: Path, save: str = SAVE) -> str:
    """Decode a text file: UTF-8, what Excel calls Unicode text, or Western European letters.

    The last is taken for what has letters between others, as `Gefäß`; a warning shows how the
    first such word is read.

    Parameters
    ----------
    data
        All of the file.
    source
        Its name, for messages.
    save
        The remedy.

    Raises
    ------
    InputError
        When it is no text, or in letters that cannot be told from others.
    """
    if data.startswith(_UTF16) and not data.startswith(_UTF32):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise InputError(f"{source} is cut short, or no text in UTF-16; {save}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data.decode("cp1252", "replace")
        word = _western(text)
        if word is None:
            raise InputError(f"{source}, line {line}: is not text in UTF-8; {save}") from error
        warnings.warn(
            f"{printable(source)} is not UTF-8 and is read as Western European (Windows-1252), "
            f"with words such as {word!r}; if that is misspelled, {save}",
            LungclsWarning,
            stacklevel=3,
        )
        return text


def _western(text: str) -> str | None:
    """Give the first word with letters beyond ASCII if each of them makes sense, else None."""
    if _CONTROLS.search(text) or "\ufffd" in text or set(text) & set(_ELSEWHERE):
        return None
    first = None
    for word in _WORD.findall(text):
        beyond = sum(not letter.isascii() for letter in word)
        # Whole words of such letters are Cyrillic or Greek of another code page.
        if beyond and 2 * beyond > len(word) and len(word) > 1:
            return None
        if beyond and first is None:
            first = word
    return first
