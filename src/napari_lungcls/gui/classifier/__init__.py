"""The window with all steps: from an opened image to labels, a model, a map and its measures."""

from napari_lungcls.gui.classifier.window import LungClassifier

__all__ = ["LungClassifier"]
