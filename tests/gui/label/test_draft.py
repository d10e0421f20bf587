"""Classes while they are edited, without a table."""

from __future__ import annotations

import pytest

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.label.draft import Draft

LUNG = ClassScheme.preset("lung")


def test_what_is_not_edited_stays():
    assert Draft(LUNG).build() == (LUNG, {})


def test_names_may_change_places():
    draft = Draft(LUNG)
    draft.rename(0, "duct")
    draft.rename(2, "alveoli")
    scheme, renamed = draft.build()
    assert scheme.names == ("duct", "septa", "alveoli")
    assert renamed == {"alveoli": "duct", "duct": "alveoli"}
    assert scheme.name == "lung, edited"
    assert scheme.classes[0].role == "parenchyma"
    assert Draft(scheme).build()[0].name == "lung, edited"


def test_phases_and_roles_are_chosen():
    draft = Draft(LUNG)
    draft.rephase(2, "none")
    draft.recast(2, "lung")
    draft.recast(0, None)
    scheme, _ = draft.build()
    assert scheme.phases == ("air", "tissue", "none")
    assert [spec.role for spec in scheme.classes] == [None, "parenchyma", "lung"]
    assert scheme.name == "lung, edited"


def test_new_classes_have_what_is_free():
    draft = Draft(LUNG)
    assert [draft.add(), draft.add()] == [3, 4]
    scheme, renamed = draft.build()
    assert scheme.names[3:] == ("class 1", "class 2")
    assert renamed == {}
    assert len(set(scheme.colors)) == 5
    assert len({spec.key for spec in scheme.classes}) == 5


def test_a_key_may_be_taken_away_and_given_in_small_letters():
    draft = Draft(LUNG)
    draft.rekey(0, " ")
    draft.rekey(1, "x")
    scheme, _ = draft.build()
    assert [spec.key for spec in scheme.classes] == [None, "X", "D"]


@pytest.mark.parametrize(
    ("index", "step", "target"), [(0, -1, 0), (0, 1, 1), (2, 1, 2), (2, -1, 1)]
)
def test_classes_move_as_far_as_there_is_room(index, step, target):
    draft = Draft(LUNG)
    assert draft.move(index, step) == target
    assert draft.rows[target].origin == LUNG.names[index]


def test_what_makes_no_sense_is_said_in_one_line():
    draft = Draft(LUNG)
    draft.rename(1, "")
    with pytest.raises(InputError, match="a name has visible characters"):
        draft.build()
    draft.rename(1, "septa")
    draft.rekey(1, "space")
    with pytest.raises(InputError, match=r"^septa: a key is one letter or digit$"):
        draft.build()
    draft.rekey(1, "s")
    draft.rename(1, "duct")
    with pytest.raises(InputError, match="two classes have the name 'duct'"):
        draft.build()
    for _ in range(3):
        draft.remove(0)
    with pytest.raises(InputError, match="0 classes; a scheme has 1 to 254"):
        draft.build()
