"""Label points: the window, and behind it a controller that knows no Qt."""

from napari_lungcls.gui.label.panel import LabelPoints

__all__ = ["LabelPoints"]
