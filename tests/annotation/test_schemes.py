"""Class schemes: presets, files, and colours that everyone can tell apart."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_lungcls.annotation import ClassScheme, ClassSpec
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.utils.names import comparable

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
NAMES = st.text(max_size=12).filter(
    lambda name: bool(name) and name == name.strip() and name.isprintable()
)


def seen(color: str, vision: str) -> np.ndarray:
    """Lab of a colour as somebody with this vision sees it."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    back = np.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None, None])[0, 0]


def test_presets():
    lung, full = ClassScheme.preset("lung"), ClassScheme.preset("lung-full")
    assert lung.names == ("alveoli", "septa", "duct")
    assert [spec.key for spec in lung.classes] == ["A", "S", "D"]
    assert {spec.role for spec in lung.classes} == {"parenchyma"}
    assert full.classes[:3] == lung.classes
    assert full.names[3:] == ("non-parenchyma", "outside")
    assert [spec.key for spec in full.classes[3:]] == ["F", "G"]
    assert [spec.role for spec in full.classes[3:]] == ["lung", "exclude"]
    assert full.phases == ("air", "tissue", "air", "none", "none")
    assert full.parenchyma.tolist() == [True, True, True, False, False]
    assert full.lung.tolist() == [True, True, True, True, False]
    assert len(full) == 5
    assert full.code("outside") == 4
    with pytest.raises(InputError, match=r"'kidney'; use lung or lung-full, or a \.yaml"):
        ClassScheme.preset("kidney")
    with pytest.raises(InputError, match="'vein' is not in the scheme 'lung', which has alv"):
        lung.code("vein")


@pytest.mark.parametrize("vision", VISION)
def test_preset_colors_can_be_told_apart(vision):
    colors = ClassScheme.preset("lung-full").colors
    for one, other in itertools.combinations(colors, 2):
        distance = deltaE_ciede2000(seen(one, vision), seen(other, vision))
        assert distance > 20, (one, other, distance)
    pink_of_the_stain = seen("#be81be", vision)
    assert min(deltaE_ciede2000(seen(color, vision), pink_of_the_stain) for color in colors) > 10


@pytest.mark.parametrize("vision", VISION)
def test_twelve_colors_can_be_told_apart(vision):
    colors = ClassScheme.of_names(map(str, range(12))).colors
    for one, other in itertools.combinations(colors, 2):
        assert deltaE_ciede2000(seen(one, vision), seen(other, vision)) > 15, (one, other)


@given(
    st.lists(NAMES, min_size=1, max_size=60, unique_by=lambda name: comparable(name).casefold()),
    st.sampled_from(["json", "yaml"]),
)
def test_any_names_make_a_scheme_that_files_keep(names, suffix):
    scheme = ClassScheme.of_names(names)
    keys = [spec.key for spec in scheme.classes if spec.key]
    assert scheme.names == tuple(names)
    assert len(set(keys)) == min(len(names), 36)
    assert len(set(scheme.colors)) == len(names)
    with tempfile.TemporaryDirectory() as folder:
        path = scheme.save(Path(folder) / f"mine.{suffix}")
        assert ClassScheme.from_file(path) == scheme
        assert ClassScheme.parse(str(path)) == scheme


def test_most_classes_of_all():
    scheme = ClassScheme.of_names(map(str, range(254)))
    assert len(set(scheme.colors)) == 254
    with pytest.raises(InputError, match="255 classes; a scheme has 1 to 254"):
        ClassScheme.of_names(map(str, range(255)))


def test_keys_come_from_the_name():
    scheme = ClassScheme.of_names(["duct", "dead", "Ulcer", "肺"])
    assert [spec.key for spec in scheme.classes] == ["D", "E", "U", "A"]


def test_the_scheme_of_labels():
    assert ClassScheme.for_labels(["septa", "", "duct"]) == ClassScheme.preset("lung")
    assert ClassScheme.for_labels([]) == ClassScheme.preset("lung")
    assert ClassScheme.for_labels(["outside"]) == ClassScheme.preset("lung-full")
    assert ClassScheme.for_labels(["vein", "septa", "vein"]).names == ("vein", "septa")


def test_parse_takes_all_three(tmp_path):
    scheme = ClassScheme.preset("lung-full")
    assert ClassScheme.parse(scheme) is scheme
    assert ClassScheme.parse("lung-full") == scheme
    assert ClassScheme.parse(scheme.save(tmp_path / "s.yml")) == scheme
    with pytest.raises(InputError, match="no class scheme 'lungs'; use lung"):
        ClassScheme.parse("lungs")


def test_a_file_needs_no_more_than_names(tmp_path):
    path = tmp_path / "kidney.yaml"
    path.write_text("classes: [glomerulus, {name: tubule, key: 7, role: exclude}, {name: '3'}]\n")
    scheme = ClassScheme.from_file(path)
    assert scheme.name == "kidney"
    assert scheme.names == ("glomerulus", "tubule", "3")
    assert [spec.key for spec in scheme.classes] == ["G", "7", "A"]
    assert scheme.classes[1].role == "exclude"


def test_files_without_phases_are_read_as_before(tmp_path):
    path = tmp_path / "old.json"
    rows = [spec.model_dump(exclude={"phase"}) for spec in ClassScheme.preset("lung").classes]
    path.write_text(json.dumps({"name": "lung", "classes": rows}))
    old = ClassScheme.from_file(path)
    assert old.phases == ("none",) * 3
    assert old.same_classes(ClassScheme.preset("lung"))
    assert not ClassScheme.of_names("ab").lung.any(), "nobody said what they belong to"


def test_schemes_of_any_editor_are_read(tmp_path):
    path = tmp_path / "s.yaml"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text("classes: [Gefäß, septa]\r\n", encoding=encoding)
        assert ClassScheme.from_file(path).names == ("Gefäß", "septa")
    path.write_text("classes: [Gefäß, septa]\n", encoding="cp1252")
    with pytest.warns(LungclsWarning, match="such as 'Gefäß'; if that is misspelled, save it as"):
        assert ClassScheme.from_file(path).names == ("Gefäß", "septa")


def test_parts_of_a_file_may_be_repeated(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "classes:\n- &a {name: a, role: exclude}\n- {<<: *a, name: b}\n- {<<: *a, name: c}"
    )
    scheme = ClassScheme.from_file(path)
    assert [(spec.name, spec.role) for spec in scheme.classes] == [(n, "exclude") for n in "abc"]


def test_a_key_is_upper_case_and_may_be_none():
    scheme = ClassScheme(name="s", classes=(ClassSpec(name="a", color="#AABBCC", key="q"),))
    assert scheme.classes[0].key == "Q"
    assert scheme.colors == ("#aabbcc",)
    assert ClassSpec(name="a", color="#000000").key is None
    with pytest.raises(ValidationError):
        ClassSpec(name="a", color="#000000", colour="#000000")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a class scheme; it must have 'name' and 'classes'"),
        ("[a, b]", "it must have 'name' and 'classes'"),
        ("name: x", "classes: Field required"),
        ("classes: []", "0 classes; a scheme has 1 to 254"),
        ("classes: 5", r"classes: .*\(got 5\)"),
        ("classes: [[a]]", r"classes\[0\]: "),
        ("classes: [a, {color: '#000000'}]", r"classes\[1\]\.name: Field required"),
        ("classes: [{name: a, color: blue}]", r"classes\[0\]\.color: 'blue' is not a colour; wr"),
        ("classes: [{name: a, key: Esc}]", r"classes\[0\]\.key: 'Esc' is not a key; give one"),
        ("classes: [{name: a, role: air}]", r"classes\[0\]\.role: .*\(got 'air'\)"),
        ("classes: [{name: a, phase: water}]", r"classes\[0\]\.phase: .*\(got 'water'\)"),
        ("classes: [{name: a, hue: 3}]", r"classes\[0\]\.hue: .*not permitted"),
        ("classes: [' a']", r"classes\[0\]\.name: ' a' is not a name"),
        ("classes: [{name: a, color: 1, role: 2}]", r"1 more problem\)"),
        ("classes: [a, a]", "two classes have the name 'a'; make it unique"),
        ("classes: [{name: a, key: x}, {name: b, key: X}]", "two classes have the key 'X'"),
        ("classes: [0, 1]", r"the name of classes\[0\] is a number \(0\), not text; put it in q"),
        ("classes: [a, {name: 007}]", r"classes\[1\] is a number \(7\), not text; put it in"),
        ("classes: [1.10]", r"is a number \(1\.1\), not text; put it in quotes"),
        ("classes: [yes, no]", r"is a truth value \(True\), not text; put it in quotes, as 'yes'"),
        ("classes: [{name: off}]", r"classes\[0\] is a truth value \(False\), not text; put it in"),
        ("classes: [a, null]", r"classes\[1\] is nothing \(None\), not text; put it in quotes"),
        ("classes: [a, ~]", r"is nothing \(None\), not text; put it in quotes"),
        ("classes: [2024-05-01]", r"is a date \(2024-05-01\), not text; put it in quotes"),
        ("classes: [2024-05-01 10:00:00]", r"is a date \(.*not text; put it in quotes"),
        ("classes:\n- name: a\n  color: #0057d9", r"color of classes\[0\] is empty, because # beg"),
        ("classes: [a]\nclasses: [b]", r"not a class scheme \('classes' stands twice\); correct"),
        ("classes: [{name: a, key: a, key: b}]", r"\('key' stands twice\)"),
        ("classes: [a\n", "line 2: .*; correct the YAML"),
        ("when: 2026-13-45", "not a class scheme"),
        ("[" * 5000, "is too deep, with more than 16 lists and mappings"),
        ("!!python/object/apply:os.getcwd []", "correct the YAML"),
        ("a: '\x07'", "correct the YAML"),
        ("#" * 1_000_001, "1000001 bytes are too many"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        ClassScheme.from_file(path)
    assert str(caught.value).startswith(str(path))


def test_bad_json_missing_files_and_other_suffixes(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{\n"name": }')
    with pytest.raises(InputError, match=r"bad\.json, line 2: Expecting value; correct the JSON"):
        ClassScheme.from_file(bad)
    bad.write_text('{"classes": ["a"], "classes": ["b"]}')
    with pytest.raises(InputError, match="'classes' stands twice"):
        ClassScheme.from_file(bad)
    bad.write_bytes(b"\xff\xfa")
    with pytest.raises(InputError, match="not text in UTF-8"):
        ClassScheme.from_file(bad)
    with pytest.raises(InputError, match="does not exist; check the name of the class"):
        ClassScheme.from_file(tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"kept in a \.yaml or \.json file"):
        ClassScheme.from_file(tmp_path / "s.csv")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        ClassScheme.from_file(tmp_path / "folder.json")
    with pytest.raises(InputError, match=r"kept in a \.yaml or \.json file"):
        ClassScheme.preset("lung").save(tmp_path / "s.txt")


def test_a_saved_file_is_for_people(tmp_path):
    path = ClassScheme.preset("lung").save(tmp_path / "s.json")
    assert json.loads(path.read_text())["classes"][0] == {
        "name": "alveoli",
        "color": "#0057d9",
        "key": "A",
        "phase": "air",
        "role": "parenchyma",
    }
    text = ClassScheme.of_names(["肺"]).save(tmp_path / "s.yaml").read_text(encoding="utf-8")
    assert text.startswith("name: classes\nclasses:\n- name: 肺\n")
