"""Splits of patches: by the data set's own parts, by group, or at random within classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, nobody
from napari_lungcls.patch_datasets.dataset import PatchData
from napari_lungcls.patch_datasets.pictures import PictureFiles, identical_files

Rows = NDArray[np.intp]

RANDOM = "random"
CAUTION = (
    "Patches were split at random, because they do not say where they come from: neighbours, and "
    "patches of one slide, may lie on both sides, and figures for another slide may be lower."
)
"""What stands beside every figure of a random split."""


def split_patches(
    data: PatchData,
    codes: NDArray[np.int64],
    settings: TrainingSettings,
    scheme: ClassScheme,
    rng: np.random.Generator,
) -> list[Split]:
    """Split patches as the data and the settings ask: once, or once for each fold.

    Parts of the data stay parts: what is called test is the test part, and what is called
    validation the validation part, unless folds or no validation are asked for. Whatever is
    left to divide is divided by group where patches name groups, else at random, with the
    proportions of the classes kept (scikit-learn's stratified folds).

    Copies of one picture file, byte by byte, never lie on both sides: at random they are
    divided together, and of other parts those are left out that have a copy in the validation
    or test part. A `LungclsWarning` tells how many there are.

    Returns
    -------
    list of Split
        Whose `by` is `files`, `group` or `random`: the loosest of the divisions made.

    Raises
    ------
    InputError
        When a class is missing from the training part, or groups are asked for and missing.
    """
    first = first_copies(data)
    _say_of_copies(data, first, codes)
    divider = _Divider(data, codes, settings, rng, first)
    rest, validation, test = _own_parts(data)
    by = {"files"} if len(test) or len(validation) else set()
    if settings.test_fraction and not len(test):
        rest, test = divider.hold_out(rest, settings.test_fraction)
        by.add(divider.by)
    if settings.folds > 1:
        sides = divider.folds(np.sort(np.concatenate([rest, validation])), settings.folds)
        by.add(divider.by)
    elif not settings.val_fraction:
        sides = [(np.sort(np.concatenate([rest, validation])), nobody())]
    elif len(validation):
        sides = [(rest, validation)]
    else:
        sides = [divider.hold_out(rest, settings.val_fraction)]
        by.add(divider.by)
    if not len(test) and all(not len(held) for _, held in sides):
        by = set()
    chosen = next((kind for kind in (RANDOM, "group", "files") if kind in by), "none")
    splits = []
    for train, held in sides:
        held = held[~np.isin(first[held], first[test])]
        train = train[~np.isin(first[train], first[np.concatenate([held, test])])]
        _check_complete(codes[train], scheme, data)
        splits.append(Split(train, held, test, by=chosen))
    return splits


def first_copies(data: PatchData) -> Rows:
    """Return, for each patch, the first that is the same picture file byte by byte, `(n,)`."""
    first = np.arange(len(data))
    rows: list[int] = []
    paths: list[Path] = []
    start = 0
    for part in data.parts:
        if isinstance(part.pixels, PictureFiles):
            rows += range(start, start + len(part))
            paths += part.pixels.paths
        start += len(part)
    if paths:
        first[rows] = np.array(rows)[identical_files(paths)]
    return first


def _say_of_copies(data: PatchData, first: Rows, codes: NDArray[np.int64]) -> None:
    copies = np.flatnonzero(first != np.arange(len(first)))
    if not len(copies):
        return
    other = copies[codes[copies] != codes[first[copies]]]
    shown = other[0] if len(other) else copies[0]
    files = [file for part in data.parts for file in part.files or [""] * len(part)]
    warnings.warn(
        f"{data.source}: {len(copies)} of {len(data)} pictures are copies of others, as "
        f"{files[shown]} of {files[first[shown]]}"
        + (f", {len(other)} of them with another class" if len(other) else "")
        + "; copies are kept on one side of the split",
        LungclsWarning,
        stacklevel=3,
    )


def cautions(by: str) -> list[str]:
    """Say what must be known before figures of such a split are trusted."""
    return [CAUTION] if by == RANDOM else []


class _Divider:
    """Divides rows by group or at random."""

    def __init__(
        self,
        data: PatchData,
        codes: NDArray[np.int64],
        settings: TrainingSettings,
        rng: np.random.Generator,
        first: Rows,
    ) -> None:
        self._codes, self._rng, self._source, self._first = codes, rng, data.source, first
        groups = data.groups
        grouped = groups is not None and len(set(groups)) > 1
        if settings.split_by in ("image", "blocks") or (
            settings.split_by == "group" and not grouped
        ):
            has = "groups of patches" if grouped else "no groups"
            raise InputError(
                f"{data.source} has {has} and no places of patches in images",
                setting="split_by",
                suggestion="leave it out, or add groups (docs/patches.md)",
            )
        self._groups: NDArray[np.intp] | None = None
        if groups is not None and grouped:
            self._groups = np.unique(groups.astype(str), return_inverse=True)[1]
        self.by = "group" if grouped else RANDOM

    def hold_out(self, rows: Rows, share: float) -> tuple[Rows, Rows]:
        """Hold a share of the rows out, as one of so many folds that each is about as large."""
        count = max(2, round(1 / share)) if share <= 0.5 else max(2, round(1 / (1 - share)))
        train, held = self.folds(rows, count)[0]
        return (train, held) if share <= 0.5 else (held, train)

    def folds(self, rows: Rows, count: int) -> list[tuple[Rows, Rows]]:
        """Make folds; each row is held out in one of them."""
        # What is divided: patches, or one for all copies of a picture.
        units, unit_of = rows, np.arange(len(rows))
        if self._groups is None:
            units, unit_of = np.unique(self._first[rows], return_inverse=True)
        codes = self._codes[units]
        few = np.bincount(codes).max(initial=0) < count
        if self._groups is not None:
            few = few or len(np.unique(self._groups[rows])) < count
        if few or len(units) < count:
            raise InputError(
                f"{self._source}: too few patches or groups for {count} parts of the same kind",
                suggestion=("use fewer folds or a larger share, or", {"val_fraction": 0.0}),
            )
        seed = int(self._rng.integers(2**31))
        rare = np.flatnonzero(np.bincount(codes) < count)
        if self._groups is not None:
            grouped = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            found = grouped.split(units, codes, self._groups[units])
        else:
            # Classes with fewer members than folds are spread as far as they go.
            merged = np.where(np.isin(codes, rare), np.bincount(codes).argmax(), codes)
            found = StratifiedKFold(count, shuffle=True, random_state=seed).split(units, merged)
        return [
            (rows[np.isin(unit_of, train)], rows[np.isin(unit_of, held)]) for train, held in found
        ]


def _own_parts(data: PatchData) -> tuple[Rows, Rows, Rows]:
    """Return the rows of the parts that the data set comes in."""
    roles = data.roles
    kinds = set(roles.tolist())
    if not kinds & {"train", ""}:
        if len(kinds) > 1:
            raise InputError(
                f"{data.source}: has no training part, only {' and '.join(sorted(kinds))}; give "
                "its files too, or one part alone"
            )
        return np.arange(len(roles)), nobody(), nobody()
    masks: Sequence[NDArray[np.bool_]] = (
        (roles == "train") | (roles == ""), roles == "validation", roles == "test",
    )  # fmt: skip
    rest, validation, test = (np.flatnonzero(mask) for mask in masks)
    return rest, validation, test


def _check_complete(codes: NDArray[np.int64], scheme: ClassScheme, data: PatchData) -> None:
    counts = np.bincount(codes, minlength=len(scheme))
    if len(absent := np.flatnonzero(counts == 0)):
        names = ", ".join(scheme.names[i] for i in absent)
        raise InputError(
            f"{data.source}: no patch to train on is labelled {names}",
            suggestion=("label some, or", {"classes": ...}, "for a scheme without it"),
        )
