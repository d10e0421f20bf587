"""napari with the dock of all steps, and files opened in it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari

from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import CLASSIFIER, open_dock
from napari_lungcls.gui.measure.images import reader_of
from napari_lungcls.gui.notices import refuse


def open_napari(files: Sequence[Path], run: Callable[[], Any] = napari.run) -> None:
    """Open napari with files, and run until its window is closed.

    What cannot be opened is told in the window, and the rest is opened all the same.

    Parameters
    ----------
    files
        Whatever napari opens; what this program reads is read by it.
    run
        Runs the event loop.
    """
    viewer = napari.Viewer()
    open_dock(viewer, CLASSIFIER)
    for path in files:
        try:
            viewer.open(str(path), plugin=reader_of(path))
        except InputError as error:
            refuse(error)
    run()
