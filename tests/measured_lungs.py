"""Synthetic animals with exact truth, maps of them that err, and answers by the truth."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import napari_lungcls as lc
from napari_lungcls.annotation.columns import CROSSINGS_COLUMN, IMAGE_COLUMN
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.stereology.design import SampledImage, make_grid
from napari_lungcls.stereology.lines import segments
from napari_lungcls.synthetic import LungParameters, make_section

EDGE = 400
SCHEME = lc.ClassScheme.preset("lung")
PARENCHYMA = LungParameters(airway_spacing=None, vessel_spacing=None)


@functools.cache
def truth_of(seed: int, edge: int = EDGE) -> NDArray[np.uint8]:
    """Make the classes of a section, code + 1; nothing is left out."""
    section = make_section((edge, edge), pixel_size=1.0, seed=seed, parameters=PARENCHYMA)
    truth = np.where(section.truth == 0, 1, section.truth)
    return truth.astype(np.uint8)


def erring(truth: NDArray[np.uint8], seed: int, share: float = 0.2) -> NDArray[np.uint8]:
    """Call a share of the septa alveoli, in patches."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(truth.shape), 4)
    wrong = (truth == 2) & (field > np.quantile(field[truth == 2], 1 - share))
    return np.where(wrong, 1, truth).astype(np.uint8)


def as_map(
    classes: NDArray[np.uint8],
    image: str,
    scheme: lc.ClassScheme = SCHEME,
    *,
    unit: str = "micrometer",
    probabilities: bool = False,
    **provenance: object,
) -> PaintedMap:
    """Make classes a map of an image, at a stride of 1 and 1 µm per pixel."""
    chances = None
    if probabilities:
        chances = np.eye(len(scheme), dtype=np.float16)[classes - 1] * np.float16(0.75)
        chances += np.float16(0.25 / len(scheme))
        chances = np.moveaxis(chances, -1, 0)
    header = MapHeader(
        shape=classes.shape,
        scale=(1.0,) * classes.ndim,
        translate=(0.0,) * classes.ndim,
        unit=unit,
        scheme=scheme,
        stride=1,
        probabilities=probabilities,
        provenance={"image": image, "pixel_size": 1.0} | provenance,
    )
    return PaintedMap(classes, chances, header)


def answered(
    truths: dict[str, NDArray[np.uint8]],
    spacing: float,
    *,
    lines: float | None = None,
    seed: int = 0,
    repeat_fraction: float = 0.1,
) -> lc.Points:
    """Draw a design over sections, and answer it by their truth."""
    points = make_grid(
        [SampledImage(name, truth.shape) for name, truth in truths.items()],
        spacing,
        lines=lines,
        seed=seed,
        repeat_fraction=repeat_fraction,
    )
    images = points.column(IMAGE_COLUMN)
    assert images is not None
    where = points.coordinates.astype(int)
    labels = [
        SCHEME.names[truths[name][y, x] - 1] for name, (y, x) in zip(images, where, strict=True)
    ]
    points = points.with_columns(**{"class": labels})
    if lines is not None:
        outlines = {
            name: ndimage.gaussian_filter((truth == 2).astype(np.float32), 0.7)
            for name, truth in truths.items()
        }
        counted = [
            crossings_of(outlines[name], start, end)
            for name, start, end in zip(images, *segments(points), strict=True)
        ]
        points = points.with_columns(**{CROSSINGS_COLUMN: counted})
    return points


def crossings_of(smooth: NDArray[np.float32], start: Sequence[float], end: Sequence[float]) -> int:
    """Count how often a line crosses the smooth outline of tissue, as an eye would."""
    n = max(2, int(4 * np.hypot(*np.subtract(end, start))))
    where = np.linspace(start, end, n).T
    inside = ndimage.map_coordinates(smooth, where, order=1, mode="nearest") > 0.5
    return int((inside[1:] != inside[:-1]).sum())
