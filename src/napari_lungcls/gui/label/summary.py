"""What the window says about a labeller: counts and words. No Qt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from napari_lungcls.gui.label.controller import Labeller
from napari_lungcls.gui.label.view import in_plane


def counts(labeller: Labeller) -> Counter[str]:
    """Count the points of every class."""
    return Counter() if labeller.annotation is None else labeller.annotation.counts()


def counts_here(labeller: Labeller) -> Counter[str] | None:
    """Count the points in the plane in view; None where the view is not one plane of many."""
    annotation, dims = labeller.annotation, labeller.viewer.dims
    if annotation is None or dims.ndisplay == 3 or annotation.layer.ndim <= 2:
        return None
    here = in_plane(labeller.viewer, annotation.layer, annotation.points.coordinates)
    return annotation.counts(np.flatnonzero(here))


def total(labeller: Labeller) -> str:
    """Say how many points there are: `37 points, 12 of them in this plane · not saved`."""
    if labeller.annotation is None:
        return ""
    everywhere, here = counts(labeller).total(), counts_here(labeller)
    said = f"{everywhere} point{'' if everywhere == 1 else 's'}"
    if here is not None:
        said += f", {here.total()} in this plane"
    without = len(labeller.annotation.points) - everywhere
    if without:
        said += f", {without} without a class"
    if not labeller.annotation.unsaved:
        return said
    return f"{said} \N{BULLET} unsaved changes"


FEW = 0.25
"""Share of the usual number of points below which a class has few."""

ENOUGH = 20
"""Points that are labelled before the balance of the classes says anything."""


def imbalance(found: Mapping[str, int], names: Sequence[str]) -> str:
    """Say which classes have much fewer points than the others; empty if none has.

    Parameters
    ----------
    found
        Number of points by class.
    names
        The classes.
    """
    numbers = {name: found.get(name, 0) for name in names}
    if len(numbers) < 2 or sum(numbers.values()) < ENOUGH:
        return ""
    usual = median(numbers.values()) or max(numbers.values())
    few = [name for name, n in numbers.items() if n < FEW * usual]
    if not few:
        return ""
    said = [f"{name} ({numbers[name]})" for name in few[:3]]
    more = f" and {len(few) - 3} more" if len(few) > 3 else ""
    verb = "has" if len(few) == 1 else "have"
    listed = (
        ", ".join(said) + more
        if more or len(said) < 2
        else " and ".join([", ".join(said[:-1]), said[-1]])
    )
    return f"{listed} {verb} few points; the others have about {usual:.0f}. Label more there."


def hint(labeller: Labeller) -> str:
    """Say what to do next."""
    if labeller.image is None:
        return "Open an image to label its points: drop a file on the window."
    layer = labeller.layer
    if layer is None or labeller.viewer.layers.selection.active is not layer:
        return "Press the key of a class, or its button, then click on the image."
    if str(layer.mode) == "select":
        return "Choose points, then press the key of a class to relabel them."
    if str(layer.mode) == "add":
        return f"{labeller.current}: click on the image."
    return "Press the key of a class, or its button, to go on labelling."


def proposed_file(labeller: Labeller) -> str:
    """Propose where the points are saved: where they were last, else by the image's name."""
    annotation = labeller.annotation
    if annotation is not None and annotation.file is not None:
        return str(annotation.file)
    name = "points" if labeller.image is None else labeller.image.name
    kept = "".join(c if c.isalnum() or c in " ._-()" else "_" for c in name).strip()
    return f"{kept or 'points'}.lungcls.csv"
