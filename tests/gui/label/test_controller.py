"""Labelling without a window's buttons: keys, classes, undo, whatever napari does to points."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Points
from napari.utils.colormaps.standardize_color import transform_color

from napari_lungcls.annotation import ClassScheme, read_points
from napari_lungcls.annotation.autosave import SUFFIX, read_autosave
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import ImageId
from napari_lungcls.gui.label import summary
from napari_lungcls.gui.label.controller import Labeller
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train.pairs import gather


def classes(labeller: Labeller) -> list[str]:
    shown = [None if c != c else c for c in labeller.layer.features["class"]]
    assert list(labeller.annotation.points.classes) == shown
    return shown


def on_disk(labeller: Labeller) -> list[tuple[list[float], str]]:
    """Give what a crash at this moment would bring back."""
    (path,) = labeller.journals_here.glob(f"*{SUFFIX}")
    points = read_autosave(path).points
    return list(zip(points.coordinates.tolist(), points.labels, strict=True))


def label(labeller: Labeller, *steps: tuple[str, list[float]]) -> Points:
    for name, where in steps:
        labeller.press(name)
        labeller.layer.add(where)
    return labeller.layer


@pytest.fixture
def labeller(start, journals) -> Labeller:
    made = start()
    made.journals_here = journals
    return made


def test_a_key_makes_the_layer_and_each_point_keeps_its_class(labeller, viewer):
    assert labeller.layer is None
    label(labeller, ("alveoli", [1, 2]), ("duct", [3, 4]), ("septa", [5.5, 6.25]))
    assert classes(labeller) == ["alveoli", "duct", "septa"]
    layer = labeller.layer
    assert (str(layer.mode), labeller.viewer.layers.selection.active) == ("add", layer)
    assert session(viewer).target is layer
    assert layer.selected_data == set()
    scheme = ClassScheme.preset("lung")
    for row, name in enumerate(classes(labeller)):
        wanted = transform_color(scheme.colors[scheme.code(name)])[0]
        np.testing.assert_allclose(layer.face_color[row], wanted)
    assert on_disk(labeller) == [([1, 2], "alveoli"), ([3, 4], "duct"), ([5.5, 6.25], "septa")]
    assert dict(summary.counts(labeller)) == {"alveoli": 1, "duct": 1, "septa": 1}


def test_selected_points_are_relabelled_and_nothing_else(labeller):
    layer = label(labeller, ("alveoli", [1, 2]), ("alveoli", [3, 4]), ("alveoli", [5, 6]))
    layer.mode = "select"
    layer.selected_data = {0, 2}
    labeller.press("duct")
    assert classes(labeller) == ["duct", "alveoli", "duct"]
    assert (str(layer.mode), labeller.current) == ("select", "duct")
    layer.selected_data = set()
    labeller.press("septa")
    assert str(layer.mode) == "add"
    assert classes(labeller) == ["duct", "alveoli", "duct"]
    np.testing.assert_allclose(layer.face_color[0], transform_color("#00b386")[0])
    assert [name for _, name in on_disk(labeller)] == ["duct", "alveoli", "duct"]


def test_a_selection_does_not_change_the_class_of_the_next_point(labeller):
    layer = label(labeller, ("alveoli", [1, 2]), ("duct", [3, 4]))
    layer.mode = "select"
    layer.selected_data = {0}
    assert str(layer.feature_defaults["class"].iloc[0]) == "duct"
    layer.selected_data = set()
    layer.mode = "add"
    assert labeller.current == "duct"
    layer.add([5, 6])
    assert classes(labeller)[-1] == "duct"


def test_everything_is_undone_and_done_again(labeller):
    layer = label(labeller, ("alveoli", [1, 2]), ("duct", [3, 4]), ("septa", [5, 6]))
    layer.mode = "select"
    layer.selected_data = {1}
    labeller.press("alveoli")
    layer.selected_data = {0, 2}
    layer.remove_selected()
    layer.data = np.array([[30.0, 40.0]])
    layer.add([[7, 8], [9, 9]])
    labeller.add_points([[10, 11]], ["septa"])
    trail = [on_disk(labeller)]
    states = [
        ([[30, 40], [7, 8], [9, 9]], ["alveoli"] * 3),
        ([[30, 40]], ["alveoli"]),
        ([[3, 4]], ["alveoli"]),
        ([[1, 2], [3, 4], [5, 6]], ["alveoli", "alveoli", "septa"]),
        ([[1, 2], [3, 4], [5, 6]], ["alveoli", "duct", "septa"]),
        ([[1, 2], [3, 4]], ["alveoli", "duct"]),
        ([[1, 2]], ["alveoli"]),
        ([], []),
    ]
    for where, names in states:
        labeller.undo()
        assert (layer.data.tolist(), classes(labeller)) == (where, names)
        assert [name for _, name in on_disk(labeller)] == names
        trail.append(on_disk(labeller))
    labeller.undo()
    for wanted in reversed(trail[:-1]):
        labeller.redo()
        assert on_disk(labeller) == wanted
    labeller.redo()
    assert layer.data.tolist()[-1] == [10, 11]
    assert layer.features["source"].tolist()[-1] == "model"
    layer.add([1, 1])
    assert layer.features["source"].tolist()[-1] == ""


def test_dragging_is_one_step_and_pasting_is_seen(labeller):
    layer = label(labeller, ("alveoli", [1, 2]), ("duct", [3, 4]))
    layer.mode = "select"
    layer.selected_data = {0}
    for step in range(4):
        with layer.events.data.blocker():
            layer._move({0}, (10 + step, 10))
    assert labeller.annotation.points.coordinates[0].tolist() == [1, 2]
    layer._move({0}, (13, 10))
    layer._drag_start = None
    moved = layer.data[0].tolist()
    assert moved != [1, 2]
    assert on_disk(labeller)[0][0] == moved
    labeller.undo()
    assert layer.data.tolist() == [[1, 2], [3, 4]]
    layer.selected_data = {1}
    layer._copy_data()
    layer._paste_data()
    assert classes(labeller) == ["alveoli", "duct", "duct"]
    assert len(on_disk(labeller)) == 3
    labeller.undo()
    assert len(layer.data) == 2


def test_what_is_pressed_on_the_image_labels_and_does_not_relabel(labeller):
    layer = label(labeller, ("alveoli", [1, 2]))
    layer.mode = "select"
    layer.selected_data = {0}
    labeller.viewer.layers.selection.active = labeller.image
    labeller.press("duct")
    assert classes(labeller) == ["alveoli"]
    assert labeller.viewer.layers.selection.active is layer


def airway(scheme: ClassScheme) -> ClassScheme:
    """Give the scheme with duct called airway."""
    specs = [
        spec.model_copy(update={"name": "airway" if spec.name == "duct" else spec.name})
        for spec in scheme.classes
    ]
    return ClassScheme(name="mine", classes=tuple(specs))


def test_renaming_a_class_renames_its_points_and_is_undone_by_itself(labeller):
    label(labeller, ("alveoli", [1, 2]), ("duct", [3, 4]))
    old, new = labeller.scheme, airway(labeller.scheme)
    labeller.set_scheme(new, {"duct": "airway"})
    assert labeller.current == "airway"
    assert [name for _, name in on_disk(labeller)] == ["alveoli", "airway"]
    np.testing.assert_allclose(labeller.layer.face_color[1], transform_color("#00b386")[0])
    assert labeller.annotation.undo_text == "change of the classes"
    labeller.undo()
    assert (labeller.scheme, classes(labeller)) == (old, ["alveoli", "duct"])
    assert [name for _, name in on_disk(labeller)] == ["alveoli", "duct"]
    labeller.undo()
    assert classes(labeller) == ["alveoli"]
    labeller.redo()
    labeller.redo()
    assert (labeller.scheme, classes(labeller)) == (new, ["alveoli", "airway"])
    labeller.layer.add([5, 6])
    assert classes(labeller)[-1] in new.names


def test_a_class_with_points_is_not_removed(labeller):
    label(labeller, ("alveoli", [1, 2]), ("duct", [3, 4]))
    two = ClassScheme.of_names(["alveoli", "septa"])
    with pytest.raises(InputError, match=r"there is 1 point of class 'duct'.*relabel or delete"):
        labeller.set_scheme(two)
    labeller.layer.remove([1])
    labeller.set_scheme(two)
    labeller.undo()
    labeller.undo()
    assert labeller.scheme == ClassScheme.preset("lung")
    assert classes(labeller) == ["alveoli", "duct"]


def test_what_a_key_relabels_is_said(labeller):
    layer = label(labeller, ("alveoli", [1, 2]))
    layer.add(np.ones((2500, 2)))
    layer.mode = "select"
    layer.selected_data = set(range(2501))
    labeller.press("duct")
    assert labeller.said == "2,501 points are duct now; Ctrl-Z takes that back"
    assert labeller.viewer.status == labeller.said
    labeller.undo()
    assert (set(classes(labeller)), labeller.said) == ({"alveoli"}, "")


def test_another_layer_may_be_selected_and_it_is_said(labeller, viewer):
    layer = label(labeller, ("alveoli", [1, 2]))
    viewer.add_labels(np.zeros((64, 80), np.uint8), name="map")
    layer.visible = False
    labeller.press("duct")
    assert labeller.viewer.layers.selection.active is layer
    assert layer.visible
    assert labeller.said == "'lung.tif points' is selected now; click on the image to add duct"


@pytest.mark.parametrize("place", [{}, {"scale": (3, 0.5), "translate": (7, 9), "rotate": 20}])
def test_nothing_is_put_outside_the_image(start, journals, place):
    labeller = start(**place)
    labeller.problem.disconnect()
    said: list[str] = []
    labeller.problem.connect(said.append)
    layer = label(labeller, ("alveoli", [-0.5, 79.5]), ("duct", [63.6, 4]))
    assert said == ["that is outside the image 'lung.tif', nothing was changed; click on the image"]
    assert layer.data.tolist() == [[-0.5, 79.5]]
    assert layer.selected_data == set()
    layer.data = [[70, 0]]
    assert layer.data.tolist() == [[-0.5, 79.5]]
    layer.selected_data = {0}
    layer._copy_data()
    layer._clipboard["data"][:] = [[-1, 0]]
    layer._paste_data()
    assert (len(layer.data), len(layer.features), layer.selected_data) == (1, 1, set())
    assert len(said) == 3
    labeller.journals_here = journals
    assert on_disk(labeller) == [([-0.5, 79.5], "alveoli")]
    labeller.undo()
    assert len(layer.data) == 0
    layer.add([3, 3])
    assert classes(labeller) == ["duct"]


def test_points_stay_with_their_image_when_it_goes_and_comes(labeller, viewer):
    layer, first = label(labeller, ("alveoli", [1, 2]), ("duct", [3, 4])), labeller.image
    other = np.zeros((64, 80), np.uint8)
    viewer.layers.remove(first)
    assert (labeller.image, labeller.layer, labeller.waiting()) == (None, None, [layer])
    viewer.add_image(other, name="lung.tif", scale=(2, 2))
    second = labeller.viewer.layers[-1]
    labeller.choose_image(second)
    assert labeller.layers() == []
    with pytest.raises(InputError, match="wait for their image; choose it first"):
        labeller.choose_layer(layer)
    with pytest.raises(InputError, match="belongs to the image"):
        gather([(second, layer)])
    label(labeller, ("septa", [5, 6]))
    assert labeller.layer is not layer
    labeller.viewer.layers.append(first)
    assert labeller.waiting() == []
    labeller.choose_image(first)
    assert labeller.layer is layer
    assert layer.data.tolist() == [[1, 2], [3, 4]]
    labeller.undo()
    assert layer.data.tolist() == [[1, 2]]


def test_the_user_may_say_which_image_points_belong_to(labeller, viewer):
    layer = label(labeller, ("alveoli", [1, 2]), ("duct", [60, 70]))
    viewer.layers.remove(labeller.image)
    viewer.add_image(np.zeros((20, 90), np.uint8), name="b", scale=(2, 2))
    b, said = labeller.viewer.layers[-1], []
    labeller.problem.disconnect()
    labeller.problem.connect(said.append)
    labeller.attach(layer, b)
    assert said[0].startswith("1 of 2 points lie outside the image 'b'")
    assert (labeller.image, labeller.layer) == (b, layer)
    assert layer.data.tolist() == [[1, 2], [60, 70]]
    np.testing.assert_array_equal(layer.scale, (2, 2))
    (path,) = labeller.journals_here.glob(f"*{SUFFIX}")
    assert read_autosave(path).header.image == "b"
    layer.features = layer.features.assign(image=["x", "y"])
    layer.metadata[KEY]["image"] = ImageId("x")
    with pytest.raises(InputError, match="names several images"):
        labeller.attach(layer, b)


def test_a_moved_renamed_or_rescaled_image_keeps_its_points(labeller, viewer, tmp_path):
    layer, image = label(labeller, ("alveoli", [1, 2])), labeller.image
    for name, value in {"scale": (2, 3), "translate": (5, 5), "rotate": 30, "name": "x"}.items():
        setattr(image, name, value)
        layer.add([10, 20])
    viewer.add_image(np.zeros((64, 80), np.uint8), name="lung.tif")
    layer.translate = (1, 1)
    assert layers.image_of(labeller.viewer, layer) is image
    np.testing.assert_allclose(layer.data_to_world([7, 8]), image.data_to_world([7, 8]))
    saved = read_points(labeller.save(tmp_path / "p.csv"))
    assert saved.coordinates.tolist() == [[1, 2], *[[10, 20]] * 4]


def test_the_past_of_one_layer_is_not_that_of_another(labeller):
    first = label(labeller, ("alveoli", [1, 2]))
    second = labeller.new_points()
    labeller.undo()
    assert len(first.data) == 1
    assert second is not first
    first.add([5, 5])
    labeller.choose_layer(first)
    labeller.undo()
    assert len(first.data) == 1
    assert [p.stem for p in labeller.journals_here.glob("*")] != []


def test_a_layer_of_others_is_adopted_with_its_classes(labeller, viewer):
    layer = viewer.add_points(
        [[1, 2], [3, 4]], features={"class": ["cat", "dog"], "weight": [0.5, 1.5]}
    )
    labeller.choose_layer(labeller.viewer.layers[-1])
    assert labeller.scheme.names == ("cat", "dog")
    assert layer.metadata[KEY]["image"].name == "lung.tif"
    labeller.press("dog")
    labeller.layer.add([5, 6])
    labeller.undo()
    labeller.redo()
    labeller.layer.remove([0])
    labeller.undo()
    assert classes(labeller) == ["cat", "dog", "dog"]
    assert labeller.layer.features["weight"].tolist()[:2] == [0.5, 1.5]
    other = viewer.add_points(np.zeros((1, 3)))
    assert other not in labeller.layers()
    with pytest.raises(InputError, match=r"has 3 axes and layer .* has 2"):
        labeller.choose_layer(labeller.viewer.layers[-1])


def test_what_cannot_be_added_changes_nothing(labeller):
    with pytest.raises(InputError, match="class 'x' is not in the scheme"):
        labeller.add_points([[1, 2]], ["x"])
    with pytest.raises(InputError, match="shape"):
        labeller.add_points([[1, 2]], ["duct", "duct"])
    assert len(labeller.layer.data) == 0
    assert not labeller.annotation.unsaved


def test_without_an_image_the_remedy_is_told(viewer):
    labeller = Labeller(viewer)
    for action in (lambda: labeller.press("duct"), labeller.new_points):
        with pytest.raises(InputError, match="open one first"):
            action()
    assert "Open an image" in summary.hint(labeller)
    labeller.close()
