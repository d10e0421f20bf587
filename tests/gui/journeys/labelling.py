"""Label points by key and click and say so after each; somebody will kill this process.

Run by test_journeys.py as `python labelling.py`, and as `python labelling.py restore` by
who comes after.
"""

import json
import sys
from itertools import cycle

from common import KEYS, PLUGIN, STACK, in_napari, layer, open_stack

from driving import Hands


def go(hands: Hands) -> None:
    """Label until the end comes."""
    image = open_stack(hands)
    hands.menu("Plugins", PLUGIN, "Label points")
    plane = hands.viewer.dims.current_step[0]
    # As the tutorial says: the first key makes the layer.
    hands.key(KEYS["alveoli"])
    points = layer(hands.viewer, f"{STACK} points")
    for i, name in enumerate(cycle(KEYS)):
        hands.key(KEYS[name])
        hands.point(image.data_to_world((plane, 60 + 7 * (i % 50), 60 + 7 * (i // 50))))
        _tell(points)


def restore(hands: Hands) -> None:
    """Take back what the one before could not save."""
    open_stack(hands)
    hands.menu("Plugins", PLUGIN, "Label points")
    hands.click("restore")
    _tell(layer(hands.viewer, f"{STACK} points"))


def _tell(points: object) -> None:
    found = zip(points.data.tolist(), points.features["class"], strict=True)
    print(json.dumps([[*where, name] for where, name in found]), flush=True)


if __name__ == "__main__":
    in_napari(restore if "restore" in sys.argv else go)
