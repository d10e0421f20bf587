"""Keys on layers: bound over napari's own, and given back. No Qt."""

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import napari
from napari.layers import Image, Layer

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.gui.layers import KEY

UNDO, REDO = "Control-Z", "Control-Shift-Z"
PREVIOUS, NEXT = ",", "."
BLOCKED = ("1", "5")
"""Keys of napari that would destroy work: 1 deletes the selected points, 5 moves the layer.

2, 3 and 4 (add, select, move the view) do no harm and stay, unless a class has them."""

Actions = dict[str, Callable[..., None]]


class Keyboard:
    """The keys of classes and some others, wherever in the viewer the keyboard is.

    They are bound to the viewer, and to the selected layer as well where that is an image or
    a layer of this plugin: napari's own keys of a layer come before those of the viewer.
    Only keys of classes are bound to the other layers, as painting on labels has its own undo.

    Parameters
    ----------
    viewer
        The viewer; its status line tells what a blocked key would have done.
    press
        Called with the name of the class whose key is pressed.
    others
        Methods by their keys, such as `UNDO`; like `press` held weakly: layers outlive windows.
    """

    def __init__(
        self,
        viewer: "napari.Viewer",
        press: Callable[[str], None],
        others: Mapping[str, Callable[[], None]],
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self._press, self._say = _weak(press), _weak(self._tell)
        self._others: Actions = {key: _weak(method) for key, method in others.items()}
        self._classes: Actions = {}
        self._points: Layer | None = None
        self._on = False
        self._bound: list[tuple[Any, Actions]] = []
        viewer.layers.selection.events.active.connect(self._rebind)

    def switch(self, on: bool) -> None:
        """Bind the keys, or give all of them back."""
        self._on = on
        self._rebind()

    def bind(self, points: Layer | None, scheme: ClassScheme) -> None:
        """Bind the keys of a scheme, and those of the layer that is labelled."""
        self._points = points
        self._classes = {
            spec.key: partial(self._press, spec.name)
            for spec in scheme.classes
            if spec.key is not None
        }
        self._rebind()

    def _rebind(self, event: Any = None) -> None:
        for bound, before in self._bound:
            for key, action in before.items():
                bound.bind_key(key, action, overwrite=True)
        self._bound = []
        viewer = self._viewer()
        if viewer is None or not self._on:
            return
        self._take(viewer, self._others | self._classes)
        active = viewer.layers.selection.active
        if active is not None and active is self._points:
            self._take(active, dict.fromkeys(BLOCKED, self._say) | self._others | self._classes)
        elif isinstance(active, Image):
            self._take(active, self._others | self._classes)
        elif active is not None and KEY in active.metadata:
            self._take(active, self._classes)

    def _take(self, bound: Any, actions: Actions) -> None:
        # On the layer itself, because keys of its class, such as 1 for delete, come after.
        before = {
            key: bound.bind_key(key, _ignoring_owner(action), overwrite=True)
            for key, action in actions.items()
        }
        self._bound.append((bound, before))

    def _tell(self) -> None:
        if (viewer := self._viewer()) is not None:
            viewer.status = "this key labels nothing; the Delete key deletes selected points"


def _weak(method: Callable[..., None]) -> Callable[..., None]:
    known = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        found = known()
        if found is not None:
            found(*arguments)

    return call


def _ignoring_owner(action: Callable[[], None]) -> Callable[[Any], None]:
    def press(owner: Any) -> None:
        action()

    return press
