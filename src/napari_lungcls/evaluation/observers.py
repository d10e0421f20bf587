"""Observers: reading their points, and comparing them with each other and with a model."""

from __future__ import annotations

import posixpath
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from scipy.spatial import cKDTree

from napari_lungcls.annotation import ClassScheme, Points, read_points
from napari_lungcls.annotation.columns import GROUP_COLUMN, IMAGE_COLUMN, OBSERVER_COLUMN
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.evaluation.agreement import (
    GroupAgreement,
    PairAgreement,
    group_agreement,
    pair_agreement,
)
from napari_lungcls.evaluation.fractions import FractionAgreement, fraction_agreement
from napari_lungcls.evaluation.matching import match, same_places
from napari_lungcls.evaluation.predictions import PointPredictions
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.pairs import PathLike
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.utils.humanize import listing
from napari_lungcls.utils.names import Folder, KnownImages, comparable, distinct, warn_of_case
from napari_lungcls.utils.printable import printable

MODEL = "model"
LEAST_ANIMALS = 3
"""Fewer tell nothing of how far observers agree on animals."""

_NAMED = 5
"""Images listed in a message at most."""


@dataclass(frozen=True, eq=False)
class Observer:
    """One observer's points.

    Attributes
    ----------
    name
        The observer's name, unique in a comparison.
    points
        With classes.
    images
        `(n,)` full paths of their images in the form of `names.path_key`, or empty texts.
    """

    name: str
    points: Points
    images: NDArray[np.object_]


class Agreement(BaseModel, frozen=True, extra="forbid"):
    """Agreement of several observers.

    Attributes
    ----------
    classes
        In the order of the tables.
    tolerance
        Largest distance of two points at the same place, in pixels.
    pairs
        Each pair of observers.
    fleiss
        All of them, if three or more have labelled the same places.
    model
        Each observer against a model, if there is one.
    fractions
        By class, how far observers agree on its share of each animal's points, where all points
        name their animal (column `group`) and there are three or more.
    """

    classes: list[str]
    tolerance: float
    pairs: list[PairAgreement]
    fleiss: GroupAgreement | None = None
    model: list[PairAgreement] = []
    fractions: dict[str, FractionAgreement] = {}


def read_observers(tables: Sequence[PathLike]) -> list[Observer]:
    """Read points files; a column `observer` with several names means several observers.

    Raises
    ------
    InputError
        When a file cannot be read, has no classes, or does not name the observer of a point, or
        there is no observer.
    """
    found = [each for table in tables for each in _observers_in(Path(table))]
    names = [each.name for each in found]
    warn_of_case(names, "observers", ", ".join(map(str, tables)))
    forms = [comparable(name) for name in names]
    named = [
        replace(o, name=f"{o.name} ({o.points.source})") if forms.count(form) > 1 else o
        for o, form in zip(found, forms, strict=True)
    ]
    if len({each.name for each in named}) < len(named):
        raise InputError(f"{tables[0]} is given twice; name each observer's file once")
    return named


def compare(
    observers: Sequence[Observer], scheme: ClassScheme, tolerance: float, seed: int = 0
) -> Agreement:
    """Compare each pair of observers, and all of them, at the places they share.

    Raises
    ------
    InputError
        When classes are unknown, axes differ, or two observers share no place.
    """
    codes = [each.points.codes(scheme) for each in observers]
    planes = _planes(observers)
    matches, pairs = [], []
    for p, q in combinations(range(len(observers)), 2):
        a, b = observers[p], observers[q]
        where = [each.points.coordinates[:, -2:] for each in (a, b)]
        rows, others = match(where[0], where[1], tolerance, (planes[p], planes[q]))
        if not len(rows):
            raise InputError(_apart(a, b, tolerance))
        _warn_of_images(a, b)
        matches.append((p, q, rows, others))
        pairs.append(
            pair_agreement(
                (a.name, codes[p][rows]),
                (b.name, codes[q][others]),
                scheme.names,
                unmatched=(len(a.points) - len(rows), len(b.points) - len(rows)),
                seed=seed,
            )
        )
    together = None
    if len(observers) > 2:
        shared = same_places(matches, [len(each.points) for each in observers])
        if len(shared):
            predicted = np.stack([codes[k][shared[:, k]] for k in range(len(observers))], axis=1)
            names = [each.name for each in observers]
            together = group_agreement(names, predicted, scheme.names, seed=seed)
    return Agreement(
        classes=list(scheme.names),
        tolerance=tolerance,
        pairs=pairs,
        fleiss=together,
        fractions=_fractions(observers, codes, scheme) if len(observers) > 1 else {},
    )


def _fractions(
    observers: Sequence[Observer], codes: Sequence[NDArray[np.int64]], scheme: ClassScheme
) -> dict[str, FractionAgreement]:
    """Compare the share of each class among the points of every animal."""
    columns = [each.points.column(GROUP_COLUMN) for each in observers]
    named = [[comparable(text) for text in column] for column in columns if column is not None]
    if len(named) < len(observers) or any("" in names for names in named):
        return {}
    animals = [name for name in dict.fromkeys(named[0]) if all(name in own for own in named)]
    if len(animals) < LEAST_ANIMALS:
        return {}
    shares = np.zeros((len(scheme), len(animals), len(observers)))
    for o, (own, labelled) in enumerate(zip(named, codes, strict=True)):
        for a, animal in enumerate(animals):
            mine = labelled[np.array(own, object) == animal]
            shares[:, a, o] = np.bincount(mine, minlength=len(scheme)) / len(mine)
    names = [each.name for each in observers]
    return {
        name: fraction_agreement(share, names)
        for name, share in zip(scheme.names, shares, strict=True)
    }


def compare_with_model(
    observers: Sequence[Observer],
    predict: Callable[[ImageStack, Points], PointPredictions],
    image: PathLike,
    pixel_size: float | None = None,
    channels: Choice | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> Iterator[PairAgreement]:
    """Compare each observer with a model's predictions at that observer's points.

    `predict` is `Model.predictions` of the model.

    Raises
    ------
    InputError
        When the model does not know a class, no point is on the image, or they do not fit.
    """
    stack = open_image(Path(image), channels).with_pixel_size(pixel_size)
    here = KnownImages([image])
    for k, each in enumerate(observers):
        folder = Folder(Path(each.points.source).parent)
        mine = {key: not key or here.place(key, folder) == 0 for key in dict.fromkeys(each.images)}
        on_image = np.array([mine[key] for key in each.images], bool)
        if not on_image.any():
            raise InputError(
                f"{each.points.source}: no point of {each.name} names the image {image} in its "
                "column 'image'"
            )
        points = each.points.select(on_image)
        found = predict(stack, points)
        said = predicted_class(found.probabilities, found.threshold).astype(np.int64)
        if progress:
            progress(k + 1, len(observers))
        yield pair_agreement(
            (each.name, found.codes),
            (MODEL, said),
            found.scheme.names,
            unmatched=(int((~on_image).sum()), 0),
            seed=seed,
        )


def _observers_in(table: Path) -> list[Observer]:
    points = read_points(table)
    if points.labels is None:
        raise InputError(f"{table} has no column 'class', so there is nothing to compare")
    written, folder = points.column(IMAGE_COLUMN), Folder(table.parent)
    named = [""] * len(points) if written is None else list(written)
    keys = {name: folder.key(name) if comparable(name) else "" for name in dict.fromkeys(named)}
    images = np.array([keys[name] for name in named], object)
    column = points.column(OBSERVER_COLUMN)
    forms = [""] * len(points) if column is None else [comparable(name) for name in column]
    if len(set(forms)) > 1 and "" in forms:
        row = points.table.index[forms.index("")]
        raise InputError(f"{table}, row {row}: the observer is empty; fill it in")
    if column is None or len(set(forms)) < 2:
        name = "" if column is None else column[0].strip()
        return [Observer(name or printable(table.stem), points, images)]
    found = []
    for name in distinct(column):
        mine = np.array(forms, object) == comparable(name)
        found.append(Observer(name.strip(), points.select(mine), images[mine]))
    return found


def _planes(observers: Sequence[Observer]) -> list[NDArray[np.intp]]:
    """Give each plane of each image the same number for every observer."""
    axes = {each.points.ndim for each in observers}
    if len(axes) > 1:
        first, other = (next(o for o in observers if o.points.ndim == n) for n in sorted(axes)[:2])
        raise InputError(
            f"{first.points.source} has {first.points.ndim} axes and {other.points.source} "
            f"{other.points.ndim}; compare points of the same image"
        )
    known = sorted({image for each in observers for image in each.images if image})
    warn_of_case(known, "images", ", ".join(dict.fromkeys(o.points.source for o in observers)))
    if len(known) > 1 and (bare := next((o for o in observers if "" in o.images), None)):
        raise InputError(
            f"{bare.points.source}: a point does not say which of {len(known)} images it lies on; "
            "add the column 'image'"
        )
    numbers = {image: k for k, image in enumerate(known)} | {"": 0}
    keys = [
        np.column_stack(
            [
                np.array([numbers[image] for image in each.images], np.int64),
                np.rint(each.points.coordinates[:, :-2]).astype(np.int64),
            ]
        )
        for each in observers
    ]
    _, plane = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    ends = np.cumsum([len(key) for key in keys])[:-1]
    return list(np.split(plane.reshape(-1), ends))


def _apart(a: Observer, b: Observer, tolerance: float) -> str:
    ours, theirs = set(a.images), set(b.images)
    if "" not in ours | theirs and not ours & theirs:
        return _other_images(a, b)
    nearest, _ = cKDTree(a.points.coordinates).query(b.points.coordinates)
    return (
        f"{a.name} and {b.name} share no place: no two points of the same image and plane lie "
        f"within {tolerance:g} pixels (the nearest are {nearest.min():.3g} apart); give a larger "
        "tolerance, or files of the same points"
    )


def _other_images(a: Observer, b: Observer) -> str:
    """Word the error for observers without a common image, hinting at likely matches."""
    names = [{posixpath.basename(image) for image in each.images} for each in (a, b)]
    common = sorted(names[0] & names[1])
    near = {name.casefold() for name in names[0]} & {name.casefold() for name in names[1]}
    if common:
        remedy = (
            f"if {listing(common, _NAMED)} is the same for both, write its whole path in the "
            "column 'image' of both files, or put the files into one folder"
        )
    elif near:
        remedy = "some names differ only by case; spell them alike in the column 'image'"
    else:
        remedy = "compare points of the same images, or correct the column 'image'"
    ours, theirs = (listing(sorted(set(each.images)), _NAMED) for each in (a, b))
    return (
        f"{a.name} and {b.name} share no image: {a.name} has points on {ours}, "
        f"{b.name} on {theirs}; {remedy}"
    )


def _warn_of_images(a: Observer, b: Observer) -> None:
    """Warn of images that only one of two observers has labelled."""
    said = [
        f"only {one.name} has points on {listing(sorted(alone), _NAMED)}"
        for one, other in ((a, b), (b, a))
        if (alone := set(one.images) - set(other.images) - {""})
    ]
    if said and "" not in {*a.images, *b.images}:
        warnings.warn("; ".join(said), LungclsWarning, stacklevel=3)
