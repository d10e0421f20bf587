"""Letting go: what a widget listens to ends when the widget is destroyed."""

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from qtpy.QtCore import QObject

_waiting: set[Callable[..., None]] = set()
"""What is to be called when widgets are destroyed, until it is.

Python's collector may destroy a widget. Of a function that only the widget knows it would take
the code apart first, and Qt would call what is left: a crash. What stands here is left whole.
"""


def when_destroyed(owner: QObject, act: Callable[[], None]) -> Callable[[], None]:
    """Call a function when a widget is destroyed.

    Parameters
    ----------
    owner
        The widget.
    act
        Must not hold `owner`, which would never go then.

    Returns
    -------
    callable
        Forgets it again.
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
    known = WeakMethod(slot)

    def end() -> None:
        if (found := known()) is not None:
            for signal in signals:
                signal.disconnect(found)

    when_destroyed(owner, end)


def at_end(owner: QObject, method: Callable[[], None]) -> None:
    """Call a method, held weakly and so of whatever, when `owner` is destroyed."""
    known = WeakMethod(method)

    def end() -> None:
        if (found := known()) is not None:
            found()

    when_destroyed(owner, end)
