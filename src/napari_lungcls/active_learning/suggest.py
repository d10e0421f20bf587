"""Suggesting places to label: what a model is unsure of, or what two models disagree about."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.active_learning.candidates import Candidates, find_candidates
from napari_lungcls.active_learning.selection import (
    LabelPlaces,
    choose_places,
    disagreement,
    uncertainty,
)
from napari_lungcls.annotation.columns import SOURCE_COLUMN, SUGGESTION
from napari_lungcls.annotation.points import Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.stack import ImageStack, check_inside, plane_indices
from napari_lungcls.network.compatibility import check_image, fitting_zooms
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.utils.humanize import percent
from napari_lungcls.utils.progress import Step, exhaust

if TYPE_CHECKING:
    from napari_lungcls.model import Model

APART = 16
"""Zoomed pixels of the model's finest zoom between suggestions, and between them and points."""

PREDICTED, RUNNER_UP, WHY = "predicted", "runner_up", "why"
WORTH = "worth"
BEFORE = "previously"


def suggesting(
    model: Model,
    image: Any,
    n: int = 20,
    *,
    labelled: Points | None = None,
    previous: Model | None = None,
    seed: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[Step, None, Points]:
    """Suggest places to label, yielding progress; see `suggest_points`.

    Parameters
    ----------
    cancelled
        Asked after every part of the image.

    Yields
    ------
    Step

    Raises
    ------
    InputError
        See `suggest_points`; also when cancelled.
    """
    stack = as_stack(image)
    _check(model, stack, n, labelled, previous)
    models = [model] if previous is None else [model, previous]
    zooms = [check_image(stack, model.document)]
    zooms += [fitting_zooms(stack, each.document) for each in models[1:]]
    rng = np.random.default_rng(seed)
    found = yield from find_candidates(
        [each.predictor for each in models], zooms, stack, rng=rng, cancelled=cancelled
    )
    second = None if previous is None else _in_order(found.probabilities[1], previous, model)
    first = found.probabilities[0]
    worth = uncertainty(first) if second is None else disagreement(first, second)
    rows = choose_places(
        _places(found, stack, labelled), worth, n, apart=APART * zooms[0][0], rng=rng
    )
    if not len(rows):
        raise InputError(
            f"{stack.source}: no tissue is far enough from the points that are there; correct "
            "the map, or label in another image"
        )
    if len(rows) < n:
        warnings.warn(
            LungclsWarning(
                f"{stack.source}: {len(rows)} places are suggested and not {n}; no more are far "
                "enough apart and from the points that are there"
            ),
            stacklevel=2,
        )
    return _table(found, rows, worth, model, second)


def suggest_points(
    model: Model,
    image: Any,
    n: int = 20,
    *,
    progress: Callable[[Step], None] | None = None,
    **options: Any,
) -> Points:
    """Suggest places whose labels would teach a model most.

    A place is worth a label where the model is unsure, or where it disagrees with a previous
    one. Of such places some are drawn at random, apart from each other and from the points that
    have labels, and spread over planes. See docs/suggestions.md for what that saves.

    Parameters
    ----------
    model
        Trained on points of the classes.
    image
        Anything that `as_stack` takes. Whatever its size, at most some 2,400 random places in
        24 fields of it are looked at; fields without tissue are left out.
    n
        How many places.
    labelled
        Points that have labels.
    previous
        Another model of the same classes: places where both differ come first.
    seed
        Of the random numbers; another one looks at other places.
    progress
        Called with the steps done and in all.

    Returns
    -------
    Points
        Without classes, as nobody has labelled them. Columns: `predicted`, the model's class;
        `runner_up`, the next likeliest, or with `previous` that one's class, as `previously`;
        `worth` from 0 to 1, one minus the difference of the two largest probabilities, or half
        the sum of all differences between both models; `why`, the same in words; `source`,
        which is `suggestion`. Any first few of them are a good choice of few.

    Raises
    ------
    InputError
        When model, image and points do not go together, or no place is left.

    Examples
    --------
    >>> model = lc.load("lung.safetensors", device="cpu")
    >>> places = lc.suggest_points(model, "section.ome.tif", 5, labelled=points)
    >>> len(places), places.columns[:4]
    (5, ('index', 'axis-0', 'axis-1', 'predicted'))
    """
    return exhaust(suggesting(model, image, n, **options), progress)


def _check(
    model: Model, stack: ImageStack, n: int, labelled: Points | None, previous: Model | None
) -> None:
    """Refuse what does not go together, before anything is read."""
    if n < 1:
        raise InputError(f"give at least 1, not {n}", setting="n")
    if model.document.network.pooling == "mean":
        raise InputError(
            "the model says one class for a whole patch, so it knows no places; train one on "
            "points, or on patches with the pooling 'point'"
        )
    if labelled is not None and len(labelled):
        check_inside(stack, labelled.coordinates, labelled.source)
    if previous is not None:
        if set(previous.scheme.names) != set(model.scheme.names):
            raise InputError(
                f"the classes of the two models differ ({', '.join(model.scheme.names)}; "
                f"{', '.join(previous.scheme.names)}); compare models of the same classes",
                setting="previous",
            )
        if previous.document.network.pooling == "mean":
            raise InputError(
                "the previous model says one class for a whole patch, so it knows no places",
                setting="previous", suggestion={"previous": None},
            )  # fmt: skip


def _in_order(probabilities: NDArray[np.float64], of: Model, wanted: Model) -> NDArray[np.float64]:
    """Give the probabilities of one model in the order of another's classes."""
    names = of.scheme.names
    return probabilities[:, [names.index(name) for name in wanted.scheme.names]]


def _places(found: Candidates, stack: ImageStack, labelled: Points | None) -> LabelPlaces:
    """Say where candidates and labels lie."""
    there = np.zeros((0, stack.ndim)) if labelled is None else labelled.coordinates
    return LabelPlaces(
        found.coordinates[:, -2:],
        _numbered(stack, found.coordinates),
        there[:, -2:],
        _numbered(stack, there),
    )


def _numbered(stack: ImageStack, coordinates: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the numbers of the planes that points lie in, `(n,)`."""
    planes = plane_indices(stack, coordinates)
    if not stack.leading:
        return np.zeros(len(coordinates), np.int64)
    return np.asarray(np.ravel_multi_index(tuple(planes.T), stack.leading), np.int64)


def _table(
    found: Candidates,
    rows: NDArray[np.intp],
    worth: NDArray[np.float64],
    model: Model,
    second: NDArray[np.float64] | None,
) -> Points:
    """Make a table of the chosen candidates."""
    probabilities, threshold = found.probabilities[0][rows], model.document.threshold
    names, at = np.array(model.scheme.names, object), np.arange(len(rows))
    first = predicted_class(probabilities, threshold)
    if second is None:
        others = probabilities.copy()
        others[at, first] = -1
        column, other = RUNNER_UP, others.argmax(axis=1)
        why = [
            f"{names[a]} {percent(p[a], 0)} or {names[b]} {percent(p[b], 0)}"
            for a, b, p in zip(first, other, probabilities, strict=True)
        ]
    else:
        before = second[rows]
        column, other = BEFORE, before.argmax(axis=1)
        why = [
            f"{names[a]} {percent(p[a], 0)} now, {names[b]} {percent(q[b], 0)} before"
            for a, b, p, q in zip(first, other, probabilities, before, strict=True)
        ]
    columns: dict[str, Any] = {
        PREDICTED: names[first],
        column: names[other],
        WORTH: np.round(worth[rows], 4),
        WHY: why,
        SOURCE_COLUMN: SUGGESTION,
    }
    return Points.build(found.coordinates[rows], **columns)
