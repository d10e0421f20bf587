"""What is fuzzed: functions of bytes that may refuse them with `InputError`, and nothing else.

`test_damage.py` drives them a little with hypothesis, `benchmarks/fuzz.py` as often as asked.
"""

from __future__ import annotations

import contextlib
import warnings
from functools import cache
from pathlib import Path

from fuzz.files import MAKERS, Target, file_target
from fuzz.mutations import json_file
from fuzz.seeds import Stack, seeds
from napari_lungcls.annotation.formats.catalogue import POINTS_FORMATS, format_of, named_format
from napari_lungcls.annotation.formats.conversion import read_marks, write_marks
from napari_lungcls.errors import InputError

HTTP = "http"
POINTS = tuple(form.name for form in POINTS_FORMATS)
NAMES = (*POINTS, *MAKERS, HTTP)
"""Of all targets."""


@cache
def target(name: str) -> Target:
    """Give a target; what it needs is made when it is first asked for."""
    if name == HTTP:
        from fuzz.http import http_target

        return http_target()
    return _points_target(name) if name in POINTS else file_target(name)


def _points_target(name: str) -> Target:
    """Read bytes as a file of a format, and write what was read."""
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

    made = Target(read, seeds(name))
    return made._replace(mutate=json_file) if name == "qupath" else made
