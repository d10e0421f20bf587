"""What ends with what: signals and cleanup of widgets, and parts that outlive windows."""

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod, ref

import napari
from qtpy.QtCore import QObject

_waiting: set[Callable[..., None]] = set()
"""Functions to call when widgets are destroyed.

If Python's garbage collector destroys a widget, it may first take apart a function that only
the widget refers to; Qt would then call the remains and crash. These references prevent that.
"""


def when_destroyed(owner: QObject, act: Callable[[], None]) -> Callable[[], None]:
    """Call a function when a widget is destroyed.

    Parameters
    ----------
    owner
        The widget.
    act
        Must not refer to `owner`, which could otherwise never be destroyed.

    Returns
    -------
    callable
        Cancels it.
    """

    def call(*_: object) -> None:
        if call in _waiting:
            _waiting.discard(call)
            act()

    _waiting.add(call)
    owner.destroyed.connect(call)
    return lambda: _waiting.discard(call)


def listen(owner: QObject, *signals: Any, slot: Callable[..., None]) -> None:
    """Connect signals of napari or psygnal to a method, until `owner` is destroyed.

    Qt does this for its own signals, but other signals would keep calling the slot.

    Parameters
    ----------
    owner
        The widget that `slot` belongs to.
    *signals
        Anything with `connect` and `disconnect`.
    slot
        A bound method.
    """
    for signal in signals:
        signal.connect(slot)
    known = WeakMethod(slot)

    def end() -> None:
        if (found := known()) is not None:
            for signal in signals:
                signal.disconnect(found)

    when_destroyed(owner, end)


def at_end(owner: QObject, method: Callable[[], None]) -> None:
    """Call a method, held weakly, when `owner` is destroyed."""
    known = WeakMethod(method)

    def end() -> None:
        if (found := known()) is not None:
            found()

    when_destroyed(owner, end)


class ViewerPart:
    """Something that a viewer has once, and that windows show: it lives as long as the viewer.

    Parameters
    ----------
    viewer
        The viewer, or the proxy that napari hands to plugins; it is held weakly.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        # The layers of a proxy are not the layers that events bring.
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))

    @property
    def viewer(self) -> "napari.Viewer":
        """The viewer.

        Raises
        ------
        ReferenceError
            If it is gone.
        """
        found: napari.Viewer | None = self._viewer()
        if found is None:
            raise ReferenceError("the viewer is gone")
        return found
