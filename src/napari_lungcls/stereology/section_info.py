"""What is known of sections: the animal, group and lung that a plane of an image comes from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from napari_lungcls.utils.names import comparable, path_key

PlaneIndex = tuple[int, ...]

_LAYER = re.compile(r"layer '(.*)'")
"""What the image of a map is called that was painted in napari."""


class SectionInfo(BaseModel):
    """One section, or one image of a section.

    Attributes
    ----------
    image
        As the table names it.
    plane
        Position along the axes before `(y, x)`, from 0; None for every plane.
    section, animal, group
        Names; rows with the same section of the same animal are one section. The section is the
        image and plane, the animal the image, where the table does not say.
    block, sex, litter, volume_method, orientation
        As the table has them; empty if it does not say.
    lung_volume_cm3
        Reference volume of the lung of this animal.
    section_spacing_um
        Distance between the sections that were taken, T of Cavalieri's estimator.
    section_thickness_um
        Thickness of the cut.
    volume_shrinkage
        Volume after processing over volume before.
    pixel_size_um
        Micrometres per pixel, in place of what the image says.
    extra
        Columns that mean nothing here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    plane: PlaneIndex | None = None
    section: str
    animal: str
    group: str = ""
    block: str = ""
    sex: str = ""
    litter: str = ""
    volume_method: str = ""
    orientation: str = ""
    lung_volume_cm3: float | None = None
    section_spacing_um: float | None = None
    section_thickness_um: float | None = None
    volume_shrinkage: float | None = None
    pixel_size_um: float | None = None
    extra: dict[str, str] = {}


@dataclass(frozen=True, eq=False)
class Sections:
    """The rows of a table of sections.

    Attributes
    ----------
    rows
        In the order of the table.
    source
        The file, for messages; empty without one.
    """

    rows: tuple[SectionInfo, ...] = ()
    source: str = ""
    _keys: Mapping[tuple[str, PlaneIndex | None], int] = field(default_factory=dict, repr=False)

    def find(self, image: str | os.PathLike[str], plane: Sequence[int] = ()) -> SectionInfo | None:
        """Give the row of a plane of an image; None if there is none.

        A row without a plane holds for those planes of its image that have no row of their own.
        An image in another folder, or a layer of napari, is found by the name of its file if only
        one has it.

        Parameters
        ----------
        image
            Path of the image.
        plane
            Position along its axes before `(y, x)`.
        """
        whole = path_key(image)
        places = [self._keys[whole, at] for at in (tuple(plane), None) if (whole, at) in self._keys]
        if places:
            return self.rows[places[0]]
        # A map that was painted in napari names the layer, which has the name of the file.
        name = _stem(os.fspath(image))
        same = {key for key, _ in self._keys if _stem(key) == name}
        exact = {key for key in same if file_name(key) == file_name(whole)}
        found = exact if len(exact) == 1 else same
        if len(found) != 1:
            return None
        (other,) = found
        places = [self._keys[other, at] for at in (tuple(plane), None) if (other, at) in self._keys]
        return self.rows[places[0]] if places else None


def section_name(image: str, plane: Sequence[int]) -> str:
    """Name a section after its image and plane."""
    name = file_name(comparable(image))
    return f"{name}, plane {' '.join(map(str, plane))}" if len(plane) else name


def file_name(key: str) -> str:
    """Give the last part of a path with slashes."""
    return key.rpartition("/")[2]


def _stem(name: str) -> str:
    layer = _LAYER.fullmatch(name)
    return Path(file_name(comparable(layer[1] if layer else name))).stem.removesuffix(".ome")
