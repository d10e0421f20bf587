"""The parameters of the synthetic lung: every length in µm, every default with its reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Colour = tuple[Positive, Positive, Positive]


class LungParameters(BaseModel, frozen=True, extra="forbid"):
    """What a synthetic lung is made of; the defaults resemble the lung of a mouse.

    Lengths are in µm of the section as it lies on the slide. `docs/synthetic.md` says where
    each default comes from.

    Attributes
    ----------
    alveolar_diameter
        Diameter of the sphere with the mean volume of a cell of the foam.
    irregularity
        How far the centres of the cells stray from a regular foam, 0 to 1 of a lattice cell.
    missing_cells
        Share of the cells that are left out, so that their neighbours are larger.
    openings
        Share of the walls that are left out, so that two alveoli share one airspace.
    septal_thickness
        Median thickness of the walls of the foam, measured at right angles to the wall.
    septal_spread
        Standard deviation of the logarithm of the thickness, from wall to wall.
    septal_waviness
        The same along a wall, where capillaries and cells bulge.
    septal_patchiness
        The same over regions about half a millimetre wide, where tissue is denser or looser.
    corner_radius
        How much tissue fills the edges where walls meet; alveoli look rounder with more.
    duct_diameter
        Median inner diameter of the alveolar ducts, from rim to rim of the septal tips.
    duct_spacing
        Distance between branchings of the ducts; their volume falls with its square.
    rim_thickening
        How much thicker a septum is at its free edge, the entrance ring (0: not at all).
    rim_protrusion
        How far the septal tips reach into the duct.
    airway_diameter, airway_spacing
        The same two for conducting airways (median of the lumen), each with an artery beside it.
        A spacing of None leaves them out.
    epithelium, airway_muscle
        Thickness of the two layers of an airway's wall.
    vessel_diameter, vessel_spacing
        The same two for veins (median of the lumen) that run by themselves, or None.
    vessel_wall
        Thickness of a vessel's wall at the median diameter; wider vessels have thicker walls.
    pleura
        `x` of the lung's surface; beyond it lies glass. None: lung on all sides.
    pleura_thickness
        Thickness of the visceral pleura.
    section_thickness
        Thickness of the cut, over which oblique septa fade.
    nucleus_diameter
        Mean diameter of a septal nucleus along the wall.
    nucleus_spacing
        Distance between neighbouring nuclei where tissue is massive.
    debris
        Macrophages and detached cells per mm² of air, the same in every airspace.
    haematoxylin, eosin, erythrocyte
        Directions of the stains in optical density (red, green, blue).
    stain_sd
        Relative standard deviation of the strength of each stain from section to section.
    stain_gradient
        Relative standard deviation of the staining over a section, some millimetres wide.
    illumination
        Relative standard deviation of the light over a section.
    white
        Brightness of empty glass and of air, in grey levels (red, green, blue).
    resolution
        Standard deviation of the microscope's point spread.
    noise
        Standard deviation of the camera's noise, in grey levels.

    Examples
    --------
    >>> parameters = LungParameters(septal_thickness=12.0)
    >>> parameters.septal_thickness
    12.0
    """

    alveolar_diameter: Positive = 84.0
    irregularity: Share = 0.6
    missing_cells: Share = 0.03
    openings: Share = 0.015
    septal_thickness: Positive = 5.8
    septal_spread: NonNegative = 0.2
    septal_waviness: NonNegative = 0.12
    septal_patchiness: NonNegative = 0.12
    corner_radius: Positive = 2.2
    duct_diameter: Positive = 190.0
    duct_spacing: Positive = 335.0
    rim_thickening: NonNegative = 1.0
    rim_protrusion: NonNegative = 6.0
    airway_diameter: Positive = 170.0
    airway_spacing: Positive | None = 1300.0
    epithelium: Positive = 14.0
    airway_muscle: Positive = 6.0
    vessel_diameter: Positive = 45.0
    vessel_spacing: Positive | None = 850.0
    vessel_wall: Positive = 5.0
    pleura: float | None = None
    pleura_thickness: Positive = 9.0
    section_thickness: Positive = 3.0
    nucleus_diameter: Positive = 7.4
    nucleus_spacing: Positive = 5.6
    debris: NonNegative = 20.0
    haematoxylin: Colour = (0.61, 0.69, 0.39)
    eosin: Colour = (0.09, 0.97, 0.22)
    erythrocyte: Colour = (0.12, 0.83, 0.55)
    stain_sd: NonNegative = 0.06
    stain_gradient: NonNegative = 0.08
    illumination: NonNegative = 0.008
    white: Colour = (243.0, 241.0, 244.0)
    resolution: NonNegative = 0.5
    noise: NonNegative = 1.5

    @classmethod
    def human(cls) -> LungParameters:
        """Give the parameters of a human lung: airspaces three times as wide."""
        return cls(
            alveolar_diameter=200.0,
            septal_thickness=9.0,
            corner_radius=4.0,
            duct_diameter=420.0,
            duct_spacing=800.0,
            rim_protrusion=12.0,
            airway_diameter=600.0,
            airway_spacing=4200.0,
            epithelium=25.0,
            airway_muscle=15.0,
            vessel_diameter=120.0,
            vessel_spacing=2600.0,
            vessel_wall=10.0,
            pleura_thickness=30.0,
            debris=5.0,
        )
