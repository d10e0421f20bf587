"""What a study tunes: points, classes, space, and the one split that judges all trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.metrics import Objective
from napari_lungcls.hyperparameter_search.space import AUGMENTATION, Space, default_space
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.pixel_size import common_pixel_size
from napari_lungcls.learning.audit_points import without_audit
from napari_lungcls.learning.augmentation import check_changes, reach
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.experiment import TrainingData
from napari_lungcls.learning.initialization import (
    SHAPE,
    Initialization,
    open_initialization,
    points_identity,
    settings_identity,
)
from napari_lungcls.learning.point_index import PointIndex, place_points
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, make_splits
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.run_identity import digest

TEST_FRACTION = 0.2
"""Share of the points for the test part, where the user does not say."""


@dataclass(frozen=True)
class Task:
    """One search; `Task.prepare` makes it.

    Attributes
    ----------
    pairs, scheme
        Images with their points, and the classes.
    given
        The settings that all trials share. What they leave to the program is chosen for each
        trial, so that it fits what the search changes.
    base
        The same, with the program's choice where the search changes nothing.
    space
        What the trials change.
    objective
        What they are judged by, on the validation points.
    origin, pixel_size
        What every network starts from, and what it sees.
    layout, split
        Where the points lie, and which part of them each trial learns from. Its regions are
        wide enough for the coarsest zoom in the space, so that all trials have the same points.
    zooms
        All that any trial looks at; those of the layout.
    reach
        How far from its point a crop of any trial can end, in zoomed pixels.
    """

    pairs: tuple[Pair, ...]
    scheme: ClassScheme
    given: TrainingSettings
    base: TrainingSettings
    space: Space
    objective: Objective
    origin: Initialization
    pixel_size: float | None
    layout: PointIndex
    split: Split
    zooms: tuple[int, ...]
    reach: int

    @classmethod
    def prepare(
        cls,
        pairs: Sequence[Pair],
        scheme: ClassScheme,
        given: TrainingSettings,
        objective: Objective,
        space: Space | None = None,
        search: Space | None = None,
        fixed: Sequence[str] = (),
    ) -> Task:
        """Check what is to be tuned, and split the points, without reading a pixel.

        Parameters
        ----------
        pairs, scheme
            Images with their points, and the classes.
        given
            The settings as the user gives them.
        objective
            What to judge by.
        space
            What to search; a usual space if not given.
        search
            What to search as well, or elsewhere than the space says.
        fixed
            Settings that stay as they are, whatever the space says.

        Raises
        ------
        InputError
            When points, settings and space do not go together.
        """
        given = _judgeable(given)
        pairs = without_audit(pairs, use_audit=given.use_audit)
        origin = open_initialization(given, scheme)
        given = origin.shaped(given)
        pixel_size = origin.pixel_size or common_pixel_size(stack for stack, _ in pairs)
        base = origin.resolve(given, pairs)
        space = space or default_space(base)
        space = space.replaced(search) if search else space
        space = space.without([*fixed, *(SHAPE if origin.model else ())])
        if not space.dimensions:
            raise InputError("nothing is left to search; fix fewer settings, or name some")
        if AUGMENTATION in space.dimensions and space.settings(base, {AUGMENTATION: 0.0}) == base:
            raise InputError(
                "the search varies the strength of the augmentation, but all strengths are 0; "
                "give some, such as a colour of 0.05"
            )
        corners = [origin.resolve(corner, pairs) for corner in space.corners(given)]
        _check_effect(corners, space)
        for corner in corners:
            _check_shape(corner, len(scheme))
            for stack, _ in pairs:
                check_changes(corner, str(stack.dtype), stack.source, rgb=stack.rgb)
        zooms = tuple(sorted({zoom for corner in corners for zoom in corner.zooms}))
        layout = place_points(pairs, scheme, zooms, pixel_size)
        wide = max(corners, key=reach).model_copy(update={"zooms": zooms})
        (split,) = make_splits(layout, wide, scheme, np.random.default_rng(base.seed))
        return cls(
            tuple(pairs), scheme, given, base, space, objective, origin, pixel_size, layout,
            split, zooms, reach(wide),
        )  # fmt: skip

    def settings(self, values: Mapping[str, Any]) -> TrainingSettings:
        """Return the settings of a trial, complete.

        Parameters
        ----------
        values
            By dimension of the space.

        Raises
        ------
        InputError
            When they contradict each other.
        """
        return self.origin.resolve(self.space.settings(self.given, values), self.pairs)

    def fingerprint(self) -> dict[str, Any]:
        """Say in plain values what all processes that share a study must agree on."""
        searched = self.space.model_dump(mode="json")["dimensions"]
        return (
            points_identity(self.pairs, self.layout)
            | settings_identity(self.base, self.scheme, searched)
            | {
                "objective": self.objective,
                "search space": searched,
                "split": digest(self.split.train, self.split.validation),
            }
        )

    def read(self) -> Iterator[tuple[int, int] | PointSet]:
        """Read the tissue that any trial can see; see `read_point_set`."""
        return read_point_set(self.pairs, self.layout, self.reach)

    def material(self, points: PointSet, settings: TrainingSettings) -> TrainingData:
        """Return what a trial with these settings learns from, as if read for it alone."""
        seen = points.at([self.zooms.index(zoom) for zoom in settings.zooms])
        dtype = str(self.pairs[0][0].dtype)
        return TrainingData(seen, (self.split,), dtype, self.pixel_size, {})


def _judgeable(given: TrainingSettings) -> TrainingSettings:
    """Refuse settings by which trials cannot be judged, and hold out a test part."""
    if given.folds > 1:
        raise InputError(
            f"trials are judged on one validation part, and {given.folds} folds were asked for; "
            "search with one split"
        )
    if not given.val_fraction:
        raise InputError("trials are judged on validation points; keep a share of the points")
    if not given.test_fraction:
        if "test_fraction" in given.model_fields_set:
            raise InputError("the best trial is judged on a test part; keep a share of the points")
        return given.model_copy(update={"test_fraction": TEST_FRACTION})
    return given


def _check_effect(corners: Sequence[TrainingSettings], space: Space) -> None:
    """Refuse a search that changes nothing, because only heads are fitted."""
    felt = {*SHAPE, "freeze", "prior"} & space.dimensions.keys()
    if not felt and all(corner.freezes for corner in corners):
        raise InputError(
            "the backbone stays as it is and only the heads are fitted, so that "
            f"{', '.join(space.dimensions)} would change nothing; let the backbone learn (freeze: "
            "no), or search freeze as well"
        )


def _check_shape(settings: TrainingSettings, classes: int) -> None:
    shape = {name: getattr(settings, name) for name in SHAPE}
    try:
        NetworkSpec(
            classes=classes,
            normalisation=Normalisation(mean=(0.0,) * 3, std=(1.0,) * 3),
            **shape,
        )
    except ValidationError as error:
        raise InputError(
            f"the search would try networks that cannot be made: {one_line(error)}"
        ) from error
