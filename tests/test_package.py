"""The package as a whole: what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import napari_lungcls

SOURCES = Path(napari_lungcls.__file__).parent

HEAVY = ("torch", "mxnet", "napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "matplotlib")


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys; print('\\n'.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import napari_lungcls", "import napari_lungcls.annotation"])
def test_importing_loads_nothing_heavy(statement):
    loaded = modules_after(statement)
    assert "napari_lungcls" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_command_line_starts_at_once():
    slow = {*HEAVY, "scipy", "sklearn", "skimage", "pandas", "dask", "zarr", "h5py"}
    assert modules_after("import napari_lungcls.cli.app").isdisjoint(slow)


def test_the_check_would_notice():
    assert "matplotlib" in modules_after("import napari_lungcls, matplotlib")


def test_the_version_is_that_of_what_is_installed():
    assert napari_lungcls.__version__ == metadata.version("napari-lungcls")


def test_types_are_announced():
    assert resources.files("napari_lungcls").joinpath("py.typed").is_file()


def test_no_two_classes_share_a_name():
    """Except in the engines, which are each other's twins."""
    found: dict[str, list[str]] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        where = str(path.relative_to(SOURCES))
        if where.startswith("network/engines/"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(where)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}
