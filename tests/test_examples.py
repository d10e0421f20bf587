"""Every public name has an example, and all examples run and show what they say."""

from __future__ import annotations

import doctest
import importlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import napari_lungcls

API = Path(__file__).parents[1] / "docs" / "api"
CURRENT = re.compile(r"^\.\. currentmodule:: (\S+)$", re.MULTILINE)
DOCUMENTED = re.compile(r"^\.\. auto\w+:: (\w+)", re.MULTILINE)


def documented() -> list[tuple[str, str]]:
    """Modules and names of the API pages."""
    found = []
    for page in sorted(API.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        found += [(module, name) for module in CURRENT.findall(text)
                  for name in DOCUMENTED.findall(text)]  # fmt: skip
    return found


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run what the page says makes the files of the examples, in a folder of its own."""
    (code,) = re.findall(
        r"^## The files.*?^```python\n(.*?)^```",
        (API / "index.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    pytest.importorskip("optuna", reason="the search for settings is an extra")
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("examples"))
        exec(compile(code, str(API / "index.md"), "exec"), found)
        yield found


def test_the_pages_have_every_public_name():
    for module in ("napari_lungcls", "napari_lungcls.synthetic"):
        listed = {name for where, name in documented() if where == module}
        assert listed == set(importlib.import_module(module).__all__)


def test_public_names_are_those_that_can_be_imported():
    for name in napari_lungcls.__all__:
        assert getattr(napari_lungcls, name).__name__ == name


@pytest.mark.parametrize(("module", "name"), documented())
def test_the_example_runs(names, module, name):
    documentation = getattr(importlib.import_module(module), name).__doc__
    test = doctest.DocTestParser().get_doctest(documentation, dict(names), name, None, 0)
    assert test.examples, f"{name} has no example"
    said: list[str] = []
    with warnings.catch_warnings():
        result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.failed == 0, "".join(said)
