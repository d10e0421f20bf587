"""Predictions that become labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Points as PointsLayer

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.label.layer_events import LayerEvents
from napari_lungcls.gui.points_layer import annotation_layer, set_scheme, to_points
from napari_lungcls.gui.session import session
from probing import BOX, classes, shown, work


class Watcher:
    """Notes what a points layer looks like whenever it says that its data changed."""

    def __init__(self, layer: PointsLayer) -> None:
        self.seen: list[tuple[str, list[str]]] = []
        layer.events.data.connect(
            lambda event: self.seen.append((str(event.action), classes(layer)))
        )


@pytest.fixture
def labelled(controller) -> PointsLayer:
    """An annotation layer in use, with two labels and a column of its own."""
    viewer = controller._viewer
    layer = annotation_layer(viewer, controller.image, controller.model.scheme)
    layer.data = [[1.0, 2], [3, 4]]
    layer.features = {"class": ["dark", "never"], "observer": ["A", "B"]}
    set_scheme(layer, controller.model.scheme)
    layer.feature_defaults = {"class": "dark", "observer": "C"}
    session(viewer).target = layer
    return layer


def test_predictions_become_labels_in_one_step(controller, labelled):
    controller.rectangle(BOX)
    work(controller)
    watcher = Watcher(labelled)
    assert controller.convert() == "8 points moved to 'lung points'"
    assert len(shown(controller).data) == 0
    expected = ["dark", "never", *["bright", "bright", "dark", "dark"] * 2]
    assert classes(labelled) == expected
    assert watcher.seen == [("changing", expected), ("changed", expected)]
    assert labelled.data[2:].tolist() == [[y, x] for y in (15, 25) for x in (65, 75, 85, 95)]
    assert list(labelled.features["source"]) == ["", ""] + ["model"] * 8
    assert list(labelled.features["observer"]) == ["A", "B"] + ["C"] * 8
    assert labelled.feature_defaults.iloc[0].to_dict() == {
        "class": "dark", "observer": "C", "source": "",
    }  # fmt: skip
    colors = {label: tuple(c) for label, c in zip(expected, labelled.face_color, strict=True)}
    assert len(set(colors.values())) == 3
    assert not controller.can_undo()


def test_the_label_window_sees_one_edit(controller, labelled):
    controller.rectangle(BOX)
    work(controller)
    watch, edits = LayerEvents(labelled, controller.model.scheme), []
    watch.edited.connect(edits.append)
    watch.next_class("never")
    controller.convert()
    assert len(edits) == 1
    assert len(edits[0]) == 2
    assert len(watch.snapshot) == 10
    assert list(watch.snapshot.classes) == classes(labelled)
    assert str(labelled.feature_defaults["class"].iloc[0]) == "never"
    watch.close()


def test_only_selected_predictions_become_labels(controller, labelled):
    controller.rectangle(BOX)
    work(controller)
    shown(controller).selected_data = {1, 6}
    assert controller.convert() == "2 points moved to 'lung points'"
    assert labelled.data[2:].tolist() == [[15, 75], [25, 85]]
    assert classes(labelled)[2:] == ["bright", "dark"]
    assert len(shown(controller).data) == 6
    controller.undo()
    assert len(shown(controller).data) == 0


def test_a_second_conversion_adds_to_the_column_source(controller, labelled):
    for x in (40, 120):
        controller.click((60, x))
        work(controller)
        controller.convert()
    assert list(labelled.features["source"]) == ["", "", "model", "model"]


def test_without_an_annotation_layer_one_is_made_and_used_from_then_on(controller):
    controller.click((60, 40))
    work(controller)
    controller.convert()
    made = session(controller._viewer).target
    assert made.name == "lung points"
    assert classes(made) == ["bright"]
    controller.click((60, 120))
    work(controller)
    controller.convert()
    assert classes(made) == ["bright", "dark"]
    assert core_texts(made) == [("bright", "model"), ("dark", "model")]


def core_texts(layer: PointsLayer) -> list[tuple[Any, Any]]:
    points = to_points(layer)
    return list(zip(points.labels, points.column("source"), strict=True))


def test_labels_go_where_the_annotation_layer_lies(controller, model):
    viewer = controller._viewer
    target = PointsLayer(np.empty((0, 2)), ndim=2, scale=(2, 2), translate=(10, 0))
    viewer.add_layer(target)
    session(viewer).target = target
    controller.click((60, 40))
    work(controller)
    controller.convert()
    assert target.data.tolist() == [[60, 40]]
    np.testing.assert_array_equal(target.data_to_world([60, 40]), [60, 40])
    assert classes(target) == ["bright"]


def test_a_class_that_the_target_does_not_know_changes_nothing(controller, labelled):
    set_scheme(labelled, ClassScheme.of_names(["dark", "never"]))
    controller.rectangle(BOX)
    work(controller)
    with pytest.raises(InputError, match=r"'lung points' has no class bright, only dark, never; "):
        controller.convert()
    assert len(labelled.data) == 2
    assert len(shown(controller).data) == 8


def test_labels_of_another_image_are_not_mixed_in(controller, labelled, halves):
    controller.image = controller._viewer.add_image(halves, name="other")
    controller.click((60, 40))
    work(controller)
    with pytest.raises(InputError, match="'lung points', which belongs to the image 'lung'"):
        controller.convert()
    assert len(labelled.data) == 2


def test_there_must_be_predictions_to_convert(controller):
    with pytest.raises(InputError, match="there are no predictions yet"):
        controller.convert()
