"""The window that paints maps and reads them."""

from napari_lungcls.gui.paint.window import PaintMap

__all__ = ["PaintMap"]
