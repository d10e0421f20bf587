"""The manifest: napari drops what is wrong in it without a word, so it is checked here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, resources

import numpy as np
import pytest
import yaml
from napari._app_model import get_app_model
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

from napari_lungcls.gui.docks import SUFFIX, open_dock
from napari_lungcls.gui.preferences import SECTION, Preferences, checked
from napari_lungcls.images.opening import TIFF
from napari_lungcls.images.readers.hdf5 import SUFFIXES as HDF5
from napari_lungcls.network.engines import ENGINES
from plugin_in_napari import plugin_registered

LAYER_MENUS = (
    "visualize annotate data metadata layer_type filter transform measure register project "
    "segment track classify"
)
MENUS = {
    *(f"napari/file/{name}" for name in ("new_layer", "io_utilities", "acquire")),
    *(f"napari/layers/{name}" for name in LAYER_MENUS.split()),
}
TEXT = resources.files("napari_lungcls").joinpath("napari.yaml").read_text(encoding="utf-8")
INSTALLED = any(d.metadata["Name"] == "napari-lungcls" for d in metadata.distributions())
needs_installation = pytest.mark.skipif(not INSTALLED, reason="the package is not installed")
COMMANDS = yaml.safe_load(TEXT)["contributions"]["commands"]


def used_commands(node: object) -> Iterator[str]:
    """Find every command that a contribution names, wherever it does."""
    if isinstance(node, dict):
        if isinstance(node.get("command"), str):
            yield node["command"]
        for value in node.values():
            yield from used_commands(value)
    elif isinstance(node, list):
        for value in node:
            yield from used_commands(value)


def problems(text: str) -> list[str]:
    """List what napari would silently leave out."""
    document = yaml.safe_load(text)
    contributions = document["contributions"]
    declared = [command["id"] for command in contributions["commands"]]
    used = list(used_commands({k: v for k, v in contributions.items() if k != "commands"}))
    # The palette shows every command.
    palette = {
        command["id"]
        for command in contributions["commands"]
        if command["python_name"].startswith("napari_lungcls.gui.commands:")
    }
    submenus = {menu["id"] for menu in contributions.get("submenus", [])}
    # napari makes an action of this name for every sample; actions need names of their own.
    samples = [f"{document['name']}.{sample['key']}" for sample in contributions["sample_data"]]
    return [
        *(f"{name} is declared twice" for name in declared if declared.count(name) > 1),
        *(f"{name} is both a command and a sample" for name in samples if name in declared),
        *(f"{name} is used but not declared" for name in used if name not in declared),
        *(f"{name} is declared but not used" for name in declared if name not in {*used, *palette}),
        *(
            f"there is no menu {menu}"
            for menu in contributions.get("menus", {})
            if menu not in MENUS | submenus
        ),
    ]


def test_nothing_would_be_dropped():
    assert problems(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("- command: napari-lungcls.read_points", "- command: napari-lungcls.read", "not declared"),
        ("id: napari-lungcls.write_points", "id: napari-lungcls.read_points", "declared twice"),
        ("    - command: napari-lungcls.write_points\n", "    - command: x.y\n", "not used"),
        ("napari/layers/classify:", "napari/layers/classes:", "no menu"),
        ("key: synthetic_stack", "key: make_stack", "both a command and a sample"),
    ],
)
def test_the_check_finds_what_is_wrong(old, new, problem):
    assert TEXT.count(old) >= 1
    assert any(problem in line for line in problems(TEXT.replace(old, new, 1)))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command["id"])
def test_every_command_imports(command):
    assert command["id"].startswith("napari-lungcls.")
    assert callable(import_python_name(command["python_name"]))


def test_npe2_accepts_the_manifest():
    manifest = PluginManifest(**yaml.safe_load(TEXT))
    manifest.validate_imports()
    assert manifest.name == "napari-lungcls"
    assert len(manifest.contributions.commands) == len(COMMANDS)


def test_the_reader_claims_every_tiff_and_hdf5():
    (reader,) = (
        r
        for r in yaml.safe_load(TEXT)["contributions"]["readers"]
        if r["command"] == "napari-lungcls.read_image"
    )
    assert set(reader["filename_patterns"]) == {f"*{suffix}" for suffix in (*TIFF, *HDF5)}


@needs_installation
def test_the_installed_package_announces_the_manifest():
    found = metadata.entry_points(group="napari.manifest", name="napari-lungcls")
    assert [entry.value for entry in found] == ["napari_lungcls:napari.yaml"]


@needs_installation
def test_napari_finds_the_points_reader_and_writer(tmp_path):
    # Isolated: npe2 keeps its plugins in a singleton that napari's own fixtures replace.
    code = """
import sys
from npe2 import PluginManager
manager = PluginManager.instance()
manager.discover()
readers = [r.command for r in manager.iter_compatible_readers("a.lungcls.csv")]
for name in (
    "a.tif", "a.ome.tif", "a.svs", ".", "a.safetensors", "a.h5", "A.HDF5", "a.geojson", "a.xml",
    "a.roi",
):
    found = [r.plugin_name for r in manager.iter_compatible_readers(name)]
    assert found.count("napari-lungcls") == 1, (name, found)
for name in ("a.csv", "a.png", "a.npy", "a.txt"):
    found = [r.plugin_name for r in manager.iter_compatible_readers(name)]
    assert "napari-lungcls" not in found, (name, found)
writer, path = manager.get_writer("a.lungcls.csv", ["points"], "napari-lungcls")
assert "napari-lungcls.read_points" in readers, readers
assert writer.command == "napari-lungcls.write_points", writer
assert ("napari-lungcls", ) == tuple(n for n, _ in manager.iter_sample_data() if "lungcls" in n)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.tif", "a.png", "a.ome.tif.zip"])
def test_what_napari_saves_itself_stays_with_napari(name):
    with plugin_registered() as manager:
        for kind in ("points", "labels", "image"):
            writer, _ = manager.get_writer(name, [kind])
            assert writer is None or writer.command.startswith("napari.")


def test_maps_and_points_are_saved_by_our_writers():
    with plugin_registered() as manager:
        for name, kind, command in (
            ("a.lungcls.csv", "points", "napari-lungcls.write_points"),
            ("a.ome.zarr", "labels", "napari-lungcls.write_map"),
            ("a.ome.tif", "labels", "napari-lungcls.write_map"),
            ("A.OME.TIFF", "labels", "napari-lungcls.write_map"),
        ):
            writer, path = manager.get_writer(name, [kind])
            assert (writer.command, path) == (command, name)


def test_titles_end_with_the_plugins_name():
    assert f" ({yaml.safe_load(TEXT)['display_name']})" == SUFFIX


def test_preferences_are_those_of_the_manifest():
    properties = yaml.safe_load(TEXT)["contributions"]["configurations"][SECTION]["properties"]
    assert set(properties) == set(Preferences.model_fields)
    assert properties["engine"]["enum"] == list(ENGINES)
    given = {name: spec["default"] for name, spec in properties.items()}
    assert checked(given) == Preferences()


NAMES = ("Lung classifier", "Label points", "Train", "Paint", "Measure")
WIDGETS = [w["command"] for w in yaml.safe_load(TEXT)["contributions"]["widgets"]]


def test_opening_a_window_does_not_import_torch(qapp):
    python_names = {c["id"]: c["python_name"] for c in COMMANDS}
    # Each in a viewer of its own, as some open the others.
    code = f"""
import sys, napari
from npe2.manifest.utils import import_python_name
for command in {[python_names[command] for command in WIDGETS]}:
    viewer = napari.Viewer(show=False)
    viewer.window.add_dock_widget(import_python_name(command)(viewer))
    assert not {{"torch", "mxnet"}} & set(sys.modules), command + " imported an engine"
    viewer.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_single_windows_open_once_and_as_tabs_with_short_titles(make_napari_viewer_proxy, qtbot):
    with plugin_registered():
        viewer = make_napari_viewer_proxy()
        single = dict(zip(NAMES[1:], WIDGETS[1:], strict=True))
        for name, command in single.items():
            get_app_model().commands.execute_command(command).result()
            assert f"{name}{SUFFIX}" in viewer.window.dock_widgets
            open_dock(viewer, name)
        docks = [widget.parent() for widget in viewer.window.dock_widgets.values()]
        assert len(docks) == len(single), "a window was opened twice"
        qtbot.waitUntil(lambda: [dock.windowTitle() for dock in docks] == list(single))
        window = docks[0].parent()
        assert len(window.tabifiedDockWidgets(docks[0])) == len(single) - 1


def test_the_menus_lead_to_steps_while_the_classifier_is_open(make_napari_viewer_proxy, qtbot):
    with plugin_registered():
        viewer = make_napari_viewer_proxy()
        run = get_app_model().commands.execute_command
        run("napari-lungcls.train_step").result()
        (title,) = viewer.window.dock_widgets
        guide = viewer.window.dock_widgets[title]
        assert title == f"Lung classifier{SUFFIX}"
        assert guide.step.value == "Train"
        # The plugin's menu makes a single window, which gives way to the step.
        run("napari-lungcls.paint").result()
        qtbot.waitUntil(lambda: guide.step.value == "Paint")
        assert list(viewer.window.dock_widgets) == [title]
        assert open_dock(viewer, "Measure") == guide.body.pages[guide.step].panel
        viewer.add_image(np.zeros((40, 40), np.uint8))
        run("napari-lungcls.new_points").result()
        assert guide.step.value == "Label"
        assert guide.body.watch.labeller.layer in viewer.layers


def menu_of(actions, title):
    menu = next(action.menu() for action in actions if action.text() == title)
    menu.aboutToShow.emit()
    return menu.actions()


def test_the_menus_show_windows_and_samples(make_napari_viewer):
    with plugin_registered():
        viewer = make_napari_viewer()
        # napari has no public way to its menus, which drop what they do not understand.
        bar = viewer.window._qt_window.menuBar().actions()
        layers = menu_of(bar, "&Layers")
        annotate = [action.text() for action in menu_of(layers, "Annotate")]
        classify = [action.text() for action in menu_of(layers, "Classify")]
        assert f"Label lung tissue{SUFFIX}" in annotate
        assert classify[:2] == [f"Train on labelled points{SUFFIX}", f"Paint a class map{SUFFIX}"]
        measure = [action.text() for action in menu_of(layers, "Measure")]
        assert f"Measure class maps{SUFFIX}" in measure
        samples = menu_of(menu_of(bar, "&File"), "Open Sample")
        assert [action.text() for action in menu_of(samples, "Lung classification")] == [
            "Synthetic lung stack",
            "Synthetic lung section",
            "Mouse lung section (H&&E)",
        ]


def test_reading_and_writing_need_no_window():
    code = """
import importlib, sys
for module in ("readers", "writers", "samples", "preferences", "image_files"):
    importlib.import_module("napari_lungcls.gui." + module)
    assert not {"qtpy", "napari", "torch"} & set(sys.modules), (module, sorted(sys.modules))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
