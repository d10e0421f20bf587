"""Painted maps as layers of napari, and back: colours, names, places, cells. No Qt."""

import dataclasses
import math
import os
import re
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import napari
import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import Colormap, DirectLabelColormap, ensure_colormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui import LayerData
from napari_lungcls.gui.layers import KEY, is_labels, map_place
from napari_lungcls.images.geometry import map_cell
from napari_lungcls.inference.formats import is_map as is_map_file
from napari_lungcls.inference.map_data import BLOCK, blocks
from napari_lungcls.inference.painted import PaintedMap, read_map
from napari_lungcls.utils.memory import scratch

OPACITY = 0.6
"""Of the class map, so that the tissue shows through."""

RESIDENT = 2**29
"""Bytes up to which the cells of an opened map are read at once; larger ones stay on disk."""

LARGE = 4096
"""Edge in cells up to which a plane is shown as it is; larger ones have coarser levels."""

SHARES, HIDDEN, UNSAVED = "shares", "hidden", "unsaved"
"""What a class map's layer remembers: shares by class, codes that are not shown, and whether
it was painted and not saved."""

FILE = "file"
"""Under this name a map's layer remembers where it was saved or opened."""

TOP = "confidence"
"""Under this name a map's layer keeps the top probability of its cells, where it was asked for."""

LIVE = "live"
"""Under this name the layer of a live map remembers that it is one."""

EDITED = "edited"
"""Under this name a map's layer remembers that it was painted over by hand."""

CLASS_FEATURE = "class"
"""Under this name napari's status bar tells the class of the cell under the cursor."""


def map_layers(
    painted: PaintedMap,
    name: str,
    image_layer: Layer | None = None,
    probabilities: bool = False,
    confidence: bool | NDArray[np.float16] = False,
) -> list[LayerData]:
    """Turn a painted map into the layers that napari adds, the class map last, on top.

    Arrays are shared with the map and not copied: what is painted into them later shows
    after a refresh of the layer.

    Parameters
    ----------
    painted
        The map, complete or still being painted.
    name
        Name of the class map's layer; the others are called after it.
    image_layer
        The image that was painted; without it the map's header says where it lies.
    probabilities
        Whether to add a layer for the probability of every class, hidden at first. Nothing
        is added where the map has none.
    confidence
        Whether to add a hidden layer of the top probability, or the array to show in it.
    """
    shared = {
        **map_place(image_layer, painted.header),
        "metadata": {KEY: {"map": painted, "image": _image_name(painted, image_layer)}},
    }
    layers: list[LayerData] = []
    if probabilities and painted.probabilities is not None:
        values = painted.probabilities
        values = values if isinstance(values, np.ndarray) else _as_dask(values)
        layers += [
            _grey_layer(
                values[k],
                f"{name}: {spec.name}",
                ramp(spec.color, f"probability of {spec.name}"),
                {"kind": "probability", "class": spec.name},
                shared,
            )
            for k, spec in enumerate(painted.scheme.classes)
        ]
    if confidence is True and painted.probabilities is not None:
        confidence = top_probability(painted)
    if isinstance(confidence, np.ndarray):
        colors = confidence_colors(len(painted.scheme))
        kind = {"kind": "confidence"}
        layers.append(_grey_layer(confidence, f"{name}: confidence", colors, kind, shared))
    return [*layers, _class_layer(painted, name, shared)]


def add_layers(viewer: "napari.Viewer", layers: Sequence[LayerData]) -> list[Layer]:
    """Add layers to a viewer from their data, keyword arguments and kinds.

    They come on top of all but the points for labelling that are there, which stay in sight.
    """
    made = [Layer.create(*layer) for layer in layers]
    for layer in made:
        first = len(viewer.layers)
        while first and is_labels(viewer.layers[first - 1]):
            first -= 1
        viewer.layers.insert(first, layer)
    return made


def quieten() -> None:
    """Ignore for good a warning that napari itself ignores while it makes a labels layer.

    It does so with `warnings.catch_warnings`, which another thread that does the same, such
    as one in which a network runs, can undo at any moment.
    """
    warnings.filterwarnings(
        "ignore", "Conversion from CIE-LAB, via XYZ to sRGB color space resulted in", UserWarning
    )


def open_map(path: str | os.PathLike[str]) -> PaintedMap:
    """Read a map that was saved; cells of maps that are not too large are read at once.

    Raises
    ------
    InputError
        When it is missing, damaged, or no map of this program.
    """
    painted = read_map(path)
    if math.prod(painted.classes.shape) > RESIDENT:
        return painted
    values = painted.probabilities
    if values is not None and 2 * math.prod(values.shape) <= RESIDENT:
        values = np.asarray(values)
    return dataclasses.replace(painted, classes=np.asarray(painted.classes), probabilities=values)


def is_map(layer: object) -> bool:
    """Tell whether a layer shows the classes of a painted map."""
    return isinstance(layer, Labels) and map_of(layer) is not None


def map_of(layer: Layer | None) -> PaintedMap | None:
    """Give the painted map that a layer belongs to, or None."""
    found = None if layer is None else layer.metadata.get(KEY, {}).get("map")
    return found if isinstance(found, PaintedMap) else None


def saved_as(layer: Layer, path: str | os.PathLike[str]) -> None:
    """Remember where the map of a layer was saved or opened."""
    layer.metadata[KEY][UNSAVED] = False
    if is_map_file(Path(path)):  # Polygons are none that could be opened again.
        layer.metadata[KEY][FILE] = Path(path).resolve()


def map_file(layer: Layer) -> Path | None:
    """Give the file in which the map of a layer was last saved or opened, or None."""
    known: Path | None = layer.metadata[KEY].get(FILE)
    return known or (Path(layer.source.path) if layer.source.path else None)


def map_colors(scheme: ClassScheme, hidden: Collection[int] = ()) -> DirectLabelColormap:
    """Give the colours of a class map: transparent where nothing is painted.

    Parameters
    ----------
    scheme
        The classes.
    hidden
        Codes of the classes that are not shown.
    """
    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    for code, color in enumerate(scheme.colors):
        colors[code + 1] = "transparent" if code in hidden else color
    return DirectLabelColormap(color_dict=colors)


def ramp(color: str, name: str) -> Colormap:
    """Give the colormap of a probability: from nothing to the full colour of the class."""
    full = transform_color(color)[0]
    return Colormap([[*full[:3], 0.0], full], name=name)


def confidence_colors(classes: int) -> Colormap:
    """Give the colormap of the top probability: dark where the network guesses.

    The least that the top of `n` probabilities can be is `1/n`; what is below was not
    painted and stays transparent.
    """
    least = min(1 / classes, 0.5)
    shades = ensure_colormap("viridis").map(np.linspace(0, 1, 16))
    clear = np.array([[*shades[0, :3], 0.0]] * 2)
    controls = [0.0, 0.95 * least, *np.linspace(least, 1, len(shades))]
    return Colormap(np.concatenate([clear, shades]), controls=controls, name="confidence")


def top_probability(painted: PaintedMap) -> NDArray[np.float16]:
    """Give the probability of the likeliest class of every cell; 0 where none is painted."""
    top: NDArray[np.float16] = scratch(painted.header.shape, np.float16)
    for block in blocks(painted.header.shape, BLOCK):
        cells = painted.probabilities[(slice(None), *block.place)]
        top[block.place] = np.asarray(cells).max(axis=0)
    return top


def cell_under(
    layer: Layer, position: Sequence[float]
) -> tuple[int, NDArray[np.float32] | None] | None:
    """Give what a map says at a position in the viewer's world.

    Returns
    -------
    code : int
        Of the class that is painted there.
    probabilities : ndarray, (classes,), or None
        None when the map has none.

    None is returned where the map does not reach, or nothing is painted.
    """
    painted = map_of(layer)
    if painted is None:
        return None
    shape = painted.header.shape
    where = np.asarray(layer.world_to_data(position), np.float64)[-len(shape) :]
    if not np.isfinite(where).all():
        return None
    cell = tuple(int(i) for i in map_cell(where, 1))
    if not all(0 <= i < n for i, n in zip(cell, shape, strict=True)):
        return None
    code = int(np.asarray(painted.classes[cell])) - 1
    if not 0 <= code < len(painted.scheme):
        return None
    if painted.probabilities is None:
        return code, None
    return code, np.asarray(painted.probabilities[(slice(None), *cell)], np.float32)


def _class_layer(painted: PaintedMap, name: str, shared: dict[str, Any]) -> LayerData:
    cells = painted.classes
    options = {
        **shared,
        "name": name,
        "opacity": OPACITY,
        "colormap": map_colors(painted.scheme),
        "features": {CLASS_FEATURE: ["not painted", *painted.scheme.names]},
        "metadata": {KEY: shared["metadata"][KEY] | {"kind": "map"}},
    }
    return _shown(cells), options, "labels"


def _grey_layer(
    cells: Any, name: str, colors: Colormap, kind: dict[str, str], shared: dict[str, Any]
) -> LayerData:
    options = {
        **shared,
        "name": name,
        "colormap": colors,
        "contrast_limits": (0.0, 1.0),
        "blending": "translucent",
        "interpolation2d": "nearest",
        "rgb": False,
        "visible": False,
        "metadata": {KEY: shared["metadata"][KEY] | kind},
    }
    return _shown(cells), options, "image"


def _shown(cells: Any) -> Any:
    """Give napari what it shows of an array: itself, or with coarser levels if it is large.

    The levels are views that take every second cell: what is painted shows in all of them.
    """
    if not isinstance(cells, np.ndarray):
        return cells if isinstance(cells, da.Array) else _as_dask(cells)
    levels = [cells]
    if max(cells.shape[-2:]) > LARGE:
        while max(levels[-1].shape[-2:]) > LARGE // 4:
            levels.append(levels[-1][..., ::2, ::2])
    return levels if len(levels) > 1 else cells


def _as_dask(cells: Any) -> Any:
    """Wrap cells on disk so that napari can slice them as it likes."""
    chunks = getattr(cells, "chunks", None) or (1,) * (len(cells.shape) - 2) + cells.shape[-2:]
    return da.from_array(cells, chunks=chunks, name=False)  # type: ignore[no-untyped-call]


def _image_name(painted: PaintedMap, image_layer: Layer | None) -> str:
    """Give the name of the image's layer: as it is, or as the map remembers it."""
    if image_layer is not None:
        return str(image_layer.name)
    source = str(painted.header.provenance.get("image", ""))
    if source.startswith("layer '") and source.endswith("'"):
        return source[len("layer '") : -1]
    return re.split(r"[/\\]", source)[-1]
