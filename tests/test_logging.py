"""What the package logs: nothing until it is asked to, and then the steps of its work."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import napari_lungcls

SOURCES = Path(napari_lungcls.__file__).parent


def test_the_core_prints_nothing():
    for path in SOURCES.rglob("*.py"):
        if path.is_relative_to(SOURCES / "cli"):
            continue
        calls = [n.func for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Call)]
        assert "print" not in {c.id for c in calls if isinstance(c, ast.Name)}, path


def test_the_package_is_quiet_unless_a_program_listens():
    logger = logging.getLogger("napari_lungcls")
    assert logger.level == logging.NOTSET
    assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]
