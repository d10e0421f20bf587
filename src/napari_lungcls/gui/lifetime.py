"""Letting go: what a widget listens to ends when the widget is destroyed."""

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from qtpy.QtCore import QObject


def listen(owner: QObject, *signals: Any, slot: Callable[..., None]) -> None:
    """Connect signals of napari or psygnal to a method, until `owner` is destroyed.

    Qt forgets what is connected to a widget that goes; other signals would go on calling it.

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

    def end(method: Callable[..., None]) -> None:
        for signal in signals:
            signal.disconnect(method)

    owner.destroyed.connect(_caller(end, slot))


def at_end(owner: QObject, method: Callable[[], None]) -> None:
    """Call a method, of whatever it is, when `owner` is destroyed."""
    owner.destroyed.connect(_caller(lambda found: found(), method))


def _caller(act: Callable[[Any], None], method: Callable[..., None]) -> Callable[..., None]:
    """Give a function for `destroyed`, which calls no method of what is destroyed.

    It holds the method weakly: Qt would not let go of it, and so of the widget, otherwise.
    """
    known = WeakMethod(method)

    def call(*_: object) -> None:
        if (found := known()) is not None:
            act(found)

    return call
