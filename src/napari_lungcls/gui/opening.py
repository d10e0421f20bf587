"""Opening model files in a thread, on the device that the user prefers."""

from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui.kept import Kept
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import Job, start_call
from napari_lungcls.model import Model, load


def open_model(
    viewer: "napari.Viewer",
    path: str | Path,
    owner: QWidget,
    opened: Callable[[], None] = lambda: None,
    kept: Kept | None = None,
) -> Job:
    """Read a model file, make the model current in the viewer, and call `opened`.

    A file that only kept the model for next time is not one that it is saved in.
    """
    source, device = Path(path), preferences().device

    def take(model: Model) -> None:
        session(viewer).add(model, source.stem, None if kept else source, kept)
        opened()

    return start_call(lambda: load(source, device=device), owner=owner, returned=take)
