"""Opening the dock widgets of this plugin, each of them once, as tabs beside each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow, QWidget

if TYPE_CHECKING:
    import napari

PLUGIN = "napari-lungcls"

SUFFIX = " (Lung classification)"
"""What napari adds to the titles of our docks: the name of the plugin in the manifest."""

CLASSIFIER = "Lung classifier"
"""The dock with all steps; while it is open, the others are shown as its steps."""

_TURN = 15
"""Milliseconds until the window draws what was added: keys and mouse are heeded before."""

STEPS = {"Label points": "Label", "Train": "Train", "Paint": "Paint", "Measure": "Measure"}
"""Single dock widgets by their name in the manifest, and the steps that show the same."""


def main_window(viewer: "napari.Viewer") -> QMainWindow:
    """Give the main window of a viewer."""
    # napari has no public name for it, and its documentation tells plugins to use this one.
    window: QMainWindow = _real(viewer).window._qt_window
    return window


@contextmanager
def drawn_later(viewer: "napari.Viewer") -> Iterator[None]:
    """Let the window draw a new layer in a turn of its own.

    napari takes a tenth of a second for a layer of labels: two thirds to make what draws it, one
    to draw it. Together they are felt as a halt, one after the other they are not.
    """
    window = main_window(viewer)
    turn = QTimer(window, singleShot=True, interval=_TURN)
    turn.timeout.connect(lambda: window.setUpdatesEnabled(True))
    turn.timeout.connect(turn.deleteLater)
    window.setUpdatesEnabled(False)
    try:
        yield
    finally:
        turn.start()


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
        The dock widget; while the dock with all steps is open, the same as one of its steps.
    """
    from npe2 import PluginManager

    viewer = _real(viewer)
    guide = opened(viewer, CLASSIFIER)
    if guide is not None and name in STEPS:
        _raise(guide)
        return guide.go_to(STEPS[name])
    found = opened(viewer, name)
    if found is None:
        [make] = [
            widget
            for widget in PluginManager.instance().iter_widgets()
            if (widget.plugin_name, widget.display_name) == (PLUGIN, name)
        ]
        found = make.get_callable()(viewer)
        others = any(title.endswith(SUFFIX) for title in viewer.window.dock_widgets)
        viewer.window.add_dock_widget(found, name=name + SUFFIX, tabify=others)
    _raise(found)
    return found


def open_step(viewer: "napari.Viewer", step: str) -> Any:
    """Open the dock with all steps at one of them, and give what it shows there.

    Parameters
    ----------
    viewer
        The viewer.
    step
        `Label`, `Train`, `Paint` or `Measure`.
    """
    return open_dock(viewer, CLASSIFIER).go_to(step)


def opened(viewer: "napari.Viewer", name: str) -> Any:
    """Give a dock widget of the manifest if it is docked, shown or hidden; else None."""
    return _real(viewer).window.dock_widgets.get(name + SUFFIX)


def keep_tidy(panel: QWidget, viewer: "napari.Viewer", name: str) -> None:
    """Make a dock widget a tab with a short title, however it is opened.

    napari's menus put docks below each other, until none has room, and repeat the plugin's
    name in every title. A single window that is opened from a menu while the dock with all
    steps is open gives way to its step.

    A widget that napari's ✕ has taken out of its dock is destroyed. napari only lets go of it,
    and until Python collects it, it would follow unseen what happens in the viewer. A script
    that moves a widget to another dock does so before the event loop runs on.

    Parameters
    ----------
    panel
        The widget; nothing happens while it is not docked itself.
    viewer
        The viewer.
    name
        Its name in the manifest.
    """
    _Tidy(panel, viewer, name)


class _Tidy(QObject):
    """Waits until a widget is docked, and then sees to its place."""

    def __init__(self, panel: QWidget, viewer: "napari.Viewer", name: str) -> None:
        super().__init__(panel)
        self._panel, self._name, self._was_docked = panel, name, False
        self._viewer = _real(viewer)
        # napari knows the dock only after it has taken the widget.
        self._later = QTimer(self, singleShot=True, interval=0)
        self._later.timeout.connect(self._settle)
        panel.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take note when the widget is docked."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            self._later.start()
        return False

    def _settle(self) -> None:
        dock = self._panel.parent()
        if dock is None and self._was_docked:
            self._panel.deleteLater()
        if not isinstance(dock, QDockWidget):
            return
        self._was_docked = True
        guide = opened(self._viewer, CLASSIFIER)
        if guide is not None and guide is not self._panel and self._name in STEPS:
            self._viewer.window.remove_dock_widget(self._panel)
            _raise(guide)
            guide.go_to(STEPS[self._name])
            return
        dock.setWindowTitle(self._name)
        bar = dock.titleBarWidget()
        for label in [] if bar is None else bar.findChildren(QLabel):
            if label.text() == self._name + SUFFIX:
                label.setText(self._name)
        window = main_window(self._viewer)
        others = [
            other
            for title, widget in self._viewer.window.dock_widgets.items()
            if title.endswith(SUFFIX)
            and isinstance(other := widget.parent(), QDockWidget)
            and other is not dock
            and not other.isFloating()
        ]
        if others and not dock.isFloating() and not window.tabifiedDockWidgets(dock):
            window.tabifyDockWidget(others[0], dock)
            dock.raise_()


def _raise(widget: QWidget) -> None:
    dock = widget.parent()
    if isinstance(dock, QDockWidget):
        dock.show()
        dock.raise_()


def _real(viewer: "napari.Viewer") -> Any:
    """Give the viewer itself, of which plugins are handed a proxy."""
    return getattr(viewer, "__wrapped__", viewer)
