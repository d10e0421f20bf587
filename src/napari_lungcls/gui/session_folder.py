"""Saving points, models, maps and choices of a viewer in one folder, and bringing them back."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject

from napari_lungcls.annotation import read_points
from napari_lungcls.annotation.autosave import AutosaveHeader
from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import PLUGIN, main_window
from napari_lungcls.gui.image_id import ImageId, find, identify
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.layers import image_id_of, image_of, is_labels, pictures
from napari_lungcls.gui.maps import add_layers, is_map, map_layers, map_of, open_map, saved_as
from napari_lungcls.gui.points_layer import SUFFIX as POINTS_SUFFIX
from napari_lungcls.gui.points_layer import add_points_layer
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.remembered import choices
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.session_file import (
    SavedImage,
    SavedMap,
    SavedModel,
    SavedPoints,
    SavedSession,
    read_session,
)
from napari_lungcls.gui.workers import BackgroundJob, start, start_call
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.model import load
from napari_lungcls.network.model_file import SUFFIX as MODEL_SUFFIX
from napari_lungcls.utils.atomic_write import writing
from napari_lungcls.utils.names import numbered
from napari_lungcls.utils.progress import Step

MAP_SUFFIX = ".ome.zarr"


@dataclass(frozen=True)
class _Plan:
    """What a session will consist of, noted in the window's thread."""

    saved: SavedSession
    models: list[tuple[NamedModel, Path]]
    maps: list[tuple[Labels, PaintedMap, Path]]


def save_session(
    viewer: "napari.Viewer", folder: Path, *, ended: Callable[[], None] | None = None
) -> BackgroundJob:
    """Save a session in a new folder; models and maps are written in a thread.

    A map that is still being painted is left out. Images stay where they are.

    Parameters
    ----------
    viewer
        The viewer.
    folder
        The folder; it is made.
    ended
        Called at the end.

    Raises
    ------
    InputError
        When the folder exists and is not empty, cannot be made, or there is nothing to save.
    """
    with writing(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} exists and is not empty; choose another name")
        folder.mkdir(parents=True, exist_ok=True)
    plan = _plan(viewer, folder)
    if not (plan.saved.points or plan.models or plan.maps):
        folder.rmdir()
        raise InputError("there is nothing to save; label some points first")

    def done(complete: bool) -> None:
        if not complete:
            show_info(f"Cancelled; {folder} is incomplete and can be deleted.")
            return
        for named, path in plan.models:
            session(viewer).saved(named, path)
        for layer, _, path in plan.maps:
            saved_as(layer, path)
        show_info(f"Session saved. Drop the folder {folder} on napari to go on.")

    return start(
        lambda cancelled: _write(plan, folder, cancelled),
        owner=main_window(viewer),
        title="Saving the session",
        returned=done,
        ended=ended,
    )


def restore_session(viewer: "napari.Viewer", folder: Path) -> None:
    """Bring back what a session consists of; models and maps are read in a thread.

    Images are opened from their files. Where a file is gone, points wait for their image.

    Raises
    ------
    InputError
        When the session or its points cannot be read.
    """
    saved = read_session(folder)
    missing = _open_images(viewer, saved)
    for entry in saved.points:
        header, points = entry.layer, read_points(folder / entry.file)
        known = ImageId(header.image, header.source, header.shape)
        layer = add_points_layer(viewer, points, header.layer, header.scheme, known)
        if image_of(viewer, layer) is not None:
            labeller_of(viewer).choose_layer(layer)
            labeller_of(viewer).annotation_of(layer).file = folder / entry.file
    for form, values in saved.choices.items():
        choices().put(form, values)
    _show_choices(viewer, saved)
    window = main_window(viewer)
    for model in sorted(saved.models, key=lambda model: model.current):
        _load_model(viewer, folder / model.file, model.name, window)
    for each in saved.maps:
        _load_map(viewer, folder / each.file, each, window)
    if missing:
        show_info(
            f"Open {missing[0]} yourself: its file is not where it was. "
            "Its points wait until you choose it in the Label window."
        )


def _plan(viewer: "napari.Viewer", folder: Path) -> _Plan:
    shared, taken = session(viewer), set[Path]()
    images = pictures(viewer)
    points = []
    for layer in viewer.layers:
        known = image_id_of(layer) if is_labels(layer) else None
        if known is None or not len(layer.data):
            continue
        annotation = labeller_of(viewer).annotation_of(layer)
        path = annotation.save(_free(folder, layer.name, POINTS_SUFFIX, taken))
        header = AutosaveHeader(
            image=known.name,
            source=known.source,
            shape=known.shape,
            layer=layer.name,
            scheme=annotation.scheme,
        )
        points.append(SavedPoints(file=path.name, layer=header))
    models = [(named, _free(folder, named.name, MODEL_SUFFIX, taken)) for named in shared.models]
    maps = []
    saved_maps = []
    painting = {id(layer) for run in shared.runs if run.job for layer in getattr(run, "layers", ())}
    for layer in viewer.layers:
        painted = map_of(layer) if is_map(layer) and id(layer) not in painting else None
        if painted is None:
            continue
        path = _free(folder, layer.name, MAP_SUFFIX, taken)
        image = image_of(viewer, layer)
        at = ImageId("") if image is None else identify(image, images)
        maps.append((layer, painted, path))
        saved_maps.append(
            SavedMap(
                file=path.name, name=layer.name, image=at.name, source=at.source, shape=at.shape
            )
        )
    saved = SavedSession(
        images=tuple(_origin(image) for image in images),
        points=tuple(points),
        models=tuple(
            SavedModel(file=path.name, name=named.name, current=named is shared.current)
            for named, path in models
        ),
        maps=tuple(saved_maps),
        choices={form: values.values() for form, values in _forms(viewer).items()},
    )
    return _Plan(saved, models, maps)


def _write(plan: _Plan, folder: Path, cancelled: Callable[[], bool]) -> Generator[Step, None, bool]:
    """Write models and maps, and then the file that makes the folder a session."""
    total = len(plan.models) + len(plan.maps)
    for done, (named, path) in enumerate(plan.models):
        yield Step(done, total, named.name)
        if cancelled():
            return False
        named.model.save(path)
    for done, (layer, painted, path) in enumerate(plan.maps, len(plan.models)):
        yield Step(done, total, layer.name)
        if painted.save(path, cancelled=cancelled) is None:
            return False
    plan.saved.write(folder)
    return True


def _open_images(viewer: "napari.Viewer", saved: SavedSession) -> list[str]:
    """Open the images that are not open yet; name those that cannot be opened from a file."""
    used = {each.layer.image for each in saved.points} | {each.image for each in saved.maps}
    missing: list[str] = []
    for image in saved.images:
        origins = [(str(each.source.path or ""), each.source.sample) for each in pictures(viewer)]
        if image.name not in used or (image.path, image.sample) in origins:
            continue
        opened: Sequence[Layer] = ()
        if image.sample is not None:
            opened = viewer.open_sample(*image.sample)
        elif image.path and Path(image.path).exists():
            opened = viewer.open(image.path, plugin=image.reader or PLUGIN)
        else:
            missing.append(image.name)
        images = [layer for layer in opened if isinstance(layer, Image)]
        if len(images) == 1:
            images[0].name = image.name
    return missing


def _origin(image: Image) -> SavedImage:
    source = image.source
    return SavedImage(
        name=image.name,
        path=str(source.path or ""),
        reader=source.reader_plugin,
        sample=source.sample,
    )


def _load_model(viewer: "napari.Viewer", path: Path, name: str, owner: QObject) -> None:
    start_call(
        lambda: load(path, device=preferences().device),
        owner=owner,
        title=f"Opening {path.name}",
        returned=lambda model: session(viewer).add(model, name, path),
    )


def _load_map(viewer: "napari.Viewer", path: Path, saved: SavedMap, owner: QObject) -> None:
    def show(painted: PaintedMap) -> None:
        known = ImageId(saved.image, saved.source, saved.shape)
        image = find(known, pictures(viewer, len(painted.header.shape)))
        layers = add_layers(viewer, map_layers(painted, saved.name, image))
        saved_as(layers[-1], path)

    start_call(lambda: open_map(path), owner=owner, title=f"Opening {path.name}", returned=show)


def _forms(viewer: "napari.Viewer") -> dict[str, Any]:
    """Give what holds the choices of the open forms, by form."""
    from napari_lungcls.gui.paint.choices import PaintChoices
    from napari_lungcls.gui.train.changed import FORM, ChangedSettings

    window, found = main_window(viewer), dict[str, Any]()
    for settings in window.findChildren(ChangedSettings):
        found[FORM] = settings
    for painting in window.findChildren(PaintChoices):
        found["paint"] = painting.remembered
    return found


def _show_choices(viewer: "napari.Viewer", saved: SavedSession) -> None:
    for form, fields in _forms(viewer).items():
        fields.show_values(saved.choices.get(form, {}))


def _free(folder: Path, name: str, suffix: str, taken: set[Path]) -> Path:
    """Find a path in the folder that nothing else of the session has."""
    plain = "".join("-" if c in '\\/:*?"<>|' else c for c in name).strip(". ") or "unnamed"
    path = next(
        path
        for each in numbered(plain)
        if (path := folder / f"{each}{suffix}") not in taken and not path.exists()
    )
    taken.add(path)
    return path
