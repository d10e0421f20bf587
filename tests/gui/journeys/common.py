"""What the journeys share: the plugin's name, its layers, and a way in and out of napari."""

import faulthandler
from collections.abc import Callable
from typing import Any

import napari

from driving import Hands
from plugin_in_napari import plugin_registered

PLUGIN = "Lung classification"
STACK = "synthetic lung stack"
KEYS = {"alveoli": "a", "septa": "s", "duct": "d"}
LONGEST = 880
"""Seconds after which a journey that hangs says where, and ends."""


def layer(viewer: Any, name: str) -> Any:
    """Give the one layer of a name."""
    (found,) = [one for one in viewer.layers if one.name == name]
    return found


def in_napari(journey: Callable[[Any], None], kind: type[Hands] = Hands) -> None:
    """Open napari, go on a journey, close the window."""
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    with plugin_registered():
        hands = kind(napari.Viewer(show=True))
        hands.window.resize(1580, 1150)
        hands.settle(0.5)
        journey(hands)
        hands.settle(0.5)
        hands.window.close()
        hands.settle(0.5)


def open_stack(hands: Hands) -> Any:
    """Open the sample stack from the menu and give its image."""
    hands.menu("File", "Open Sample", PLUGIN, "Synthetic lung stack")
    return layer(hands.viewer, STACK)
