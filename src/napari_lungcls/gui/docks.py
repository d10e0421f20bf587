"""Opening the windows of this plugin beside the image, each of them once."""

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

if TYPE_CHECKING:
    import napari

PLUGIN = "napari-lungcls"


def main_window(viewer: "napari.Viewer") -> QMainWindow:
    """Give the window of a viewer, which lives as long as what it shows."""
    real: Any = getattr(viewer, "__wrapped__", viewer)
    # napari has no public name for it, but tells plugins to use this one.
    window: QMainWindow = real.window._qt_window
    return window


def in_sight(viewer: "napari.Viewer", name: str) -> bool:
    """Tell whether a widget of this object name can be seen in a viewer's window."""
    return any(w.isVisible() for w in main_window(viewer).findChildren(QWidget, name))


def open_dock(viewer: "napari.Viewer", name: str) -> Any:
    """Show a window of the manifest, opening it if it is not open yet.

    It is called as the menu calls it, so that the menu shows and hides the same one:
    `Window.add_plugin_dock_widget` would name it otherwise, and open a second.

    Parameters
    ----------
    viewer
        The viewer.
    name
        The window's name in the manifest, such as `Paint`.

    Returns
    -------
    QWidget
        The window.
    """
    from npe2 import PluginManager

    manager = PluginManager.instance()
    suffix = f" ({manager.get_manifest(PLUGIN).display_name})"
    title = name + suffix
    found = viewer.window.dock_widgets.get(title)
    if found is None:
        [make] = [
            widget
            for widget in manager.iter_widgets()
            if (widget.plugin_name, widget.display_name) == (PLUGIN, name)
        ]
        found = make.get_callable()(viewer)
        others = [name for name in viewer.window.dock_widgets if name.endswith(suffix)]
        viewer.window.add_dock_widget(found, name=title, tabify=bool(others))
    dock = found.parent()
    if isinstance(dock, QDockWidget):
        dock.show()
        dock.raise_()
    return found
