"""Cutting patches around labelled points and writing them in any of the formats, streamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from napari_lungcls.annotation.columns import GROUP_COLUMN
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.pyramid import BlockCache, read_windows
from napari_lungcls.images.stack import stack_dtype
from napari_lungcls.images.windows import batches
from napari_lungcls.learning.layout import Pair, check_pairs
from napari_lungcls.learning.patches.settings import LARGEST, SMALLEST
from napari_lungcls.patch_datasets.dataset import Step
from napari_lungcls.patch_datasets.export import WRITERS, Content

Format = Literal["hdf5", "npz", "folder", "manifest", "lst"]
BATCH = 128


class Exported(NamedTuple):
    """What an export wrote.

    Attributes
    ----------
    paths
        Files, or the folder.
    n
        Patches.
    """

    paths: list[Path]
    n: int


def exporting(
    pairs: Sequence[Pair],
    scheme: ClassScheme,
    out: str | os.PathLike[str],
    *,
    kind: Format = "hdf5",
    size: int = 96,
    compress: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[Step, None, Exported]:
    """Write a patch of `size` × `size` pixels around every point.

    Beyond an image's edge its reflection is seen.

    Parameters
    ----------
    pairs
        Images with their points.
    scheme
        The classes; labels are their places in it.
    out
        The file or folder to make. For HDF5 a name that ends in `_x.h5` makes two files, as
        PatchCamelyon ships them.
    kind
        The format.
    size
        Edge of the patches, in pixels of the images.
    compress
        Gzip HDF5 files (`.gz` is added to their names), deflate `.npz`.
    cancelled
        Asked before every batch; nothing is left then.

    Yields
    ------
    Step

    Raises
    ------
    InputError
        When points, images and format do not go together, or the output cannot be written.
    """
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"patches have {SMALLEST} to {LARGEST} pixels, not {size}", setting="size")
    if kind not in WRITERS:
        raise InputError(f"choose from {', '.join(WRITERS)}, not {kind}", setting="kind")
    codes = check_pairs(pairs, scheme)
    content = Content(
        codes, scheme.names, size, stack_dtype(pairs[0][0].dtype), _groups(pairs), compress
    )
    try:
        paths = yield from WRITERS[kind](Path(out), content, _patches(pairs, size, cancelled))
    except OSError as error:
        raise InputError(
            f"{out}: cannot be written ({error}); free space there or choose another output"
        ) from error
    return Exported(paths, len(codes))


def _patches(
    pairs: Sequence[Pair], size: int, cancelled: Callable[[], bool]
) -> Iterator[NDArray[Any]]:
    """Read patches in the order of the points."""
    for stack, points in pairs:
        cache = BlockCache()
        for rows in batches(len(points), BATCH):
            if cancelled():
                raise InputError("the export was cancelled; nothing is left")
            where = points.coordinates[rows]
            windows, _ = read_windows(stack, where, (1.0,), size, cache=cache)
            yield windows[:, 0]


def _groups(pairs: Sequence[Pair]) -> tuple[str, ...] | None:
    """Name the group of each point; one without belongs to its image's."""
    if not any(GROUP_COLUMN in p.table and (p.table[GROUP_COLUMN] != "").any() for _, p in pairs):
        return None
    return tuple(
        str(name) or stack.name
        for stack, points in pairs
        for name in points.table.get(GROUP_COLUMN, [""] * len(points))
    )
