"""A map of the region in view that follows the labels."""

from napari_lungcls.gui.live.panel import LivePanel

__all__ = ["LivePanel"]
