"""The plugin inside napari, also where the package is only on the path and not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

from npe2 import PluginManager, PluginManifest

NAME = "napari-lungcls"


@contextmanager
def plugin_registered() -> Iterator[PluginManager]:
    """Make sure that npe2 knows the manifest.

    It is not forgotten afterwards: napari connects to npe2 anew in every test, and would
    register the commands of a plugin that comes and goes several times.
    """
    manager = PluginManager.instance()
    manager.discover()
    if NAME not in manager:
        with resources.as_file(resources.files("napari_lungcls").joinpath("napari.yaml")) as path:
            manager.register(PluginManifest.from_file(path))
    yield manager
