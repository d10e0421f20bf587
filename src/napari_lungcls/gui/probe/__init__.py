"""Classifying a point with a click, or a grid of points with a drag."""

from napari_lungcls.gui.probe.box import ProbeBox

__all__ = ["ProbeBox"]
