"""The list of pairs follows layers and the label window."""

import gc
import weakref

import pandas as pd
from qtpy.QtWidgets import QApplication

from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train.pairs import PairList


def pair_list(viewer, qtbot):
    made = PairList(viewer)
    qtbot.addWidget(made)
    return made


def test_it_waits_for_layers(viewer, qtbot, add_scene):
    pairs = pair_list(viewer, qtbot)
    assert pairs.pairs == [(None, None)]
    assert pairs.rows[0].remove.isHidden()
    image, layer = add_scene()
    assert pairs.pairs == [(image, layer)]
    said = "32 dark, 32 grey, 26 bright"
    qtbot.waitUntil(lambda: pairs.rows[0].counts.text() == said)


def test_counts_follow_the_points(viewer, qtbot, add_scene):
    pairs = pair_list(viewer, qtbot)
    _, layer = add_scene()
    row = pairs.rows[0]
    layer.data = layer.data[:40]
    qtbot.waitUntil(lambda: "32 dark" not in row.counts.text())
    kinds = layer.features["class"].dtype
    layer.features = layer.features.assign(**{"class": pd.Series(["dark"] * 40, dtype=kinds)})
    qtbot.waitUntil(lambda: row.counts.text().startswith("40 dark"))
    assert pairs.message.text() == "No point is labelled grey or bright."


def test_the_first_pair_follows_the_label_window(viewer, qtbot, add_scene):
    pairs = pair_list(viewer, qtbot)
    first, second = add_scene(0), add_scene(1)
    session(viewer).target = first[1]
    assert pairs.pairs == [first]
    session(viewer).target = second[1]
    assert pairs.pairs == [second]


def test_points_follow_the_image(viewer, qtbot, add_scene):
    pairs = pair_list(viewer, qtbot)
    first, second = add_scene(0), add_scene(1)
    pairs.rows[0].image.choose(first[0])
    assert pairs.pairs == [first]
    pairs.rows[0].image.choose(second[0])
    assert pairs.pairs == [second]


def test_pairs_are_added_and_removed(viewer, qtbot, add_scene):
    pairs = pair_list(viewer, qtbot)
    first, second = add_scene(0), add_scene(1)
    session(viewer).target = second[1]
    pairs.add_button.click()
    assert pairs.pairs == [second, first]
    assert not pairs.rows[0].remove.isHidden()
    pairs.rows[0].remove.click()
    assert pairs.pairs == [first]
    assert pairs.rows[0].remove.isHidden()


def test_answers_are_not_offered_as_labels(viewer, qtbot, add_scene):
    pairs = pair_list(viewer, qtbot)
    _, layer = add_scene()
    viewer.add_points([[1, 2]], name="answers", metadata={KEY: {"kind": "answers"}})
    box = pairs.rows[0].points
    assert [box.itemText(i) for i in range(box.count())] == [layer.name]


def test_a_closed_window_leaves_nothing_behind(viewer, qtbot, add_scene):
    _, layer = add_scene()
    before = [len(layer.events.data.callbacks), len(layer.events.features.callbacks)]
    pairs = PairList(viewer)
    pairs.add()
    assert [len(layer.events.data.callbacks), len(layer.events.features.callbacks)] > before
    known = weakref.ref(pairs)
    with qtbot.waitSignal(pairs.destroyed):
        pairs.deleteLater()
    del pairs
    QApplication.processEvents()
    gc.collect()
    assert known() is None
    assert [len(layer.events.data.callbacks), len(layer.events.features.callbacks)] == before
    layer.data = layer.data[:3]
    session(viewer).target = layer
