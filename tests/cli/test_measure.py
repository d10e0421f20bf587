"""`lungcls grid` and `lungcls measure`, from maps on disk to a folder with tables."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_lungcls as lc
from measured_lungs import SCHEME, answered, as_map, erring, truth_of
from napari_lungcls.cli.app import run


def command(capsys, *words):
    """Run a command; give its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as end:
        run([str(word) for word in words])
    out = capsys.readouterr()
    return end.value.code, out.out, out.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truths = {f"{n}.png": truth_of(n, 160) for n in (1, 2, 3, 4)}
    for name, truth in truths.items():
        Image.fromarray(np.repeat(truth[..., None] * 60, 3, axis=-1)).save(name)
        as_map(erring(truth, 1), name).save(f"{Path(name).stem}.ome.tif")
    lc.write_points("audit.csv", answered(truths, 12, lines=20, seed=5))
    rows = [
        ["image", "section", "animal", "group", "lung_volume_cm3"],
        *([f"{n}.png", f"s{n}", f"a{(n + 1) // 2}", "control", "1.2"] for n in (1, 2, 3, 4)),
    ]
    with open("sections.csv", "w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    return tmp_path


MAPS = [f"{n}.ome.tif" for n in (1, 2, 3, 4)]


def test_the_whole_way(folder, capsys):
    code, out, err = command(
        capsys, "measure", *MAPS, "--audit", "audit.csv", "--lines", "audit.csv",
        "--sections", "sections.csv", "--out", "results", "--json",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert (found["target"], found["clusters"]) == ("group", 2)
    septa = found["parameters"]["V_V(sep/par)"]
    assert set(septa) == {"raw", "manual", "difference", "tuned", "poststratified"}
    assert septa["raw"]["estimate"] < septa["difference"]["estimate"]
    names = {path.name for path in (folder / "results").iterdir()}
    assert {"index.html", "measures.csv", "counts.csv", "prism_V_V_sep_par.csv"} <= names
    with open("results/measures.csv") as file:
        levels = {row["level"] for row in csv.DictReader(file)}
    assert levels == {"section", "animal", "group"}


def test_the_table_of_sections_may_say_the_pixel_size_and_must_know_every_plane(folder, capsys):
    words = ["measure", *MAPS[:2], "--out", "r", "--json", "--sections", "own.csv"]
    Path("own.csv").write_text(
        "image,animal,pixel_size_um\n1.png,a,2\n2.png,b,2\n", encoding="utf-8"
    )
    doubled = json.loads(command(capsys, *words)[1])["parameters"]["L_m"]["raw"]["estimate"]
    plain = json.loads(command(capsys, *words[:-2])[1])["parameters"]["L_m"]["raw"]["estimate"]
    assert doubled == pytest.approx(2 * plain)
    assert json.loads(command(capsys, *words)[1])["target"] == "group"
    Path("own.csv").write_text("image,animal\n1.png,a\n2.png,a\n", encoding="utf-8")
    found = json.loads(command(capsys, *words)[1])
    assert (found["target"], found["clusters"]) == ("animal", 2)
    assert any("one animal only" in warning for warning in found["warnings"])
    Path("own.csv").write_text("image,animal\n1.png,a\n", encoding="utf-8")
    code, _, err = command(capsys, *words)
    assert code == 2
    assert "there is no row for 2.png" in err


def test_several_tables_may_follow_an_option(folder, capsys):
    points = lc.read_points("audit.csv")
    mine = np.array([name == "1.png" for name in points.column("image")])
    lc.write_points("one.csv", points.select(mine))
    lc.write_points("rest.csv", points.select(~mine))
    code, out, _ = command(
        capsys, "measure", *MAPS, "--audit", "one.csv", "rest.csv", "--out", "r", "--json"
    )
    assert code == 0
    assert any("are missing" in warning for warning in json.loads(out)["warnings"])


def test_a_grid_is_drawn_answered_and_measured(folder, capsys):
    code, _, err = command(
        capsys, "grid", "1.png", "2.png", "--spacing", 16, "--seed", 4, "--out", "grid.csv"
    )
    assert code == 0, err
    points = lc.read_points("grid.csv")
    where = points.coordinates.astype(int)
    labels = [
        SCHEME.names[truth_of(int(Path(name).stem), 160)[y, x] - 1]
        for name, (y, x) in zip(points.column("image"), where, strict=True)
    ]
    lc.write_points("grid.csv", points.with_columns(**{"class": labels}))
    code, out, err = command(
        capsys, "measure", *MAPS[:2], "--audit", "grid.csv", "--out", "r", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["parameters"]["V_V(sep/par)"]["manual"]["estimate"] > 0


def test_a_mask_leaves_the_rest_out(folder, capsys):
    half = np.zeros((160, 160), np.uint8)
    half[:80] = 255
    Image.fromarray(half).save("mask.png")
    command(capsys, "measure", MAPS[0], "--mask", "mask.png", "--out", "r", "--json")
    with open("r/counts.csv") as file:
        row = next(csv.DictReader(file))
    assert sum(int(row[f"cells {name}"]) for name in SCHEME.names) == 80 * 160


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.ome.tif"], "there is no such map"),
        ([*MAPS, "--audit", "mine.csv"], "no design drew"),
        ([*MAPS, "--classes", "lung-full"], "has the classes"),
        ([*MAPS, "--correct-shrinkage"], "volume_shrinkage"),
        ([*MAPS, "--spacing", "9999"], "more than the map is large"),
    ],
)
def test_bad_input_gets_its_line(folder, capsys, words, said):
    lc.write_points("mine.csv", lc.Points.build([[1, 2]], ["septa"], image="1.png"))
    code, _, err = command(capsys, "measure", *words, "--out", "r")
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
