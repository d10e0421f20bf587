"""What the steps say about themselves, for everything there may be."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.gui.classifier.steps import (
    FEW,
    ORDER,
    DockStep,
    Facts,
    advice,
    few_points,
    state,
)

LABEL, TRAIN, PAINT, MEASURE = ORDER
LUNG = {"alveoli": 22, "septa": 21, "duct": 20}
NAMES = ["alveoli", "septa", "duct", "vessel"]
facts = st.builds(
    Facts,
    image=st.booleans(),
    counts=st.dictionaries(st.sampled_from(NAMES), st.integers(0, 30), min_size=1),
    key=st.sampled_from(["", "A"]),
    model=st.sampled_from(["", "lung 16:43"]),
    right=st.none() | st.tuples(st.integers(0, 12), st.integers(12, 13)),
    learned=st.none() | st.integers(0, 60),
    painted=st.booleans(),
    measured=st.booleans(),
    running=st.frozensets(st.sampled_from(ORDER[1:])),
)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((22, 1, 1), "septa and duct have 1 point each; label at least 10 of each class."),
        ((22, 21, 3), "duct has 3 points; label at least 10 of each class."),
        ((22, 21, 0), "duct has no points; label at least 10 of each class."),
        ((22, 5, 0), "Only 5 septa and no duct; label at least 10 of each class."),
        ((0, 0, 0), "Label at least 10 points of each class."),
        ((10, 10, 10), ""),
    ],
)
def test_what_is_missing_is_named(counts, said):
    assert few_points(dict(zip(LUNG, counts, strict=True))) == said


def test_the_way_from_nothing_to_measures():
    now = Facts()
    assert advice(LABEL, now).text == "Open an image to begin, or try the sample."
    assert state(TRAIN, now).missing == "Open an image first."
    now = Facts(image=True, counts=dict.fromkeys(LUNG, 0), key="A")
    assert advice(LABEL, now).text == "Press A and click into an alveolus."
    assert state(LABEL, now).usable
    now = Facts(image=True, counts=LUNG)
    assert advice(LABEL, now).text == "22/21/20 points. Enough for a first model."
    assert advice(LABEL, now).actions == (("Train", TRAIN),)
    assert state(LABEL, now).done
    how = state(PAINT, now)
    assert (how.missing, how.helps) == ("Train or load a model first.", TRAIN)
    now = Facts(image=True, counts=LUNG, model="m", right=(12, 13), learned=63)
    assert advice(TRAIN, now).text == "Trained: 12 of 13 right."
    assert state(MEASURE, now).helps is PAINT
    now = Facts(image=True, counts=LUNG, model="m", learned=63, painted=True)
    assert advice(PAINT, now).actions == (("Label more", LABEL), ("Measure", MEASURE))
    now = Facts(image=True, counts=LUNG | {"duct": 24}, model="m", learned=63, painted=True)
    assert advice(LABEL, now).text == "4 points more than the model has seen."
    now = Facts(image=True, counts=LUNG, running=frozenset({TRAIN}))
    assert advice(LABEL, now).actions == (("Show Train", TRAIN),)
    assert state(TRAIN, now).running


@given(facts, st.sampled_from(ORDER))
def test_there_is_always_a_way_on(found, step):
    told, how = advice(step, found), state(step, found)
    assert re.fullmatch(r"[A-Z0-9].*[.?]", told.text)
    assert all(target is not step for _, target in told.actions)
    assert len(told.actions) <= 2
    # What a step needs is given by an earlier one, or by opening an image.
    if not how.usable:
        assert re.fullmatch(r"[A-Za-z].*\.", how.missing)
        assert how.helps is None or ORDER.index(how.helps) < ORDER.index(step)
    if found.image and min(found.counts.values()) >= FEW:
        assert state(TRAIN, found).usable
    assert state(LABEL, found).usable == found.image
    assert DockStep(step.value) is step
