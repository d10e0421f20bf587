"""Masks of every kind say the same of the same tissue."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_lungcls.annotation import ClassScheme, ClassSpec
from napari_lungcls.errors import InputError
from napari_lungcls.images.masks import Mask
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.stereology.design import SampledImage, make_grid
from napari_lungcls.stereology.masks import read_mask


def everywhere(shape: tuple[int, int]) -> np.ndarray:
    """All pixels of a plane, `(n, 2)`."""
    return np.indices(shape).reshape(2, -1).T


def seen(mask: Mask, shape: tuple[int, int], plane: tuple[int, ...] = ()) -> np.ndarray:
    """A mask as a picture, asked in any order."""
    pixels = np.random.default_rng(0).permutation(everywhere(shape))
    found = np.zeros(shape, bool)
    found[tuple(pixels.T)] = mask.inside(plane, pixels)
    return found


@settings(max_examples=20, deadline=None)
@given(arrays(np.uint16, (7, 9), elements=st.sampled_from([0, 1, 900])))
def test_labels_of_any_number_are_inside(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("m") / "tissue.tif"
    tifffile.imwrite(path, labels)
    mask = read_mask(path, (7, 9))
    np.testing.assert_array_equal(seen(mask, (7, 9)), labels > 0)
    assert mask.area(()) == np.count_nonzero(labels)
    assert mask.description == "tissue.tif"


def test_large_masks_are_read_in_squares(tmp_path):
    labels = np.zeros((1500, 2100), np.uint8)
    labels[1000:1400, 900:2090] = 7
    iio.imwrite(tmp_path / "m.png", labels)
    mask = read_mask(tmp_path / "m.png", labels.shape)
    assert mask.area(()) == np.count_nonzero(labels)
    pixels = np.array([[999, 950], [1000, 899], [1000, 900], [1399, 2089], [1400, 2089], [0, 0]])
    assert mask.inside((), pixels).tolist() == [False, False, True, True, False, False]
    assert mask.inside((), pixels[:0]).shape == (0,)


def test_a_smaller_mask_goes_into_the_image(tmp_path):
    labels = np.array([[1, 0, 0], [0, 0, 9]], np.uint8)
    iio.imwrite(tmp_path / "m.png", labels)
    mask = read_mask(tmp_path / "m.png", (4, 8, 12))
    np.testing.assert_array_equal(seen(mask, (8, 12), (3,)), np.kron(labels, np.ones((4, 4))) > 0)
    assert mask.area((3,)) == 32
    for shape in ((8, 13), (9, 12), (4, 12), (1, 1)):
        with pytest.raises(InputError, match="goes into it a whole number of times, or draw poly"):
            read_mask(tmp_path / "m.png", shape)


def test_one_plane_holds_for_all_and_a_stack_for_each(tmp_path):
    labels = np.zeros((2, 6, 8), np.int32)
    labels[1, 2:4] = 70000
    tifffile.imwrite(tmp_path / "s.tif", labels, metadata={"axes": "ZYX"}, ome=True)
    tifffile.imwrite(tmp_path / "p.tif", labels[1])
    stack, plane = (read_mask(tmp_path / name, labels.shape) for name in ("s.tif", "p.tif"))
    for z in range(2):
        np.testing.assert_array_equal(seen(stack, (6, 8), (z,)), labels[z] > 0)
        np.testing.assert_array_equal(seen(plane, (6, 8), (z,)), labels[1] > 0)
    with pytest.raises(InputError, match=r"mask has the shape \(2, 6, 8\) and the image \(6, 8\)"):
        read_mask(tmp_path / "s.tif", (6, 8))


def painted(cells: np.ndarray, stride: int, origin: tuple[int, int] = (0, 0)) -> PaintedMap:
    """A map with these cells."""
    header = MapHeader(
        shape=cells.shape, scale=(stride,) * cells.ndim, translate=(0,) * cells.ndim,
        scheme=ClassScheme.preset("lung-full"), stride=stride, origin=origin,
    )  # fmt: skip
    return PaintedMap(cells.astype(np.uint8), None, header)


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_classes_and_roles_of_a_map(tmp_path, suffix):
    cells = np.array([[1, 2, 3], [4, 5, 0]])
    path = painted(cells, 4, origin=(2, 3)).save(tmp_path / f"map{suffix}")
    shape = (9, 14)
    full = np.zeros((11, 16), int)
    full[2:10, 3:15] = np.kron(cells, np.ones((4, 4), int))
    full = full[:9, :14]
    for wanted, values in (("septa", [2]), ("parenchyma", [1, 2, 3]), ("lung", [1, 2, 3, 4])):
        mask = read_mask(path, shape, wanted)
        np.testing.assert_array_equal(seen(mask, shape), np.isin(full, values))
        assert mask.area(()) == np.isin(full, values).sum()
        assert mask.description == f"map{suffix}: {wanted}"
    with pytest.raises(InputError, match="class 'vein' is not in the scheme"):
        read_mask(path, shape, "vein")
    for other in ((5, 5), (2, 9, 14)):
        with pytest.raises(InputError, match="give the map that was painted of this image"):
            read_mask(path, other, "lung")
    with pytest.raises(InputError, match=r"mask_class: .*is a painted map; name a class of it"):
        read_mask(path, shape)


def test_a_map_without_roles_needs_a_class(tmp_path):
    header = painted(np.ones((2, 2)), 4).header
    plain = ClassScheme(name="s", classes=(ClassSpec(name="a", color="#000000"),))
    path = PaintedMap(np.ones((2, 2), np.uint8), None, header.model_copy(update={"scheme": plain}))
    saved = path.save(tmp_path / "m.ome.zarr")
    with pytest.raises(InputError, match=r"mask_class: .*has the role lung; name one of its cl"):
        read_mask(saved, (8, 8), "lung")


def geojson(path: Path, *outlines: list[list[float]], **more: object) -> Path:
    """Polygons as QuPath writes them."""
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [line]} | more}
        for line in outlines
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


BOX = [[2, 1], [7, 1], [7, 5], [2, 5], [2, 1]]
TRIANGLE = [[0, 0], [4, 0], [0, 4], [0, 0]]


def test_polygons_cover_the_pixels_whose_middles_they_hold(tmp_path):
    mask = read_mask(geojson(tmp_path / "m.geojson", BOX), (8, 10))
    expected = np.zeros((8, 10), bool)
    expected[1:5, 2:7] = True
    np.testing.assert_array_equal(seen(mask, (8, 10)), expected)
    assert mask.area(()) == 20
    both = read_mask(geojson(tmp_path / "m.geojson", BOX, TRIANGLE), (8, 10))
    assert both.area(()) == 20 + 8 - 0.5, "they overlap in half a pixel"


def test_shapes_of_napari_are_the_same(tmp_path):
    rows = ["index,shape-type,vertex-index,axis-0,axis-1"]
    rows += [f"0,rectangle,{k},{y},{x}" for k, (y, x) in enumerate(
        [(0.5, 1.5), (0.5, 6.5), (4.5, 6.5), (4.5, 1.5)])]  # fmt: skip
    rows += [f"1,line,{k},{y},{y}" for k, y in enumerate((0, 7))]
    (tmp_path / "s.csv").write_text("\n".join(rows))
    mask = read_mask(tmp_path / "s.csv", (8, 10))
    box = read_mask(geojson(tmp_path / "m.geojson", BOX), (8, 10))
    np.testing.assert_array_equal(seen(mask, (8, 10)), seen(box, (8, 10)))
    (tmp_path / "s.csv").write_text("\n".join(rows).replace("rectangle", "ellipse"))
    assert read_mask(tmp_path / "s.csv", (8, 10)).area(()) == pytest.approx(
        20 * np.pi / 4, rel=0.01
    )


def test_a_plane_may_be_named(tmp_path):
    path = geojson(tmp_path / "m.geojson", BOX, plane={"c": -1, "z": 1, "t": 0})
    mask = read_mask(path, (3, 8, 10))
    assert [mask.area((z,)) for z in range(3)] == [0, 20, 0]
    assert read_mask(geojson(path, BOX), (3, 8, 10)).area((2,)) == 20


def test_polygons_of_one_class(tmp_path):
    cells = np.array([[1, 2], [4, 4]])
    path = painted(cells, 3).save(tmp_path / "map.geojson")
    mask = read_mask(path, (6, 6), "septa")
    np.testing.assert_array_equal(seen(mask, (6, 6)), np.kron(cells, np.ones((3, 3))) == 2)
    with pytest.raises(InputError, match="holds no polygons of the class 'vein'; outline"):
        read_mask(path, (6, 6), "vein")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.geojson", "{", "is no JSON"),
        ("m.geojson", "3", "is no GeoJSON; export the polygons as a FeatureCollection"),
        ("m.geojson", "[]", "holds no polygons; outline the tissue"),
        ("m.geojson", "[3]", "feature 0 is no outline"),
        ("m.geojson", '[{"type": "Feature", "geometry": null}]', "feature 0 is no outline"),
        ("m.geojson", '{"type": "Point", "coordinates": [1, 2]}', "holds no polygons"),
        ("m.geojson", '{"type": "Polygon", "coordinates": [[1]]}', "feature 0 is no outline"),
        ("m.csv", "axis-0,axis-1\n1,2\n", "is no table of shapes of this image"),
    ],
)
def test_files_that_hold_no_polygons(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_mask(tmp_path / name, (8, 10))


def test_polygons_elsewhere_are_refused(tmp_path):
    path = geojson(tmp_path / "m.geojson", [[y + 100, x] for y, x in BOX])
    with pytest.raises(InputError, match=r"no polygon lies in the image, which has 8 × 10 pixels"):
        read_mask(path, (8, 10))
    with pytest.raises(InputError, match="does not exist"):
        read_mask(tmp_path / "none.geojson", (8, 10))


def test_a_small_mask_of_a_large_image_is_no_slip(tmp_path, monkeypatch):
    path = geojson(tmp_path / "m.geojson", [[50, 50], [250, 50], [250, 100], [50, 100], [50, 50]])
    image = SampledImage("a.tif", (30000, 30000), read_mask(path, (30000, 30000)))
    wanted = make_grid([image], 10).coordinates
    assert make_grid([image], 10).coordinates.shape == (110, 2)
    monkeypatch.setattr("napari_lungcls.stereology.drawing.AT_ONCE", 7000)
    np.testing.assert_array_equal(make_grid([image], 10).coordinates, wanted)


def test_points_lie_in_the_mask_and_fields_count_its_area(tmp_path):
    path = geojson(tmp_path / "m.geojson", [[0, 0], [200, 0], [0, 200], [0, 0]])
    mask = read_mask(path, (200, 200))
    points = make_grid([SampledImage("a.tif", (200, 200), mask)], 5, repeat_fraction=0)
    y, x = points.coordinates.T
    assert (y + x < 200).all()
    assert len(points) == pytest.approx(20000 / 25, rel=0.05)
    assert set(points.column("mask")) == {"m.geojson"}
    fields = make_grid([SampledImage("a.tif", (200, 200), mask)], 5, fields=8, field_size=20,
                       repeat_fraction=0)  # fmt: skip
    assert float(fields.column("inclusion_prob")[0]) == pytest.approx(
        8 * 400 / 20000 / 25, rel=1e-3
    )
