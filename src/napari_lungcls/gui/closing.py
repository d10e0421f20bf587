"""Closing napari: ask about unsaved work, and end background runs properly."""

import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.layers import Labels
from qtpy.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_lungcls.errors import InputError
from napari_lungcls.gui import kept
from napari_lungcls.gui.dialogs import Unsaved, ask_folder, ask_unsaved
from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.maps import UNSAVED, is_map, map_of, saved_as
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.workers import drop_jobs_of
from napari_lungcls.network.model_file import SUFFIX
from napari_lungcls.utils.names import numbered

PATIENCE = 60.0
"""Longest time in seconds that closing waits for a run to finish its batch and metrics."""

NO_MAPS = "Maps are not kept for next time; they can be painted again with the model."


class Closing(QObject):
    """Asks before the user closes the window of a viewer with unsaved work.

    A script that closes the viewer is not asked, as nobody may be there to answer; unsaved
    models are then kept for the next session.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        window = main_window(viewer)
        super().__init__(window)
        self._viewer = weakref.ref(viewer)
        self._by_user = self._settled = self._allowed = False
        window.installEventFilter(self)
        self._watch_menu(window)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask before the window closes; return whether the event was handled."""
        if event.type() == QEvent.Type.Hide and self._allowed and not event.spontaneous():
            drop_jobs_of(watched)
        if event.type() != QEvent.Type.Close or (viewer := self._viewer()) is None:
            return False
        window = main_window(viewer)
        asked = (event.spontaneous() or self._by_user) and not self._settled
        if asked and (found := unsaved(viewer)):
            if not _settle(viewer, found, window):
                event.ignore()
                return True
            self._settled = True
            if event.spontaneous():
                # Close it ourselves, so that napari does not ask a second time.
                event.ignore()
                QTimer.singleShot(0, lambda: main_window(viewer).close())
                return True
        session(viewer).let_go()
        # napari may still keep it open; otherwise it is hidden next.
        self._allowed = True
        return False

    def _watch_menu(self, window: Any) -> None:
        """Record when the menu or its shortcut closes the window, unlike a script."""
        close: Callable[..., Any] = type(window).close
        # Weak references, or the window could never be destroyed.
        known, seen = weakref.ref(self), weakref.ref(window)

        def noted(quit_app: bool = False, confirm_need: bool = False) -> Any:
            if (found := known()) is not None:
                found._by_user = confirm_need
            try:
                return close(seen(), quit_app, confirm_need)
            finally:
                if found is not None:
                    found._by_user = False

        window.close = noted


def unsaved(viewer: "napari.Viewer") -> list[str]:
    """Give a phrase for each thing that closing the window would lose."""
    found = [f"model {named.name}" for named in _models(viewer)]
    found += [phrase for run in session(viewer).runs if (phrase := run.unsaved())]
    return [*found, *(f"map {layer.name}" for layer in _maps(viewer))]


def _settle(viewer: "napari.Viewer", found: list[str], window: QMainWindow) -> bool:
    """Ask what to do with unsaved work and do it; return whether the window may close."""
    has_maps = bool(_maps(viewer))
    answer = ask_unsaved(window, found, NO_MAPS if has_maps else "")
    if answer is Unsaved.CANCEL:
        return False
    folder: Path | None = None
    if answer is Unsaved.SAVE:
        folder = ask_folder(window, "Save all in this folder")
        if folder is None:
            return False
    QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
    try:
        _end_runs(viewer, wanted=answer is not Unsaved.DISCARD)
        if answer is Unsaved.DISCARD:
            for named in _models(viewer):
                session(viewer).remove(named.name)
        elif folder is not None:
            _save_all(viewer, folder)
        else:
            _keep_all(viewer)
    except InputError as error:
        refuse(error)
        return False
    finally:
        QApplication.restoreOverrideCursor()
    return True


def _end_runs(viewer: "napari.Viewer", *, wanted: bool) -> None:
    """Cancel all runs, and add the network of a cancelled training if wanted."""
    runs = session(viewer).runs
    for run in runs:
        run.cancel()
    until = time.monotonic() + PATIENCE
    while any(run.job for run in runs) and time.monotonic() < until:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents, 50)
    if wanted:
        for run in runs:
            run.take_offered()


def _keep_all(viewer: "napari.Viewer") -> None:
    for named in _models(viewer):
        if named.kept is None:
            session(viewer).keeps(named, kept.keep(named.model))


def _save_all(viewer: "napari.Viewer", folder: Path) -> None:
    for named in _models(viewer):
        path = _free(folder, named.name, SUFFIX)
        session(viewer).saved(named, named.model.save(path))
    for layer in _maps(viewer):
        painted = map_of(layer)
        assert painted is not None
        path = _free(folder, layer.name, ".ome.zarr")
        painted.save(path)
        saved_as(layer, path)


def _models(viewer: "napari.Viewer") -> list[NamedModel]:
    return [named for named in session(viewer).models if named.path is None]


def _maps(viewer: "napari.Viewer") -> list[Labels]:
    return [layer for layer in viewer.layers if is_map(layer) and layer.metadata[KEY].get(UNSAVED)]


def _free(folder: Path, name: str, suffix: str) -> Path:
    """Find a path in the folder that does not exist yet."""
    plain = "".join("-" if c in '\\/:*?"<>|' else c for c in name)
    paths = (folder / f"{name}{suffix}" for name in numbered(plain))
    return next(path for path in paths if not path.exists())
