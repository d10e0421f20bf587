"""Which part of an image is painted, and where in it somebody looks."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from known_maps import bright_model, paint
from napari_lungcls.errors import InputError
from napari_lungcls.gui.maps import map_layers
from napari_lungcls.gui.paint.extent import (
    Extent,
    make_plan,
    position_in_view,
    region_in_view,
)
from napari_lungcls.images.masks import ImageMask
from napari_lungcls.images.opening import as_stack
from napari_lungcls.inference.grid import MapGrid

PLACE = {"scale": (2.0, 3.0, 0.5, 0.5), "translate": (5.0, -7.0, 11.0, 13.0)}
SHAPE = (3, 4, 32, 40)
FLAT = (slice(0, 32), slice(0, 40))
SHOWN = np.array([2.2, 0.8, 10.0, 20.0])


def lung():
    rng = np.random.default_rng(0)
    return Image(rng.uniform(100, 200, SHAPE).astype(np.float32), name="lung", **PLACE)


@pytest.mark.parametrize(
    ("extent", "shape", "first"),
    [
        (Extent.PLANE, (1, 1), (2, 1)),
        (Extent.RANGE, (1, 3), (2, 1)),
        (Extent.ALL, (3, 4), (0, 0)),
    ],
)
def test_a_part_of_a_stack_gives_the_same_cells_in_the_same_place(extent, shape, first):
    image = lung()
    stack = as_stack(image)
    plan = make_plan(stack, 4, extent, SHOWN, planes=(1, 3))
    grid = plan.grid
    assert grid.shape == (*shape, 8, 10)
    assert plan.first == first
    whole = paint(stack)
    part = paint(grid.stack, planes=grid.planes)
    inside = tuple(slice(f, f + n) for f, n in zip(first, shape, strict=True))
    np.testing.assert_array_equal(part.classes, whole.classes[inside])
    expected = [
        t + s * f for t, s, f in zip(PLACE["translate"], PLACE["scale"], first, strict=False)
    ]
    np.testing.assert_allclose(part.translate[:2], expected[:2])
    assert part.translate[2:] == whole.translate[2:]


@pytest.mark.parametrize("extent", list(Extent))
def test_a_mask_is_that_of_the_planes_that_are_painted(extent):
    stack = as_stack(lung())
    mask = ImageMask(as_stack(np.random.default_rng(1).integers(0, 2, SHAPE, np.uint8)), "drawn")
    plan = make_plan(stack, 4, extent, SHOWN, planes=(1, 3), within=mask)
    part = bright_model().paint(plan.grid.stack, planes=plan.grid.planes, within=plan.within)
    whole = bright_model().paint(stack, within=mask)
    inside = tuple(slice(f, f + n) for f, n in zip(plan.first, part.classes.shape, strict=False))
    np.testing.assert_array_equal(part.classes, whole.classes[inside])
    assert 0 < np.count_nonzero(part.classes) < part.classes.size
    assert part.header.provenance["within"] == "drawn"


def test_planes_and_regions_that_are_not_there_are_refused():
    stack = as_stack(lung())
    with pytest.raises(InputError, match="planes 3 to 1: the first must not come after the last"):
        make_plan(stack, 4, Extent.RANGE, SHOWN, planes=(3, 1))
    with pytest.raises(InputError, match="not inside"):
        make_plan(stack, 4, Extent.ALL, SHOWN, region=(slice(0, 99), slice(0, 4)))


@pytest.mark.parametrize("extent", list(Extent))
def test_the_cell_looked_at_is_the_cell_in_the_middle_of_the_view(extent):
    viewer = ViewerModel()
    image = viewer.add_layer(lung())
    viewer.dims.current_step = (2, 1, 0, 0)
    viewer.scene.camera.center = image.data_to_world((2, 1, 17.5, 25.5))[1:]
    position = position_in_view(viewer, image)
    np.testing.assert_allclose(position, [2, 1, 17.5, 25.5])
    region = (slice(4, 30), slice(2, 40))
    plan = make_plan(as_stack(image), 4, extent, position, planes=(1, 2), region=region)
    painted = paint(plan.grid.stack, planes=plan.grid.planes, region=region)
    data, options, _ = map_layers(painted, "map", image)[-1]
    layer = viewer.add_labels(data, **options)
    np.testing.assert_allclose(
        plan.cell(position), layer.world_to_data(viewer_center(viewer)), atol=1e-9
    )


def viewer_center(viewer):
    return (*viewer.dims.point[:2], *viewer.scene.camera.center[1:])


def test_the_size_counts_classes_probabilities_and_confidence():
    plan = make_plan(as_stack(lung()), 4, Extent.PLANE, SHOWN)
    assert plan.bytes(3, probabilities=False, confidence=False) == 80
    assert plan.bytes(3, probabilities=True, confidence=False) == 560
    assert plan.bytes(3, probabilities=False, confidence=True) == 720


@pytest.mark.parametrize("levels", [1, 2])
def test_what_the_canvas_shows_becomes_rows_and_columns(levels):
    viewer = ViewerModel()
    full = np.zeros((64, 80), np.uint8)
    image = viewer.add_image([full, full[::2, ::2]] if levels == 2 else full)
    image.corner_pixels = np.array([[8, 10], [23, 29]])
    if levels == 2:
        image.data_level = 1
        image.corner_pixels = np.array([[4, 5], [11, 14]])
    rows, columns = region_in_view(viewer, image)
    assert rows.start <= 8 <= 23 <= rows.stop <= 25
    assert columns.start <= 10 <= 29 <= columns.stop <= 31


def test_nothing_in_view_and_a_view_in_3d_are_refused():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 64, 80), np.uint8), name="lung")
    image.corner_pixels = np.array([[0, 0, 79], [0, 0, 79]])
    with pytest.raises(InputError, match="no part of the image 'lung' is in view"):
        region_in_view(viewer, image)
    viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="switch to 2-D"):
        region_in_view(viewer, image)


def test_a_part_reads_only_the_planes_it_has():
    image = lung()
    grid = make_plan(as_stack(image), 4, Extent.PLANE, SHOWN).grid
    assert isinstance(grid, MapGrid)
    plane = grid.stack.plane(grid.image_plane((0, 0)))
    np.testing.assert_array_equal(plane.read(*FLAT)[..., 0], image.data[2, 1])
