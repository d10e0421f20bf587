"""Small files of every format of points, from which fuzzing starts."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

from napari_lungcls.annotation import Points, write_points
from napari_lungcls.annotation.formats.catalogue import POINTS_FORMATS


class Stack(NamedTuple):
    shape: tuple[int, ...] = (2, 3, 50, 50)
    source: str = "a.tif"


def seeds(name: str) -> list[bytes]:
    """Files of a format, as this program writes them."""
    (form,) = (form for form in POINTS_FORMATS if form.name == name)
    axes = {"t and z": 2, "slice": 2, "z": 1, "none": 0}[form.planes]
    labels = ["cell", "no cell", ""] if "cellfinder" in name else ["septa", "a & b", ""]
    rows = [[*([0, 1][:axes]), 20, 10], [*([1, 2][-axes:] if axes else []), 3, 4]] * 2
    found = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in (1, 3):
            points = Points.build(rows[:n], labels[:n], note=["", "x", "0.5"][:n])
            path = Path(folder) / "seed"
            image = Stack((2, 3, 50, 50)[2 - axes :])
            found.append(write_points(path, points, kind=name, image=image).read_bytes())
    return found
