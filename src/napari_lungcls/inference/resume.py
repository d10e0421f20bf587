"""Continuing a painting: what is left of it, and whether it is the same job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.inference import record
from napari_lungcls.inference.cells import UNFINISHED
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.record import Order
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.run_identity import (
    ANOTHER_VERSION,
    PIXELS,
    Difference,
    diagonal_samples,
    difference,
)


@dataclass(frozen=True)
class UnfinishedPainting:
    """A painting that can be continued.

    Attributes
    ----------
    order
        What was asked for.
    done
        Which blocks are complete.
    published
        Whether it lies at the output, as after Ctrl-C, or beside it, as after a kill.
    """

    order: Order
    done: NDArray[np.bool_]
    published: bool

    def __str__(self) -> str:
        """Say how far it is."""
        return f"is unfinished ({int(self.done.sum())} of {self.done.size} blocks are painted)"

    def in_the_way(self, target: Path) -> InputError:
        """Say that a new painting would destroy this one."""
        return InputError(
            f"{target}: {self}",
            suggestion=(
                {"resume": True},
                "to continue it, or",
                {"overwrite": True},
                "to begin anew",
            ),
        )


def find_unfinished(
    target: Path, read_document: Callable[[Path], Any]
) -> UnfinishedPainting | None:
    """Look for an unfinished painting of an output, beside it and in it."""
    aside = record.hidden_folder(target).is_dir()
    if aside and (found := record.Record.find(record.record_file(target))) is not None:
        found.close()
        if found.done.any():
            return UnfinishedPainting(found.order, found.done, published=False)
    if not target.exists():
        return None
    try:
        said = read_document(target)
    except InputError:
        return None
    packed = record.unpack(said.get(UNFINISHED)) if isinstance(said, dict) else None
    return None if packed is None else UnfinishedPainting(*packed, published=True)


def describe_job(
    predictor: Predictor,
    grid: MapGrid,
    *,
    probabilities: bool,
    precision: str = "fp32",
) -> dict[str, Any]:
    """Describe what makes the cells of a map, as JSON; see `run_identity`.

    Of the image a few places are read and hashed: reading all of it would take longer than
    much of a painting. A place that cannot be read is None and equals any other.
    """
    stack = grid.stack
    return {
        "model": _model_hash(predictor),
        "image": {
            "shapes": [list(level.shape) for level in stack.levels],
            "dtype": stack.dtype.name,
            "rgb": stack.rgb,
        },
        PIXELS: diagonal_samples(stack),
        "region": [[s.start, s.stop] for s in (grid.rows, grid.columns)],
        "planes": None if grid.planes is None else [grid.planes.start, grid.planes.stop],
        "setting channels": stack.channels,
        "setting engine": predictor.engine.name,
        "setting pixel_size": stack.pixel_size,
        "setting precision": precision,
        "setting probabilities": probabilities,
        "setting stride": grid.stride,
    }


def check_same(
    order: Order, job: dict[str, Any], header: MapHeader, chunk: int, target: Path
) -> None:
    """Refuse to continue a painting as another one.

    The map's own description may differ in nothing but what made it: an image that was moved
    is the same image.

    Raises
    ------
    InputError
        When model, image or settings differ from those that it was begun with.
    """
    other = difference(order.job, job)
    if other is None and (order.chunk != chunk or _bare(order.header) != _bare(header)):
        other = Difference(ANOTHER_VERSION)
    if other is not None:
        raise InputError(
            f"{target}: its unfinished painting was begun with {other}",
            suggestion=(
                other.remedy,
                "as then, or",
                {"overwrite": True},
                "instead of resume to begin anew",
            ),
        )


def _bare(header: MapHeader) -> MapHeader:
    return header.model_copy(update={"provenance": {}})


def _model_hash(predictor: Predictor) -> str:
    """Hash what a model's answers depend on."""
    said = predictor.document.model_dump(
        mode="json", include={"network", "scheme", "pixel_size", "temperature", "threshold"}
    )
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, array in sorted(predictor.engine.state().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
