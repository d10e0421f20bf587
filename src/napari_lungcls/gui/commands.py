"""Commands of napari's palette (Ctrl-Shift-P); they act on the viewer in front."""

import functools
from collections.abc import Callable

import napari
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QPushButton

from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_save
from napari_lungcls.gui.docks import main_window, open_dock
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.maps import is_map
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.remembered import choices
from napari_lungcls.gui.session import session
from napari_lungcls.gui.session_file import SUFFIX
from napari_lungcls.gui.session_folder import save_session


def _command(act: Callable[["napari.Viewer"], None]) -> Callable[[], None]:
    """Make a command that napari calls without arguments, and whose refusals are told."""

    @functools.wraps(act)
    def run() -> None:
        viewer = napari.current_viewer()
        if viewer is None:
            return
        try:
            act(viewer)
        except InputError as error:
            refuse(error)

    del run.__wrapped__  # napari would look for its parameters.
    return run


@_command
def train(viewer: "napari.Viewer") -> None:
    """Train with what the window Train shows."""
    panel = open_dock(viewer, "Train")
    _press(panel.run.start_button, "Training cannot start yet")


@_command
def paint(viewer: "napari.Viewer") -> None:
    """Paint what the window Paint shows."""
    panel = open_dock(viewer, "Paint")
    _press(panel.run_bar.start_button, "Painting cannot start yet")


@_command
def paint_visible(viewer: "napari.Viewer") -> None:
    """Paint only what the viewer shows."""
    panel = open_dock(viewer, "Paint")
    panel.choices.in_view.setChecked(True)
    _press(panel.run_bar.start_button, "Painting cannot start yet")


@_command
def stop(viewer: "napari.Viewer") -> None:
    """Cancel training, painting and measuring; what is finished is kept or offered."""
    running = [run for run in session(viewer).runs if run.job is not None]
    if not running:
        show_info("Nothing is running.")
    for run in running:
        run.cancel()


@_command
def toggle_map(viewer: "napari.Viewer") -> None:
    """Hide or show the topmost painted map."""
    found = [layer for layer in viewer.layers if is_map(layer)]
    if not found:
        raise InputError("there is no painted map; paint or open one first")
    found[-1].visible = not found[-1].visible


@_command
def next_class(viewer: "napari.Viewer") -> None:
    """Choose the next class for the points that are labelled."""
    labeller = labeller_of(viewer)
    names = labeller.scheme.names
    labeller.choose_class(names[(names.index(labeller.current) + 1) % len(names)])
    show_info(f"The next points are {labeller.current}.")


@_command
def undo(viewer: "napari.Viewer") -> None:
    """Take back the last change of points or classes."""
    annotation = labeller_of(viewer).annotation
    done = "" if annotation is None else annotation.undo_text
    labeller_of(viewer).undo()
    show_info(f"Taken back: {done}." if done else "There is nothing to take back.")


@_command
def redo(viewer: "napari.Viewer") -> None:
    """Do again what was taken back."""
    annotation = labeller_of(viewer).annotation
    done = "" if annotation is None else annotation.redo_text
    labeller_of(viewer).redo()
    show_info(f"Done again: {done}." if done else "There is nothing to do again.")


@_command
def save_points(viewer: "napari.Viewer") -> None:
    """Ask for a file, and save the points that are labelled."""
    panel = open_dock(viewer, "Label points")
    _press(panel.save, "There are no points to save yet")


@_command
def save_all(viewer: "napari.Viewer") -> None:
    """Ask for a folder, and save points, models, maps and settings in it."""
    window, kind = main_window(viewer), f"Session (*{SUFFIX})"
    if path := ask_save(window, "Save session", f"lung{SUFFIX}", kind, [SUFFIX]):
        save_session(viewer, path)


@_command
def forget_choices(viewer: "napari.Viewer") -> None:
    """Forget the settings that windows remember; open ones show the defaults."""
    choices().forget()
    show_info("Train and Paint show their defaults again.")


def _press(button: QPushButton, otherwise: str) -> None:
    """Click a button, or say why it is disabled: its tooltip tells."""
    if not button.isEnabled():
        why = button.toolTip() or otherwise
        raise InputError(why[:1].lower() + why[1:].rstrip("."))
    button.click()
