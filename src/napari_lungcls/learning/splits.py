"""Splits into training, validation and test points that no pixel of a window crosses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.learning.buffers import Mask, buffer_width, near
from napari_lungcls.learning.layout import Layout
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.units import By, Units, choose_units, propose

Rows = NDArray[np.intp]


def nobody() -> Rows:
    """Return the rows of an empty part."""
    return np.zeros(0, np.intp)


@dataclass(frozen=True)
class Split:
    """Which points train, which validate, which test, and which lie between.

    Attributes
    ----------
    train, validation, test
        Rows of the point set. The test part is looked at once, after everything else.
    n_buffered
        Points too near to another part to be used honestly.
    buffer
        Least distance along y or x between the parts, in pixels of full resolution.
    full_buffer
        The distance from which on no window shares a pixel with one of another part.
    by
        What was kept together: `group`, `image`, `blocks`; `none` without a split, `files`
        where the data came in parts.
    """

    train: Rows
    validation: Rows = field(default_factory=nobody)
    test: Rows = field(default_factory=nobody)
    n_buffered: int = 0
    buffer: float = 0.0
    full_buffer: float = 0.0
    by: str = "none"

    @property
    def relaxed(self) -> bool:
        """Whether windows of two parts may share pixels, so that figures flatter."""
        return self.buffer < self.full_buffer

    def describe(self) -> dict[str, Any]:
        """Return counts for the model file."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "n_buffered": self.n_buffered,
            "buffer": self.buffer,
            "full_buffer": self.full_buffer,
            "buffer_relaxed": self.relaxed,
            "by": self.by,
        }


def make_splits(
    layout: Layout, settings: TrainingSettings, scheme: ClassScheme, rng: np.random.Generator
) -> list[Split]:
    """Split points as the settings ask: once, or once for each fold of a cross-validation.

    Many ways to part the points are tried; of those that leave every class on both sides,
    the one wins that loses the fewest points to the buffer, has the wanted share, and keeps
    the proportions of the classes.

    Returns
    -------
    list of Split
        All with the same test part; one whose `validation` is empty when nothing is asked for.

    Raises
    ------
    InputError
        When the points lie too close together for any honest split.
    """
    full = buffer_width(settings, layout.grain)
    buffer = full if settings.buffer is None else min(settings.buffer, full)
    splitter = _Splitter(layout, settings, len(scheme), buffer, rng)
    everyone = np.ones(len(layout), bool)
    if settings.val_fraction == settings.test_fraction == 0 and settings.folds == 1:
        return [Split(np.flatnonzero(everyone))]
    found = splitter.parts(everyone)
    if found is None:
        raise InputError(_refusal(layout, settings, len(scheme), buffer, rng))
    by, masks = found
    return [
        Split(
            np.flatnonzero(train),
            np.flatnonzero(validation),
            np.flatnonzero(test),
            n_buffered=int((~(train | validation | test)).sum()),
            buffer=buffer,
            full_buffer=full,
            by=by,
        )
        for train, validation, test in masks
    ]


@dataclass
class _Splitter:
    """Looks for splits of one kind of settings."""

    layout: Layout
    settings: TrainingSettings
    classes: int
    buffer: float
    rng: np.random.Generator

    def parts(self, everyone: Mask) -> tuple[By, list[tuple[Mask, Mask, Mask]]] | None:
        """Return what was kept together, and masks of the three parts for each fold."""
        for by in choose_units(self.layout, self.settings.split_by):
            rest, test = everyone, ~everyone
            if self.settings.test_fraction:
                held = self._hold_out(rest, by, self.settings.test_fraction)
                if held is None:
                    continue
                rest, test = held
            sides = self._sides(rest, by)
            if sides is not None:
                return by, [(train, validation, test) for train, validation in sides]
        return None

    def _sides(self, rest: Mask, by: By) -> list[tuple[Mask, Mask]] | None:
        if self.settings.folds > 1:
            return self._folds(rest, by)
        if not self.settings.val_fraction:
            return [(rest, np.zeros_like(rest))]
        held = self._hold_out(rest, by, self.settings.val_fraction)
        return None if held is None else [held]

    def _hold_out(self, among: Mask, by: By, share: float) -> tuple[Mask, Mask] | None:
        """Choose a part to hold out; None when each way lacks a class on one side."""
        best: tuple[float, Mask, Mask] | None = None
        for held in self._candidates(among, by, share):
            train = among & ~held & ~near(self.layout, held, self.buffer)
            if not (self._complete(train) and self._complete(held)):
                continue
            off_target = abs(held.sum() / among.sum() - share)
            lost = 1 - (train.sum() + held.sum()) / among.sum()
            score = lost + 2 * off_target + self._imbalance(held, among) / 4
            if best is None or score < best[0]:
                best = (score, train, held)
        return None if best is None else best[1:]

    def _folds(self, among: Mask, by: By) -> list[tuple[Mask, Mask]] | None:
        """Choose folds; every point validates once, if it is not lost to the test part."""
        count = self.settings.folds
        best: tuple[float, list[tuple[Mask, Mask]]] | None = None
        for units in propose(self.layout, by, 1 / count, self.buffer, self.rng):
            held = self._fold_masks(units, among, count)
            sides = [(among & ~v & ~near(self.layout, v, self.buffer), v) for v in held]
            if not sides or not all(self._complete(train) for train, _ in sides):
                continue
            lost = sum(1 - (t.sum() + v.sum()) / among.sum() for t, v in sides) / count
            score = lost + sum(self._imbalance(v, among) for _, v in sides) / (4 * count)
            if best is None or score < best[0]:
                best = (score, sides)
        return None if best is None else best[1]

    def _fold_masks(self, units: Units, among: Mask, count: int) -> list[Mask]:
        rows = np.flatnonzero(among)
        codes = self.layout.codes[rows]
        if len(np.unique(units[rows])) < count or np.bincount(codes).max() < count:
            return []
        seed = int(self.rng.integers(2**31))
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        masks = []
        for _, held in folds.split(rows, codes, units[rows]):
            mask = np.zeros_like(among)
            mask[rows[held]] = True
            masks.append(mask)
        return masks if all(mask.any() for mask in masks) else []

    def _candidates(self, among: Mask, by: By, share: float) -> Iterator[Mask]:
        """Take units in random order until they hold the wanted share of the points."""
        for units in propose(self.layout, by, share, self.buffer, self.rng):
            counts = np.bincount(units[among])
            for _ in range(40 if by != "blocks" else 2):
                order = self.rng.permutation(np.flatnonzero(counts))
                enough = int(np.searchsorted(np.cumsum(counts[order]), share * among.sum())) + 1
                yield among & np.isin(units, order[:enough])

    def _complete(self, part: Mask) -> bool:
        return len(np.unique(self.layout.codes[part])) == self.classes

    def _imbalance(self, part: Mask, whole: Mask) -> float:
        """Sum the differences of the classes' shares; 0 when they are the same."""
        shares = [
            np.bincount(self.layout.codes[mask], minlength=self.classes) / mask.sum()
            for mask in (part, whole)
        ]
        return float(np.abs(shares[0] - shares[1]).sum())


def _refusal(
    layout: Layout,
    settings: TrainingSettings,
    classes: int,
    buffer: float,
    rng: np.random.Generator,
) -> str:
    """Say why there is no split, and name the largest context that these points allow."""
    window, zoom = settings.window, max(settings.zooms)
    return (
        f"no split keeps every class on both sides with a buffer of {buffer:.0f} pixels, "
        f"the reach of a window of {window} at zoom {zoom}; "
        f"{_largest_context(layout, settings, classes, rng)}label points farther apart or in "
        "another image, or train on all points with --val-fraction 0"
    )


def _largest_context(
    layout: Layout, settings: TrainingSettings, classes: int, rng: np.random.Generator
) -> str:
    """Propose the settings with the largest buffer for which there is a split."""
    narrower = [
        settings.model_copy(update={"zooms": settings.zooms[:count], "window": window})
        for count in range(len(settings.zooms), 0, -1)
        for window in {settings.window, 64, 48, 32, 24, 16}
        if window <= settings.window
    ]
    for fewer in sorted(narrower, key=lambda s: (-buffer_width(s, layout.grain), -s.window)):
        buffer = buffer_width(fewer, layout.grain)
        changed = (fewer.zooms, fewer.window) != (settings.zooms, settings.window)
        splitter = _Splitter(layout, fewer, classes, buffer, rng)
        if changed and splitter.parts(np.ones(len(layout), bool)) is not None:
            said = []
            if fewer.zooms != settings.zooms:
                said.append(f"--zooms {','.join(map(str, fewer.zooms))}")
            if fewer.window != settings.window:
                said.append(f"--window {fewer.window}")
            return f"use {' '.join(said)}, "
    return ""
