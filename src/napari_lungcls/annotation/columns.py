"""Names of the columns of a points table."""

from __future__ import annotations

import re

INDEX_COLUMN = "index"
"""Row numbers, as napari writes them; counted anew whenever points are saved."""

CLASS_COLUMN = "class"

IMAGE_COLUMN = "image"
"""The image that a point lies in: the name of a layer, or the path of a file."""

PIXELS_COLUMN = "image_pixels"
"""Fingerprint of the pixels of that image, by which the windows know it under another name."""

GROUP_COLUMN = "group"
"""The animal or slide that a point comes from."""

OBSERVER_COLUMN = "observer"
"""Who placed or labelled a point, when several people label the same images."""

SOURCE_COLUMN = "source"
"""What made a point: empty for the user, `MODEL`, `SUGGESTION`, `CORRECTION` or `AUDIT`."""

MODEL = "model"

SUGGESTION = "suggestion"
"""Places that a model proposed and the user labelled; see `active_learning`."""

CORRECTION = "correction"
"""Points that the user placed where a map was wrong."""

AUDIT = "audit"
"""Points that a design drew and an observer judges blind; nothing is trained on them."""

DESIGN_ID_COLUMN = "design_id"
"""Short hash of the design that drew a point, and of all points it drew."""

DESIGN_POINTS_COLUMN = "design_points"
"""How many rows the design has, repeats included."""

SEED_COLUMN = "seed"
"""Of the random numbers of the design."""

SPACING_COLUMN = "spacing"
"""Pixels between points along y and x, such as `64 64`."""

OFFSET_COLUMN = "offset"
"""Where the grid of the point's plane begins along y and x, in pixels from its edge."""

PLANE_SHAPE_COLUMN = "plane_shape"
"""Height and width of the point's plane in pixels."""

PLANE_POINTS_COLUMN = "plane_points"
"""How many places the design has in the point's plane, repeats not counted."""

MASK_COLUMN = "mask"
"""What points of the image had to lie in."""

FIELD_COLUMN = "field"
"""Number of the field within its plane in which a point lies."""

FIELD_SIZE_COLUMN = "field_size"
"""Edge of the fields in pixels."""

FIELD_SPACING_COLUMN = "field_spacing"
"""Pixels between the corners of neighbouring fields."""

INCLUSION_PROB_COLUMN = "inclusion_prob"
"""Probability with which the design hits any one pixel."""

ORDER_COLUMN = "order"
"""Place of a row in the random order in which points are judged, from 0; `index` may change."""

REPEAT_OF_COLUMN = "repeat_of"
"""The `order` of the row that asked for the same place first; empty for rows that do."""

REPEAT_FRACTION_COLUMN = "repeat_fraction"
"""Which share of the places is asked for twice."""

LINE_LENGTH_COLUMN = "line_length"
"""Length in pixels of the test line whose middle is the point."""

LINE_ANGLE_COLUMN = "line_angle"
"""Direction of the test line in degrees, from the x axis towards the y axis, 0 to 180."""

CROSSINGS_COLUMN = "crossings"
"""How often the test line crosses a surface; empty until counted."""

KNOWN_COLUMNS = (
    INDEX_COLUMN,
    CLASS_COLUMN,
    IMAGE_COLUMN,
    GROUP_COLUMN,
    OBSERVER_COLUMN,
    SOURCE_COLUMN,
)
"""Columns that are found in upper and lower case."""

AXIS_COLUMN = re.compile(r"axis-(0|[1-9][0-9]*)", re.ASCII)


def axis_name(axis: int) -> str:
    """Name the column of coordinate `axis` as napari does."""
    return f"axis-{axis}"


def axis_names(ndim: int) -> list[str]:
    """Name the columns of `ndim` coordinates."""
    return [axis_name(axis) for axis in range(ndim)]
