"""The documentation against the program: options, settings, links, and the picture."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from napari_lungcls.learning.settings_data import AugmentationSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def script(name: str) -> ModuleType:
    """Import a script from docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(kind: str) -> list[tuple[str, str]]:
    """Code blocks of a kind, each with the name of its page."""
    return [
        (page.name, text)
        for page in PAGES
        for found, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if found == kind
    ]


COMMANDS = [
    (page, line)
    for page, text in blocks("")
    for line in text.splitlines()
    if line.startswith("lungcls ") and "  " not in line
]


def test_there_are_commands_to_check():
    assert {page for page, _ in COMMANDS} == {
        "README.md", "quickstart.md", "command-line.md", "engines.md", "evaluation.md",
        "agreement.md", "tuning.md", "patches.md", "cluster.md", "stereology.md", "serving.md",
        "exporting.md", "sharing.md", "model-card.md",
    }  # fmt: skip
    assert {line.split()[1] for _, line in COMMANDS} == {
        "train", "augment", "tune", "classify", "evaluate", "agree", "grid", "measure", "paint",
        "suggest", "gui", "info", "demo", "patches", "serve", "convert", "export", "compare",
        "pull", "push",
    }  # fmt: skip


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_use_options_that_exist(run_cli, page, line):
    name, *words = shlex.split(line)[1:]
    command = [name, words[0]] if name == "patches" else [name]
    text = run_cli(*command, "--help").out
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"(?m)^  .*{word}\b", text), f"{page}: {line}"


def test_the_table_of_settings_is_current():
    module = script("make_settings")
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run docs/make_settings.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.is_file(), target
        if anchor:
            titles = re.findall(r"(?m)^#+ (.*)$", file.read_text(encoding="utf-8"))
            anchors = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}
            assert anchor in anchors, target


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_uses_names_that_exist(page, code):
    import napari_lungcls as lc

    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = {"lc": lc, "model": lc.Model, "m": lc.PaintedMap}.get(node.value.id)
            known = set(dir(owner)) | set(getattr(owner, "__dataclass_fields__", {}))
            assert owner is None or node.attr in known, f"{page}: {node.attr}"


def test_json_keys_are_documented(lab, run_cli, tmp_path):
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    shown = {
        name: json.loads(code)
        for name, code in re.findall(r"### `(\w+)`\n\n```json\n(.*?)```", text, re.DOTALL)
    }
    points = ("--points", lab.points)
    again = tmp_path / "again.csv"
    again.write_bytes(lab.points.read_bytes())
    found = {
        "train": lab.trained,
        "augment": run_cli(
            "augment", lab.image, *points, "--out", tmp_path / "a.png", "--tile", "16", "--json"
        ),
        "evaluate": run_cli("evaluate", lab.model, lab.image, *points, "--json"),
        "classify": run_cli(
            "classify", lab.model, lab.image, *points, "--out", tmp_path / "c.csv", "--json"
        ),
        "paint": run_cli("paint", lab.model, lab.image, "--out", tmp_path / "m.ome.tif", "--json"),
        "agree": run_cli("agree", lab.points, again, "--json"),
        "grid": run_cli(
            "grid", lab.image, "--spacing", "20", "--out", tmp_path / "g.csv", "--json"
        ),
        "suggest": run_cli(
            "suggest", lab.model, lab.image, *points, "-n", "3", "-o", tmp_path / "s.csv", "--json"
        ),
        "info": run_cli("info", "--json"),
    }
    found["measure"] = run_cli(
        "measure", tmp_path / "m.ome.tif", "--classes", "lung", "--out", tmp_path / "r", "--json"
    )
    assert shown.keys() == found.keys() | {"demo", "tune"}  # they have tests of their own
    for name, outcome in found.items():
        assert list(shown[name]) == list(outcome.json), name
    document = run_cli("info", lab.model, "--json").json
    models = text[text.index("## Models") : text.index("## Maps")]
    for key in document.keys() - {"model"}:
        assert f"`{key}`" in models, key


def test_pictures_in_the_repository_are_small():
    pictures = [p for p in (ROOT / "docs" / "pictures").iterdir() if p.suffix == ".png"]
    assert pictures
    assert all(path.stat().st_size <= 400_000 for path in pictures)


def test_the_picture_of_augmentation_shows_each_change(small_demo, tmp_path):
    made = script("make_pictures")
    target = made.make_augmented(small_demo[0], tmp_path / "augmentation.webp")
    picture = np.asarray(Image.open(target).convert("RGB")).astype(int)
    size = made.TILE + made.TILE_GAP
    assert picture.shape == (len(made.CHANGES) * size, made.MARGIN + made.DRAWS * size, 3)
    tiles = picture[:, made.MARGIN :].reshape(len(made.CHANGES), size, made.DRAWS, size, 3)
    off = np.abs(tiles[:, :, 1:] - tiles[:, :, :1]).mean((1, 2, 3, 4))
    assert off.min() > 1
    changed = {name for change in made.CHANGES.values() for name in change}
    assert changed == set(AugmentationSettings.model_fields)


def test_the_picture_is_made_of_a_demonstration(small_demo, tmp_path):
    folder, _ = small_demo
    made = script("make_pictures")
    target = made.make(folder, tmp_path / "pictures" / "demo.png")
    picture = np.asarray(Image.open(target).convert("RGB")).astype(int)
    height, width = 48, 64
    assert picture.shape == (height + 2 * made.LINE, 3 * width + 2 * made.GAP, 3)
    shown = made.panels(folder)
    assert list(shown) == ["image", "truth", "map"]
    for i, panel in enumerate(shown.values()):
        left = i * (width + made.GAP)
        part = picture[made.LINE : made.LINE + height, left : left + width]
        # Fewer colours than the panel has, but the same picture.
        assert np.abs(part - panel).mean() < 6
    assert set(made.legend(shown)) >= {"alveoli", "septa"}, "so small a section has no duct"
    assert target.stat().st_size <= made.LARGEST
