"""Patch data sets: parts with pixels and labels, and the patches as training reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import middle, reflect, window_start
from napari_lungcls.images.pyramid import BlockCache
from napari_lungcls.learning.examples import Crops, Side
from napari_lungcls.learning.splits import Rows
from napari_lungcls.learning.trainer import MIXED_RUNS
from napari_lungcls.network.tiles import Tiles
from napari_lungcls.utils.names import comparable, distinct, warn_of_case

Role = Literal["train", "validation", "test", ""]
"""What a part of a data set is for; empty where the data do not say."""

_ROLES: dict[str, Role] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

PART_NAMES = tuple(_ROLES)
"""Words by which files and folders say what they are for."""


class Pixels(Protocol):
    """Patches of one size on disk.

    Attributes
    ----------
    shape
        Number, height and width.
    dtype
        Of the intensities as they are given: uint8, uint16 or float32.
    run_length
        How many neighbours are read at little more than the cost of one.
    rgb
        Whether they have colours, or grey three times.
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def run_length(self) -> int: ...  # noqa: D102
    @property
    def rgb(self) -> bool: ...  # noqa: D102

    def read(self, first: int, stop: int) -> NDArray[Any]:
        """Read patches `first … stop − 1` as RGB, `(m, height, width, 3)`."""


@dataclass(frozen=True, eq=False)
class Part:
    """Patches of one file or folder.

    Attributes
    ----------
    source
        Names them in messages and tables.
    role
        What they are for.
    pixels
        The patches.
    labels
        `(n,)` numbers of their classes, or None where they have none.
    names
        Names of the classes by number, or None where the data number them only.
    groups
        `(n,)` names of what belongs together (animal, slide), or None.
    files
        `(n,)` the picture of each patch, relative to `source`, where each has its own.
    """

    source: str
    role: Role
    pixels: Pixels
    labels: NDArray[np.int64] | None
    names: tuple[str, ...] | None = None
    groups: NDArray[np.object_] | None = None
    files: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Count the patches."""
        return self.pixels.shape[0]


class PatchData:
    """A data set of labelled patches, in one or several parts.

    Parameters
    ----------
    parts
        At least one; they are put into the order training, validation, test.

    Raises
    ------
    InputError
        When sizes or types differ.

    Examples
    --------
    >>> data = lc.open_patches("patches.npz")
    >>> len(data), data.size, data.dtype
    (60, (32, 32), 'uint8')
    >>> data.scheme().names
    ('alveoli', 'septa', 'duct')
    >>> np.bincount(data.codes(data.scheme()))
    array([20, 20, 20])
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        order: tuple[Role, ...] = ("train", "", "validation", "test")
        self.parts = tuple(sorted(parts, key=lambda part: order.index(part.role)))
        first = self.parts[0]
        for part in self.parts[1:]:
            for what, ours, theirs in (
                ("patches", _size(first), _size(part)),
                ("intensities", str(first.pixels.dtype), str(part.pixels.dtype)),
            ):
                if ours != theirs:
                    raise InputError(
                        f"{first.source} has {what} of {ours}, {part.source} of {theirs}; "
                        "convert them to the same, or give only one of them"
                    )

    def __len__(self) -> int:
        """Count the patches of all parts."""
        return sum(map(len, self.parts))

    @property
    def source(self) -> str:
        """Names of the files and folders."""
        return ", ".join(dict.fromkeys(part.source for part in self.parts))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a patch."""
        return self.parts[0].pixels.shape[1:]

    @property
    def dtype(self) -> str:
        """Type of the intensities."""
        return str(self.parts[0].pixels.dtype)

    @property
    def roles(self) -> NDArray[np.object_]:
        """`(n,)` what each patch is for."""
        return np.concatenate([np.full(len(part), part.role, object) for part in self.parts])

    @property
    def groups(self) -> NDArray[np.object_] | None:
        """`(n,)` group of each patch as names are compared; those without one are their file's."""
        if all(part.groups is None for part in self.parts):
            return None
        found, written = [], []
        for part in self.parts:
            own = np.full(len(part), "", object) if part.groups is None else part.groups
            found.append([f"group {key}" if (key := comparable(name)) else f"file {part.source}"
                          for name in own])  # fmt: skip
            written += list(dict.fromkeys(own))
        warn_of_case(written, "groups", self.source)
        return np.array([name for names in found for name in names], object)

    def scheme(self, classes: ClassScheme | None = None) -> ClassScheme:
        """Return the classes: as given, by the names in the data, or by number."""
        if classes is not None:
            return classes
        named = [part.names for part in self.parts if part.names]
        if named:
            return scheme_of(name for names in named for name in names)
        largest = max((int(p.labels.max()) for p in self.parts if p.labels is not None), default=1)
        return ClassScheme.of_names(map(str, range(max(2, largest + 1))), name="numbered")

    def codes(self, scheme: ClassScheme) -> NDArray[np.int64]:
        """Return the class of each patch, `(n,)`; a number is a place in the scheme.

        Raises
        ------
        InputError
            When a part has no labels, or one that the scheme does not have.
        """
        return np.concatenate([_codes(part, scheme) for part in self.parts])

    def only(self, role: Role | Literal["all"] | None) -> PatchData:
        """Return the parts of one role; None takes the test part where there is one, else all.

        Raises
        ------
        InputError
            When there is no such part.
        """
        if role is None:
            role = "test" if any(part.role == "test" for part in self.parts) else "all"
        if role == "all":
            return self
        chosen = [part for part in self.parts if part.role == role]
        if not chosen:
            known = ", ".join(dict.fromkeys(p.role or "(unnamed)" for p in self.parts))
            raise InputError(
                f"{self.source} has no part {role!r}, but {known}", suggestion={"part": "all"}
            )
        return PatchData(chosen)


def scheme_of(labels: Iterable[str]) -> ClassScheme:
    """Give a preset with just these classes, else a scheme made of them in their order."""
    seen = [name.strip() for name in distinct(dict.fromkeys(labels)) if comparable(name)]
    preset = ClassScheme.for_labels(seen)
    return preset if len(preset) == len(seen) else ClassScheme.of_names(seen)


def role_of(name: str) -> Role | None:
    """Tell what a folder is for by its name; None when the name says nothing."""
    return _ROLES.get(name.lower())


def role_within(words: Sequence[str]) -> Role:
    """Tell what a file is for by the words of its name; the last such word counts."""
    found = [_ROLES[word.lower()] for word in words if word.lower() in _ROLES]
    return found[-1] if found else ""


def _size(part: Part) -> str:
    height, width = part.pixels.shape[1:]
    return f"{height} × {width} pixels"


def _codes(part: Part, scheme: ClassScheme) -> NDArray[np.int64]:
    if part.labels is None:
        raise InputError(f"{part.source}: the patches have no labels; give a file that has them")
    if part.names is not None:
        used = np.unique(part.labels)
        known = np.full(len(part.names), -1, np.int64)
        for number in used:
            name = part.names[number]
            try:
                known[number] = scheme.code(name)
            except InputError as error:
                raise InputError(f"{part.source}: {error}") from None
        codes: NDArray[np.int64] = known[part.labels]
        return codes
    if len(part.labels) and part.labels.max() >= len(scheme):
        row = int(part.labels.argmax())
        raise InputError(
            f"{part.source}: patch {row + 1} is labelled {part.labels[row]}, but the scheme "
            f"{scheme.name!r} has {len(scheme)} classes, 0 to {len(scheme) - 1}",
            suggestion=({"classes": ...}, "for a scheme that has them all"),
        )
    return part.labels


CACHE_BYTES = 192 * 2**20
"""Patches that are kept between reads; what is shuffled together fits twice."""


class PatchSet:
    """Labelled patches of a data set; see `Examples`.

    Parameters
    ----------
    data
        The patches.
    codes
        `(n,)` classes.
    limit
        Bytes of patches that are kept in memory.
    """

    def __init__(
        self, data: PatchData, codes: NDArray[np.int64], *, limit: int = CACHE_BYTES
    ) -> None:
        self._data, self._codes = data, codes
        self._starts = np.cumsum([0, *map(len, data.parts)])
        self._cache = BlockCache(limit)
        height, width = data.size
        patch = height * width * 3 * np.dtype(data.dtype).itemsize
        together = max(part.pixels.run_length for part in data.parts)
        self._run = max(1, min(together, limit // (2 * MIXED_RUNS * patch)))

    @property
    def codes(self) -> NDArray[np.int64]:
        """`(n,)` classes."""
        return self._codes

    @property
    def run_length(self) -> int:
        """How many neighbours are read together."""
        return self._run

    def at(self, zooms: Sequence[int]) -> PatchSet:
        """See some of the zooms only: patches have one."""
        return self

    def crops(
        self, rows: Rows, side: Side, tile: int, edge: int, rng: np.random.Generator
    ) -> Crops:
        """Give the middle of each patch; beyond its edges its reflection."""
        pixels, places = self._squares(rows, edge)
        return Crops(pixels, rows, np.arange(len(rows)), places)

    def answering(self, side: Side, tile: int, batch: int) -> Iterator[tuple[Rows, Tiles]]:
        """Give the middle of each patch; beyond its edges its reflection."""
        for part in gen_batches(len(side), batch):
            rows = side.rows[part]
            pixels, places = self._squares(rows, tile)
            yield rows, Tiles(pixels, np.arange(len(rows)), places)

    def sample(self, side: Side, count: int) -> NDArray[np.float32]:
        """Give about `count` pixels of evenly spread patches."""
        chosen = side.rows[np.linspace(0, len(side) - 1, min(512, len(side))).astype(int)]
        height, width = self._data.size
        step = max(1, round((len(chosen) * height * width / count) ** 0.5))
        parts = [self.patches(chosen[p])[:, ::step, ::step] for p in gen_batches(len(chosen), 32)]
        return np.concatenate(parts).reshape(-1, 3).astype(np.float32)

    def patches(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Give patches as they are, `(m, height, width, 3)`."""
        found = np.empty((len(rows), *self._data.size, 3), self._data.dtype)
        for i in np.argsort(rows, kind="stable"):
            found[i] = self._patch(int(rows[i]))
        return found

    def _squares(
        self, rows: NDArray[np.intp], edge: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        patches = self.patches(rows)
        centre = np.array([middle(size) for size in self._data.size])
        first = window_start(centre, edge)
        if self._data.size != (edge, edge):
            y, x = (
                reflect(np.arange(start, start + edge), size)
                for start, size in zip(first, self._data.size, strict=True)
            )
            patches = patches[:, y[:, np.newaxis], x]
        places = np.tile((centre - first).astype(np.float64), (len(rows), 1, 1))
        return patches[:, np.newaxis], places

    def _patch(self, row: int) -> NDArray[Any]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        place, part = row - int(self._starts[number]), self._data.parts[number]
        first = place // self._run * self._run
        block = self._cache.get((number, first))
        if block is None:
            block = part.pixels.read(first, min(first + self._run, len(part)))
            self._cache.put((number, first), block)
        patch: NDArray[Any] = block[place - first]
        return patch
