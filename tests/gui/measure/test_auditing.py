"""An audit over several images, some not open; blindness; tables that are not to be lost."""

from __future__ import annotations

import numpy as np
import pytest

from known_sections import SCHEME, painted
from napari_lungcls.annotation import ClassScheme, Points, read_points, write_points
from napari_lungcls.errors import InputError
from napari_lungcls.gui.maps import add_layers, map_layers
from napari_lungcls.gui.measure.auditing import Auditing
from napari_lungcls.gui.session import session
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.stereology.design import make_grid
from napari_lungcls.stereology.drawing import SampledImage


@pytest.fixture
def two(viewer, add_section, table):
    """Open an audit of two images, of which only the first is open."""
    add_section(200, 240, name="first")
    images = [SampledImage(name, (200, 240)) for name in ("slides/first.tif", "slides/second.tif")]
    write_points(table, make_grid(images, 65, lines=30))
    auditing = session(viewer).part(Auditing)
    auditing.open(table, SCHEME)
    return auditing


def answer(auditing):
    auditing.answer("septa" if auditing.question.kind == "class" else 2)


def test_only_open_images_are_asked_about_until_the_others_are(two, viewer, add_section, table):
    names = read_points(table).column("image")
    second = 2 * sum("second" in name for name in names)
    assert two.not_open() == {"slides/second.tif": second}
    two.start()
    while two.question is not None:
        assert two.question.image == "slides/first.tif"
        answer(two)
    assert two.audit.total - two.audit.done == second
    assert not two.answering
    add_section(100, 240, name="second")  # of another size: not this image
    assert two.question is None
    viewer.layers.remove("second")
    add_section(200, 240, name="second")
    assert two.not_open() == {}
    two.start()
    while two.question is not None:
        assert viewer.layers["second"].visible
        assert not viewer.layers["first"].visible
        answer(two)
    assert two.audit.done == two.audit.total
    assert viewer.layers["first"].visible
    assert all(read_points(table).labels)


def test_the_window_says_which_image_to_open(two, window, viewer):
    window.show()
    panel = window.panel
    assert panel.missing.text().endswith("left out until you open second.tif.")
    # Whichever image the first question is on.
    while two.audit.question.image != "slides/second.tif":
        two.audit.skip()
    assert two.question is None
    two.changed.emit()
    assert panel.start_button.isEnabled()
    panel.start_button.click()
    assert two.answering
    assert panel.start_button.isHidden()


def test_classes_are_those_of_the_audit_then_of_maps(window, viewer, add_section, table, qtbot):
    image = add_section(320, 400)
    own = ClassScheme.of_names(["air", "tissue"])
    found = painted(np.minimum(image.metadata["truth"], 1), "layer 'lung'")
    header = found.header.model_copy(update={"scheme": own})
    add_layers(viewer, map_layers(PaintedMap(found.classes, None, header), "map", image))
    panel = window.panel
    assert panel.classes.scheme == own
    window.form.make(table)
    qtbot.waitUntil(lambda: panel.auditing.audit is not None)
    assert panel.auditing.audit.scheme == own
    panel.classes.setCurrentIndex(1)
    assert panel.auditing.audit.scheme == SCHEME
    assert panel.classes.scheme == SCHEME
    panel.auditing.start()
    panel.auditing.answer("septa")
    panel.auditing.stop()
    assert not panel.classes.isEnabled()
    # Opened again, the answers say which classes they are of.
    panel.auditing.audit = None
    panel.auditing.changed.emit()
    assert panel.classes.scheme == own
    assert panel.open(table)
    assert panel.auditing.audit.scheme == SCHEME


def test_undo_goes_back_over_questions_that_were_left_out(two):
    two.start()
    asked = []
    for _ in range(8):
        asked.append((two.question.row, two.question.kind))
        answer(two)
    for key in reversed(asked):
        two.undo()
        assert (two.question.row, two.question.kind) == key
    assert two.audit.done == 0
    assert not two.can_undo
    two.undo()
    assert two.answering


def test_layers_that_come_in_the_middle_are_hidden_and_seen_again(two, viewer):
    hidden = viewer.add_points([[1, 1]], name="before", visible=False)
    viewer.layers["first"].visible = False
    two.start()
    assert viewer.layers["first"].visible
    late = viewer.add_labels(np.zeros((20, 20), np.uint8), name="late")
    assert late.visible
    answer(two)
    assert not late.visible
    two.stop()
    assert late.visible
    assert not hidden.visible
    assert not viewer.layers["first"].visible
    assert [layer.name for layer in viewer.layers] == ["first", "before", "late"]


def test_channels_are_seen_together_and_other_sections_are_not(two, viewer):
    first, size = viewer.layers["first"], (200, 240)
    place = {"scale": first.scale, "units": first.units}
    first.blending = "additive"
    zeros = np.zeros(size, np.uint8)
    channel = viewer.add_image(zeros, name="green", blending="additive", **place)
    section = viewer.add_image(zeros, name="of another lung", **place)
    two.start()
    assert channel.visible
    assert not section.visible


def test_closing_the_image_in_the_middle_ends_the_audit(two, viewer):
    two.start()
    viewer.layers.remove("first")
    assert not two.answering
    assert "test point" not in viewer.layers


def test_the_lines_ends_and_the_cross_are_where_the_table_says(two, viewer):
    two.start()
    for _ in range(2):
        question, mark = two.question, viewer.layers["test point"]
        corners = np.concatenate(mark.data)
        if question.kind == "class":
            np.testing.assert_allclose(corners.mean(axis=0), question.position, atol=1e-3)
            # The place itself stays free.
            assert np.linalg.norm(corners - question.position, axis=1).min() > 1
        else:
            np.testing.assert_allclose(mark.data[0], question.line, atol=1e-3)
        assert not mark.editable
        answer(two)


def test_answers_are_never_replaced_by_new_test_points(window, viewer, add_section, table, qtbot):
    add_section(320, 400)
    window.form.make(table)
    auditing = window.panel.auditing
    qtbot.waitUntil(lambda: auditing.audit is not None)
    qtbot.waitUntil(window.form.make_button.isEnabled)
    first = table.read_bytes()
    window.form.seed.setValue(1)
    window.form.make(table)
    qtbot.waitUntil(lambda: table.read_bytes() != first)
    qtbot.waitUntil(lambda: window.form.make_button.isEnabled())
    auditing.start()
    auditing.answer("duct")
    auditing.stop()
    answered = table.read_bytes()
    window.form.make(table)
    assert "has answers, which would be lost" in window.form.words.text()
    assert table.read_bytes() == answered


def test_what_is_no_design_is_refused_in_one_line(window, tmp_path):
    other = tmp_path / "points.csv"
    write_points(other, Points.build([[1, 2]], ["septa"], image="lung"))
    assert not window.panel.open(other)
    assert "no design drew these points" in window.panel.words.text()
    assert not window.panel.start_button.isEnabled()
    with pytest.raises(InputError):
        window.panel.auditing.open(tmp_path / "missing.csv", SCHEME)
