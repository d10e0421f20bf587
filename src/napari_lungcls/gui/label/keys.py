"""Keys on layers: bound over napari's own, and given back."""

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import napari
from napari.layers import Layer

from napari_lungcls.annotation.schemes import ClassScheme

UNDO, REDO = "Control-Z", "Control-Shift-Z"
BLOCKED = ("1", "5")
"""Keys of napari that would destroy work: 1 deletes the selected points, 5 moves the layer.

2, 3 and 4 (add, select, move the view) do no harm and stay, unless a class has them."""


class Keys:
    """The keys of one window on one layer.

    Parameters
    ----------
    layer
        The layer.
    actions
        What each key does.
    """

    def __init__(self, layer: Layer, actions: Mapping[str, Callable[[], None]]) -> None:
        self._layer = layer
        # On the layer itself, because keys of its class, such as 1 for delete, come after.
        self._before = {
            key: layer.bind_key(key, _ignoring_layer(action), overwrite=True)
            for key, action in actions.items()
        }

    def release(self) -> None:
        """Unbind the keys; those that somebody else had bound to the layer work again."""
        for key, action in self._before.items():
            self._layer.bind_key(key, action, overwrite=True)
        self._before = {}


class Keyboard:
    """The keys of classes, undo and redo, on the layer of points and on its image.

    Parameters
    ----------
    viewer
        Its status line tells what a blocked key would have done.
    press
        Called with the name of the class whose key is pressed.
    undo, redo
        Called for theirs. All are methods, held weakly: layers outlive windows.
    """

    def __init__(
        self,
        viewer: "napari.Viewer",
        press: Callable[[str], None],
        undo: Callable[[], None],
        redo: Callable[[], None],
    ) -> None:
        self._viewer, self._press = viewer, _weak(press)
        self._common = {UNDO: _weak(undo), REDO: _weak(redo)}
        self._bound: list[Keys] = []

    def bind(self, image: Layer | None, points: Layer | None, scheme: ClassScheme) -> None:
        """Bind the keys of a scheme, and release those bound before."""
        self.release()
        actions = dict(self._common)
        for spec in scheme.classes:
            if spec.key is not None:
                actions[spec.key] = partial(self._press, spec.name)
        if image is not None:
            self._bound.append(Keys(image, actions))
        if points is not None:
            self._bound.append(Keys(points, dict.fromkeys(BLOCKED, self._say) | actions))

    def release(self) -> None:
        """Unbind the keys."""
        for keys in self._bound:
            keys.release()
        self._bound = []

    def _say(self) -> None:
        self._viewer.status = "this key labels nothing; the Delete key deletes selected points"


def _weak(method: Callable[..., None]) -> Callable[..., None]:
    known = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        found = known()
        if found is not None:
            found(*arguments)

    return call


def _ignoring_layer(action: Callable[[], None]) -> Callable[[Any], None]:
    def press(layer: Any) -> None:
        action()

    return press
