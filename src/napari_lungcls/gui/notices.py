"""Notifications: what to do comes first, as napari cuts long ones short."""

import napari
from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QApplication

from napari_lungcls.errors import Message
from napari_lungcls.gui.docks import in_sight, main_window
from napari_lungcls.gui.titles import in_window, remedy_first


def refuse(problem: Message | str) -> None:
    """Show why something cannot be done, with the remedy first."""
    show_error(remedy_first(in_window(problem)))


def tell_end(viewer: "napari.Viewer", name: str, line: str) -> None:
    """Say that long work has ended, unless the user is looking at it.

    Parameters
    ----------
    viewer
        The viewer.
    name
        Object name of a widget that shows the end itself.
    line
        What to say. The taskbar is told too, where there is one and another program is in front.
    """
    window = main_window(viewer)
    if window.isMinimized() or not in_sight(viewer, name):
        show_info(line)
    QApplication.alert(window)
