"""Edits lead from one snapshot to another and back, whatever the two are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.annotation.edits import Edit, History, Snapshot, Step, as_cells, diff
from napari_lungcls.annotation.schemes import ClassScheme

CELLS = st.sampled_from([None, "alveoli", "septa", "duct", "1", 1, 1.0, True, 0.5])
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
    return Snapshot.build(np.reshape(where, (-1, 2)), columns)


def labelled(*names: str) -> Snapshot:
    return Snapshot.build(np.repeat(np.arange(len(names)), 2).reshape(-1, 2), {"class": names})


@given(snapshots(), snapshots())
def test_an_edit_leads_there_and_back(a, b):
    edit = diff(a, b)
    assert edit.apply(a).same(b)
    assert edit.revert(b).same(a)
    assert edit.inverse().inverse().apply(a).same(b)
    assert bool(edit) == (not a.same(b))


@given(snapshots(), st.data())
def test_removed_rows_are_found_and_nothing_else_changes(a, data):
    gone = data.draw(st.sets(st.sampled_from(range(len(a))))) if len(a) else set()
    rest = np.array([i for i in range(len(a)) if i not in gone], np.intp)
    edit = diff(a, a.rows(rest))
    assert len(edit.removed) == len(gone)
    assert not edit.added.size
    assert not edit.moved.size
    back = diff(a.rows(rest), a)
    assert (len(back.added), back.removed.size, back.moved.size) == (len(gone), 0, 0)


@given(st.lists(st.one_of(snapshots(), st.sampled_from(["undo", "redo"])), max_size=12))
def test_history_walks_along_what_was_done(steps):
    now = Snapshot.empty(2)
    states, at, history = [now], 0, History(limit=50)
    for step in steps:
        if isinstance(step, Snapshot):
            history.push(diff(now, step))
            now = step
            states, at = [*states[: at + 1], now], at + 1
            continue
        edit = history.undo() if step == "undo" else history.redo()
        target = at - 1 if step == "undo" else at + 1
        assert (edit is None) == (not 0 <= target < len(states))
        if edit is not None:
            now, at = edit.apply(now), target
        assert now.same(states[at])


def test_history_is_bounded():
    history, now = History(limit=3), Snapshot.empty(2)
    for n in range(1, 6):
        after = labelled(*["duct"] * n)
        history.push(diff(now, after))
        now = after
    while (edit := history.undo()) is not None:
        now = edit.apply(now)
    assert len(now) == 2
    assert history.undoable is None
    assert history.redoable is not None


def test_what_is_new_ends_what_could_be_redone():
    history = History()
    history.push(diff(labelled(), labelled("duct")))
    history.undo()
    history.push(diff(labelled(), labelled("septa")))
    assert history.redo() is None


def test_a_step_takes_the_classes_back_with_the_points():
    a, b = labelled("duct", "septa"), labelled("airway", "septa")
    schemes = ClassScheme.of_names(["duct", "septa"]), ClassScheme.of_names(["airway", "septa"])
    history: History[Step] = History()
    history.push(Step(diff(labelled(), a)))
    history.push(Step(diff(a, b), schemes))
    back = history.undo()
    assert back is not None
    assert back.edit.apply(b).same(a)
    assert back.schemes == schemes[::-1]
    assert history.redoable.words == "change of the classes"
    assert history.undoable.words == "add 2 points"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (labelled(), labelled("duct"), "add 1 point"),
        (labelled("duct", "duct"), labelled(), "remove 2 points"),
        (labelled("duct"), labelled("septa"), "relabel 1 point"),
        (labelled("a"), Snapshot.build([[5, 0]], {"class": ["a"]}), "move 1 point"),
        (labelled("a"), labelled("a").with_column("n", as_cells([1])), "change of the table"),
    ],
)
def test_words_for_tooltips(before, after, words):
    assert diff(before, after).words == words


def test_a_snapshot_keeps_what_it_was_made_of():
    where, classes = np.zeros((2, 3)), pd.Series(pd.Categorical(["a", None], ["b", "a"]))
    features = {"class": classes, "p": np.array([0.5, np.nan]), "n": np.array([1, 2])}
    snapshot = Snapshot.build(where, features)
    where[:] = 9
    assert snapshot.coordinates.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert {n: list(c) for n, c in snapshot.columns.items()} == {
        "class": ["a", None],
        "p": [0.5, None],
        "n": [1, 2],
    }
    assert all(type(cell) is int for cell in snapshot.column("n"))
    with pytest.raises(ValueError, match="read-only"):
        snapshot.coordinates[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        snapshot.classes[0] = "b"
    points = snapshot.points()
    assert (list(points.labels), list(points.column("p"))) == (["a", ""], ["0.5", ""])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="column 'class': 1 cells for 2 points"):
        Snapshot.build(np.zeros((2, 2)), {"class": ["a"]})
    edit: Edit = diff(labelled("a", "b"), labelled("a", "b", "c"))
    for other in (labelled(), labelled("a")):
        with pytest.raises(ValueError, match="belongs to other points"):
            edit.apply(other)
    for other in (labelled(), labelled("a", "b")):
        with pytest.raises(ValueError, match="belongs to other points"):
            edit.revert(other)
