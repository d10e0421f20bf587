"""Names of images, groups and classes mean the same however they are spelled."""

from __future__ import annotations

import json
import os
import unicodedata
import warnings
from pathlib import Path
from urllib.parse import quote

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.evaluation.observers import compare, read_observers
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.pairs import open_pairs
from napari_lungcls.learning.point_index import place_points
from napari_lungcls.patch_datasets.dataset import Part, PatchData
from napari_lungcls.utils.names import (
    Folder,
    KnownNames,
    comparable,
    distinct,
    path_key,
    warn_of_case,
)
from napari_lungcls.utils.printable import printable

FORMS = ("NFC", "NFD")
SPACES = ("", " ", "  ", "\t", "\u00a0", "\ufeff")


@st.composite
def spellings(draw: st.DrawFn, name: str) -> str:
    """Draw another spelling of a name with slashes."""
    parts = [
        draw(st.sampled_from(SPACES))
        + unicodedata.normalize(draw(st.sampled_from(FORMS)), part)
        + draw(st.sampled_from(SPACES))
        for part in name.split("/")
    ]
    text = parts[0]
    for part in parts[1:]:
        text += draw(st.sampled_from("/\\")) + part
    return text


@given(st.data(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_one_form_for_all_spellings(data: st.DataObject, word: str) -> None:
    name = f"Bäume/{word}/é.tif"
    assert comparable(data.draw(spellings(name))) == comparable(name)
    assert comparable(comparable(name)) == comparable(name)


def test_what_differs_stays_different() -> None:
    names = ["duct", "Duct", "du ct", "ducts", "a/duct", "düct"]
    assert len(set(map(comparable, names))) == len(names)
    assert distinct(["b ", "a", " b", "A"]) == ["b ", "a", "A"]


@pytest.fixture(scope="module", params=FORMS)
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures in a folder, with names as Windows and Linux, or as a Mac writes them."""
    folder = tmp_path_factory.mktemp("names")
    for name in ("Schnitte ä/é 1.png", "Schnitte ä/é 2.png"):
        path = folder / unicodedata.normalize(request.param, name)
        path.parent.mkdir(exist_ok=True)
        iio.imwrite(path, np.zeros((20, 30), np.uint8))
    return folder


def images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


@given(st.data())
@settings(max_examples=60)
def test_any_spelling_gives_the_same_pairs(pictures: Path, data: st.DataObject) -> None:
    written = [data.draw(spellings(f"Schnitte ä/é {k % 2 + 1}.png")) for k in range(6)]
    classes = [data.draw(spellings("Größe")) for _ in written]
    points = Points.build([[k, k] for k in range(6)], classes, image=written)
    table = lc.write_points(pictures / "p.csv", points)
    pairs = open_pairs(images(pictures), [table])
    assert [found.coordinates[:, 0].tolist() for _, found in pairs] == [[0, 2, 4], [1, 3, 5]]
    scheme = ClassScheme.of_names(["septa", "Größe"])
    assert [found.codes(scheme).tolist() for _, found in pairs] == [[1, 1, 1]] * 2
    # The spelling of the user is what is written again.
    assert list(lc.read_points(table).labels) == classes  # type: ignore[arg-type]
    assert list(lc.read_points(table).column("image")) == written  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.as_uri(),
        lambda path: f"file:{quote(str(path))}",
        lambda path: f"file://localhost{quote(str(path))}",
        lambda path: f"./x/../{path.parent.name}\\{path.name}",
        lambda path: str(path),
    ],
)
def test_paths_may_be_written_in_many_ways(pictures: Path, write: object) -> None:
    for path in images(pictures):
        assert Folder(pictures).key(write(path)) == path_key(path)  # type: ignore[operator]


def test_a_real_backslash_in_a_name_comes_first(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows knows no such names")
    (tmp_path / "a").mkdir()
    for name in ("a\\b.png", "a/b.png"):
        (tmp_path / name).touch()
    assert Folder(tmp_path).find("a\\b.png") == tmp_path / "a\\b.png"
    assert Folder(tmp_path).find("a/b.png") == tmp_path / "a/b.png"


def test_an_image_that_differs_by_case_is_taken_aloud(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "slide.png", np.zeros((20, 30), np.uint8))
    points = Points.build([[1, 2]], ["septa"], image="SLIDE.PNG")
    table = lc.write_points(tmp_path / "p.csv", points)
    if (tmp_path / "SLIDE.PNG").exists():
        pytest.skip("this disk does not mind case")
    with pytest.warns(LungclsWarning, match=r"p\.csv: image '.*SLIDE\.PNG' is taken for '.*slide"):
        assert len(open_pairs([tmp_path / "slide.png"], [table])) == 1
    # Where both are there, they are two.
    iio.imwrite(tmp_path / "SLIDE.PNG", np.zeros((20, 30), np.uint8))
    with pytest.raises(InputError, match="no point names the image"):
        open_pairs([tmp_path / "slide.png"], [table])


def test_groups_are_the_same_in_any_spelling_and_case_is_said() -> None:
    image = as_stack(np.zeros((64, 64), np.uint8))
    labels = ["alveoli", "septa", "duct"] * 2
    scheme = ClassScheme.preset("lung")

    def groups(*names: str) -> list[int]:
        points = Points.build([[k, k] for k in range(6)], labels, group=names)
        found = place_points([(image, points)], scheme, (1,), None).groups
        assert found is not None
        return found.tolist()

    nfd = unicodedata.normalize("NFD", "mäuse/1")
    assert groups("mäuse/1", "mäuse\\1", " mäuse/1 ", nfd, "m2", "m2 ") == [1, 1, 1, 1, 0, 0]
    with pytest.warns(LungclsWarning, match="groups 'M1' and 'm1' differ only by case"):
        assert len(set(groups("M1", "m1", "m1", "m2", "m2", "m2"))) == 3


class _Nothing:
    shape, dtype, run_length, rgb = (4, 8, 8), np.dtype("uint8"), 1, True

    def read(self, first: int, stop: int) -> np.ndarray:
        return np.zeros((stop - first, 8, 8, 3), np.uint8)


def test_patches_of_two_parts_share_classes_and_groups() -> None:
    nfc, nfd = "Gänge", unicodedata.normalize("NFD", "Gänge")
    numbers = np.array([0, 1, 0, 1])
    parts = [
        Part("a", "train", _Nothing(), numbers, (nfc, "septa"), np.array(["m1", "m\\2"] * 2)),
        Part("b", "test", _Nothing(), numbers, ("septa ", nfd), np.array(["m1 ", "m/2"] * 2)),
    ]
    data = PatchData(parts)
    scheme = data.scheme()
    assert scheme.names == (nfc, "septa")
    assert data.codes(scheme).tolist() == [0, 1, 0, 1, 1, 0, 1, 0]
    assert data.groups is not None
    assert data.groups[:4].tolist() == data.groups[4:].tolist()


def test_classes_that_differ_only_by_case_are_said() -> None:
    with pytest.warns(LungclsWarning, match="classes 'duct' and 'Duct' differ only by case"):
        scheme = ClassScheme.for_labels(["duct", "Duct", "septa"])
    assert scheme.names == ("duct", "Duct", "septa")
    lung = ClassScheme.preset("lung")
    with pytest.warns(LungclsWarning, match="points: class 'Duct' is taken for 'duct', which"):
        assert Points.build([[1, 2]], ["Duct"]).codes(lung).tolist() == [2]
    assert ClassScheme.for_labels([" duct", "duct ", "septa"]).name == "lung"
    assert ClassScheme.for_labels(["vein ", " vein", "septa"]).names == ("vein", "septa")
    with pytest.raises(InputError, match="two classes have the name"):
        ClassScheme.of_names(["Gänge", unicodedata.normalize("NFD", "Gänge")])
    decomposed = ClassScheme.of_names([unicodedata.normalize("NFD", "Gänge"), "septa"])
    assert decomposed.same_classes(ClassScheme.of_names(["Gänge", "septa"]))
    assert not decomposed.same_classes(ClassScheme.of_names(["septa", "Gänge"]))
    known = KnownNames(["duct", "Duct"], "class")
    assert [known.place(name) for name in ("duct", "Duct", "DUCT")] == [0, 1, None]


def test_one_spelling_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_case(["a", "a ", "b", "a"], "groups", "p.csv")


def test_lists_and_manifests_of_windows(tmp_path: Path) -> None:
    (tmp_path / "Bilder ä").mkdir()
    named = unicodedata.normalize("NFD", "Bilder ä")
    for k in range(4):
        iio.imwrite(tmp_path / "Bilder ä" / f"{k}.png", np.full((8, 8, 3), k, np.uint8))
    rows = [f"{k}\t{k % 2}\t.\\{named}\\{k}.png " for k in range(4)]
    (tmp_path / "a.lst").write_text("\r\n".join(rows), encoding="utf-8")
    data = lc.open_patches(tmp_path / "a.lst")
    assert data.parts[0].pixels.read(0, 4)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    lines = [
        {"source-ref": f"{named}\\{k}.png", "c": k % 2, "c-metadata": {"class-name": f"k{k % 2}"}}
        for k in range(4)
    ]
    (tmp_path / "a.manifest").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert len(lc.open_patches(tmp_path / "a.manifest")) == 4
    (tmp_path / "b.lst").write_text("0\t0\t..\\..\\etc\\x.png\n")
    with pytest.raises(InputError, match="lies outside of the folder"):
        lc.open_patches(tmp_path / "b.lst")


def observed(folder: Path, who: str, names: list[str]) -> Path:
    (folder / who).mkdir(exist_ok=True)
    points = Points.build([[10 * k, 10 * k] for k in range(6)], ["duct", "septa"] * 3, image=names)
    return lc.write_points(folder / who / f"{who}.csv", points)


def test_observers_on_any_system_share_images(tmp_path: Path) -> None:
    ann = observed(tmp_path, "ann", ["../s/a.tif", "../s/é.tif"] * 3)
    nfd = unicodedata.normalize("NFD", "é")
    bob = observed(tmp_path, "bob", ["..\\s\\a.tif ", f"..\\s\\{nfd}.tif"] * 3)
    found = compare(read_observers([ann, bob]), ClassScheme.preset("lung"), 1)
    assert found.pairs[0].n == 6


def test_observers_of_other_images_are_told_which(tmp_path: Path) -> None:
    lung = ClassScheme.preset("lung")
    ann = observed(tmp_path, "ann", ["a.tif", "b.tif"] * 3)
    same_names = observed(tmp_path, "bob", ["a.tif"] * 6)
    with pytest.raises(InputError) as caught:
        compare(read_observers([ann, same_names]), lung, 1)
    message = str(caught.value)
    assert "ann and bob share no image: ann has points on" in message
    assert f"{tmp_path}/ann/a.tif, {tmp_path}/ann/b.tif, bob on {tmp_path}/bob/a.tif" in message
    assert "if a.tif is the same for both, write its whole path" in message
    other = observed(tmp_path, "cyd", ["A.tif"] * 6)
    with pytest.raises(InputError, match="some names differ only by case; spell them alike"):
        compare(read_observers([ann, other]), lung, 1)
    nothing = observed(tmp_path, "dee", ["z.tif"] * 6)
    with pytest.raises(InputError, match="compare points of the same images, or correct"):
        compare(read_observers([ann, nothing]), lung, 1)
    partly = observed(tmp_path, "eve", ["../ann/a.tif", "../ann/c.tif"] * 3)
    with pytest.warns(LungclsWarning, match=r"only ann has points on .*b\.tif; only eve .*c\.tif"):
        found = compare(read_observers([ann, partly]), lung, 1)
    assert found.pairs[0].n == 3


def test_bytes_that_are_no_utf8_are_printed() -> None:
    name = os.fsdecode("schnitt_ä.tif".encode("latin-1"))
    assert printable(name) == "schnitt_%E4.tif"
    assert printable(Path("schnitt_ä.tif")) == "schnitt_ä.tif"
    assert printable("\ud800") == "%uD800"
    assert comparable(name) == comparable("schnitt_%E4.tif")


def test_a_printed_name_leads_back_to_its_file(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"schnitt_\xe4.tif")).touch()
    except (OSError, ValueError):
        pytest.skip("this disk has no such names")
    assert Folder(tmp_path).find("schnitt_%E4.tif") == tmp_path / os.fsdecode(b"schnitt_\xe4.tif")
