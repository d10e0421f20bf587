"""Folded panels that are imported and made when they are first opened."""

from importlib import import_module
from typing import Any

import napari
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui.parts import Fold, column


class LazyFold(Fold):
    """A folded panel.

    Parameters
    ----------
    title
        What the fold says.
    path
        Where the panel's class is: `package.module:Class`; it takes the viewer.
    viewer
        The viewer.
    """

    def __init__(self, title: str, path: str, viewer: "napari.Viewer") -> None:
        self._content = QWidget()
        self._path, self._viewer = path, viewer
        self.panel: Any = None
        column(self._content)
        super().__init__(title, self._content)
        self.button.setObjectName(f"fold_{title.lower().replace(' ', '_')}")
        self.button.toggled.connect(self._make)

    def _make(self, opened: bool) -> None:
        if opened and self.panel is None:
            module, _, name = self._path.partition(":")
            self.panel = getattr(import_module(module), name)(self._viewer)
            layout = self._content.layout()
            assert layout is not None
            layout.addWidget(self.panel)
