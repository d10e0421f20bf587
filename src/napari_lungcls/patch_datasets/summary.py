"""What a patch data set holds: counts, sizes, mean colour, and a sheet of examples."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from sklearn.utils import gen_batches

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.patch_datasets.dataset import PatchData, PatchSet
from napari_lungcls.utils.atomic_write import atomic_write
from napari_lungcls.utils.names import distinct
from napari_lungcls.utils.progress import Step

LOOKED_AT = 4096
"""Patches of a part whose colours are averaged at most, evenly spread over it."""
TOGETHER = 256

ACROSS = 10
"""Examples of each class on a sheet."""
EDGE = 96
"""Pixels of an example on a sheet."""
GAP, TITLE = 4, 16


def summarise(data: PatchData, scheme: ClassScheme) -> Generator[Step, None, dict[str, Any]]:
    """Describe a data set; the description is the generator's return value.

    Returns
    -------
    dict
        `n`, `height`, `width`, `dtype`, `classes`, and `parts`, each with `source`, `part`,
        `n`, `counts` by class (None without labels), `groups` (None if not named),
        `mean_colour` and `sd_colour` (RGB), and `colour_from`, the patches they are of.
    """
    parts = []
    for part in data.parts:
        alone = PatchData([part])
        found = yield from _colour(alone, f"looking at {part.source}")
        counts = None
        if part.labels is not None:
            numbers = np.bincount(alone.codes(scheme), minlength=len(scheme))
            counts = dict(zip(scheme.names, map(int, numbers), strict=True))
        groups = None if part.groups is None else len(distinct(part.groups))
        parts.append(
            {"source": part.source, "part": part.role, "n": len(part), "counts": counts,
             "groups": groups} | found
        )  # fmt: skip
    height, width = data.size
    return {
        "n": len(data),
        "height": height,
        "width": width,
        "dtype": data.dtype,
        "classes": list(scheme.names),
        "parts": parts,
    }


def write_sheet(
    path: str | os.PathLike[str], data: PatchData, scheme: ClassScheme, seed: int = 0
) -> Path:
    """Write a picture with a few patches of each class, drawn at random, class by class.

    Raises
    ------
    InputError
        When the name does not end in `.png`, or it cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise InputError(f"{target}: a contact sheet is a .png file; name it so")
    labelled = all(part.labels is not None for part in data.parts)
    codes = data.codes(scheme) if labelled else np.zeros(len(data), np.int64)
    names = scheme.names if labelled else ("patches",)
    rng, examples = np.random.default_rng(seed), PatchSet(data, codes)
    row = EDGE + GAP + TITLE
    sheet = Image.new("RGB", (GAP + ACROSS * (EDGE + GAP), GAP + len(names) * row), "white")
    draw = ImageDraw.Draw(sheet)
    for code, name in enumerate(names):
        own = np.flatnonzero(codes == code)
        chosen = np.sort(rng.choice(own, min(ACROSS, len(own)), replace=False))
        top = GAP + code * row
        draw.text((GAP, top), f"{name}: {len(own)}", fill="black")
        for column, patch in enumerate(_eight_bits(examples.patches(chosen))):
            small = max(patch.shape) < EDGE
            how = Image.Resampling.NEAREST if small else Image.Resampling.BOX
            shown = ImageOps.contain(Image.fromarray(patch), (EDGE, EDGE), how)
            sheet.paste(shown, (GAP + column * (EDGE + GAP), top + TITLE))
    with atomic_write(target) as aside:
        sheet.save(aside, format="PNG")
    return target


def _colour(data: PatchData, words: str) -> Generator[Step, None, dict[str, Any]]:
    """Average the colours of some or all patches."""
    rows = np.linspace(0, len(data) - 1, min(LOOKED_AT, len(data))).astype(np.intp)
    examples = PatchSet(data, np.zeros(len(data), np.int64))
    sums, squares, n = np.zeros(3), np.zeros(3), 0
    for chunk in gen_batches(len(rows), TOGETHER):
        values = examples.patches(rows[chunk]).reshape(-1, 3).astype(np.float64)
        sums += values.sum(0)
        squares += np.square(values).sum(0)
        n += len(values)
        yield Step(chunk.stop, len(rows), words)
    mean = sums / n
    spread = np.sqrt(np.maximum(squares / n - np.square(mean), 0))
    return {
        "mean_colour": [round(float(v), 4) for v in mean],
        "sd_colour": [round(float(v), 4) for v in spread],
        "colour_from": len(rows),
    }


def _eight_bits(patches: NDArray[Any]) -> NDArray[np.uint8]:
    """Show other types between their least and largest intensity."""
    if patches.dtype == np.uint8 or not len(patches):
        return patches.astype(np.uint8)
    low, high = float(patches.min()), float(patches.max())
    scaled = (patches.astype(np.float64) - low) / ((high - low) or 1.0)
    return (255 * scaled).astype(np.uint8)
