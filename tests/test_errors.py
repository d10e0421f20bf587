"""Errors for notebook, command line and windows; the core speaks no interface's language."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest

import napari_lungcls as lc
from napari_lungcls.cli.console import Options
from napari_lungcls.errors import InputError, LungclsWarning

SOURCE = Path(lc.__file__).parent
OPTION = re.compile(r"--[a-z{]")


@pytest.mark.parametrize(
    ("error", "python", "options"),
    [
        (InputError("a  b\nc"), "a b c", "a b c"),
        (
            InputError("no colours", setting="stain", suggestion={"stain": 0.0}),
            "stain: no colours; use stain=0.0",
            "--stain: no colours; use --stain 0",
        ),
        (
            InputError("too few", suggestion={"val_fraction": 0.2, "zooms": (1, 4)}),
            "too few; use val_fraction=0.2 or use zooms=(1, 4)",
            "too few; use --val-fraction 0.2 or use --zooms 1,4",
        ),
        (
            InputError("begun", suggestion=({"resume": True}, "or", {"classes": ...}, "at least")),
            "begun; use resume=True or use classes=... at least",
            "begun; use --resume or use --classes at least",
        ),
        (
            InputError("one plane", suggestion={"planes": None, "resume": False}),
            "one plane; leave planes out or use resume=False",
            "one plane; leave --planes out or leave --resume out",
        ),
        (
            InputError("no such format", setting="kind", suggestion="use npz"),
            "kind: no such format; use npz",
            "--format: no such format; use npz",
        ),
    ],
)
def test_each_interface_renders_its_own_words(error: InputError, python: str, options: str) -> None:
    assert str(error) == python
    assert error.told(Options()) == options
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.told(Options())) == (python, options)


def test_values_of_suggestions_are_remedies() -> None:
    suggestion = ({"zooms": (1,), "tile": None}, "or", {"val_fraction": 0.0, "classes": ...})
    assert InputError("x", suggestion=suggestion).remedies == {"zooms": (1,), "val_fraction": 0.0}
    assert LungclsWarning("x", suggestion="y").remedies == {}


def test_no_text_outside_the_command_line_names_an_option() -> None:
    files = [file for file in SOURCE.rglob("*.py") if SOURCE / "cli" not in file.parents]
    assert len(files) > 100
    found = [
        f"{file.relative_to(SOURCE)}:{node.lineno}: {node.value.strip()[:60]}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if OPTION.search(node.value) or node.value.endswith(" --")
    ]
    assert not found
