"""Opening the dock widgets of this plugin, each of them once."""

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

if TYPE_CHECKING:
    import napari

PLUGIN = "napari-lungcls"


def main_window(viewer: "napari.Viewer") -> QMainWindow:
    """Give the main window of a viewer."""
    real: Any = getattr(viewer, "__wrapped__", viewer)
    # napari has no public name for it, and its documentation tells plugins to use this one.
    window: QMainWindow = real.window._qt_window
    return window


def in_sight(viewer: "napari.Viewer", name: str) -> bool:
    """Tell whether a widget with this object name is visible in a viewer's window."""
    return any(w.isVisible() for w in main_window(viewer).findChildren(QWidget, name))


def open_dock(viewer: "napari.Viewer", name: str) -> Any:
    """Show a dock widget of the manifest, opening it if necessary.

    It gets the title that the menu uses, so that the menu shows and hides the same widget.
    `Window.add_plugin_dock_widget` would use another title and open a second one.

    Parameters
    ----------
    viewer
        The viewer.
    name
        Its name in the manifest, such as `Paint`.

    Returns
    -------
    QWidget
        The dock widget.
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
