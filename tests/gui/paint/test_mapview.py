"""Legend, cursor, saving and opening of the painted maps of a viewer."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from known_maps import paint
from napari_lungcls.gui.maps import add_layers, map_layers
from napari_lungcls.gui.paint.mapview import EMPTY, OFF_MAP, MapView
from napari_lungcls.images.opening import as_stack

PLACE = {"scale": (2.0, 0.5, 0.5), "translate": (3.0, 11.0, 13.0)}


@pytest.fixture
def view(viewer, qtbot):
    made = MapView(viewer)
    viewer.window.add_dock_widget(made, name="maps")
    return made


@pytest.fixture
def image(viewer, blocky):
    return viewer.add_image(blocky(2, 64, 80), name="lung", **PLACE)


@pytest.fixture
def painted(image):
    return paint(as_stack(image), stride=4)


def put(viewer, painted, image, name="lung map"):
    return add_layers(viewer, map_layers(painted, name, image))[-1]


def shares_of(view):
    return [label.text() for label in view.legend.shares]


def shown_probabilities(view):
    return [label.text() for label in view.legend.probabilities]


def test_without_a_map_it_says_what_to_do(view):
    assert view.words.text() == EMPTY
    assert view.legend.isHidden()
    assert view.under.isHidden()
    assert not view.save_button.isEnabled()
    assert view.open_button.isEnabled()


def test_the_legend_shows_the_shares_of_any_map_that_is_open(view, viewer, painted, image, qtbot):
    put(viewer, painted, image)
    expected = [f"{100 * share:.1f} %" for share in painted.fractions().values()]
    qtbot.waitUntil(lambda: shares_of(view) == expected, timeout=5000)
    assert [button.text().strip() for button in view.legend.names] == ["class 0", "class 1"]
    assert "not corrected" in view.words.text()


def test_a_click_on_a_class_hides_it_and_another_shows_it(view, viewer, painted, image, qtbot):
    layer = put(viewer, painted, image)
    other = put(viewer, painted, image, "other")
    view.map_box.choose(layer)
    button = view.legend.names[1]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert [layer.colormap.color_dict[i][3] for i in (1, 2)] == [1, 0]
    assert [other.colormap.color_dict[i][3] for i in (1, 2)] == [1, 1]
    view.map_box.choose(other)
    assert view.legend.names[1].isChecked()
    view.map_box.choose(layer)
    assert not view.legend.names[1].isChecked()
    qtbot.mouseClick(view.legend.names[1], Qt.MouseButton.LeftButton)
    assert layer.colormap.color_dict[2][3] == 1


def test_the_cursor_tells_class_and_probabilities(view, viewer, painted, image, qtbot):
    painted.classes[1, 2, 3] = 2
    painted.probabilities[:, 1, 2, 3] = 0.25, 0.75
    put(viewer, painted, image)
    viewer.dims.set_current_step(0, 1)
    viewer.cursor.position = tuple(image.data_to_world((1, 9, 13)))
    qtbot.waitUntil(lambda: view.under.text() == "At the cursor: class 1, 75 %")
    assert shown_probabilities(view) == ["25 %", "75 %"]
    assert [bar.value() for bar in view.legend.bars] == [25, 75]
    viewer.cursor.position = tuple(image.data_to_world((1, -20, 13)))
    qtbot.waitUntil(lambda: view.under.text() == OFF_MAP)
    assert shown_probabilities(view) == ["", ""]


def test_the_cursor_tells_the_class_alone_where_no_probabilities_were_kept(
    view, viewer, painted, image, qtbot
):
    header = painted.header.model_copy(update={"probabilities": False})
    bare = type(painted)(painted.classes, None, header)
    bare.classes[:] = 1
    put(viewer, bare, image)
    viewer.cursor.position = tuple(image.data_to_world((0, 9, 13)))
    qtbot.waitUntil(lambda: view.under.text() == "At the cursor: class 0")
    assert shown_probabilities(view) == ["", ""]


@pytest.mark.parametrize("name", ["result.ome.zarr", "result.ome.tif"])
@pytest.mark.parametrize("open_image", [True, False])
def test_a_saved_map_opens_with_the_same_place_colours_and_values(
    view, viewer, painted, image, qtbot, tmp_path, name, open_image
):
    layer = put(viewer, painted, image)
    colors = layer.colormap.color_dict
    view.save_to(tmp_path / name)
    assert not view.save_button.isEnabled()
    qtbot.waitUntil(lambda: view.saved.text() == f"Saved as {name}.", timeout=10_000)
    viewer.layers.remove(layer)
    if not open_image:
        viewer.layers.remove(image)
    qtbot.waitUntil(view.open_button.isEnabled)
    view.open_from(tmp_path / name)
    qtbot.waitUntil(lambda: view.saved.text() == f"Opened {name}.", timeout=10_000)
    again = view.layer
    assert again.name == "result"
    np.testing.assert_array_equal(again.data, painted.classes)
    np.testing.assert_array_equal(again.scale, layer.scale)
    np.testing.assert_array_equal(again.translate, layer.translate)
    for value, color in colors.items():
        np.testing.assert_array_equal(again.colormap.color_dict[value], color)
    for k, spec in enumerate(painted.scheme.classes):
        view.show_box.setCurrentText(f"probability of {spec.name}")
        view.show_box.activated.emit(view.show_box.currentIndex())
        probabilities = viewer.layers[f"result: {spec.name}"]
        np.testing.assert_array_equal(probabilities.data, painted.probabilities[k])


def test_what_cannot_be_saved_or_opened_is_said_in_one_line(
    view, viewer, painted, image, qtbot, tmp_path
):
    put(viewer, painted, image)
    view.save_to(tmp_path / "map.png")
    qtbot.waitUntil(lambda: view.saved.text().startswith("Not saved: "))
    assert "a map is written as .ome.zarr or .ome.tif" in view.saved.text()
    qtbot.waitUntil(view.open_button.isEnabled)
    view.open_from(tmp_path / "none.ome.zarr")
    qtbot.waitUntil(lambda: view.saved.text().startswith("Not opened: "))
    assert "there is no such map" in view.saved.text()
    qtbot.waitUntil(view.save_button.isEnabled)


def test_the_file_that_is_chosen_gets_the_suffix_of_its_format(
    view, viewer, painted, image, qtbot, tmp_path, monkeypatch
):
    put(viewer, painted, image)
    for chosen, name in (("OME-Zarr (*.ome.zarr)", "a.ome.zarr"), ("OME-TIFF", "a.ome.tif")):
        kind = chosen.replace("OME-TIFF", "OME-TIFF, small maps (*.ome.tif)")
        monkeypatch.setattr(
            "napari_lungcls.gui.dialogs.QFileDialog.getSaveFileName",
            lambda *_, kind=kind: (str(tmp_path / "a"), kind),
        )
        qtbot.mouseClick(view.findChild(QWidget, "save_map"), Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda name=name: view.saved.text() == f"Saved as {name}.")
        assert (tmp_path / name).exists()
        qtbot.waitUntil(view.save_button.isEnabled)
