"""What holds for all tests: reproducible examples, and a GPU only where there is one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings

# A busy machine is no failure, and continuous integration must not depend on the day's luck.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# No test asks a server for weights, nor finds those of this machine's user; processes that tests
# start inherit both.
os.environ["LUNGCLS_OFFLINE"] = "1"
os.environ["LUNGCLS_CACHE"] = str(Path(tempfile.gettempdir()) / "lungcls-tests-without-weights")


@pytest.fixture(autouse=True)
def _files_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """Keep models that a test trains, and what it chooses, out of the user's folders."""
    folder = tmp_path_factory.getbasetemp() / uuid4().hex
    monkeypatch.setenv("LUNGCLS_MODELS", str(folder))
    monkeypatch.setenv("LUNGCLS_CHOICES", str(folder.with_suffix(".json")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Tests of engines ask each engine itself.
    wanted = [
        item
        for item in items
        if item.get_closest_marker("gpu") and "engine_name" not in getattr(item, "fixturenames", ())
    ]
    if wanted and not _has_cuda():
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
