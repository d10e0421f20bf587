"""Snapshots keep what a layer held, and the history walks along them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Snapshot, UndoHistory, describe

LUNG = ClassScheme.preset("lung")
CELLS = st.sampled_from([None, "alveoli", "septa", "duct"])
# Few different coordinates, so that rows coincide as they do in real layers.
WHERE = st.lists(st.sampled_from([0.0, 1.0, 2.5, -3.0]), min_size=2, max_size=2)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    where = draw(st.lists(WHERE, max_size=7))
    names = draw(st.sets(st.sampled_from(["class", "source", "note"])))
    columns = {
        name: draw(st.lists(CELLS, min_size=len(where), max_size=len(where)))
        for name in sorted(names)
    }
    scheme = draw(st.sampled_from([LUNG, ClassScheme.preset("lung-full")]))
    return Snapshot.build(np.reshape(where, (-1, 2)), columns, scheme)


def labelled(*names: str | None, scheme: ClassScheme = LUNG) -> Snapshot:
    where = np.repeat(np.arange(len(names)), 2).reshape(-1, 2)
    return Snapshot.build(where, {"class": list(names)}, scheme)


NOTHING = labelled()


@given(st.lists(st.one_of(snapshots(), st.sampled_from(["undo", "redo"])), max_size=12))
def test_history_walks_along_what_was_done(steps):
    now, history = NOTHING, UndoHistory(steps=50)
    states, at = [now], 0
    for step in steps:
        if isinstance(step, Snapshot):
            history.push(now)
            now = step
            states, at = [*states[: at + 1], now], at + 1
        else:
            found = history.undo(now) if step == "undo" else history.redo(now)
            target = at - 1 if step == "undo" else at + 1
            assert (found is None) == (not 0 <= target < len(states))
            if found is not None:
                now, at = found, target
        assert now is states[at]
        assert bool(history.describe_undo(now)) == (at > 0)
        assert bool(history.describe_redo(now)) == (at < len(states) - 1)


@pytest.mark.parametrize("limits", [{"steps": 3}, {"cells": 5 * 3 + 4 * 3 + 2 * 3}])
def test_history_is_bounded(limits):
    history, now = UndoHistory(**limits), NOTHING
    for n in range(1, 7):
        history.push(now)
        now = labelled(*["duct"] * n)
    steps = 0
    while (back := history.undo(now)) is not None:
        now, steps = back, steps + 1
    assert steps == (3 if "steps" in limits else 2)
    assert history.describe_redo(now) == "add 1 point"


def test_what_is_new_ends_what_could_be_redone():
    history = UndoHistory()
    history.push(NOTHING)
    history.undo(labelled("duct"))
    history.push(NOTHING)
    assert history.redo(labelled("septa")) is None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (labelled(), labelled("duct"), "add 1 point"),
        (labelled("duct", "duct"), labelled(), "remove 2 points"),
        (labelled("duct"), labelled("septa"), "relabel 1 point"),
        (labelled("duct"), labelled(None), "relabel 1 point"),
        (labelled("a"), Snapshot.build([[5, 0]], {"class": ["a"]}, LUNG), "move 1 point"),
        (
            labelled("a"),
            Snapshot.build([[0, 0]], {"class": ["a"], "n": [1]}, LUNG),
            "change of the table",
        ),
        (
            labelled("duct"),
            labelled("duct").with_scheme(ClassScheme.of_names(["tube"]), {"duct": "tube"}),
            "change of the classes",
        ),
    ],
)
def test_words_for_tooltips(before, after, words):
    assert describe(before, after) == words


@given(snapshots(), snapshots())
def test_snapshots_are_the_same_when_all_they_hold_is(a, b):
    again = Snapshot.build(a.coordinates, a.features, a.scheme)
    assert a.same(again)
    held = [(s.coordinates.tolist(), s.features.to_dict("list"), s.scheme.name) for s in (a, b)]
    assert a.same(b) == (held[0] == held[1])
    assert a.same_points(b) == (held[0][:2] == held[1][:2])


def test_a_snapshot_keeps_what_it_was_made_of():
    where, classes = np.zeros((2, 3)), pd.Series(pd.Categorical(["a", None], ["b", "a"]))
    features = pd.DataFrame({"class": classes, "p": np.array([0.5, np.nan]), "n": [1, 2]})
    snapshot = Snapshot.build(where, features, LUNG)
    where[:] = 9
    features.loc[0, ["class", "n"]] = ["b", 7]
    assert snapshot.coordinates.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert snapshot.classes.tolist() == ["a", None]
    assert snapshot.features["n"].tolist() == [1, 2]
    assert snapshot.features["p"].dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        snapshot.coordinates[0] = 1
    snapshot.classes[0] = "b"
    other = snapshot.with_classes(["b", "b"])
    assert (snapshot.classes.tolist(), other.classes.tolist()) == (["a", None], ["b", "b"])
    assert snapshot.features.columns.tolist() == ["class", "p", "n"]


def test_another_order_of_the_classes_changes_no_point():
    kinds = [pd.Categorical(["a", "b"], order) for order in (["a", "b"], ["c", "b", "a"])]
    one, other = (Snapshot.build(np.zeros((2, 2)), {"class": kind}, LUNG) for kind in kinds)
    assert one.same(other)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="1 rows of features for 2 points"):
        Snapshot.build(np.zeros((2, 2)), {"class": ["a"]}, LUNG)
    assert len(Snapshot.build(np.zeros((2, 2)), {}, LUNG).classes) == 2
