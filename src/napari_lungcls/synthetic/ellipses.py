"""Cells as ellipsoids: how a slice cuts them, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_lungcls.synthetic.lattice import Floats
from napari_lungcls.synthetic.raster import Raster


@dataclass(frozen=True)
class Ellipses:
    """Ellipses in the plane of a section; lengths in µm, all arrays (n,).

    Attributes
    ----------
    y, x
        Centres.
    along, across
        Half axes.
    angle
        Direction of `across`, from the x axis towards the y axis, in radians.
    strength
        Optical density relative to the mean.
    """

    y: Floats
    x: Floats
    along: Floats
    across: Floats
    angle: Floats
    strength: Floats

    def wider(self, rim: float) -> Ellipses:
        """Give the same ellipses with half axes `rim` µm longer."""
        return replace(self, along=self.along + rim, across=self.across + rim)

    def drawn(self, raster: Raster) -> Floats:
        """Draw with soft edges; where ellipses overlap, the strongest counts.

        Returns
        -------
        Strength times coverage, (rows, columns).
        """
        image = np.zeros(raster.shape)
        if not len(self.y):
            return image
        pixel = raster.pixel_size
        reach = int(np.ceil(float(np.maximum(self.along, self.across).max()) / pixel + 0.5))
        offsets = np.arange(-reach, reach + 1)
        place = [
            (centre - raster.origin[axis]) / pixel - 0.5 - raster.start[axis]
            for axis, centre in enumerate((self.y, self.x))
        ]
        rows = np.rint(place[0]).astype(np.int64)[:, None] + offsets
        columns = np.rint(place[1]).astype(np.int64)[:, None] + offsets
        dy = ((rows - place[0][:, None]) * pixel)[:, :, None]
        dx = ((columns - place[1][:, None]) * pixel)[:, None, :]
        cosine, sine = (f(self.angle)[:, None, None] for f in (np.cos, np.sin))
        across = (dx * cosine + dy * sine) / self.across[:, None, None]
        along = (dy * cosine - dx * sine) / self.along[:, None, None]
        radius = np.sqrt(across**2 + along**2)
        edge = np.sqrt(self.across * self.along)[:, None, None] / pixel
        value = np.clip(0.5 + (1 - radius) * edge, 0, 1) * self.strength[:, None, None]
        inside = (rows >= 0) & (rows < raster.shape[0])
        valid = inside[:, :, None] & ((columns >= 0) & (columns < raster.shape[1]))[:, None, :]
        flat = rows[:, :, None] * raster.shape[1] + columns[:, None, :]
        hit = valid & (value > 0)
        np.maximum.at(image.reshape(-1), flat[hit], value[hit])
        return image


@dataclass(frozen=True)
class Slice:
    """A slice of the lung: depth of its middle and thickness, in µm."""

    z: float
    thickness: float

    def through(
        self, points: Floats, normal: Floats, *, along: Floats, across: Floats, strength: Floats
    ) -> Ellipses:
        """Cut ellipsoids of revolution.

        Seen from above, the slice shows an ellipsoid's outline in full where its centre is
        inside; else shrunk by the distance of the centre: exact for upright and flat ones,
        near enough between. Thin caps, which would be too pale to see, are left out.

        Parameters
        ----------
        points, normal
            Centres and axes of revolution (unit vectors), (n, 3) as z, y, x.
        along, across
            Half axes at right angles to the normal and along it, (n,).
        strength
            Optical density relative to the mean, (n,).
        """
        steep = np.clip(normal[:, 0] ** 2, 0, 1)
        height = np.sqrt(across**2 * steep + along**2 * (1 - steep))
        width = np.sqrt(across**2 * (1 - steep) + along**2 * steep)
        beyond = np.maximum(np.abs(points[:, 0] - self.z) - self.thickness / 2, 0)
        left = 1 - (beyond / height) ** 2
        met = left > 0.5
        shrink = np.sqrt(left[met])
        return Ellipses(
            y=points[met, 1],
            x=points[met, 2],
            along=along[met] * shrink,
            across=width[met] * shrink,
            angle=np.arctan2(normal[met, 1], normal[met, 2]),
            strength=strength[met],
        )
