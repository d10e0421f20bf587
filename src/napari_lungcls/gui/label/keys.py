"""Keys on layers: bound over napari's own, and given back."""

from collections.abc import Callable, Mapping
from typing import Any

from napari.layers import Layer

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


def _ignoring_layer(action: Callable[[], None]) -> Callable[[Any], None]:
    def press(layer: Any) -> None:
        action()

    return press
