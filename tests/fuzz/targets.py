"""What is fuzzed: functions of bytes that may refuse them with `InputError`, and nothing else.

`test_points.py` drives them a little with hypothesis, `benchmarks/fuzz.py` as often as asked.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

from fuzz.seeds import Stack, seeds
from napari_lungcls.annotation.formats.catalogue import POINTS_FORMATS, format_of, named_format
from napari_lungcls.annotation.formats.conversion import read_marks, write_marks
from napari_lungcls.errors import InputError

Target = Callable[[bytes], bool]

WORDS = (
    b"<", b">", b"&", b"&amp;", b"&#0;", b"<!DOCTYPE a [", b"<!ENTITY b 'c'>", b"&b;", b"<![CDATA[",
    b"<?xml version='1.0' encoding='utf-16'?>", b"-1", b"0", b"1e999", b"nan", b"NaN", b"9" * 400,
    b"null", b"true", b'"', b"'", b"[", b"]", b"{", b"}", b"[[[[[[[[", b",", b":", b"\x00", b"\xff",
    b"\xff\xfe", b"\xef\xbb\xbf", b"&a ", b"*a", b"<<: ", b"!!python/object:os.system ",
    b"!!int ''", b"? ", b"- ", b"\xed\xa0\x80", b"\\ud800", b"None", b"Iout", b"\x7f\xff\xff\xff",
    b'"plane": {"z": 1}', b'"type": "MultiPoint"', b"2024-13-45", b"0x", b"1_0", b"1:60:60",
)  # fmt: skip


def target(name: str) -> Target:
    """Read bytes as a file of a format, and write what was read; True if they were read."""
    form = named_format(name)

    def read(data: bytes) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(InputError):
                format_of(data, "fuzz")
            try:
                points = read_marks(data, form, "fuzz", {k: f"c{k}" for k in range(256)}, None)
                read_marks(data, form, "fuzz", None, Stack())
                write_marks(points, form, Path("fuzz"), None, Stack((*([9] * points.ndim),)))
            except InputError:
                return False
        return True

    return read


TARGETS: dict[str, tuple[Target, list[bytes]]] = {
    form.name: (target(form.name), seeds(form.name)) for form in POINTS_FORMATS
}
"""Each with its seeds."""


def mutated(data: bytes, random: Random) -> bytes:
    """Damage a file in one to four places: bits, bytes, words, lost and doubled parts."""
    found = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(found))
        stop = min(len(found), at + random.choice((0, 1, 4, 16, 64)))
        match random.randint(0, 5):
            case 0 if found:
                found[at % len(found)] ^= 1 << random.randint(0, 7)
            case 1:
                found[at:stop] = random.choice(WORDS)
            case 2:
                del found[at:stop]
            case 3:
                found[at:at] = found[at:stop] * random.choice((1, 2, 40))
            case 4 if found:
                found[at % len(found)] = random.randint(0, 255)
            case _:
                other = random.randint(0, len(found))
                found[other:other] = found[at:stop]
    return bytes(found)
