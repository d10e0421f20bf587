"""What cells on disk are called: their axes, and the document that describes them."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.inference.map_data import MapData, MapHeader

NAMESPACE = "napari-lungcls"
"""Under this name the document lies in the attributes of a zarr group and in OME-XML."""
FORMAT = 1
UNFINISHED = "unfinished"
"""What a map that is not complete says about its painting."""
PROBABILITIES = "probabilities"
"""Name of the subgroup, and of the second image of a TIFF."""

_AXES = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}


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
        What continuing it needs, see `record.pack`; None when it is complete.
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
