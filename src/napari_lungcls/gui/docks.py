"""Opening the windows of this plugin beside the image, each of them once."""

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDockWidget

if TYPE_CHECKING:
    import napari

PLUGIN = "napari-lungcls"


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
    title = f"{name} ({manager.get_manifest(PLUGIN).display_name})"
    found = viewer.window.dock_widgets.get(title)
    if found is None:
        [make] = [
            widget
            for widget in manager.iter_widgets()
            if (widget.plugin_name, widget.display_name) == (PLUGIN, name)
        ]
        found = make.get_callable()(viewer)
        viewer.window.add_dock_widget(found, name=title)
    dock = found.parent()
    if isinstance(dock, QDockWidget):
        dock.show()
        dock.raise_()
    return found
