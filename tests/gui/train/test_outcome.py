"""From a result to the points behind it, in a real window."""

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from known_network import make_document, make_spec
from napari_lungcls.evaluation.metrics import score
from napari_lungcls.gui.session import session
from napari_lungcls.model import Model
from napari_lungcls.network.known_points import ImagePoints, KnownPoints
from three_tissues import SCHEME

LEFT = Qt.MouseButton.LeftButton
WRONG = [4, 9, 20]
"""Points that the made model got wrong, the surest last."""


def made_model(image, layer, name="section 0"):
    """Describe a model that held out 30 points of a layer and got three of them wrong."""
    held = layer.data[:30]
    truth = layer.features["class"].cat.codes.to_numpy()[:30].astype(int)
    shares = np.full((30, 3), 0.1)
    shares[np.arange(30), truth] = 0.8
    for k, row in enumerate(WRONG):
        shares[row] = 0.0
        shares[row, (truth[row] + 1) % 3] = 0.6 + k / 10
        shares[row, truth[row]] = 0.4 - k / 10
    known = ImagePoints(
        name=name,
        shape=image.data.shape[:2],
        trained=layer.data[30:].tolist(),
        held_out=held.tolist(),
        parts=["validation"] * 30,
        truth=truth.tolist(),
        probabilities=shares.tolist(),
    )
    metrics = score(truth, shares, SCHEME.names)
    return make_document(
        make_spec(),
        scheme=SCHEME,
        validation=metrics.model_dump(mode="json"),
        points=KnownPoints(images=[known]),
    ), truth  # fmt: skip


def shown_model(window, viewer, add_scene, **options):
    image, layer = add_scene(0, scale=(2, 2))
    document, truth = made_model(image, layer, **options)
    session(viewer).add(Model(document, {}), "made")
    return image, layer, truth, window.outcome


def in_view(viewer, image):
    return image.world_to_data(viewer.scene.camera.center[-2:])


def test_a_cell_of_the_matrix_selects_its_points_and_leads_through_them(window, viewer, add_scene):
    image, layer, truth, outcome = shown_model(window, viewer, add_scene)
    assert outcome.headline.text() == "27 of 30 held-out points right."
    right = np.flatnonzero((truth == 0) & ~np.isin(np.arange(30), WRONG)).tolist()
    viewer.layers.selection.active = image
    cell = outcome.table.visualItemRect(outcome.table.item(0, 0)).center()
    QTest.mouseClick(outcome.table.viewport(), LEFT, pos=cell)
    assert viewer.layers.selection.active == layer
    assert sorted(layer.selected_data) == right
    np.testing.assert_allclose(in_view(viewer, image), layer.data[right[0]])
    strip = outcome.mistakes.strip
    assert strip.words.text() == f"{len(right)} points of dark recognised: 1 of {len(right)}."
    QTest.mouseClick(strip.next_button, LEFT)
    assert list(layer.selected_data) == right[1:2]
    np.testing.assert_allclose(in_view(viewer, image), layer.data[right[1]])
    for _ in range(2):
        QTest.mouseClick(strip.previous_button, LEFT)
    assert list(layer.selected_data) == right[-1:]
    # The last column has what was not recognised of a class.
    wrong = [row for row in WRONG if truth[row] == truth[WRONG[0]]]
    outcome.table.setCurrentCell(int(truth[WRONG[0]]), 3)
    QTest.keyClick(outcome.table, Qt.Key.Key_Return)
    assert sorted(layer.selected_data) == wrong


def test_worst_mistakes_are_listed_and_points_that_are_gone_are_said(window, viewer, add_scene):
    # The layer of the image has another name by now.
    image, layer, truth, outcome = shown_model(window, viewer, add_scene, name="old name")
    listed = outcome.mistakes.list
    assert outcome.mistakes.fold.button.text() == "Worst mistakes (3)"
    worst = WRONG[-1]
    names = SCHEME.names[truth[worst]], SCHEME.names[(truth[worst] + 1) % 3]
    assert listed.item(0).text() == f"{names[0]}, called {names[1]} with 80 %"
    outcome.mistakes.fold.button.click()
    listed.setCurrentRow(0)
    QTest.keyClick(listed, Qt.Key.Key_Return)
    assert list(layer.selected_data) == [worst]
    place = layer.data[worst].copy()
    layer.selected_data = {worst}
    layer.remove_selected()
    listed.itemClicked.emit(listed.item(0))
    assert "This point was deleted or moved since" in outcome.mistakes.strip.words.text()
    np.testing.assert_allclose(in_view(viewer, image), place)
    viewer.layers.remove(image)
    listed.itemClicked.emit(listed.item(0))
    assert "Open old name to see the rest." in outcome.mistakes.strip.words.text()


def test_a_model_without_points_says_so(window, viewer, add_scene):
    image, layer = add_scene(0)
    document, _ = made_model(image, layer)
    session(viewer).add(Model(document.model_copy(update={"points": None}), {}), "old")
    window.outcome.table.cell_chosen.emit(0, 0)
    assert "does not tell where its points were" in window.outcome.mistakes.problem.text()
    assert window.outcome.mistakes.fold.isHidden()


def test_a_trained_model_tells_its_points(window, viewer, add_scene, train):
    _, layer = add_scene()
    window.form.set("final", "finish")
    train()
    document = session(viewer).current.model.document
    (known,) = document.points.images
    # With all points afterwards, every one was learned from.
    assert (known.name, len(known.trained)) == ("section 0", 90)
    n = document.split["validation"]
    assert (len(known.held_out), set(known.parts)) == (n, {"validation"})
    assert window.curves.history.before == 2
    assert window.curves.loss.before.isVisible()
    points = window.outcome.mistakes._points
    confusion = np.array(document.validation["confusion"])
    for i in range(3):
        for j in range(3):
            assert len(points.in_cell(i, j)) == confusion[i, j]
    found = window.outcome.mistakes.visits
    found.begin("all", points.places)
    assert len(layer.selected_data) == n
