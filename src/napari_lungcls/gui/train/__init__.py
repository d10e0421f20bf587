"""The window that trains a network on the points of one or several layers."""

from napari_lungcls.gui.train.window import TrainModel

__all__ = ["TrainModel"]
