"""What test points are drawn in: images and layers as masks, and names that maps share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel

from known_sections import painted, truth
from napari_lungcls.errors import InputError
from napari_lungcls.gui.maps import add_layers, map_layers
from napari_lungcls.gui.mask_box import may_mask
from napari_lungcls.gui.measure.images import maps_for_table, name_in_table, short_name
from napari_lungcls.gui.measure.sampling import (
    GridChoice,
    expectation,
    proposed_spacing,
    sampled_image,
)
from napari_lungcls.stereology.drawing import SampledImage

TURNED = {"scale": (2.0, 0.5, 0.5), "translate": (1, 20, -5), "rotate": 20}


def scene(*shape, **options):
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(shape, np.uint8), name="lung", **options)
    return viewer, image


def test_points_lie_within_outlines_wherever_image_and_outlines_are():
    viewer, image = scene(3, 200, 300, **TURNED)
    corners = np.array([[1, 40, 50], [1, 40, 210], [1, 170, 210], [1, 170, 50]], float)
    world = np.array([image.data_to_world(corner) for corner in corners])
    shapes = viewer.add_shapes([world], shape_type="polygon", name="tissue")
    points = GridChoice(10).draw(sampled_image(viewer, image, shapes))
    z, y, x = points.coordinates.T
    assert set(z) == {1}
    assert np.all((y >= 40) & (y <= 170))
    assert np.all((x >= 50) & (x <= 210))
    assert len(points) == pytest.approx(1.1 * 130 * 160 / 100, rel=0.1)
    assert set(points.column("mask")) == {"layer 'tissue'"}


def test_flat_outlines_hold_for_every_plane_and_an_ellipse_is_round():
    viewer, image = scene(4, 200, 300)
    box = np.array([[50, 100], [50, 200], [150, 200], [150, 100]], float)
    shapes = viewer.add_shapes([box], shape_type="ellipse")
    sampled = sampled_image(viewer, image, shapes)
    assert sampled.area == pytest.approx(4 * np.pi * 50**2, rel=0.01)
    points = GridChoice(8).draw(sampled)
    assert set(points.coordinates[:, 0]) == {0, 1, 2, 3}
    assert np.hypot(*(points.coordinates[:, 1:] - (100, 150)).T).max() <= 51


def test_painted_labels_are_a_mask_of_all_but_0():
    viewer, image = scene(2, 120, 160)
    mask = np.zeros((120, 160), np.int64)
    mask[30:90, 20:100] = 7
    labels = viewer.add_labels(mask)
    sampled = sampled_image(viewer, image, labels)
    assert sampled.area == 2 * mask.astype(bool).sum()
    at = GridChoice(6).draw(sampled).coordinates.astype(int)
    assert mask[at[:, 1], at[:, 2]].all()
    other = viewer.add_labels(np.zeros((60, 80), np.uint8))
    with pytest.raises(InputError, match="60 × 80 pixels and the image 2 × 120 × 160"):
        sampled_image(viewer, image, other)
    with pytest.raises(InputError, match="no outline"):
        sampled_image(viewer, image, viewer.add_shapes(ndim=2))


@settings(max_examples=30)
@given(st.integers(60, 900), st.integers(60, 900), st.integers(4, 40), st.integers(0, 99))
def test_as_many_points_come_as_were_announced(height, width, spacing, seed):
    choice = GridChoice(spacing, seed=seed)
    sampled = SampledImage("lung", (height, width))
    expected = choice.points(sampled.area, 1)
    found = sum(not text for text in choice.draw(sampled).column("repeat_of"))
    # The offset is random: a line of the grid more or less along each axis.
    assert abs(found - expected) <= height / spacing + width / spacing + 2
    assert f"About {expected:,} test point" in expectation(choice, height * width, 1)


def test_the_form_s_sentence_and_proposal():
    said = expectation(GridChoice(60, lines=60), 210 * 3600, 1)
    assert said == (
        "About 210 test points, 21 of them asked twice: 462 questions. A class of 20 % is then "
        "known to ± 2.8 percentage points."
    )
    assert "too large" in expectation(GridChoice(10_000), 100 * 100, 1)
    for area in (300.0, 5e4, 2e6, 3e9):
        assert 190 <= area / proposed_spacing(area) ** 2 <= 450


def test_images_are_named_as_their_maps_name_them():
    viewer, image = scene(64, 80)
    assert name_in_table(viewer, image) == "layer 'lung'"
    found = painted(truth(64, 80), "slides/lung.ome.tif")
    add_layers(viewer, map_layers(found, "map", image))
    assert name_in_table(viewer, image) == "slides/lung.ome.tif"
    assert not may_mask(viewer.layers["map"])
    assert short_name("layer 'lung'") == "lung"
    assert short_name("slides\\lung.ome.tif") == "lung.ome.tif"


@pytest.mark.parametrize(
    ("of_map", "in_table", "same"),
    [
        ("slides/lung.ome.tif", "layer 'lung'", True),
        ("layer 'lung'", "other/lung.tif", True),
        ("layer 'lung'", "layer 'lung'", True),
        ("layer 'lung 2'", "layer 'lung'", False),
    ],
)
def test_maps_and_tables_meet_where_only_the_way_differs(of_map, in_table, same):
    (found,) = maps_for_table([painted(truth(64, 80), of_map)], [in_table])
    assert (found.header.provenance["image"] == in_table) == same


def test_a_map_is_left_alone_where_two_images_could_be_meant():
    maps = [painted(truth(64, 80), "layer 'lung'")]
    (found,) = maps_for_table(maps, ["a/lung.tif", "b/lung.tif"])
    assert found is maps[0]
