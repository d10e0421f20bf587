"""One image for all steps: a choice in one is a choice in all."""

from typing import Any

import napari
from napari.layers import Layer

from napari_lungcls.gui.classifier.watch import StepWatch
from napari_lungcls.gui.image_layer import companions
from napari_lungcls.gui.layers import pictures
from napari_lungcls.gui.parts import LayerBox


class SameImage:
    """Keeps boxes in which an image is chosen in step with the image that is labelled.

    Parameters
    ----------
    viewer
        The viewer.
    watch
        Knows the image that is labelled.
    """

    def __init__(self, viewer: "napari.Viewer", watch: StepWatch) -> None:
        self._viewer, self._watch = viewer, watch
        self._boxes: list[LayerBox] = []

    def add(self, box: LayerBox) -> None:
        """Let a box choose the image, and follow."""
        self._boxes.append(box)
        self.follow()
        box.layer_changed.connect(self._on_choice)

    def follow(self) -> None:
        """Show the image that is labelled in every box."""
        image = self._watch.image
        for box in self._boxes:
            if image is not None and box.layer is not image:
                box.choose(image)

    def follow_selection(self, event: Any) -> None:
        """Follow an image that is selected in napari's list, unless it is a channel of this one."""
        chosen, image = event.value, self._watch.image
        if image is not None and chosen not in companions(self._viewer, image):
            self._on_choice(chosen)

    def _on_choice(self, layer: Layer | None) -> None:
        if layer is not None and layer in pictures(self._viewer):
            self._watch.labeller.choose_image(layer)
            self.follow()
