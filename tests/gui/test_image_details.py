"""Under the choice of an image: its pixel size and its channels, in real windows."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from known_maps import bright_model
from known_maps import paint as known_map
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_details import NONE, UNKNOWN
from napari_lungcls.gui.image_layer import (
    choose_colours,
    colours_of,
    pixel_size,
    set_pixel_size,
    split,
    stack_of,
)
from napari_lungcls.gui.layers import scheme_of
from napari_lungcls.gui.maps import map_of
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.point_prediction.requests import PointRequest, predict
from napari_lungcls.gui.points_layer import annotation_layer, fill
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.train.pairs import gather, obstacle
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.stack import ImageStack

RNG = np.random.default_rng(0)
PLANE = RNG.integers(0, 60_000, (60, 80)).astype(np.uint16)
CHANNELS = RNG.integers(0, 60_000, (3, 60, 80)).astype(np.uint16)


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    made = make_napari_viewer_proxy()
    yield made
    cancel_all()


@pytest.fixture
def paint(viewer):
    panel = PaintMap(viewer)
    viewer.window.add_dock_widget(panel, name="Paint")
    return panel


@pytest.fixture
def train(viewer):
    panel = TrainModel(viewer)
    viewer.window.add_dock_widget(panel, name="Train")
    return panel


def seen() -> None:
    """Let the windows show what has changed."""
    QApplication.processEvents()


def type_size(qtbot, field, text):
    qtbot.mouseClick(field.edit_button, Qt.MouseButton.LeftButton)
    assert not field.field.isHidden()
    field.field.lineEdit().selectAll()
    qtbot.keyClicks(field.field.lineEdit(), text)
    qtbot.keyClick(field.field.lineEdit(), Qt.Key.Key_Return)
    seen()
    assert field.field.isHidden()


def test_an_unknown_pixel_size_is_set_for_all_windows(viewer, paint, train, qtbot):
    image = viewer.add_image(PLANE, name="lung")
    fields = [paint.choices.details.pixel_size, train.pairs.rows[0].details.pixel_size]
    for field in fields:
        assert field.words.text() == UNKNOWN
        assert "c77700" in field.words.styleSheet()
    type_size(qtbot, fields[0], "1.8")
    for field in fields:
        assert field.words.text() == "1.8 µm/px"
        assert not field.words.styleSheet()
    np.testing.assert_allclose(image.scale, (1.8, 1.8))
    assert {str(unit) for unit in image.units} == {"micrometer"}
    assert as_stack(image).pixel_size == pytest.approx(1.8)
    assert paint.choices.stride_words.text() == "= 7.2 µm"
    type_size(qtbot, fields[1], "0.9")
    assert [field.words.text() for field in fields] == ["0.9 µm/px"] * 2


def test_what_is_being_typed_stays_when_layers_come(viewer, paint, qtbot):
    viewer.add_image(PLANE, name="lung")
    field = paint.choices.details.pixel_size
    qtbot.mouseClick(field.edit_button, Qt.MouseButton.LeftButton)
    field.field.setValue(1.25)
    viewer.add_labels(np.zeros((60, 80), np.uint8))
    seen()
    assert (field.field.isHidden(), field.field.value()) == (False, 1.25)
    viewer.add_image(PLANE, name="another")
    paint.choices.image_box.choose(viewer.layers["another"])
    assert field.field.isHidden()


def test_the_size_of_the_file_is_proposed_where_it_was_dropped(viewer, paint, tmp_path, qtbot):
    path = tmp_path / "lung.ome.tif"
    tifffile.imwrite(
        path, PLANE, metadata={"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    )
    viewer.open(str(path), plugin="napari")
    field = paint.choices.details.pixel_size
    assert field.words.text() == UNKNOWN
    qtbot.mouseClick(field.edit_button, Qt.MouseButton.LeftButton)
    assert field.field.value() == pytest.approx(0.65)
    qtbot.mouseClick(field.set_button, Qt.MouseButton.LeftButton)
    seen()
    assert field.words.text() == "0.65 µm/px"


def test_a_known_size_is_shown_in_whatever_unit(viewer, paint):
    viewer.add_image(PLANE, scale=(0.0005, 0.0005), units=("mm", "mm"))
    assert paint.choices.details.pixel_size.words.text() == "0.5 µm/px"
    viewer.layers.clear()
    assert paint.choices.details.pixel_size.isHidden()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": (4.0, 2.0, 2.0), "translate": (1.0, 20.0, -30.0)},
        {"rotate": 30.0, "scale": (1.0, 3.0, 3.0)},
        {"affine": np.array([[1, 0, 0, 5], [0, 0, -2, 7], [0, 2, 0, 1], [0, 0, 0, 1.0]])},
    ],
)
def test_what_lies_together_stays_together(viewer, options):
    image = viewer.add_image(np.zeros((2, 60, 80)), name="lung", **options)
    other = viewer.add_image(np.ones((2, 60, 80)), name="channel", **options)
    truth = viewer.add_labels(np.zeros((2, 60, 80), np.uint8), **options)
    elsewhere = viewer.add_image(np.ones((2, 60, 80)), name="elsewhere", translate=(0, 900, 900))
    place = elsewhere.data_to_world((1, 2, 3))
    set_pixel_size(viewer, image, 0.5)
    for layer in (image, other, truth):
        assert pixel_size(layer) == pytest.approx(0.5)
        np.testing.assert_allclose(
            layer.data_to_world((1, 12, 34)), image.data_to_world((1, 12, 34))
        )
    assert elsewhere.data_to_world((1, 2, 3)) == place
    assert pixel_size(elsewhere) is None
    if "scale" in options:
        set_pixel_size(viewer, image, 1.0)
        assert pixel_size(other) == pytest.approx(1.0)


def test_nonsense_is_refused(viewer):
    image = viewer.add_image(PLANE)
    for size in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="pixel size must be positive"):
            set_pixel_size(viewer, image, size)
    assert pixel_size(image) is None


def test_an_axis_of_channels_is_no_stack_of_planes(viewer, paint, train, qtbot):
    image = viewer.add_image(
        CHANNELS, name="lung", axis_labels=("c", "y", "x"), scale=(1, 0.5, 0.5), units=("um",) * 3
    )
    details = paint.choices.details
    assert "'c' holds channels" in details.words.text()
    assert "c77700" in details.words.styleSheet()
    assert "3 channels, not planes" in paint.choices._problem
    assert "split it into one layer" in obstacle([(image, None)])
    with pytest.raises(InputError, match="split it into one layer per channel"):
        stack_of(image)
    qtbot.mouseClick(details.split_button, Qt.MouseButton.LeftButton)
    seen()
    assert [layer.name for layer in viewer.layers] == ["lung 0", "lung 1", "lung 2"]
    for layer, plane in zip(viewer.layers, CHANNELS, strict=True):
        np.testing.assert_array_equal(layer.data, plane)
        np.testing.assert_allclose(layer.scale, (0.5, 0.5))
        assert pixel_size(layer) == pytest.approx(0.5)
        assert layer.axis_labels == ("y", "x")
    assert details.words.isHidden()
    assert details.split_button.isHidden()


def test_short_stacks_are_asked_about_and_long_ones_not(viewer, paint, train):
    details = (paint.choices.details, train.pairs.rows[0].details)
    viewer.add_image(CHANNELS, name="three")
    for each in details:
        assert each.words.text() == "The first axis is taken as planes. Are these channels?"
        assert not each.words.isHidden()
    viewer.add_image(np.zeros((8, 60, 80)), name="eight")
    named = viewer.add_image(CHANNELS, name="named", axis_labels=("z", "y", "x"))
    viewer.add_image(RNG.random((60, 80, 3)), name="colours", rgb=True)
    seen()
    for name in ("eight", "named", "colours"):
        for each, box in zip(
            details, (paint.choices.image_box, train.pairs.rows[0].image), strict=True
        ):
            box.choose(viewer.layers[name])
            assert each.words.isHidden(), name
    assert stack_of(named).shape == (3, 60, 80)


def test_one_to_three_channels_are_chosen(viewer, paint, train, qtbot):
    layers = [
        viewer.add_image(plane, name=name, scale=(0.5, 0.5), units=("um", "um"))
        for name, plane in zip(("DAPI", "CD31", "SMA"), CHANNELS, strict=True)
    ]
    viewer.add_image(PLANE[:30], name="another shape")
    paint.choices.image_box.choose(layers[1])
    train.pairs.rows[0].image.choose(layers[1])
    details = (paint.choices.details, train.pairs.rows[0].details)
    boxes, others = (each.channels.boxes for each in details)
    fields = [each.pixel_size for each in details]
    seen()
    assert [box.currentText() for box in boxes] == ["CD31", NONE, NONE]
    assert [box.isEnabled() for box in boxes] == [True, True, False]
    assert not stack_of(layers[1]).rgb

    def choose(box, name):
        box.setCurrentText(name)
        box.activated.emit(box.currentIndex())
        seen()

    choose(boxes[1], "DAPI")
    assert [box.currentText() for box in others] == ["CD31", "DAPI", NONE]
    two = stack_of(layers[1])
    assert (two.rgb, two.channels, two.pixel_size) == (True, "CD31,DAPI", pytest.approx(0.5))
    read = two.plane().read(slice(5, 20), slice(7, 40))
    np.testing.assert_array_equal(read[..., 0], CHANNELS[1, 5:20, 7:40])
    np.testing.assert_array_equal(read[..., 1], CHANNELS[0, 5:20, 7:40])
    assert not read[..., 2].any()
    choose(others[2], "SMA")
    choose(others[0], "DAPI")
    assert [box.currentText() for box in boxes] == ["DAPI", "DAPI", "SMA"]
    assert stack_of(layers[1]).channels == "DAPI,DAPI,SMA"
    set_pixel_size(viewer, layers[0], 0.7)
    seen()
    assert [box.currentText() for box in boxes] == ["DAPI", "DAPI", "SMA"]
    assert [each.words.text() for each in fields] == ["0.7 µm/px"] * 2
    viewer.layers.remove(layers[2])
    seen()
    assert [box.currentText() for box in boxes] == ["DAPI", "DAPI", NONE]
    choose(boxes[1], NONE)
    assert stack_of(layers[1]).rgb is False
    np.testing.assert_array_equal(
        stack_of(layers[1]).plane().read(slice(0, 9), slice(0, 9))[..., 0], CHANNELS[0, :9, :9]
    )
    assert colours_of(layers[0]) == (layers[0],)


@pytest.mark.parametrize("multiscale", [False, True])
def test_channels_of_lazy_stacks_are_not_read_when_they_are_split(viewer, multiscale):
    read = []

    def block(block_info=None):
        read.append(1)
        return np.ones([b - a for a, b in block_info[None]["array-location"]], np.uint8)

    levels = [
        da.map_blocks(
            block,
            chunks=((1,) * 2, (1,) * 5, (n,), (n,)),
            dtype=np.uint8,
            meta=np.empty((0,) * 4, np.uint8),
        )
        for n in (64, 32)
    ]
    rotated = {"rotate": 0, "affine": np.diag([2.0, 3.0, 4.0, 4.0, 1.0])}
    image = Image(
        levels if multiscale else levels[0], multiscale=multiscale, name="lung", **rotated
    )
    viewer.add_layer(image)
    before = len(read)
    one, two = split(viewer, image, 0)
    assert one.multiscale == multiscale
    assert one.ndim == two.ndim == 3
    assert len(read) - before <= 4, "only the planes that are shown"
    np.testing.assert_allclose(one.data_to_world((1, 1, 1)), (3, 4, 4))


def test_training_painting_and_clicks_see_the_chosen_channels(viewer, paint, qtbot):
    planes = np.zeros((3, 64, 80), np.float32)
    planes[:, :, 40:] = [[[30]], [[250]], [[250]]]
    layers = [viewer.add_image(plane, name=n) for n, plane in zip("abc", planes, strict=True)]
    labelled = annotation_layer(viewer, layers[0], ClassScheme.of_names(["dark", "bright"]))
    fill(labelled, Points.build([[9, 9], [30, 40]], ["dark", "bright"]), scheme_of(labelled))
    session(viewer).add(bright_model(), "bright or dark")
    paint.choices.image_box.choose(layers[0])
    choose_colours(layers[0], layers[::-1])
    seen()
    mixed = ImageStack(np.moveaxis(planes[::-1], 0, -1), rgb=True)

    ((stack, _),), _ = gather([(layers[0], labelled)])
    assert stack.channels == "c,b,a"
    np.testing.assert_array_equal(
        stack.plane().read(slice(0, 64), slice(0, 80)),
        mixed.plane().read(slice(0, 64), slice(0, 80)),
    )
    qtbot.mouseClick(paint.run_bar.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not paint.painting.busy, timeout=30_000)
    painted = map_of(paint.painting.class_layer)
    np.testing.assert_array_equal(painted.classes, known_map(mixed).classes)
    assert (painted.classes != known_map(ImageStack(planes[0])).classes).any()
    assert painted.header.provenance["channels"] == "c,b,a"

    where = np.array([[20.0, 30.0], [40.0, 10.0]])
    request = PointRequest(layers[0], bright_model(), where, 10.0, click=False)
    *_, answers = predict(request, lambda: False)
    expected = PointRequest(mixed, bright_model(), where, 10.0, click=False)
    *_, known = predict(expected, lambda: False)
    np.testing.assert_allclose(answers, known)
