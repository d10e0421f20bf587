"""Why a model decides as it does: what it sees at the cursor, and what counts at a point."""

from napari_lungcls.gui.why.panel import WhyPanel

__all__ = ["WhyPanel"]
