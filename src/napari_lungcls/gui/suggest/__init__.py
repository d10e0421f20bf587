"""Suggested points: places that are worth a label, shown one after another."""

from napari_lungcls.gui.suggest.panel import SuggestionPanel

__all__ = ["SuggestionPanel"]
