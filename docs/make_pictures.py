"""Make pictures for README and docs from the folder that `lungcls demo` left.

Run `python docs/make_pictures.py lungcls-demo` after a demonstration; it writes
docs/pictures/demo.png, image | truth | map, and docs/pictures/augmentation.webp, each change of
training tiles alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import napari_lungcls as lc
from napari_lungcls.learning.augmentation_preview import GAP as TILE_GAP
from napari_lungcls.learning.augmentation_preview import LEAST as TILE
from napari_lungcls.learning.augmentation_preview import LINE as HEAD
from napari_lungcls.learning.augmentation_preview import preview_augmentation
from napari_lungcls.reporting import downsample_picture

PICTURE = Path(__file__).parent / "pictures" / "demo.png"
AUGMENTED = PICTURE.with_name("augmentation.webp")
SIDE = 340
"""Edge of a panel in pixels of the picture."""
STEP = 2
"""Pixels of the section for one of the picture."""
GAP = 12
LINE = 26
LARGEST = 400_000
"""Bytes that a picture in the repository may have."""

OFF: dict[str, Any] = {
    "rotation": "none",
    "flip": False,
    "colour": 0.0,
}
CHANGES: dict[str, dict[str, Any]] = {
    "right angles, flips": {"rotation": "right", "flip": True},
    "any angle": {"rotation": "any"},
    "scale 0.3": {"scale": 0.3},
    "elastic 6": {"elastic": 6.0},
    "stain 0.05": {"stain": 0.05},
    "colour 0.2": {"colour": 0.2},
    "brightness 0.3": {"brightness": 0.3},
    "contrast 0.3": {"contrast": 0.3},
    "blur 2": {"blur": 2.0},
    "noise 0.3": {"noise": 0.3},
}
"""Rows of the picture of augmentation; strong enough to be seen."""
MARGIN, DRAWS = 112, 7

Colours = NDArray[np.uint8]


def panels(folder: Path) -> dict[str, Colours]:
    """Give the three pictures of the report, one pixel for `STEP` of the section."""
    report = folder / "report"
    names = {"image": "picture-1-image", "truth": "picture-2-truth", "map": "picture-3-map"}
    found = {
        name: np.asarray(Image.open(report / f"{file}.png").convert("RGB"))
        for name, file in names.items()
    }
    found["image"] = downsample_picture(found["image"], max(found["map"].shape[:2]) // STEP)
    # Colours of classes are not mixed.
    found |= {name: found[name][::STEP, ::STEP] for name in ("truth", "map")}
    return {name: _middle(picture, SIDE) for name, picture in found.items()}


def legend(shown: dict[str, Colours]) -> dict[str, tuple[int, int, int]]:
    """Give the classes that occur in truth or map, with their colours."""
    seen = {tuple(c) for name in ("truth", "map") for c in np.unique(_flat(shown[name]), axis=0)}
    scheme = lc.ClassScheme.preset("lung-full")
    colours = [tuple(bytes.fromhex(color[1:])) for color in scheme.colors]
    return {
        name: colour  # type: ignore[misc]
        for name, colour in zip(scheme.names, colours, strict=True)
        if colour in seen
    }


def composed(shown: dict[str, Colours]) -> Image.Image:
    """Put the panels side by side, their names above and the legend below."""
    height, width = next(iter(shown.values())).shape[:2]
    size = (3 * width + 2 * GAP, height + 2 * LINE)
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for i, (name, panel) in enumerate(shown.items()):
        x = i * (width + GAP)
        draw.text((x, 3), name, "black", font)
        picture.paste(Image.fromarray(panel), (x, LINE))
    x, y = width + GAP, LINE + height + 6
    for name, colour in legend(shown).items():
        draw.rectangle((x, y + 1, x + 14, y + 15), colour, "#808080")
        draw.text((x + 20, y - 1), name, "black", font)
        x += 20 + int(draw.textlength(name, font)) + 18
    return picture


def make(folder: Path, target: Path = PICTURE) -> Path:
    """Write the picture, in 256 colours."""
    target.parent.mkdir(parents=True, exist_ok=True)
    few = composed(panels(folder)).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(target, optimize=True)
    if target.stat().st_size > LARGEST:
        raise SystemExit(f"{target} has {target.stat().st_size} bytes, more than {LARGEST}")
    return target


def make_augmented(folder: Path, target: Path = AUGMENTED) -> Path:
    """Write the picture of augmentation: a row for each change, the first tile untouched."""
    target.parent.mkdir(parents=True, exist_ok=True)
    pairs = lc.open_pairs([folder / "studied.ome.tif"], [folder / "studied.lungcls.csv"])
    scheme = lc.ClassScheme.preset("lung")
    size = TILE + TILE_GAP
    picture = Image.new("RGB", (MARGIN + DRAWS * size, len(CHANGES) * size), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for i, (name, change) in enumerate(CHANGES.items()):
        settings = lc.TrainingSettings(zooms=(1,), tile=TILE, seed=5, **(OFF | change))
        sheet = preview_augmentation(pairs, settings, scheme, per_class=1, columns=DRAWS)
        row = sheet[HEAD + TILE_GAP :][:TILE, -DRAWS * size :]
        picture.paste(Image.fromarray(row), (MARGIN, i * size))
        draw.text((4, i * size + TILE // 2 - 8), name, "black", font)
    picture.save(target, quality=80, method=6)
    if target.stat().st_size > LARGEST:
        raise SystemExit(f"{target} has {target.stat().st_size} bytes, more than {LARGEST}")
    return target


def _middle(picture: Colours, side: int) -> Colours:
    """Cut a square out of the middle, or all there is."""
    height, width = picture.shape[:2]
    y, x = max(0, height - side) // 2, max(0, width - side) // 2
    return picture[y : y + side, x : x + side]


def _flat(picture: Colours) -> Colours:
    return picture.reshape(-1, 3)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python docs/make_pictures.py FOLDER, as `lungcls demo` leaves it")
    print(make(Path(sys.argv[1])))
    print(make_augmented(Path(sys.argv[1])))
