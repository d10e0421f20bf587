"""Continuing a painting: what is left of it, and whether it is the same job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference import record
from napari_lungcls.inference.cells import UNFINISHED
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.reading import read_document
from napari_lungcls.inference.record import Order
from napari_lungcls.network.engines import Engine
from napari_lungcls.network.model_file import ModelDocument

SAMPLES = 8
"""Places at which two images are compared."""

SAMPLE_EDGE = 32
"""Edge of these places in pixels."""


@dataclass(frozen=True)
class Unfinished:
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


def find_unfinished(target: Path) -> Unfinished | None:
    """Look for an unfinished painting of an output, beside it and in it."""
    aside = record.hidden_folder(target).is_dir()
    if aside and (found := record.Record.find(record.record_file(target))) is not None:
        found.close()
        if found.done.any():
            return Unfinished(found.order, found.done, published=False)
    if not target.exists():
        return None
    try:
        said = read_document(target)
    except InputError:
        return None
    packed = record.unpack(said.get(UNFINISHED)) if isinstance(said, dict) else None
    return None if packed is None else Unfinished(*packed, published=True)


def describe_job(
    engine: Engine,
    document: ModelDocument,
    grid: MapGrid,
    *,
    probabilities: bool,
    precision: str = "fp32",
) -> dict[str, Any]:
    """Describe what makes the cells of a map, as JSON.

    Of the image a few places are read and hashed: reading all of it would take longer than
    much of a painting. A place that cannot be read is None and equals any other.
    """
    stack = grid.stack
    return {
        "model": _model_hash(engine, document),
        "engine": engine.name,
        "precision": precision,
        "image": {
            "shapes": [list(level.shape) for level in stack.levels],
            "dtype": stack.dtype.name,
            "rgb": stack.rgb,
        },
        "channels": stack.channels,
        "pixel_size": stack.pixel_size,
        "samples": _samples(stack),
        "stride": grid.stride,
        "region": [[s.start, s.stop] for s in (grid.rows, grid.columns)],
        "planes": None if grid.planes is None else [grid.planes.start, grid.planes.stop],
        "probabilities": probabilities,
    }


_AGAIN = ("engine", "precision", "channels", "pixel_size", "stride")
"""Settings that can be given again as they were."""


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
    other = _difference(order.job, job)
    if other is None and (order.chunk != chunk or _bare(order.header) != _bare(header)):
        other = "another version of this program"
    if other is not None:
        what, again = "other settings", other
        if isinstance(other, str):
            what, again = other, "use the same"
        raise InputError(
            f"{target}: its unfinished painting was begun with {what}",
            suggestion=(again, "as then, or", {"overwrite": True}, "and not resume to begin anew"),
        )


def _bare(header: MapHeader) -> MapHeader:
    return header.model_copy(update={"provenance": {}})


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str | dict[str, Any] | None:
    """Say what the old job had that the new one has not, or give the setting."""
    if old.keys() != new.keys():
        return "another version of this program"
    for key in ("model", "image"):
        if old[key] != new[key]:
            return f"another {key}"
    for key in (*_AGAIN, "region", "planes", "probabilities"):
        if old[key] != new[key]:
            return {key: ... if key in ("region", "planes") and old[key] else old[key]}
    pairs = zip(old["samples"], new["samples"], strict=False)
    if any(a != b for a, b in pairs if a is not None and b is not None):
        return "an image of other content"
    return None


def _model_hash(engine: Engine, document: ModelDocument) -> str:
    """Hash what a model's answers depend on."""
    said = document.model_dump(
        mode="json", include={"network", "scheme", "pixel_size", "temperature", "threshold"}
    )
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, array in sorted(engine.state().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _samples(stack: ImageStack) -> list[str | None]:
    """Hash places on a diagonal through the stack, from its first corner to its last."""
    height, width = stack.plane_shape
    found: list[str | None] = []
    for at in np.linspace(0, 1, SAMPLES):
        index = tuple(int(at * (n - 1)) for n in stack.leading)
        y, x = (int(at * max(0, n - SAMPLE_EDGE)) for n in (height, width))
        rows = slice(y, min(height, y + SAMPLE_EDGE))
        try:
            pixels = stack.plane(index).read(rows, slice(x, min(width, x + SAMPLE_EDGE)))
        except InputError:
            found.append(None)
        else:
            found.append(hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest())
    return found
