"""Everything the panel does, on a viewer without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.point_prediction.controller import LIMIT, Controller
from napari_lungcls.gui.point_prediction.requests import predict
from napari_lungcls.gui.points_layer import annotation_layer
from probing import BOX, classes, shown, work


def test_without_image_or_model_it_says_what_to_do(halves, model):
    viewer = ViewerModel()
    controller = Controller(viewer)
    assert controller.missing() == "Open an image first"
    controller.image = viewer.add_image(halves)
    assert controller.missing() == "Train or load a model first"
    with pytest.raises(InputError, match="Train or load a model first"):
        controller.click((5, 5))
    controller.model = model
    assert controller.missing() == ""
    viewer.dims.ndisplay = 3
    assert controller.missing() == "Switch to the 2-D view first"


def test_a_click_shows_class_confidence_and_every_probability(controller, model, halves):
    controller.click((60, 41.5))
    said = work(controller)
    layer = shown(controller)
    probabilities = model.classify(halves, [[60, 41.5]])[0]
    assert layer.data.tolist() == [[60, 41.5]]
    assert layer.name == "lung predictions"
    assert layer.features.iloc[0].to_dict() == {
        "class": "bright",
        "confidence": probabilities.max(),
        "p_bright": probabilities[0],
        "p_dark": probabilities[1],
        "p_never": probabilities[2],
    }
    assert said == ["bright, 99 % (dark 1 %, never <1 %)"]


def test_faces_have_the_colours_of_the_scheme_and_edges_tell_how_sure(controller):
    controller.click((60, 40))
    controller.click((60, 79.6))
    controller.click((60, 120))
    work(controller)
    layer, colors = shown(controller), controller.model.scheme.colors
    for row, label in enumerate(classes(layer)):
        code = controller.model.scheme.code(label)
        expected = [int(colors[code][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(layer.face_color[row, :3], expected, atol=1 / 255)
    order = np.argsort(layer.features["confidence"].to_numpy())
    assert order[0] == 1
    assert (np.diff(layer.border_color[order, 0]) >= 0).all()
    assert layer.border_color[1, 0] < layer.border_color[0, 0] - 0.1


def test_a_rectangle_classifies_a_grid_and_shares_it_out(controller):
    controller.rectangle(BOX)
    assert work(controller) == ["8 points: 50 % bright, 50 % dark"]
    layer = shown(controller)
    assert layer.data.tolist() == [[y, x] for y in (15, 25) for x in (65, 75, 85, 95)]
    assert classes(layer) == ["bright", "bright", "dark", "dark"] * 2
    assert set(layer.size) == {4.0}


@pytest.mark.usefixtures("small_squares")
def test_answers_are_appended_as_they_come_and_once(controller):
    controller.spacing = 2
    request = controller.rectangle([(-0.5, -0.5), (-0.5, 39.5), (39.5, 39.5), (39.5, -0.5)])
    controller.requests.next()
    counts = []
    for answers in predict(request, lambda: False):
        controller.show(request, answers)
        controller.show(request, answers)
        layer = controller.predictions()
        counts.append(0 if layer is None else len(layer.data))
    assert counts == [0, 100, 200, 300, 400]
    np.testing.assert_array_equal(shown(controller).data, request.coordinates)


def test_clicks_outside_the_image_are_refused_and_its_outer_half_pixels_are_not(controller):
    with pytest.raises(InputError, match="outside the image 'lung'; click"):
        controller.click((60, 160.1))
    controller.click((119.4, 159.4))
    assert controller.requests.waiting == 1


def test_of_a_rectangle_what_is_outside_is_left_out(controller):
    controller.rectangle([(100, 140), (100, 500), (900, 500), (900, 140)])
    work(controller)
    assert shown(controller).data.tolist() == [[109.75, 149.75]]
    with pytest.raises(InputError, match="no grid point is on the image 'lung'"):
        controller.rectangle([(-90, 0), (-90, 9), (-80, 9), (-80, 0)])


def test_too_many_points_are_refused_with_the_spacing_that_would_do(controller):
    controller.spacing = 1
    whole = [(-1, -1), (-1, 160), (120, 160), (120, -1)]
    with pytest.raises(InputError, match=r"19,200 points .* 10,000.* 2 px or more"):
        controller.rectangle(whole)
    controller.spacing = 2
    assert len(controller.rectangle(whole).coordinates) == 4800 < LIMIT


def turned(angle: float) -> dict[str, Any]:
    return {"scale": (0.5, 0.5), "translate": (7, -3), "rotate": angle}


@pytest.mark.parametrize("options", [turned(30), turned(90), {"shear": [0.4]}])
def test_a_rectangle_on_the_screen_stays_one_on_a_turned_image(model, halves, options):
    viewer = ViewerModel()
    controller = Controller(viewer)
    image = viewer.add_image(halves, **options)
    controller.image, controller.model, controller.spacing = image, model, 4
    middle = np.array(image.data_to_world((60, 80)))
    corners = [tuple(middle + np.array(d)) for d in ((-9, -12), (-9, 12), (9, 12), (9, -12))]
    request = controller.rectangle(corners)
    work(controller)
    inside = np.array([image.data_to_world(point) for point in request.coordinates]) - middle
    assert (np.abs(inside) <= np.array([9, 12]) + 1e-6).all()
    origin = np.array(image.data_to_world((0, 0)))
    steps = [np.array(image.data_to_world(unit)) - origin for unit in np.eye(2)]
    pixels = 18 * 24 / abs(np.linalg.det(steps))
    assert len(inside) == pytest.approx(pixels / 4**2, rel=0.1)
    layer = shown(controller)
    np.testing.assert_allclose(
        [layer.data_to_world(point) for point in layer.data], inside + middle, atol=1e-9
    )


def test_in_a_stack_points_lie_on_the_plane_in_view(model, halves):
    viewer = ViewerModel()
    stack = np.stack([halves, halves[:, ::-1], halves])
    controller = Controller(viewer)
    controller.image = viewer.add_image(stack, rgb=True, scale=(5, 1, 1), translate=(100, 0, 0))
    controller.model, controller.spacing = model, 10
    controller.click((105.4, 60, 40))
    controller.rectangle([(105, *corner) for corner in BOX])
    work(controller)
    layer = shown(controller)
    assert set(layer.data[:, 0]) == {1.0}
    assert classes(layer)[0] == "dark"
    with pytest.raises(InputError, match="must lie in one plane"):
        controller.rectangle([(100, 0, 0), (100, 0, 9), (110, 0, 9), (110, 0, 0)])
    with pytest.raises(InputError, match="no grid point"):
        controller.rectangle([(150, *corner) for corner in BOX])


def test_a_viewer_with_more_axes_than_the_image_is_no_obstacle(controller, halves):
    controller._viewer.add_image(np.zeros((4, 2, 120, 160), np.uint8))
    controller.click((3, 1, 60, 40))
    controller.rectangle([(3, 1, *corner) for corner in BOX])
    work(controller)
    assert shown(controller).ndim == 2
    assert len(shown(controller).data) == 9


def test_a_multiscale_image_counts_in_its_finest_pixels(model, halves):
    viewer = ViewerModel()
    controller = Controller(viewer)
    controller.image = viewer.add_image([halves, halves[::2, ::2]], multiscale=True, rgb=True)
    controller.model = model
    controller.click((110, 150))
    work(controller)
    assert shown(controller).data.tolist() == [[110, 150]]


def test_undo_takes_back_one_after_the_other(controller):
    assert not controller.can_undo()
    controller.click((60, 40))
    controller.rectangle(BOX)
    controller.click((60, 120))
    work(controller)
    counts = [len(shown(controller).data)]
    said = []
    while controller.can_undo():
        said.append(controller.undo())
        counts.append(len(shown(controller).data))
    assert counts == [10, 9, 1, 0]
    assert said == [f"undid the last {kind}" for kind in ("click", "rectangle", "click")]
    assert controller.undo() == "there is nothing to undo"


def test_undo_hits_the_right_points_after_some_were_deleted_or_added_by_hand(controller):
    controller.rectangle(BOX)
    controller.click((60, 120))
    work(controller)
    layer = shown(controller)
    layer.remove([0, 3])
    layer.add([[1, 1]])
    assert controller.undo() == "undid the last click"
    assert [60, 120] not in layer.data.tolist()
    assert len(layer.data) == 7
    assert controller.undo() == "undid the last rectangle"
    assert layer.data.tolist() == [[1, 1]]
    assert not controller.can_undo()


def test_what_is_undone_while_it_is_worked_on_is_not_shown(controller):
    request = controller.rectangle(BOX)
    controller.requests.next()
    generator = predict(request, lambda: False)
    next(generator)
    assert controller.can_undo()
    assert controller.undo() == "undid the last rectangle"
    with pytest.raises(StopIteration) as end:
        next(generator)
    controller.show(request, end.value.value)
    assert controller.predictions() is None
    assert request.stopped


def test_clear_removes_everything_that_the_image_has(controller):
    controller.rectangle(BOX)
    work(controller)
    controller.click((60, 40))
    assert controller.clear() == "8 points removed"
    assert len(shown(controller).data) == 0
    assert controller.requests.waiting == 0
    assert not controller.can_undo()


@pytest.mark.usefixtures("small_squares")
def test_a_cancelled_rectangle_keeps_and_tells_what_there_is(controller):
    controller.spacing = 2
    request = controller.rectangle([(-0.5, -0.5), (-0.5, 39.5), (39.5, 39.5), (39.5, -0.5)])
    controller.requests.next()
    generator = predict(request, lambda: False)
    for _ in range(2):
        controller.show(request, next(generator))
    controller.requests.stop()
    assert controller.finish(request) == "cancelled after 100 of 400. 100 points: 100 % bright"
    assert len(shown(controller).data) == 100
    controller.undo()
    assert len(shown(controller).data) == 0


def test_closing_the_image_or_the_predictions_lets_go_of_them(controller):
    viewer = controller._viewer
    controller.click((60, 40))
    work(controller)
    viewer.layers.remove(shown(controller))
    assert not controller.can_undo()
    controller.click((60, 120))
    work(controller)
    assert shown(controller).data.tolist() == [[60, 120]]
    image = controller.image
    viewer.layers.remove(image)
    assert controller.requests.of(image) == []


def test_another_scheme_gets_a_layer_of_its_own_and_the_same_one_does_not(controller, make_model):
    controller.click((60, 40))
    work(controller)
    first = shown(controller)
    controller.model = make_model(controller.model.scheme)
    assert controller.predictions() is first
    controller.model = make_model(ClassScheme.of_names(["light", "deep"]))
    controller.click((60, 41))
    work(controller)
    assert shown(controller) is not first
    assert list(shown(controller).features) == ["class", "confidence", "p_light", "p_deep"]
    assert len(first.data) == 1


def test_what_is_selected_stays_so_unless_it_is_the_image(controller, model, halves):
    viewer = controller._viewer
    labels = annotation_layer(viewer, controller.image, model.scheme)
    controller.click((60, 40))
    work(controller)
    assert viewer.layers.selection.active is labels
    viewer.layers.remove(shown(controller))
    viewer.layers.selection.active = controller.image
    controller.click((60, 40))
    work(controller)
    assert viewer.layers.selection.active is shown(controller)


def test_a_closed_controller_listens_to_nothing(controller):
    controller.click((60, 40))
    work(controller)
    layer, viewer = shown(controller), controller._viewer
    before = len(layer.events.data.callbacks), len(viewer.layers.events.removed.callbacks)
    controller.close()
    after = len(layer.events.data.callbacks), len(viewer.layers.events.removed.callbacks)
    assert after == (before[0] - 1, before[1] - 1)
