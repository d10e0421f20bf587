"""What every viewer need not do anew: read manifests, and look for garbage everywhere."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from npe2 import PluginManifest


@pytest.fixture(scope="session", autouse=True)
def _manifests_read_once() -> Iterator[None]:
    """Spare each viewer the reading of the manifests of all that is installed."""
    found = list(PluginManifest.discover())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda paths=(): iter(found))
        yield


@pytest.fixture
def make_napari_viewer(make_napari_viewer: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what is there already out of the searches that napari starts when a layer goes."""
    gc.collect()
    gc.freeze()
    return make_napari_viewer
