"""What a network sees around a point, as small pictures and as shares in words. No Qt."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.pyramid import read_windows
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.parameters import STAGE_NAMES
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from napari_lungcls.inference.explain import Explanation
    from napari_lungcls.model import Model

MANY = 3000
"""Coarsest picture, in image pixels, that is read while the cursor moves."""


@dataclass(frozen=True, eq=False)
class Glimpse:
    """What is seen at one zoom.

    Attributes
    ----------
    picture
        `(y, x, 3)` uint8.
    edge
        Of it, in pixels of the image.
    label
        The edge in µm where the pixel size is known, else in pixels.
    """

    picture: NDArray[np.uint8]
    edge: float
    label: str


def glimpses(model: "Model", stack: ImageStack, position: NDArray[np.float64]) -> list[Glimpse]:
    """Read what a model sees around a data position, a picture for each zoom.

    Raises
    ------
    InputError
        When image and model do not go together.
    """
    from napari_lungcls.inference.explain import fields_seen

    found = []
    norm = model.document.network.normalisation
    for field in fields_seen(model.predictor, stack):
        pixels, _ = read_windows(stack, position[np.newaxis], [field.zoom], field.edge)
        edge = field.image_edge
        size = stack.pixel_size
        label = f"{edge:.0f} px" if size is None else f"{edge * size:.0f} µm"
        found.append(Glimpse(_visible(pixels[0, 0], norm.mean, norm.std), edge, label))
    return found


def _visible(pixels: NDArray[Any], mean: Any, std: Any) -> NDArray[np.uint8]:
    """Turn intensities into what a screen shows; uint8 as it is, others by the model's range."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    low = np.asarray(mean) - 2 * np.asarray(std)
    values = (pixels - low) / (4 * np.asarray(std)) * 255
    return np.ascontiguousarray(np.nan_to_num(values).clip(0, 255).astype(np.uint8))


def explaining(
    model: "Model",
    stack: ImageStack,
    position: NDArray[np.float64],
    others: NDArray[np.float64],
    cancelled: Callable[[], bool],
) -> Generator[tuple[int, int], None, "Explanation | None"]:
    """Explain a point, in a worker."""
    from napari_lungcls.inference.explain import explain

    return (yield from explain(model.predictor, stack, position, others, cancelled=cancelled))


def occluding(
    model: "Model",
    stack: ImageStack,
    position: NDArray[np.float64],
    cancelled: Callable[[], bool],
) -> Generator[tuple[int, int], None, Any]:
    """Cover the image around a point patch by patch, in a worker."""
    from napari_lungcls.inference.occlusion import occlusion

    return (yield from occlusion(model.predictor, stack, position, cancelled=cancelled))


def sentence(found: "Explanation", names: tuple[str, ...], others: int) -> str:
    """Say what was decided, and how the shares are to be read."""
    first, second = names[found.first], names[found.second]
    said = (
        f"{first}, {percent(float(found.probabilities[found.first]), 0)}; next comes {second}, "
        f"{percent(float(found.probabilities[found.second]), 0)}. "
        f"Bars to the right speak for {first}, to the left for {second}"
    )
    if found.exact:
        return (
            f"{said}. They are exact: with a constant of {found.rest:+.2f} they add up to "
            f"{found.difference:+.2f}, the difference of the two scores."
        )
    whose = f"{others} labelled points" if others else "places all over the image"
    return (
        f"{said}: how much the difference of the two scores, {found.difference:+.2f}, would change "
        f"if this part were average, as over {whose}. They need not add up."
    )


def rows(found: "Explanation", zooms: tuple[int, ...]) -> list[tuple[str, float]]:
    """Give the names and values of the bars, by zoom and from fine to coarse.

    The scores' differences of one zoom are added up in front of its stages.
    """
    lines: list[tuple[str, float]] = []
    for zoom in zooms:
        parts = [share for share in found.shares if share.zoom == zoom]
        if found.exact and len(zooms) > 1:
            lines.append((f"zoom {zoom}, all", sum(part.value for part in parts)))
        lines += [(f"zoom {zoom}, {STAGE_NAMES[part.stage]}", part.value) for part in parts]
    return lines
