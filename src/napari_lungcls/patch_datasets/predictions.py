"""What a model says of patches: probabilities, a table of them, and what it saw."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.evaluation.predictions import Place, Predictions, Seen
from napari_lungcls.learning.examples import Side
from napari_lungcls.network.compatibility import colour_remark
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.network.engines import Engine
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.patch_datasets.dataset import PatchData, PatchSet
from napari_lungcls.utils.atomic_write import atomic_write, writing
from napari_lungcls.utils.humanize import listing
from napari_lungcls.utils.printable import printable

BATCH = 128
"""Patches that are held at once."""


def classify_patches(
    engine: Engine, document: ModelDocument, data: PatchData
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Classify all patches of a data set, batch by batch, each at its middle.

    Where the network looks farther than a patch goes, it sees the patch's reflection.

    Yields
    ------
    rows : slice
        Which patches.
    probabilities : ndarray, (m, classes), float32
        Rows add up to 1.

    Raises
    ------
    InputError
        When model and patches do not go together.

    Warns
    -----
    LungclsWarning
        When the model was trained on colours and the patches are grey, or the reverse.
    """
    spec = engine.spec
    if spec.zooms != (1,):
        raise InputError(
            f"the model looks at zooms {', '.join(map(str, spec.zooms))}, and a patch shows zoom 1 "
            "only; use a model that was trained on patches, or at zoom 1"
        )
    spec.normalisation.check(data.dtype, data.source)
    for source, rgb in dict.fromkeys((part.source, part.pixels.rgb) for part in data.parts):
        if line := colour_remark(document, source, rgb=rgb):
            warnings.warn(line, LungclsWarning, stacklevel=2)
    examples = PatchSet(data, np.zeros(len(data), np.int64))
    everything = Side(np.arange(len(data)))
    first = 0
    for rows, tiles in examples.answering(everything, spec.tile, BATCH):
        logits = engine.logits(tiles)
        found = softmax(logits / np.float32(document.temperature), axis=1)
        yield slice(first, first := first + len(rows)), found


@dataclass(frozen=True, eq=False)
class PatchPredictions(Predictions):
    """Predictions of one model for patches.

    Attributes
    ----------
    data
        The data set.
    rows
        `(n,)` which of its patches, in the order of `codes`.
    """

    noun: ClassVar[str] = "patches"

    data: PatchData = field(kw_only=True)
    rows: NDArray[np.intp] = field(kw_only=True)

    @classmethod
    def of_logits(
        cls,
        data: PatchData,
        rows: NDArray[np.intp],
        logits: NDArray[np.float64],
        document: ModelDocument,
    ) -> Self:
        """Give the predictions for some patches from the logits `(n, k)` before the temperature."""
        probabilities = softmax(logits / document.temperature, axis=1).astype(np.float32)
        codes = data.codes(document.scheme)[rows]
        how = (document.scheme, document.temperature, document.threshold)
        return cls(codes, probabilities, *how, data=data, rows=rows)

    def places(self, rows: NDArray[np.intp]) -> list[Place]:
        """Name some patches: their pictures, or their file and their numbers there from 0."""
        starts = np.cumsum([0, *map(len, self.data.parts)])
        found = []
        for row in self.rows[rows]:
            number = int(np.searchsorted(starts, row, side="right")) - 1
            part, place = self.data.parts[number], int(row - starts[number])
            if part.files:
                found.append(Place(printable(Path(part.files[place]).name)))
            else:
                found.append(Place(printable(Path(part.source).name), (float(place),)))
        return found

    def seen(self, document: ModelDocument, rows: NDArray[np.intp]) -> Iterator[Seen]:
        """Read some patches as the network saw them."""
        examples = PatchSet(self.data, np.zeros(len(self.data), np.int64))
        side = Side(self.rows[rows])
        ((_, tiles),) = examples.answering(side, document.network.tile, max(1, len(rows)))
        yield from map(Seen, rows.tolist(), tiles.pixels, tiles.places)


def write_predictions(
    path: str | os.PathLike[str],
    data: PatchData,
    probabilities: NDArray[np.float32],
    scheme: ClassScheme,
    threshold: float | None = None,
) -> Path:
    """Write a CSV with a row for each patch.

    Columns are `source` and `patch` (the picture's name, or its number in the file from 0),
    `class` where patches have one, `predicted` (see `predicted_class`), and `p_<class>`
    for every class. Folders that are no classes of the scheme, as slides are, leave `class` out
    with a `LungclsWarning`.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    names = np.array(scheme.names, object)
    columns: dict[str, object] = {
        "source": np.concatenate(
            [np.full(len(part), printable(part.source), object) for part in data.parts]
        ),
        "patch": [
            printable(name) if isinstance(name, str) else name
            for part in data.parts
            for name in part.files or range(len(part))
        ],
    }
    named = dict.fromkeys(name for part in data.parts for name in part.names or ())
    if unknown := [name for name in named if name not in scheme.names]:
        warnings.warn(
            f"{data.source}: {listing(unknown)} are no classes of the model; the table has no "
            "column class",
            LungclsWarning,
            stacklevel=2,
        )
    elif all(part.labels is not None for part in data.parts):
        columns["class"] = names[data.codes(scheme)]
    columns["predicted"] = names[predicted_class(probabilities, threshold)]
    columns |= {f"p_{name}": probabilities[:, k] for k, name in enumerate(scheme.names)}
    target = Path(path)
    with writing(target), atomic_write(target) as aside:
        pd.DataFrame(columns).to_csv(aside, index=False)
    return target
