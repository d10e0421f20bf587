"""The cells of a map on disk: axes, description, and the zarr arrays that painting fills."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.inference.map_data import Block, MapData, MapHeader
from napari_lungcls.utils.atomic_write import remove_store

_CODEC = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)

FIRST = "0"
"""Name of the array with the cells; `1`, `2`, … are coarser levels of a finished map."""

MODEL = "model.safetensors"
"""The model, for workers of a cluster."""

_TORN = "*.partial"
"""What zarr leaves of a chunk when a process is killed while it writes one."""

NAMESPACE = "napari-lungcls"
"""Under this name the document lies in the attributes of a zarr group and in OME-XML."""

FORMAT = 1

UNFINISHED = "unfinished"
"""What a map that is not complete says about its painting."""

PROBABILITIES = "probabilities"
"""Name of the subgroup, and of the second image of a TIFF."""

_AXES = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}


def create(group: zarr.Group, name: str, shape: Sequence[int], dtype: str, edge: int) -> Any:
    """Make an array for cells: square chunks, one plane each, 0 where nothing is written."""
    chunks = (*(1,) * (len(shape) - 2), *(min(edge, n) for n in shape[-2:]))
    return group.create_array(
        name,
        shape=tuple(shape),
        dtype=dtype,
        chunks=chunks,
        compressors=_CODEC,
        fill_value=0,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )


class CellArrays:
    """The arrays of a map that is being painted.

    Blocks that are whole chunks can be written by several processes at once.

    Parameters
    ----------
    group
        The hidden folder, see `create` and `open`.
    header
        The map.
    classes, probabilities
        The arrays; the second None without probabilities.
    """

    def __init__(
        self, group: zarr.Group, header: MapHeader, classes: Any, probabilities: Any
    ) -> None:
        self.group, self.header = group, header
        self.classes, self.probabilities = classes, probabilities

    @classmethod
    def create(cls, folder: Path, header: MapHeader, chunk: int) -> CellArrays:
        """Make the folder, with cells that are all 0."""
        group = zarr.create_group(folder, zarr_format=2)
        classes = create(group, FIRST, header.shape, "|u1", chunk)
        probabilities: Any = None
        if header.probabilities:
            shape = list(header.shape)
            shape.insert(class_axis(header), len(header.scheme))
            inner = group.create_group(PROBABILITIES)
            probabilities = create(inner, FIRST, shape, "<f2", chunk)
        return cls(group, header, classes, probabilities)

    @classmethod
    def open(cls, folder: Path, header: MapHeader) -> CellArrays:
        """Open a folder that `create` made."""
        group = zarr.open_group(folder, mode="r+", zarr_format=2)
        probabilities = group[f"{PROBABILITIES}/{FIRST}"] if header.probabilities else None
        return cls(group, header, group[FIRST], probabilities)

    @staticmethod
    def tidy(folder: Path) -> None:
        """Remove coarser levels, and what killed processes left."""
        (folder / MODEL).unlink(missing_ok=True)
        for level in (*folder.glob("[1-9]*"), *(folder / PROBABILITIES).glob("[1-9]*")):
            remove_store(level)
        CellArrays.sweep(folder)

    @staticmethod
    def sweep(folder: Path) -> None:
        """Remove what processes that were killed left of chunks."""
        for torn in folder.rglob(_TORN):
            torn.unlink(missing_ok=True)

    def write(
        self, block: Block, classes: NDArray[np.uint8], probabilities: NDArray[np.float16] | None
    ) -> None:
        """Write one block, see `BlockStore.write`."""
        self.classes[block.place] = classes
        if self.probabilities is not None and probabilities is not None:
            place = list(block.place)
            place.insert(class_axis(self.header), slice(None))
            self.probabilities[tuple(place)] = probabilities


def class_map_axes(header: MapHeader) -> str:
    """Name the axes of the class map as OME does; what comes before z is time, then c."""
    names = _AXES.get(len(header.shape))
    if names is None:
        raise InputError(
            f"a map with {len(header.shape)} axes fits no OME file, which has at most 5; "
            "paint fewer planes"
        )
    return names


def probability_axes(header: MapHeader) -> str:
    """Name the axes of the probabilities; OME wants the class axis c after time."""
    names = class_map_axes(header)
    if "c" in names:
        raise InputError(
            "probabilities of a map with 5 axes would need 6, and OME files have at most 5; "
            "paint without probabilities or fewer planes"
        )
    at = names.index("z") if "z" in names else 0
    return f"{names[:at]}c{names[at:]}"


def class_axis(header: MapHeader) -> int:
    """Position of the class axis of the probabilities on disk."""
    return probability_axes(header).index("c")


def document(header: MapHeader, left: dict[str, Any] | None = None) -> dict[str, Any]:
    """Everything that reading a map back needs, as JSON.

    Parameters
    ----------
    header
        The map.
    left
        What continuing it needs, see `resume.pack`; None when it is complete.
    """
    said: dict[str, Any] = {"format": FORMAT, "header": header.model_dump(mode="json")}
    return said if left is None else {**said, UNFINISHED: left}


def parse_document(value: Any, source: str) -> MapHeader:
    """Read what `document` wrote.

    Raises
    ------
    InputError
        When it is missing, newer than this program, or not valid.
    """
    if not isinstance(value, dict) or not isinstance(value.get("format"), int):
        raise InputError(f"{source}: is no painted map; paint one with `lungcls paint`")
    if value["format"] > FORMAT:
        raise InputError(
            f"{source}: is a map of format {value['format']}, and this program knows formats "
            f"up to {FORMAT}; update napari-lungcls"
        )
    try:
        header = MapHeader.model_validate(value.get("header"))
    except ValidationError as error:
        raise InputError(
            f"{source}: its map header is damaged ({one_line(error)}); paint it again"
        ) from error
    if not len(header.shape) == len(header.scale) == len(header.translate):
        raise InputError(f"{source}: its map header is damaged (scale per axis); paint it again")
    return header


def stored_map(classes: Any, probabilities: Any, header: MapHeader, source: str) -> MapData:
    """Put a map together that was read from `source`, which errors name."""
    try:
        return MapData(classes, probabilities, header)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
