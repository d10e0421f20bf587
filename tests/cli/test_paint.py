"""`lungcls paint`: maps where they belong, of what was asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import zarr

import napari_lungcls as lc

KEYS = [
    "out", "shape", "stride", "precision", "seconds", "megapixels_per_second",
    "peak_rss_mb", "fractions", "geojson", "damaged",
]  # fmt: skip


@pytest.fixture(scope="module")
def scaled(lab, tmp_path_factory):
    """The image as OME-TIFF, 0.5 µm per pixel."""
    path = tmp_path_factory.mktemp("scaled") / "scaled.ome.tif"
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    pixels = np.asarray(lc.open_image(lab.image).levels[0])
    tifffile.imwrite(path, pixels, photometric="rgb", metadata={"axes": "YXS", **size})
    return path


@pytest.fixture(scope="module")
def placed(lab, tmp_path_factory):
    """The image as OME-Zarr, at 2 µm per pixel and shifted by 100 and -50 µm."""
    path = tmp_path_factory.mktemp("placed") / "placed.ome.zarr"
    group = zarr.create_group(path, zarr_format=2)
    pixels = np.asarray(lc.open_image(lab.image).levels[0]).transpose(2, 0, 1)
    group.create_array("0", data=np.ascontiguousarray(pixels), chunks=(3, 64, 64))
    steps = [
        {"type": "scale", "scale": [1, 2, 2]},
        {"type": "translation", "translation": [0, 100, -50]},
    ]
    axes = [
        {"name": "c", "type": "channel"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Six grey planes, the first black, the last white."""
    path = tmp_path_factory.mktemp("stack") / "stack.tif"
    planes = np.repeat(np.linspace(0, 255, 6).astype(np.uint8), 96 * 80).reshape(6, 96, 80)
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "ZYX"}, imagej=True)
    return path


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_json_has_the_keys_of_the_contract(lab, run_cli, tmp_path, suffix):
    out = tmp_path / f"map{suffix}"
    found = run_cli("paint", lab.model, lab.image, "--out", out, "--json")
    assert list(found.json) == KEYS
    assert (found.json["out"], found.json["shape"], found.json["stride"]) == (str(out), [50, 50], 4)
    assert min(found.json[k] for k in ("seconds", "megapixels_per_second", "peak_rss_mb")) > 0
    assert sum(found.json["fractions"].values()) == pytest.approx(1)
    assert "painting 1/1 blocks" in found.err
    painted = lc.read_map(out)
    cells = np.asarray(painted.classes)
    for code, name in enumerate(("alveoli", "septa", "duct"), 1):
        assert found.json["fractions"][name] == pytest.approx((cells == code).mean())
    assert painted.probabilities is None
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_probabilities(lab, run_cli, tmp_path, suffix):
    out = tmp_path / f"map{suffix}"
    assert run_cli("paint", lab.model, lab.image, "--out", out, "--probabilities").code == 0
    painted = lc.read_map(out)
    probabilities = np.asarray(painted.probabilities).astype(float)
    assert probabilities.shape == (3, 50, 50)
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=3e-3)
    cells = np.asarray(painted.classes)
    own = np.take_along_axis(probabilities, cells[np.newaxis].astype(int) - 1, 0)[0]
    np.testing.assert_array_equal(own, probabilities.max(0))


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize("stride", [1, 3, 8])
def test_the_map_lies_over_its_image(lab, run_cli, tmp_path, scaled, suffix, stride):
    out = tmp_path / f"map{suffix}"
    found = run_cli(
        "paint", lab.model, scaled, "--out", out, "--stride", stride, "--region", "40:140,16:200"
    )
    assert found.code == 0
    assert "the model does not know the pixel size it was trained at" in found.err
    painted = lc.read_map(out)
    assert painted.header.shape == (-(-100 // stride), -(-184 // stride))
    assert painted.scale == pytest.approx((0.5 * stride,) * 2)
    middle = (stride - 1) / 2
    assert painted.translate == pytest.approx((0.5 * (40 + middle), 0.5 * (16 + middle)))
    assert painted.header.unit == "micrometer"


def test_a_placed_image_places_its_map(lab, run_cli, tmp_path, placed):
    out = tmp_path / "map.ome.zarr"
    assert run_cli("paint", lab.model, placed, "--out", out, "--stride", "2").code == 0
    painted = lc.read_map(out)
    assert painted.scale == pytest.approx((4, 4))
    assert painted.translate == pytest.approx((101, -49))
    plain = tmp_path / "plain.ome.zarr"
    assert run_cli("paint", lab.model, lab.image, "--out", plain, "--stride", "2").code == 0
    np.testing.assert_array_equal(painted.classes, lc.read_map(plain).classes)


def test_a_region_holds_the_cells_of_the_whole(lab, run_cli, tmp_path):
    for name, words in (("whole", ()), ("part", ("--region", "64:128,32:"))):
        out = tmp_path / f"{name}.ome.zarr"
        assert run_cli("paint", lab.model, lab.image, "--out", out, *words).code == 0
    whole, part = (lc.read_map(tmp_path / f"{name}.ome.zarr") for name in ("whole", "part"))
    np.testing.assert_array_equal(part.classes, np.asarray(whole.classes)[16:32, 8:])


def test_planes_of_a_stack(lab, run_cli, tmp_path, stack):
    for name, words in (("whole", ()), ("part", ("--planes", "2:5"))):
        found = run_cli(
            "paint", lab.model, stack, "--out", tmp_path / f"{name}.ome.tif", *words, "--json"
        )
        assert found.code == 0
    assert found.json["shape"] == [3, 24, 20]
    assert "painting 3/3 blocks" in found.err
    whole, part = (lc.read_map(tmp_path / f"{name}.ome.tif") for name in ("whole", "part"))
    assert part.translate == pytest.approx((2, 1.5, 1.5))
    np.testing.assert_array_equal(part.classes, np.asarray(whole.classes)[2:5])


def test_overwrite_replaces_a_map_and_nothing_else(lab, run_cli, tmp_path):
    out = tmp_path / "map.ome.zarr"
    command = ("paint", lab.model, lab.image, "--out", out, "--stride", "8", "--overwrite")
    assert run_cli(*command).code == 0
    assert run_cli(*command, "--region", "0:80,0:80").code == 0
    assert lc.read_map(out).header.shape == (10, 10)
    precious = tmp_path / "precious.zarr"
    precious.mkdir()
    (precious / "letters.txt").write_text("dear")
    refused = run_cli("paint", lab.model, lab.image, "--out", precious, "--overwrite")
    assert refused.complaint.startswith(f"{precious}: exists already")
    assert (precious / "letters.txt").read_text() == "dear"


def test_polygons_beside_the_map(lab, run_cli, tmp_path):
    out, polygons = tmp_path / "map.ome.tif", tmp_path / "map.geojson"
    command = ("paint", lab.model, lab.image, "--out", out, "--geojson")
    found = run_cli(*command, polygons, "--json").json
    assert found["geojson"] == str(polygons)
    features = json.loads(polygons.read_text(encoding="utf-8"))["features"]
    names = {f["properties"]["classification"]["name"] for f in features}
    assert names == {name for name, share in found["fractions"].items() if share}
    out.unlink()
    assert "map.geojson: exists already" in run_cli(*command, polygons).complaint
    wrong = run_cli(*command, tmp_path / "p.json")
    assert "polygons are written as .geojson; name the file so" in wrong.complaint


def test_text_for_people(lab, run_cli, tmp_path):
    found = run_cli("paint", lab.model, lab.image, "--out", tmp_path / "map.ome.tif")
    assert found.out.startswith("0.04 megapixels in ")
    assert "alveoli " in found.out
    assert found.out.endswith(f"map: {tmp_path / 'map.ome.tif'}\n")


def test_damage_is_told_and_filled_once_it_is_repaired(lab, run_cli, tmp_path):
    image, out = tmp_path / "image.zarr", tmp_path / "map.ome.zarr"
    pixels = np.asarray(lc.open_image(lab.image).levels[0])
    array = zarr.create_array(image, shape=pixels.shape, chunks=(64, 64, 3), dtype="uint8")
    array[:] = pixels
    chunk = image / "c" / "3" / "3" / "0"
    good = chunk.read_bytes()
    chunk.write_bytes(good[:40])
    command = ("paint", lab.model, image, "--out", out, "--json")
    found = run_cli(*command)
    assert found.code == 3
    (place,) = json.loads(found.out)["damaged"]
    assert (place["plane"], place["rows"], place["columns"]) == ([], [192, 200], [192, 200])
    assert place["reason"].startswith("cannot be read")
    warned, last = found.err.splitlines()[-2:]
    assert "a part of it cannot be read (rows 192:200, columns 192:200)" in warned
    assert last == f"lungcls: {out} is not painted where {image} cannot be read, see above"
    assert "is unfinished (0 of 1 blocks" in run_cli(*command).complaint
    chunk.write_bytes(good)
    assert run_cli(*command, "--resume").json["damaged"] == []
    assert (np.asarray(lc.read_map(out).classes) > 0).all()
    assert "nothing to resume" in run_cli(*command, "--resume").complaint
    assert "not both" in run_cli(*command, "--resume", "--overwrite").complaint


def test_a_cluster_is_one_and_answers(lab, run_cli, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_lungcls.inference.cluster.CONNECT", 0.1)
    command = ("paint", lab.model, lab.image, "--out", tmp_path / "map.ome.zarr", "--scheduler")
    assert "does not answer" in run_cli(*command, "tcp://127.0.0.1:9").complaint
    assert "not both" in run_cli(*command, "tcp://127.0.0.1:9", "--workers", "2").complaint
    assert not any(tmp_path.iterdir())


def test_what_lies_outside_of_a_mask_is_empty(lab, run_cli, tmp_path):
    labels = np.zeros((50, 50), np.uint8)
    labels[10:30, 4:40] = 3
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    ask = ("paint", lab.model, lab.image, "--stride", "4")
    run_cli(*ask, "--out", tmp_path / "all.ome.tif")
    said = run_cli(
        *ask, "--out", tmp_path / "part.ome.tif", "--within", tmp_path / "labels.tif", "--json"
    )
    assert said.code == 0, said.err
    whole, part = (
        np.asarray(lc.read_map(tmp_path / f"{n}.ome.tif").classes) for n in ("all", "part")
    )
    np.testing.assert_array_equal(part, np.where(labels, whole, 0))
    assert sum(said.json["fractions"].values()) == pytest.approx(1)
    tifffile.imwrite(tmp_path / "labels.tif", labels[:49])
    said = run_cli(*ask, "--out", tmp_path / "no.ome.tif", "--within", tmp_path / "labels.tif")
    assert said.complaint.startswith("--within: ")
    assert "make one of the same size" in said.complaint
    assert not (tmp_path / "no.ome.tif").exists()
