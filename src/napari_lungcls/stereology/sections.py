"""Provisional; replaced by the branch of the design."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SectionRow:
    """A plane: its section, animal and group."""

    image: str = ""
    plane: int | None = None
    section: str = ""
    block: str = ""
    animal: str = ""
    group: str = ""
    lung_volume_cm3: float | None = None
    volume_method: str = ""
    section_spacing_um: float | None = None
    section_thickness_um: float | None = None
    volume_shrinkage: float | None = None
    orientation: str = ""


class Sections:
    """All of them."""

    def row(self, image: str, plane: int | None) -> SectionRow:
        """Find one."""
        raise NotImplementedError


def read_sections(path: object) -> Sections:
    """Read."""
    raise NotImplementedError
