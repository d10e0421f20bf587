"""Comparing two models: at labelled points, and as maps of what is in view."""

from napari_lungcls.gui.compare.panel import ComparePanel

__all__ = ["ComparePanel"]
