"""What the window says about a labeller: counts and words. No Qt."""

from collections import Counter

import numpy as np

from napari_lungcls.gui import layers
from napari_lungcls.gui.label.controller import Labeller


def counts(labeller: Labeller) -> Counter[str]:
    """Count the points of every class."""
    return Counter() if labeller.annotation is None else labeller.annotation.counts()


def counts_here(labeller: Labeller) -> Counter[str] | None:
    """Count the points in the plane in view; None where the view is not one plane of many."""
    annotation, dims = labeller.annotation, labeller.viewer.dims
    if annotation is None or dims.ndisplay == 3 or annotation.layer.ndim <= 2:
        return None
    first = dims.ndim - annotation.layer.ndim
    axes = [axis - first for axis in dims.not_displayed if axis >= first]
    here = layers.from_world(annotation.layer, dims.point)
    off = np.abs(annotation.points.coordinates[:, axes] - here[axes])
    return annotation.counts(np.flatnonzero((off <= 0.5).all(axis=1)))


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
