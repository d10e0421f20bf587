"""How to train as the window Train does: a line for the shell, and Python. No Qt."""

from collections.abc import Sequence
from pathlib import Path

import napari
from napari.layers import Points as PointsLayer

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation.schemes import PRESETS
from napari_lungcls.errors import InputError
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.recipes.files import (
    ImageFile,
    ImageOrigin,
    check_points,
    common,
    not_saved,
)
from napari_lungcls.gui.recipes.lines import (
    MakeRecipe,
    Recipe,
    Variable,
    call,
    changed,
    command_line,
    file_name,
    script,
)
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train.pairs import LayerPair, gather
from napari_lungcls.images.pairs import open_pairs
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.model_file import SUFFIX


def training_recipe(
    viewer: "napari.Viewer", pairs: Sequence[LayerPair], settings: TrainingSettings
) -> MakeRecipe:
    """Say how to train on the layers of the window Train.

    Parameters
    ----------
    viewer
        The viewer.
    pairs
        The chosen images and points.
    settings
        Those of the form.

    Raises
    ------
    InputError
        If images, points or classes are in no file. What is made raises it if a file holds
        something else.
    """
    taken, scheme = gather(pairs)
    origins = [ImageOrigin.of(image) for image, _ in pairs if image is not None]
    layers = [layer for _, layer in pairs if layer is not None]
    tables = [_points_file(viewer, layer) for layer in layers]
    classes = _scheme_file(viewer, scheme)
    given = changed(settings.model_dump(), TrainingSettings().model_dump())

    def make() -> Recipe:
        files = [ImageFile.find(origin) for origin in origins]
        channels, size = common(files)
        images = [file.path for file in files]
        stored = open_pairs(images, tables, size, channels)
        for layer, (_, shown), (_, found), table in zip(layers, taken, stored, tables, strict=True):
            check_points(layer.name, shown, found, table)
        out = file_name(scheme.name, SUFFIX)
        opened = {"pixel_size": size, "channels": channels}
        return Recipe(
            command_line(
                "train", *images, points=tables, out=out, classes=classes, **opened, **given
            ),
            script(
                f"pairs = {call('lc.open_pairs', images, tables, **opened)}",
                f"settings = {call('lc.TrainingSettings', **given)}",
                f"model = {_train(classes)}",
                call("model.save", out),
            ),
        )

    return make


def _train(classes: str | None) -> str:
    settings = Variable("settings")
    return call("lc.train", Variable("pairs"), settings=settings, classes=classes)


def _points_file(viewer: "napari.Viewer", layer: PointsLayer) -> Path:
    path = labeller_of(viewer).file_of(layer)
    if path is None or not path.exists():
        raise not_saved(layer.name)
    return path


def _scheme_file(viewer: "napari.Viewer", scheme: ClassScheme) -> str | None:
    """Give what a command calls a scheme: nothing for the default, else a preset or a file."""
    if scheme == ClassScheme.preset(PRESETS[0]):
        return None
    for name in PRESETS:
        if scheme == ClassScheme.preset(name):
            return name
    path = session(viewer).scheme_files.get(scheme)
    if path is None or not path.exists() or ClassScheme.from_file(path) != scheme:
        raise InputError(
            f"the classes {scheme.name!r} are not saved",
            suggestion="save them with Edit classes > Save… in Label, and copy again",
        )
    return str(path)
