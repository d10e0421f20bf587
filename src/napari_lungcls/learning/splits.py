"""Splits into training, validation and test points, each with regions of its own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.learning.point_index import PointIndex
from napari_lungcls.learning.regions import Region
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.split_search import LEAST_SIDE, SplitSearch
from napari_lungcls.utils.humanize import count

Rows = NDArray[np.intp]


MANY_LOST = 0.1
"""Share of the points that a split may lose without a warning."""


def nobody() -> Rows:
    """Return the rows of an empty part."""
    return np.zeros(0, np.intp)


@dataclass(frozen=True)
class Split:
    """Which points train, which validate, which test, and the regions that each may read.

    Attributes
    ----------
    train, validation, test
        Rows of the point set. The test part is looked at once, after everything else.
    n_buffered
        Points that lie in no region, so that they are used for nothing.
    by
        What was kept together: `group`, `image`, `blocks`; `none` without a split, `files`
        where the data came in parts.
    train_regions, validation_regions, test_regions
        Rectangles of image pixels. No pixel of a training region is in one of the others, and
        each point lies in a region of its part; training regions may overlap one another.
        Empty for patches, and until `in_whole_planes` where rows are chosen by hand.
    """

    train: Rows
    validation: Rows = field(default_factory=nobody)
    test: Rows = field(default_factory=nobody)
    n_buffered: int = 0
    by: str = "none"
    train_regions: tuple[Region, ...] = ()
    validation_regions: tuple[Region, ...] = ()
    test_regions: tuple[Region, ...] = ()

    def in_whole_planes(self, layout: PointIndex) -> Split:
        """Return the split with regions: if it has none, all planes that its points lie on."""
        if self.train_regions or self.validation_regions or self.test_regions:
            return self
        whole = [
            tuple(
                Region.whole(plane, layout.plane_shapes[plane])
                for plane in np.unique(layout.planes[rows]).tolist()
            )
            for rows in (self.train, self.validation, self.test)
        ]
        return replace(
            self, train_regions=whole[0], validation_regions=whole[1], test_regions=whole[2]
        )

    def describe(self) -> dict[str, Any]:
        """Return counts for the model file."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "n_buffered": self.n_buffered,
            "by": self.by,
        }


def make_splits(
    layout: PointIndex, settings: TrainingSettings, scheme: ClassScheme, rng: np.random.Generator
) -> list[Split]:
    """Split points as the settings ask: once, or once for each fold of a cross-validation.

    Many ways to cut the planes into regions are tried; of those that leave every class on both
    sides, the one wins that loses the fewest points, has the wanted share, keeps the
    proportions of the classes, and leaves wide regions.

    Returns
    -------
    list of Split
        All with the same test part; one whose `validation` is empty when nothing is asked for.

    Raises
    ------
    InputError
        When there is no honest split; the message says what to change.

    Warns
    -----
    LungclsWarning
        When more than `MANY_LOST` of the points lie in no region.
    """
    if settings.val_fraction == settings.test_fraction == 0 and settings.folds == 1:
        return [Split(np.arange(len(layout))).in_whole_planes(layout)]
    found = SplitSearch(layout, settings, len(scheme), coarsest(layout, settings), rng).find()
    if found is None:
        raise _refusal(layout, settings, scheme, rng)
    by, test, sides = found
    splits = [
        Split(
            np.flatnonzero(side.train),
            np.flatnonzero(side.held),
            np.flatnonzero(test.held),
            n_buffered=int((~(side.train | side.held | test.held)).sum()),
            by=by,
            train_regions=tuple(side.train_regions),
            validation_regions=tuple(side.held_regions),
            test_regions=tuple(test.held_regions),
        )
        for side in sides
    ]
    if (lost := max(split.n_buffered for split in splits)) > MANY_LOST * len(layout):
        warnings.warn(
            f"{lost} of {len(layout)} points lie in no region of the split and are not used; "
            "use fewer zooms, or split in another way, to keep more of them",
            LungclsWarning,
            stacklevel=2,
        )
    return splits


def coarsest(layout: PointIndex, settings: TrainingSettings) -> NDArray[np.float64]:
    """Return the image pixels per zoomed pixel at the coarsest zoom, `(n_planes,)`."""
    zooms = [layout.plane_zooms(p) if layout.effective else settings.zooms
             for p in range(len(layout.plane_shapes))]  # fmt: skip
    return np.array([max(on_plane) for on_plane in zooms], np.float64)


def _refusal(
    layout: PointIndex, settings: TrainingSettings, scheme: ClassScheme, rng: np.random.Generator
) -> InputError:
    """Say why there is no split, and what to do about it."""
    parts = (settings.test_fraction > 0) + (settings.folds > 1 or settings.val_fraction > 0) + 1
    counts = np.bincount(layout.codes, minlength=len(scheme))
    rare = int(counts.argmin())
    on_all = {"val_fraction": 0.0}
    if counts[rare] < parts:
        return InputError(
            f"{count(int(counts[rare]), 'point')} of {scheme.names[rare]!r} cannot be learned from "
            f"and held out to test on: every class needs {parts}, far from each other",
            suggestion=("label 10 or more, some in another part, or", on_all,
                        "to train on all points"),
        )  # fmt: skip
    zoom, pixels = max(settings.zooms), LEAST_SIDE * coarsest(layout, settings).max()
    return InputError(
        "the points lie too close together to hold some of every class out to test on: that takes "
        f"regions of at least {pixels:.0f} pixels ({LEAST_SIDE} at zoom {zoom})",
        suggestion=(
            *_narrower(layout, settings, scheme, rng),
            "label points farther apart or in another image, or",
            on_all,
            "to train on all points",
        ),
    )


def _narrower(
    layout: PointIndex, settings: TrainingSettings, scheme: ClassScheme, rng: np.random.Generator
) -> Sequence[str | dict[str, Any]]:
    """Propose the largest change for which there is a split: blocks, or fewer zooms."""
    full = coarsest(layout, settings)
    options: list[tuple[TrainingSettings, NDArray[np.float64], dict[str, Any]]] = []
    if settings.split_by != "blocks":
        blocks = settings.model_copy(update={"split_by": "blocks"})
        options.append((blocks, full, {"split_by": "blocks"}))
    ordered = sorted(settings.zooms)
    for kept in range(len(ordered) - 1, 0, -1):
        fewer = full * ordered[kept - 1] / ordered[-1]
        options.append((settings, fewer, {"zooms": tuple(ordered[:kept])}))
    for chosen, zooms, values in options:
        if SplitSearch(layout, chosen, len(scheme), zooms, rng).find() is not None:
            return values, "or"
    return ()
