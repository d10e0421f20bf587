"""What a map shows: its classes, the probability of one, or how sure the model is. No Qt."""

from typing import Any

import napari
import numpy as np
from napari.layers import Labels, Layer

from napari_lungcls.gui.layers import KEY, image_of
from napari_lungcls.gui.maps import TOP, map_layers, map_of

CLASSES, CONFIDENCE = "classes", "confidence"
PROBABILITY = "probability of {}"


def offered(layer: Labels | None) -> list[str]:
    """List what a map can show, its classes first."""
    painted = map_of(layer)
    if layer is None or painted is None:
        return []
    found = [CLASSES]
    if painted.probabilities is not None:
        found += [PROBABILITY.format(name) for name in painted.scheme.names]
    if painted.probabilities is not None or TOP in layer.metadata[KEY]:
        found.append(CONFIDENCE)
    return found


def values_of(viewer: "napari.Viewer", layer: Labels | None) -> Layer | None:
    """Give the layer that shows values of a map in place of its classes, if there is one."""
    painted = map_of(layer)
    others = (each for each in viewer.layers if each != layer and map_of(each) is painted)
    return None if painted is None else next(others, None)


def shown(viewer: "napari.Viewer", layer: Labels | None) -> str:
    """Say what a map shows."""
    values = values_of(viewer, layer)
    if values is None or not values.visible:
        return CLASSES
    known = values.metadata[KEY]
    return PROBABILITY.format(known["class"]) if "class" in known else CONFIDENCE


def show(viewer: "napari.Viewer", layer: Labels, what: str) -> None:
    """Show the classes of a map or, in one layer in their place, some of its values."""
    active, before = viewer.layers.selection.active, values_of(viewer, layer)
    if before is not None:
        viewer.layers.remove(before)
    layer.visible = what == CLASSES
    if what != CLASSES:
        made = Layer.create(*_values(viewer, layer, what))
        made.visible = True
        viewer.layers.insert(viewer.layers.index(layer), made)
    if active in viewer.layers:
        viewer.layers.selection.active = active


def _values(viewer: "napari.Viewer", layer: Labels, what: str) -> Any:
    painted, image = map_of(layer), image_of(viewer, layer)
    assert painted is not None
    if what == CONFIDENCE:
        top: np.ndarray[Any, Any] | bool = layer.metadata[KEY].get(TOP, True)
        return map_layers(painted, layer.name, image, confidence=top)[0]
    code = [PROBABILITY.format(name) for name in painted.scheme.names].index(what)
    return map_layers(painted, layer.name, image, probabilities=True)[code]
