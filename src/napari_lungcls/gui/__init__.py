"""What napari calls: readers, writers, sample data and the windows."""

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and kind of a layer, as napari takes them."""
