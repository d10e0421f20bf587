"""The manifest: napari drops what is wrong in it without a word, so it is checked here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, resources

import pytest
import yaml
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

from napari_lungcls.annotation import Points, read_points, write_points

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
    submenus = {menu["id"] for menu in contributions.get("submenus", [])}
    return [
        *(f"{name} is declared twice" for name in declared if declared.count(name) > 1),
        *(f"{name} is used but not declared" for name in used if name not in declared),
        *(f"{name} is declared but not used" for name in declared if name not in used),
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
        ("  readers:", "  menus:\n    napari/layers/classes: []\n  readers:", "no menu"),
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
writer, path = manager.get_writer("a.lungcls.csv", ["points"], "napari-lungcls")
assert "napari-lungcls.read_points" in readers, readers
assert writer.command == "napari-lungcls.write_points", writer
assert ("napari-lungcls", ) == tuple(n for n, _ in manager.iter_sample_data() if "lungcls" in n)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path)


@needs_installation
def test_napari_opens_and_saves_points_with_our_plugin(make_napari_viewer_proxy, tmp_path):
    viewer = make_napari_viewer_proxy()
    first, second = tmp_path / "a.lungcls.csv", tmp_path / "b.lungcls.csv"
    write_points(first, Points.build([[1, 2], [50, 60.25]], ["duct", "septa"], group="007"))
    (layer,) = viewer.open(str(first), plugin="napari-lungcls")
    assert list(layer.features["class"].cat.categories) == ["alveoli", "septa", "duct"]
    assert layer.save(str(second)) == [str(second)]
    again = read_points(second)
    assert again.coordinates.tolist() == [[1, 2], [50, 60.25]]
    assert list(again.labels) == ["duct", "septa"]
    assert list(again.column("group")) == ["007", "007"]


@pytest.mark.parametrize("module", ["readers", "writers"])
def test_reading_and_writing_need_no_window(module):
    code = (
        f"import sys, napari_lungcls.gui.{module}\n"
        "assert not {'qtpy', 'napari', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
