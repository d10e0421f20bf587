"""Folders of pictures: what is taken for a class, what is passed over, and what is said of it."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_lungcls as lc
from napari_lungcls.patch_datasets.dataset import PatchData
from napari_lungcls.patch_datasets.pictures import identical_files
from napari_lungcls.patch_datasets.splits import split_patches

RNG = np.random.default_rng(0)


def fill(folder: Path, *names: str, n: int = 2, suffix: str = ".png") -> Path:
    """Put `n` pictures, all different, into each of some folders below one."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = RNG.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}{suffix}")
    return folder


def counts(data: PatchData) -> dict[str, int]:
    codes = data.codes(data.scheme())
    return {name: int((codes == i).sum()) for i, name in enumerate(data.scheme().names)}


def opened(folder: Path, *, labelled: bool = True) -> tuple[PatchData, list[str]]:
    """Open a data set, and give what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = lc.open_patches(folder, labelled=labelled)
    assert all(issubclass(warning.category, lc.LungclsWarning) for warning in caught)
    return data, [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    "hidden", [".ipynb_checkpoints", ".thumbnails", "__MACOSX", "@eaDir", "$RECYCLE.BIN"]
)
def test_hidden_folders_and_files_are_passed_over_at_any_depth(tmp_path: Path, hidden: str) -> None:
    fill(tmp_path, "train/a/slide 1", "train/b", "val/a", "val/b")
    for above in ("", "train", "train/a", "train/a/slide 1", "val/b"):
        fill(tmp_path, f"{above}/{hidden}")
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        for above in ("", "train", "train/b"):
            shutil.copy(tmp_path / "train/b/0.png", tmp_path / above / name)
    np.savez(tmp_path / "._d.npz", x=np.zeros(3))
    data, said = opened(tmp_path)
    assert (counts(data), data.roles.tolist(), said) == (
        {"a": 4, "b": 4}, ["train"] * 4 + ["validation"] * 4, [],
    )  # fmt: skip


def test_pictures_of_every_kind_are_one_data_set(tmp_path: Path) -> None:
    suffixes = (".png", ".bmp", ".webp", ".jfif", ".jpe", ".gif", ".ppm", ".JPG", ".tiff")
    for number, suffix in enumerate(suffixes):
        fill(tmp_path, "ab"[number % 2], suffix=suffix)
    data, said = opened(tmp_path)
    assert (counts(data), said) == ({"a": 10, "b": 8}, [])
    assert data.parts[0].pixels.read(0, 18).shape == (18, 16, 16, 3)


def test_what_is_passed_over_is_counted_and_named(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b/deep")
    (tmp_path / "a/notes.txt").write_text("text")
    assert opened(tmp_path)[1] == []
    for i in range(3):
        (tmp_path / f"b/deep/{i}.xcf").write_bytes(b"")
    (tmp_path / "b/no-suffix").write_bytes(b"")
    shutil.copy(tmp_path / "a/0.png", tmp_path / "overview.png")
    data, said = opened(tmp_path)
    assert counts(data) == {"a": 2, "b": 2}
    assert said == [
        f"{tmp_path}: passed over 1 pictures in no class folder (overview.png) and 5 other files "
        "(.xcf (3), .txt (1), no suffix (1))"
    ]


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    fill(tmp_path, "data/a", "elsewhere/x")
    try:
        (tmp_path / "data/b").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere/x/back").symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("no links here")
    assert counts(opened(tmp_path / "data")[0]) == {"a": 2, "b": 2}


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    fill(tmp_path, "control", "test")
    data, (said,) = opened(tmp_path)
    assert (counts(data), set(data.roles)) == ({"control": 2, "test": 2}, {""})
    assert re.search("test is taken for a class, as control beside it; if it is a part", said)


def test_classes_that_a_part_lacks_are_said(tmp_path: Path) -> None:
    fill(tmp_path / "sets", "train/a", "train/b", "test/a")
    assert opened(tmp_path / "sets")[1] == [
        f"{tmp_path / 'sets'}: test and train have other classes, b in one only"
    ]
    fill(tmp_path / "case", "train/Duct", "train/b", "test/duct", "test/b")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lc.open_patches(tmp_path / "case")
    said = [str(warning.message) for warning in caught]
    assert any("other classes, Duct, duct by case only" in line for line in said)


def empty(name: str, **others: bytes) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        fill(folder, "a", "b")
        (folder / name).mkdir()
        for stem, content in others.items():
            (folder / name / f"{stem}.xcf").write_bytes(content)

    return make


def beside(*names: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        fill(folder, "alveoli", "septa")
        for name in names:
            (folder / name).write_bytes(b"")

    return make


def only_files(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / name).write_bytes(b"") for name in names]


def folders(*names: str) -> Callable[[Path], object]:
    return lambda folder: fill(folder, *names)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty class": (empty("c"), r"/c: the class folder is empty; .* or move the folder"),
    "a class of another kind": (
        empty("c", x=b"", y=b""),
        r"/c: the class folder holds no pictures that can be read, but \.xcf \(2\); convert",
    ),
    "an empty class of a part": (
        lambda f: (fill(f, "train/a", "train/b", "val/a"), (f / "val/b").mkdir()),
        r"/val/b: the class folder is empty",
    ),
    "no pictures": (only_files("a.xcf"), r"holds no pictures .*, but \.xcf \(1\); make one folder"),
    "pictures without folders": (folders("."), r"no pictures in folders of their class; make one"),
    "npz beside": (
        beside("cache.npz"),
        r"folders \(alveoli, septa\), and cache\.npz beside; move .* or give .*/cache\.npz to use",
    ),
    "h5 beside": (beside("f.h5"), r"folders \(alveoli, septa\), and f\.h5 beside; move"),
    "jsonl beside": (beside("m.jsonl"), r"folders \(alveoli, septa\), and m\.jsonl beside; move"),
    "two kinds of files": (
        only_files("a.h5", "b.npz"),
        r"data sets of several kinds \(.*a\.h5.*\); give those files that you mean",
    ),
    "siblings of parts": (
        folders("train/a", "train/b", "test/a", "test/b", "extra/a"),
        r"has test, train for parts of a data set, and extra beside; move extra elsewhere",
    ),
    "one level too many": (folders("data/a", "data/b"), r"holds only data, .*a, b; give .*/data$"),
    "one level above parts": (
        folders("data/train/a", "data/train/b", "data/val/a", "data/val/b"),
        r"holds only data, which holds train, val; give .*/data$",
    ),
    "one level above parts, and something else": (
        folders("data/train/a", "data/val/a", "figures"),
        r"/data: has the folders train, val; give .*/data in place of",
    ),
    "parts below the classes": (
        folders("a/train", "a/val", "b/train", "b/val"),
        r"class folders a, b hold train, val; put the parts above the classes, "
        r".*/train/a in place of .*/a/train$",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unclear_folders_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    make, words = REFUSED[name]
    make(tmp_path)
    with pytest.raises(lc.InputError) as refusal:
        lc.open_patches(tmp_path)
    said = str(refusal.value).replace("\\", "/")
    assert re.search(words, said), said


def test_patches_without_classes_may_have_empty_folders(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    (tmp_path / "b").mkdir()
    data, (said,) = opened(tmp_path, labelled=False)
    assert (len(data), said) == (
        2, f"{tmp_path / 'b'}: the class folder is empty; it is passed over",
    )  # fmt: skip
    flat = fill(tmp_path / "flat", ".")
    assert len(opened(flat, labelled=False)[0]) == 2


def test_a_list_may_have_its_pictures_beside(tmp_path: Path) -> None:
    fill(tmp_path, "some/a", n=1)
    (tmp_path / "some.lst").write_text("0\t0\tsome/a/0.png\n")
    assert len(opened(tmp_path)[0]) == 1


def test_pictures_beside_an_archive_are_said(tmp_path: Path) -> None:
    fill(tmp_path, ".", n=1)
    x = np.zeros((2, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.array([0, 1]))
    data, (said,) = opened(tmp_path)
    assert (len(data), said) == (2, f"{tmp_path}: passed over 1 pictures beside d.npz")


# Copies


def test_files_are_the_same_when_all_their_bytes_are(tmp_path: Path) -> None:
    middle = RNG.bytes(20_000)
    contents = [middle, b"x" + middle[1:], middle, b"short", middle[:-1] + b"x", b"SHORT", b"short"]
    paths = [tmp_path / str(i) for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert identical_files(paths).tolist() == [contents.index(content) for content in contents]
    with pytest.raises(lc.InputError, match=r"gone: cannot be read"):
        identical_files([*paths, tmp_path / "gone"])


@pytest.mark.parametrize("folds", [1, 3])
def test_copies_never_lie_on_both_sides(tmp_path: Path, folds: int) -> None:
    fill(tmp_path, "a", "b", n=12)
    for name in "ab":
        for i in range(12):
            for copy in range(i % 3):
                shutil.copy(tmp_path / name / f"{i}.png", tmp_path / name / f"{i}-{copy}.png")
    shutil.copy(tmp_path / "a/0.png", tmp_path / "b/also.png")
    data = lc.open_patches(tmp_path)
    paths = [tmp_path / file for file in data.parts[0].files or ()]
    contents = np.array([path.read_bytes() for path in paths], object)
    scheme = data.scheme()
    for seed in range(5):
        settings = lc.TrainingSettings(test_fraction=0.25, folds=folds)
        with pytest.warns(lc.LungclsWarning) as caught:
            splits = split_patches(
                data, data.codes(scheme), settings, scheme, np.random.default_rng(seed)
            )
        assert [str(warning.message) for warning in caught] == [
            f"{tmp_path}: 25 of 49 pictures are copies of others, as b/also.png of a/0.png, 1 of "
            "them with another class; copies are kept on one side of the split"
        ]
        for split in splits:
            sides = [set(contents[rows]) for rows in (split.train, split.validation, split.test)]
            assert all(sides)
            assert sum(map(len, sides)) == len(set.union(*sides)) == 24
            assert len(split.train) + len(split.validation) + len(split.test) == 49


def test_copies_of_the_held_out_parts_are_not_trained_on(tmp_path: Path) -> None:
    fill(tmp_path, "train/a", "train/b", "val/a", "val/b", "test/a", "test/b", n=4)
    shutil.copy(tmp_path / "test/a/0.png", tmp_path / "train/a/x.png")
    shutil.copy(tmp_path / "test/a/0.png", tmp_path / "val/a/x.png")
    shutil.copy(tmp_path / "val/b/0.png", tmp_path / "train/b/x.png")
    data = lc.open_patches(tmp_path)
    scheme = data.scheme()
    with pytest.warns(lc.LungclsWarning, match="3 of 27 pictures are copies"):
        (split,) = split_patches(
            data, data.codes(scheme), lc.TrainingSettings(), scheme, np.random.default_rng(0)
        )
    assert (len(split.train), len(split.validation), len(split.test)) == (8, 8, 8)
    assert split.by == "files"
