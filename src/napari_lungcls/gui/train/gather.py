"""From pairs of layers to what training takes, with words on what is missing. No Qt."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.layers import Image
from napari.layers import Points as PointsLayer

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui.channels import refusal, stack_of
from napari_lungcls.gui.layers import mismatch, scheme_of
from napari_lungcls.gui.messages import in_window
from napari_lungcls.gui.points_layer import to_points
from napari_lungcls.gui.train.words import count
from napari_lungcls.images.pixel_size import common_pixel_size, size_remark

if TYPE_CHECKING:
    from napari_lungcls.images.stack import ImageStack

FEW = 10
"""Points of a class below which the window warns."""

LayerPair = tuple[Image | None, PointsLayer | None]


@dataclass(frozen=True)
class Material:
    """What a training run works on, free of layers.

    Attributes
    ----------
    pairs
        Images with copies of their points.
    scheme
        The classes.
    """

    pairs: "list[tuple[ImageStack, Points]]"
    scheme: ClassScheme


def gather(pairs: Sequence[LayerPair]) -> Material:
    """Take images and points out of their layers; to be called in the window's thread.

    Points without a class are left out. Later labelling does not change what is given.

    Raises
    ------
    InputError
        When something is missing; see `obstacle`.
    """
    if found := obstacle(pairs):
        raise InputError(found)
    taken = []
    for image, layer in pairs:
        points = to_points(layer, image)
        labels = points.labels
        assert labels is not None
        taken.append((stack_of(image), points.select(labels != "")))
    scheme = scheme_of(pairs[0][1])
    assert scheme is not None
    return Material(taken, scheme)


def obstacle(pairs: Sequence[LayerPair]) -> str:
    """Say why these pairs cannot be trained on, in one line; empty when they can."""
    first: tuple[str, ClassScheme] | None = None
    for image, layer in pairs:
        if image is None:
            return "Open an image first."
        if problem := refusal(image):
            return problem
        if layer is None:
            return "Label some points first, or open a points file."
        scheme = scheme_of(layer)
        if scheme is None:
            return f"Layer {layer.name!r} has no classes; label its points first."
        if not count_classes(layer).total():
            return f"Layer {layer.name!r} has no labelled points; label some first."
        if image.ndim != layer.ndim:
            return (
                f"Layer {layer.name!r} has {layer.ndim} axes and image {image.name!r} has "
                f"{image.ndim}; choose layers that belong together."
            )
        if problem := mismatch(layer, image):
            return f"{problem[:1].upper()}{problem[1:]}."
        if first is not None and not scheme.same_classes(first[1]):
            return (
                f"Layer {first[0]!r} has the classes {', '.join(first[1].names)}, layer "
                f"{layer.name!r} has {', '.join(scheme.names)}; give both the same classes."
            )
        first = first or (layer.name, scheme)
    if first is None:
        return "Add a pair of an image and its points."
    none = [name for name, n in _totals(pairs).items() if n == 0]
    if none:
        return f"No point is labelled {' or '.join(none)}; label some, or remove the class."
    return ""


def count_classes(layer: PointsLayer) -> Counter[str]:
    """Count the labelled points of a layer by class, in the order of its scheme."""
    scheme = scheme_of(layer)
    if scheme is None or CLASS_COLUMN not in layer.features:
        return Counter()
    found = layer.features[CLASS_COLUMN].value_counts()
    return Counter({name: int(found.get(name, 0)) for name in scheme.names})


def counted(layer: PointsLayer) -> str:
    """Write the points by class: `300 alveoli, 300 septa, 12 duct`."""
    counts = count_classes(layer)
    said = ", ".join(f"{n} {name}" for name, n in counts.items()) or "no classes"
    bare = len(layer.data) - counts.total()
    if counts and bare > 0:
        said += f"; {count(bare, 'point')} without a class left out"
    return said


def warnings(pairs: Sequence[LayerPair]) -> str:
    """Say which classes have no or too few points in all pairs together."""
    totals = _totals(pairs)
    if not totals.total():
        return ""
    none = [name for name, n in totals.items() if n == 0]
    few = [name for name, n in totals.items() if 0 < n < FEW]
    said = []
    if none:
        said.append(f"No point is labelled {' or '.join(none)}.")
    if few:
        listed = ", ".join(f"{totals[name]} {name}" for name in few)
        said.append(f"Only {listed}: with fewer than {FEW} points a class is hardly learned.")
    return " ".join(said)


def remarks(pairs: Sequence[LayerPair]) -> list[str]:
    """Say what is assumed or resampled about the pixel sizes of the images."""
    try:
        stacks = [stack_of(image) for image, _ in pairs if image is not None]
    except InputError:
        return []
    size = common_pixel_size(stacks)
    return [in_window(line) for stack in stacks if (line := size_remark(size, stack))]


def _totals(pairs: Sequence[LayerPair]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for layer in {id(layer): layer for _, layer in pairs if layer is not None}.values():
        for name, n in count_classes(layer).items():
            totals[name] += n
    return totals
