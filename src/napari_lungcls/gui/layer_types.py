"""Types that readers, writers and windows share. Imports neither napari nor Qt."""

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and kind of a layer, as napari takes them."""
