"""What is known of sections: the animal, group and lung that a plane of an image comes from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.utils.names import comparable, path_key

PlaneIndex = tuple[int, ...]


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
    assumed
        Whether there is no row, and section and animal were assumed.
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
    assumed: bool = False


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
        An image in another folder is found by the name of its file if only one has it.

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
        name = file_name(whole)
        same = {key for key, _ in self._keys if file_name(key) == name}
        if len(same) != 1:
            return None
        (other,) = same
        places = [self._keys[other, at] for at in (tuple(plane), None) if (other, at) in self._keys]
        return self.rows[places[0]] if places else None

    def describe(
        self, planes: Iterable[tuple[str | os.PathLike[str], Sequence[int]]]
    ) -> list[SectionInfo]:
        """Give what is known of planes `(image, position)`, or assumed where there is no row.

        A plane without a row is a section of its own, and its image the animal.

        Warns
        -----
        LungclsWarning
            Where rows are missing.
        """
        found = [self.find(image, plane) or _assumed(image, plane) for image, plane in planes]
        lacking = [row.section for row in found if row.assumed]
        if lacking:
            some = ", ".join(lacking[:3]) + (", …" if len(lacking) > 3 else "")
            no_row = (
                f"{self.source} has no row for {some}" if self.source else "no table of sections"
            )
            warnings.warn(
                f"{no_row}: {len(lacking)} planes count as sections of their own, and their images "
                "as the animals",
                LungclsWarning,
                stacklevel=2,
            )
        return found


def _assumed(image: str | os.PathLike[str], plane: Sequence[int]) -> SectionInfo:
    name = os.fspath(image)
    return SectionInfo(
        image=name,
        plane=tuple(plane),
        section=section_name(name, plane),
        animal=file_name(comparable(name)),
        assumed=True,
    )


def section_name(image: str, plane: Sequence[int]) -> str:
    """Name a section after its image and plane."""
    name = file_name(comparable(image))
    return f"{name}, plane {' '.join(map(str, plane))}" if len(plane) else name


def file_name(key: str) -> str:
    """Give the last part of a path with slashes."""
    return key.rpartition("/")[2]
