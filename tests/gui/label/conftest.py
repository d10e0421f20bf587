"""A viewer for labelling, with journals of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_lungcls.annotation.autosave import FOLDER_VARIABLE
from napari_lungcls.gui.label.controller import Labeller, labeller_of


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "journals"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


@pytest.fixture
def viewer(make_napari_viewer_proxy, journals):
    return make_napari_viewer_proxy()


@pytest.fixture
def start(viewer) -> Iterator[Callable[..., Labeller]]:
    """Add an image and label it."""
    begun: list[Labeller] = []

    def make(shape: tuple[int, ...] = (64, 80), **options: object) -> Labeller:
        viewer.add_image(np.zeros(shape, np.uint8), name="lung.tif", **options)
        labeller = labeller_of(viewer)
        begun.append(labeller)
        labeller.problem.connect(_fail)
        labeller.choose_image(labeller.viewer.layers[-1])
        return labeller

    yield make
    for labeller in begun:
        labeller.close()


def _fail(line: str) -> None:
    raise AssertionError(line)
