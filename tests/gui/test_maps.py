"""Painted maps as layers: their place in the world, their colours, names and cells."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer

from known_maps import SLOPE, THRESHOLD, paint
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui import maps
from napari_lungcls.images.opening import as_stack
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap

LUNG = ClassScheme.preset("lung")
SIZE, MARGIN, STEEP = 128, 32, 0.8
FLAT = {"scale": (2.0, 3.0, 0.5, 0.25), "translate": (5.0, -7.0, 11.0, 13.0)}


def made(shape=(4, 5), probabilities=True, **fields):
    rng = np.random.default_rng(1)
    header = MapHeader(
        shape=shape,
        scale=(1.0,) * len(shape),
        translate=(0.0,) * len(shape),
        scheme=LUNG,
        stride=4,
        probabilities=probabilities,
        **fields,
    )
    classes = rng.integers(0, 4, shape).astype(np.uint8)
    values = rng.dirichlet([1, 1, 1], shape).astype(np.float16)
    values = np.ascontiguousarray(np.moveaxis(values, -1, 0)) if probabilities else None
    return PaintedMap(classes, values, header)


def built(*arguments, **options):
    return [Layer.create(*layer) for layer in maps.map_layers(*arguments, **options)]


def turned():
    turn = np.deg2rad(30)
    rotate = np.eye(4)
    rotate[-2:, -2:] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = np.eye(5)
    affine[2, 4], affine[2, 3] = 9.0, 0.3
    return {**FLAT, "rotate": rotate, "affine": affine}


def ramps():
    """Brightness grows along x at the first time and along y at the second."""
    ramp = THRESHOLD + STEEP * (np.arange(SIZE) - SIZE / 2)
    image = np.empty((2, 2, SIZE, SIZE), np.float32)
    image[0], image[1] = ramp[None, :], ramp[:, None]
    return image


@pytest.mark.parametrize("place", [FLAT, turned()], ids=["scaled", "turned"])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8, 16])
def test_every_painted_cell_lies_within_half_a_cell_of_where_it_belongs(stride, place):
    image = Image(ramps(), name="lung", **place)
    start = (17, 5)
    region = (slice(start[0], SIZE), slice(start[1], SIZE))
    painted = paint(as_stack(image), stride=stride, region=region, planes=slice(1, 2))
    layer = built(painted, "map", image)[-1]
    values = painted.probabilities.astype(float)
    brightness = np.log(values[0] / values[1]) / SLOPE + THRESHOLD
    seen = (brightness - THRESHOLD) / STEEP + SIZE / 2
    checked = 0
    for cell in np.ndindex(*painted.header.shape):
        where = image.world_to_data(layer.data_to_world(cell))
        np.testing.assert_allclose(where[:2], [cell[0], 1], atol=1e-9)
        along = where[3] if cell[0] == 0 else where[2]
        if MARGIN <= along < SIZE - MARGIN:
            checked += 1
            assert abs(seen[cell] - along) < 0.5 * stride
    assert checked >= 2 * (SIZE - 2 * MARGIN) // stride


def test_a_map_shares_its_cells_with_its_layers():
    painted = made()
    *values, classes = built(painted, "map", probabilities=True)
    painted.classes[1, 2], painted.probabilities[1, 3, 4] = 2, 0.5
    assert classes.data is painted.classes
    assert classes.get_value((1, 2)) == 2
    assert float(values[1].data[3, 4]) == 0.5
    assert [layer.name for layer in values] == ["map: alveoli", "map: septa", "map: duct"]


def test_a_large_map_has_coarser_levels_of_the_same_cells(monkeypatch):
    monkeypatch.setattr(maps, "LARGE", 32)
    painted = made((2, 70, 41))
    flat, layers = made((2, 30, 21)), built(painted, "map", probabilities=True, confidence=True)
    assert not any(layer.multiscale for layer in built(flat, "map", probabilities=True))
    assert all(layer.multiscale for layer in layers)
    classes = layers[-1]
    assert [level.shape[1:] for level in classes.data][-1] == (5, 3)
    assert np.shares_memory(classes.data[0], painted.classes)
    painted.classes[:] = 2
    assert all((level == 2).all() for level in classes.data)
    # Coarser levels change neither the map's place nor what is read from it.
    monkeypatch.setattr(maps, "LARGE", 1000)
    np.testing.assert_array_equal(classes.extent.world, built(painted, "map")[-1].extent.world)
    for cell in ((0, 0, 0), (1, 69, 40), (1, 33, 17)):
        code, values = maps.cell_under(classes, classes.data_to_world(cell))
        assert code == 1
        np.testing.assert_array_equal(values, painted.probabilities[(slice(None), *cell)])


def test_classes_have_their_colours_and_names():
    painted = made()
    layer = built(painted, "map")[-1]
    colors = layer.colormap.color_dict
    assert [tuple(np.round(colors[i][:3] * 255)) for i in (1, 2, 3)] == [
        tuple(bytes.fromhex(color[1:])) for color in LUNG.colors
    ]
    assert colors[0][3] == colors[None][3] == 0
    painted.classes[0, 0] = 3
    assert layer.get_status((0, 0), world=True)["value"].endswith("class: duct")
    assert maps.map_colors(LUNG, {1}).color_dict[2][3] == 0


def test_confidence_is_the_top_probability_and_nothing_where_nothing_is_painted():
    painted = made()
    painted.probabilities[:, 0, 0] = 0
    confidence = built(painted, "map", confidence=True)[0]
    assert confidence.data.dtype == np.float16
    np.testing.assert_array_equal(confidence.data, painted.probabilities.max(axis=0))
    assert not confidence.visible
    colors = confidence.colormap.map(np.array([0.0, 0.34, 1.0]))
    assert list(colors[:, 3]) == [0, 1, 1]
    assert colors[1, :3].sum() < colors[2, :3].sum()
    assert len(built(made(probabilities=False), "map", confidence=True)) == 1


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_confidence_colours_begin_at_the_least_that_a_top_probability_can_be(classes):
    colors = maps.confidence_colors(classes).map(np.array([0.0, 1 / classes, 1.0]))
    assert list(colors[:, 3]) == [0, 1, 1]


def test_a_map_says_what_is_under_a_place_in_the_world():
    image = Image(np.zeros((2, 2, 16, 20), np.float32), name="lung", **FLAT)
    painted = paint(as_stack(image), stride=4)
    viewer = ViewerModel()
    layer = viewer.add_layer(built(painted, "map", image)[-1])
    painted.classes[:], painted.probabilities[:] = 0, 0
    painted.classes[1, 0, 2, 3] = 2
    painted.probabilities[:, 1, 0, 2, 3] = 0.25, 0.75
    # Pixel (10.4, 14.6) lies in cell (2, 3): pixels 8 to 11 and 12 to 15.
    code, values = maps.cell_under(layer, image.data_to_world((1, 0, 10.4, 14.6)))
    assert code == 1
    np.testing.assert_array_equal(values, [0.25, 0.75])
    assert maps.cell_under(layer, image.data_to_world((1, 0, 7.4, 14.6))) is None
    assert maps.cell_under(layer, image.data_to_world((1, 0, -1, 14))) is None
    assert maps.cell_under(image, (0, 0, 0, 0)) is None


def test_maps_come_below_the_points_for_labelling_and_above_the_rest():
    viewer = ViewerModel()
    image, below = viewer.add_image(np.zeros((16, 20))), viewer.add_points(ndim=2)
    other = viewer.add_labels(np.zeros((4, 4), int))
    first, second = viewer.add_points(ndim=2), viewer.add_points(ndim=2)
    added = maps.add_layers(viewer, maps.map_layers(made(), "map", probabilities=True))
    assert len(added) == 4
    assert list(viewer.layers) == [image, below, other, *added, first, second]


@pytest.mark.parametrize("name", ["m.ome.zarr", "m.ome.tif"])
@pytest.mark.parametrize("resident", [2**29, 0])
def test_a_saved_map_comes_back_with_place_colours_and_values(
    name, resident, tmp_path, monkeypatch
):
    monkeypatch.setattr(maps, "RESIDENT", resident)
    place = FLAT | {"scale": (2.0, 3.0, 0.5, 0.5), "units": ("s", "um", "um", "um")}
    image = Image(np.zeros((2, 2, 16, 20), np.float32), name="lung", **place)
    painted = paint(as_stack(image), stride=4, pixel_size=0.5)
    painted.save(tmp_path / name)
    again = maps.open_map(tmp_path / name)
    assert isinstance(again.classes, np.ndarray) == bool(resident)
    for one, two in zip(
        built(painted, "map", image, probabilities=True),
        built(again, "map", image, probabilities=True),
        strict=True,
    ):
        np.testing.assert_array_equal(np.asarray(one.data), np.asarray(two.data))
        np.testing.assert_array_equal(one.scale, two.scale)
        np.testing.assert_array_equal(one.translate, two.translate)
        assert one.units == two.units
    alone = built(again, "map")[-1]
    np.testing.assert_allclose(alone.scale, [2, 3, 2, 2])
    np.testing.assert_allclose(alone.translate, [5, -7, 11.75, 13.75])
    assert alone.metadata["lungcls"]["image"] == "lung"
    assert maps.is_map(alone)
    assert not maps.is_map(image)
