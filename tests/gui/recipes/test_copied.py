"""What windows copy is run, in a shell's words and in Python, and does what the window did."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from napari.layers import Image
from napari.layers._source import Source
from qtpy.QtGui import QGuiApplication
from tifffile import imwrite

import napari_lungcls as lc
from known_maps import bright_model
from known_sections import SCHEME as LUNG
from known_sections import UM, painted, truth
from napari_lungcls.annotation import write_points
from napari_lungcls.annotation.autosave import FOLDER_VARIABLE
from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import PLUGIN
from napari_lungcls.gui.image_layer import choose_colours, set_pixel_size
from napari_lungcls.gui.label import LabelPoints
from napari_lungcls.gui.maps import add_layers, map_layers, map_of, saved_as
from napari_lungcls.gui.measure import MeasureMaps
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.paint.extent import Extent
from napari_lungcls.gui.recipes import button
from napari_lungcls.gui.recipes.files import ImageFile, ImageOrigin, common
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.workers import cancel_all
from three_tissues import QUICK, SCHEME, scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="lines for other shells")

TINY = QUICK.model_copy(update={"zooms": (1,), "epochs": 1})


@pytest.fixture
def viewer(make_napari_viewer: Any, tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "journals"))
    made = make_napari_viewer()
    yield made
    cancel_all()


@pytest.fixture
def copied(qtbot: Any, monkeypatch: Any) -> Any:
    """Choose from the menu of a window's button, and give what is copied or why nothing is."""
    refused: list[str] = []
    monkeypatch.setattr(button, "refuse", lambda error: refused.append(str(error)))
    monkeypatch.setattr("napari_lungcls.gui.workers.refuse", lambda e: refused.append(str(e)))

    def copy(window: Any, kind: str) -> str:
        refused.clear()
        clipboard = QGuiApplication.clipboard()
        clipboard.setText("")
        getattr(window.copy_button, kind).trigger()
        qtbot.waitUntil(lambda: window.copy_button.job is None)
        return refused[0] if refused else clipboard.text()

    return copy


def in_shell(line: str) -> None:
    """Run a line for the shell in this process."""
    from napari_lungcls.cli.app import run

    program, *words = shlex.split(line)
    assert program == "lungcls"
    with pytest.raises(SystemExit) as end:
        run(words)
    assert end.value.code == 0


def in_python(lines: str) -> dict[str, Any]:
    """Run lines of Python, and give their variables."""
    scope: dict[str, Any] = {}
    exec(compile(lines, "copied", "exec"), scope)
    return scope


def saved_scene(folder: Path, seed: int = 0, **options: Any) -> tuple[Path, Path]:
    stack, points = scene(seed)
    image, table = folder / f"a section {seed}.tif", folder / f"section {seed}.lungcls.csv"
    imwrite(image, stack.levels[0], photometric="rgb", **options)
    write_points(table, points)
    return image, table


def same_state(one: Any, two: Any) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


def trained(window: TrainModel, qtbot: Any) -> Any:
    window.run.start_button.click()
    assert window.training.job is not None
    qtbot.waitUntil(lambda: window.training.job is None, timeout=60_000)
    return session(window._viewer).current.model


@pytest.fixture
def training(viewer: Any, tmp_path: Path, qtbot: Any) -> tuple[LabelPoints, TrainModel]:
    """The windows Label and Train, with an image and points that are in files."""
    image, table = saved_scene(tmp_path)
    viewer.open(str(image), plugin=PLUGIN)
    label, window = LabelPoints(viewer), TrainModel(viewer)
    for made, name in ((label, "Label points"), (window, "Train")):
        viewer.window.add_dock_widget(made, name=name)
    label.open_points(table)
    label.labeller.set_scheme(SCHEME)
    window.form.fill(TINY)
    qtbot.waitUntil(window.run.start_button.isEnabled)
    return label, window


def test_training_is_repeated_by_both(viewer, training, tmp_path, qtbot, copied):
    label, window = training
    assert copied(window, "command").startswith("the classes 'classes' are not saved; save them")
    label.editor.save(tmp_path / "own.yaml")
    set_pixel_size(viewer, window.pairs.pairs[0][0], 0.5)
    line = copied(window, "command")
    assert "section 0.tif' --points" in line
    assert "--pixel-size 0.5" in line
    assert "seed 1" in line
    in_shell(line)
    out = tmp_path / "classes.safetensors"
    first = lc.load(out)
    out.unlink()
    in_python(copied(window, "python"))
    second = lc.load(out)
    window.run.start_button.click()
    assert window.training.job is not None
    qtbot.waitUntil(lambda: window.training.job is None, timeout=60_000)
    model = session(viewer).current.model
    assert same_state(first.state, model.state)
    assert same_state(second.state, model.state)
    wanted = model.document.model_dump(include={"settings", "scheme", "pixel_size", "history"})
    for made in (first, second):
        found = made.document.model_dump(include={"settings", "scheme", "pixel_size", "history"})
        for record in (*found["history"], *wanted["history"]):
            record.pop("seconds", None)
        assert found == wanted


def test_what_is_not_in_a_file_is_named_with_what_to_do(viewer, training, tmp_path, copied):
    label, window = training
    label.editor.save(tmp_path / "own.yaml")
    label.add_points([[20, 20]], ["dark"])
    said = copied(window, "command")
    assert "are not saved as they are now in section 0.lungcls.csv; " in said
    assert "save the points in Label" in said
    label.save_points(tmp_path / "now.lungcls.csv")
    assert "now.lungcls.csv" in copied(window, "command")
    (tmp_path / "now.lungcls.csv").unlink()
    assert "are not saved; " in copied(window, "python")


def test_painting_is_repeated_by_both(viewer, tmp_path, qtbot, copied):
    planes = np.random.default_rng(0).integers(90, 180, (4, 640, 960)).astype(np.float32)
    planes[:, :300] = 250  # glass
    imwrite(tmp_path / "stack.tif", planes, metadata={"axes": "ZYX"}, photometric="minisblack")
    viewer.open(str(tmp_path / "stack.tif"), plugin=PLUGIN)
    window = PaintMap(viewer)
    viewer.window.add_dock_widget(window, name="Paint")
    assert copied(window, "command").startswith("No model yet")
    shared = session(viewer)
    named = shared.add(bright_model(), "bright")
    assert copied(window, "command").startswith("the model 'bright' is not saved; save it with")
    shared.saved(named, named.model.save(tmp_path / "bright.safetensors"))
    window.choices.stride_box.setValue(8)
    window.choices.extent_box.setCurrentText(Extent.RANGE.value)
    window.choices.first_box.setValue(1)
    window.choices.last_box.setValue(2)
    line = copied(window, "command")
    assert line.endswith("--stride 8 --planes 1:3 --probabilities --device cpu --no-glass")
    in_shell(line)
    (path,) = tmp_path.glob("*.ome.zarr")
    one = lc.read_map(path)
    path.rename(tmp_path / "first.ome.zarr")
    one = lc.read_map(tmp_path / "first.ome.zarr")
    in_python(copied(window, "python"))
    two = lc.read_map(path)
    window.run_bar.start_button.click()
    qtbot.waitUntil(lambda: not window.painting.busy, timeout=60_000)
    shown = map_of(window.painting.class_layer)
    for found in (one, two):
        assert found.header.shape == shown.header.shape == (2, 80, 120)
        cells = np.asarray(found.classes)
        assert 0 < np.count_nonzero(cells == 0) < cells.size / 2
        assert np.array_equal(cells, np.asarray(shown.classes))
        assert np.array_equal(np.asarray(found.probabilities), np.asarray(shown.probabilities))


def test_painting_within_a_layer_names_its_file(viewer, tmp_path, qtbot, copied):
    pixels = np.random.default_rng(0).integers(90, 210, (64, 64)).astype(np.float32)
    imwrite(tmp_path / "a.tif", pixels)
    viewer.open(str(tmp_path / "a.tif"), plugin=PLUGIN)
    shared = session(viewer)
    named = shared.add(bright_model(), "bright")
    shared.saved(named, named.model.save(tmp_path / "bright.safetensors"))
    window = PaintMap(viewer)
    viewer.window.add_dock_widget(window, name="Paint")
    assert window.choices.no_glass.isChecked()
    assert copied(window, "command").endswith("--device cpu --no-glass")
    assert "no_glass=True" in copied(window, "python")
    mask = np.zeros((64, 64), np.uint8)
    mask[:20] = 1
    viewer.add_labels(mask, name="part")
    window.choices.within.setCurrentIndex(1)
    said = copied(window, "python")
    assert "The layer 'part' is not in a file as it is now; save it (File > Save" in said
    imwrite(tmp_path / "part.tif", mask)
    (layer,) = viewer.open(str(tmp_path / "part.tif"), layer_type="labels", plugin="napari")
    window.choices.within.setCurrentIndex(2)
    window.choices.no_glass.setChecked(False)
    line = copied(window, "command")
    assert line.endswith(f"--within {tmp_path / 'part.tif'}")
    in_shell(line)
    (path,) = tmp_path.glob("*.ome.zarr")
    one = np.asarray(lc.read_map(path.rename(tmp_path / "first.ome.zarr")).classes)
    in_python(copied(window, "python"))
    two = np.asarray(lc.read_map(path).classes)
    window.run_bar.start_button.click()
    qtbot.waitUntil(lambda: not window.painting.busy, timeout=60_000)
    shown = map_of(window.painting.class_layer)
    for found in (one, two):
        assert 0 < np.count_nonzero(found) < found.size / 2
        assert np.array_equal(found, np.asarray(shown.classes))
    layer.data = 1 - mask
    assert "is not in a file as it is now" in copied(window, "command")
    layer.data = mask + 1
    assert "--within" not in copied(window, "command")


def test_a_painting_of_some_axes_is_no_command(viewer, tmp_path, copied):
    planes = np.random.default_rng(0).integers(90, 210, (2, 3, 64, 64)).astype(np.float32)
    imwrite(tmp_path / "t.tif", planes, metadata={"axes": "TZYX"}, photometric="minisblack")
    viewer.open(str(tmp_path / "t.tif"), plugin=PLUGIN)
    shared = session(viewer)
    named = shared.add(bright_model(), "bright")
    shared.saved(named, named.model.save(tmp_path / "bright.safetensors"))
    window = PaintMap(viewer)
    viewer.window.add_dock_widget(window, name="Paint")
    window.choices.extent_box.setCurrentText(Extent.PLANE.value)
    assert "choose Whole stack" in copied(window, "command")
    window.choices.extent_box.setCurrentText(Extent.ALL.value)
    assert copied(window, "command").startswith("lungcls paint")


def test_measuring_is_repeated_by_both(viewer, tmp_path, qtbot, copied):
    classes = truth(160, 200)
    image = viewer.add_image(
        np.array([220, 90, 160], np.uint8)[classes], name="lung", scale=(UM, UM), units=("µm",) * 2
    )
    found = painted(classes, f"layer {image.name!r}")
    layer = add_layers(viewer, map_layers(found, "lung map", image))[-1]
    table = tmp_path / "audit.csv"
    points = lc.make_grid([lc.SampledImage("layer 'lung'", (160, 200))], spacing=25, seed=1)
    at = tuple(np.rint(points.coordinates).astype(int).T)
    write_points(table, points.with_columns(**{"class": np.array(LUNG.names, object)[classes[at]]}))
    window = MeasureMaps(viewer)
    viewer.window.add_dock_widget(window, name="Measure")
    window.panel.open(table)
    results = window.results
    assert "the map 'lung map' is not saved; save it with Save map…" in copied(results, "command")
    saved_as(layer, found.save(tmp_path / "lung map.ome.zarr"))
    line = copied(results, "command")
    in_shell(line)
    folder = tmp_path / "measures"
    folder.rename(tmp_path / "first")
    in_python(copied(results, "python"))
    results.start(tmp_path / "window")
    qtbot.waitUntil(lambda: results.measuring.job is None, timeout=60_000)
    wanted = figures(tmp_path / "window")
    assert len(wanted) > 1
    assert figures(tmp_path / "first") == figures(folder) == wanted
    found.classes[:9] = 1
    assert "is not saved as it is now in lung map.ome.zarr" in copied(results, "python")


def figures(folder: Path) -> dict[str, str]:
    """The tables of a folder of measures."""
    return {path.name: path.read_text() for path in sorted(folder.rglob("*.csv"))}


def test_channels_and_a_changed_image(viewer, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 80)).astype(np.uint16)
    imwrite(tmp_path / "f.ome.tif", pixels, metadata={"axes": "CYX"}, photometric="minisblack")
    viewer.open(str(tmp_path / "f.ome.tif"), plugin=PLUGIN)
    layers = list(viewer.layers)
    assert ImageFile.find(ImageOrigin.of(layers[1])).channels == "1"
    choose_colours(layers[0], [layers[2], layers[0]])
    file = ImageFile.find(ImageOrigin.of(layers[0]))
    assert (file.channels, file.pixel_size) == ("2,0", None)
    layers[1].data = 2 * np.asarray(layers[1].data)
    with pytest.raises(InputError, match="does not hold the pixels of the image"):
        ImageFile.find(ImageOrigin.of(layers[1]))
    with pytest.raises(InputError, match="is not in one file; save it as TIFF"):
        ImageOrigin.of(viewer.add_image(pixels[0]))


def test_one_of_several_images_is_named(viewer, tmp_path):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        for name in ("one", "two"):
            file[name] = np.random.default_rng(len(file)).integers(0, 255, (64, 64), np.uint8)
    layer = Image(np.asarray(lc.open_image(f"{tmp_path / 'two.h5'}:/two").levels[0][:, :]))
    layer._set_source(Source(path=str(tmp_path / "two.h5")))
    assert ImageFile.find(ImageOrigin.of(layer)).path == f"{tmp_path / 'two.h5'}:/two"


def test_one_command_has_one_pixel_size():
    stack = lc.as_stack(np.zeros((9, 9), np.uint8), pixel_size=0.5)
    plain, set_by_hand = ImageFile("a", None, None, stack), ImageFile("b", None, 0.5, stack)
    assert common([plain, plain]) == (None, None)
    assert common([plain, set_by_hand]) == (None, 0.5)
    with pytest.raises(InputError, match="different pixel sizes that their files do not state"):
        common([plain, ImageFile("c", None, 0.25, stack)])
    with pytest.raises(InputError, match="different channels"):
        common([plain, ImageFile("c", "1", None, stack)])
