"""Which points belong to which image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.pairs import open_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for i, name in enumerate("abc"):
        iio.imwrite(tmp_path / "images" / f"{name}.png", np.full((20 + i, 30), i, np.uint8))
    return tmp_path


def table(path: Path, rows: list[tuple[Any, ...]], *, image: bool = False) -> Path:
    header = "index,axis-0,axis-1,class" + (",image" if image else "")
    lines = [f"{i}," + ",".join(map(str, row)) for i, row in enumerate(rows)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_one_file_for_each_image_in_the_same_order(folder: Path) -> None:
    images = [folder / "images" / f"{name}.png" for name in "ba"]
    tables = [table(folder / f"{i}.csv", [(i, i + 1, "septa")]) for i in (3, 5)]
    pairs = open_pairs(images, tables)
    assert [stack.shape for stack, _ in pairs] == [(21, 30), (20, 30)]
    assert [points.coordinates.tolist() for _, points in pairs] == [[[3, 4]], [[5, 6]]]
    assert open_pairs([str(images[0])], [str(tables[0])])[0][0].shape == (21, 30)


def test_one_file_names_its_images_relative_to_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        (1, 1, "septa", "images/a.png"),
        (2, 2, "duct", "images/b.png"),
        (3, 3, "duct", "./images/../images/a.png"),
        (4, 4, "duct", folder / "images/b.png"),
    ]
    table(folder / "p.csv", rows, image=True)
    # Wherever one stands, and in whatever order the images are named.
    monkeypatch.chdir(folder / "images")
    pairs = open_pairs(["b.png", "../images/a.png"], ["../p.csv"])
    assert [stack.shape for stack, _ in pairs] == [(21, 30), (20, 30)]
    assert [p.coordinates[:, 0].tolist() for _, p in pairs] == [[2, 4], [1, 3]]
    assert [list(p.labels) for _, p in pairs] == [["duct", "duct"], ["septa", "duct"]]  # type: ignore[arg-type]


def test_channels_hold_for_all_images(folder: Path) -> None:
    images = []
    for count in (4, 5):
        images.append(folder / f"{count}.tif")
        pixels = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((20, 30), np.uint8)
        tifffile.imwrite(images[-1], pixels, imagej=True, metadata={"axes": "CYX"})
    tables = [table(folder / f"{i}.csv", [(i, i, "septa")]) for i in range(2)]
    pairs = open_pairs(images, tables, 0.5, "3,1")
    assert [(stack.channels, stack.pixel_size) for stack, _ in pairs] == [("3,1", 0.5)] * 2
    assert [stack.levels[0][0, 0].tolist() for stack, _ in pairs] == [[3, 1, 0]] * 2


def test_points_of_images_that_were_not_given_are_left_out_aloud(folder: Path) -> None:
    rows = [(1, 1, "septa", "images/a.png"), (2, 2, "duct", "images/b.png"), (3, 3, "duct", "")]
    points = table(folder / "p.csv", rows, image=True)
    with pytest.warns(LungclsWarning, match=r"p.csv: 2 points name images that were not given"):
        ((_, mine),) = open_pairs([folder / "images" / "a.png"], [points])
    assert mine.coordinates.tolist() == [[1, 1]]


def test_an_empty_image_column_names_nothing(folder: Path) -> None:
    points = table(folder / "p.csv", [(1, 1, "septa", ""), (2, 2, "duct", "")], image=True)
    ((_, mine),) = open_pairs([folder / "images" / "a.png"], [points])
    assert len(mine) == 2


def test_with_one_file_for_each_the_image_column_is_only_a_column(folder: Path) -> None:
    images = [folder / "images" / f"{name}.png" for name in "ab"]
    tables = [
        table(folder / f"{i}.csv", [(i, i, "septa", "elsewhere.png")], image=True) for i in (1, 2)
    ]
    pairs = open_pairs(images, tables)
    assert [p.coordinates[0, 0] for _, p in pairs] == [1, 2]


def test_a_given_pixel_size_wins(folder: Path) -> None:
    images = [folder / "images" / f"{name}.png" for name in "ab"]
    tables = [table(folder / f"{i}.csv", [(1, 1, "septa")]) for i in (1, 2)]
    assert [s.pixel_size for s, _ in open_pairs(images, tables, 0.5)] == [0.5, 0.5]
    assert [s.pixel_size for s, _ in open_pairs(images, tables)] == [None, None]


def test_what_does_not_go_together_is_refused(folder: Path) -> None:
    images = [folder / "images" / f"{name}.png" for name in "abc"]
    plain = table(folder / "p.csv", [(1, 1, "septa")])
    named = table(
        folder / "n.csv", [(1, 1, "septa", "images/a.png"), (2, 2, "duct", "images/b.png")],
        image=True,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"3 images and 1 points files; give one points file for"):
        open_pairs(images, [plain])
    with pytest.raises(InputError, match=r"1 images and 2 points files"):
        open_pairs(images[:1], [plain, plain])
    with pytest.raises(InputError, match=r"n.csv: no point names the image .*c.png; its column"):
        open_pairs(images, [named])
    with pytest.raises(InputError, match=r"a.png is given twice"):
        open_pairs([images[0], images[1], images[0]], [named])
    with pytest.raises(InputError, match=r"no such file"):
        open_pairs([folder / "no.png"], [plain])
    with pytest.raises(InputError, match=r"no.csv"):
        open_pairs(images[:1], [folder / "no.csv"])
