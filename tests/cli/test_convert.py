"""`lungcls convert`: points and maps to and from other programs."""

from __future__ import annotations

import json

import numpy as np
import tifffile

from napari_lungcls.annotation import Points, read_points, write_points


def test_points_go_to_other_programs_and_back(run_cli, tmp_path):
    table = write_points(tmp_path / "p.csv", Points.build([[20, 10], [3.5, 4]], ["septa", "duct"]))
    found = run_cli("convert", table, tmp_path / "p.geojson")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("wrote 2 points: ")
    found = run_cli("convert", tmp_path / "p.geojson", tmp_path / "again.csv", "--json")
    assert json.loads(found.out)["classes"] == {"septa": 1, "duct": 1}
    assert (tmp_path / "again.csv").read_text() == table.read_text()


def test_what_is_missing_is_asked_for_by_option(run_cli, tmp_path):
    table, out = tmp_path / "p.csv", tmp_path / "p.xml"
    write_points(table, Points.build([[1, 20, 10], [0, 3.5, 4]], ["septa", "duct"]))
    found = run_cli("convert", table, out)
    assert found.code == 2
    assert "--format: " in found.err
    assert "use cell-counter, cellfinder or asap" in found.err
    found = run_cli("convert", table, out, "--format", "cell-counter")
    assert found.code == 0
    assert "1 point was rounded" in found.err
    assert "use --image" in found.err
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 30, 30), np.uint8), metadata={"axes": "ZYX"})
    words = ("--format", "cell-counter", "--image", tmp_path / "a.tif", "--overwrite")
    assert "--image" not in run_cli("convert", table, out, *words).err
    out.write_text("\n".join(each for each in out.read_text().split("\n") if "<Name>" not in each))
    found = run_cli("convert", out, tmp_path / "b.csv")
    assert "use --from cell-counter or --from cellfinder" in found.err
    found = run_cli("convert", out, tmp_path / "b.csv", "--from", "cell-counter")
    assert "use --classes for a scheme whose first class is Type 1" in found.err
    words = ("--from", "cell-counter", "--classes", "lung")
    assert run_cli("convert", out, tmp_path / "b.csv", *words).code == 0
    assert list(read_points(tmp_path / "b.csv").labels) == ["septa", "duct"]


def test_the_points_of_one_image_are_taken(run_cli, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((30, 30), np.uint8))
    points = Points.build([[20, 10], [3, 4]], ["septa", "duct"], image=["a.tif", "b.tif"])
    table = write_points(tmp_path / "p.csv", points)
    found = run_cli("convert", table, tmp_path / "p.geojson")
    assert found.code == 2
    assert "points of 2 images" in found.err
    assert "use --image to take the points of one" in found.err
    found = run_cli("convert", table, tmp_path / "p.geojson", "--image", tmp_path / "a.tif")
    assert found.code == 0
    assert read_points(tmp_path / "p.geojson").coordinates.tolist() == [[20, 10]]


def test_a_map_becomes_masks_and_polygons(run_cli, lab, tmp_path):
    path = tmp_path / "map.ome.tif"
    assert run_cli("paint", lab.model, lab.image, "--stride", "8", "--out", path).code == 0
    for name in ("m.masks", "m.geojson"):
        found = run_cli("convert", path, tmp_path / name)
        assert (found.code, found.out) == (0, f"wrote the map {tmp_path / name}\n")
    assert len(list((tmp_path / "m.masks").iterdir())) == 3
    found = run_cli("convert", path, tmp_path / "x.geojson", "--classes", "lung")
    assert "--classes is for points, and " in found.err
