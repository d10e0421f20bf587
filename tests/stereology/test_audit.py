"""An audit asks every point once, blind and in the design's order, and nothing is lost."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_lungcls as lc
from napari_lungcls.annotation.columns import CROSSINGS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.stereology.audit import Audit, repeatability
from napari_lungcls.stereology.design import SampledImage, make_grid

SCHEME = lc.ClassScheme.preset("lung")


def design(spacing=20, lines=None, repeat_fraction=0.1, images=("a.png", "b.png")):
    return make_grid(
        [SampledImage(name, (60, 80)) for name in images],
        spacing,
        lines=lines,
        repeat_fraction=repeat_fraction,
    )


def replies(audit):
    while (question := audit.question) is not None:
        yield question
        audit.answer("duct" if question.kind == "class" else 2)


def test_points_come_in_the_order_of_the_design_whatever_that_of_the_rows():
    points = design()
    turned = points.select(np.arange(len(points))[::-1])
    asked = [tuple(question.position) for question in replies(Audit(turned, SCHEME))]
    np.testing.assert_array_equal(asked, points.coordinates)
    assert Audit(turned, SCHEME).total == len(points)


def test_every_line_is_asked_after_its_point():
    audit = Audit(design(lines=12), SCHEME)
    kinds = [(q.row, q.kind, q.line is None) for q in replies(audit)]
    assert [kind for _, kind, _ in kinds] == ["class", "crossings"] * (len(kinds) // 2)
    assert all(one[0] == two[0] for one, two in zip(kinds[::2], kinds[1::2], strict=True))
    assert all(alone == (kind == "class") for _, kind, alone in kinds)
    assert set(audit.points.column(CROSSINGS_COLUMN)) == {"2"}


def test_what_is_skipped_comes_at_the_end():
    audit = Audit(design(), SCHEME)
    first = audit.question.row
    audit.skip()
    rows = [question.row for question in replies(audit)]
    assert rows[-1] == first
    assert len(set(rows)) == len(rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["answer", "skip", "undo"]), max_size=40))
def test_undoing_everything_is_the_beginning(acts):
    audit = Audit(design(spacing=30), SCHEME)
    beginning = audit.question.row
    for act in acts:
        if act == "answer" and audit.question is not None:
            audit.answer("septa")
        elif act == "skip":
            audit.skip()
        elif act == "undo":
            audit.undo()
        labels = audit.points.labels
        assert sum(bool(label) for label in labels) == audit.done
    for _ in acts:
        audit.undo()
    assert audit.done == 0
    assert audit.question.row == beginning


def test_answers_are_in_the_file_at_once_and_go_on_there(tmp_path):
    path = lc.write_points(tmp_path / "audit.csv", design())
    audit = Audit.open(path, SCHEME, observer="ann")
    for label in ("septa", "alveoli", "duct"):
        audit.answer(label)
    audit.undo()
    again = Audit.open(path, SCHEME)
    assert again.done == 2
    assert again.question.row == audit.question.row
    assert set(again.points.column("observer")) == {"ann"}


def test_a_killed_process_loses_nothing(tmp_path):
    path = lc.write_points(tmp_path / "audit.csv", design())
    code = (
        "import os, signal\n"
        "import napari_lungcls as lc\n"
        "from napari_lungcls.stereology.audit import Audit\n"
        f"audit = Audit.open({str(path)!r}, lc.ClassScheme.preset('lung'))\n"
        "for _ in range(7): audit.answer('septa')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert Audit.open(path, SCHEME).done == 7


def test_what_is_no_answer_changes_nothing():
    audit = Audit(design(lines=12), SCHEME)
    with pytest.raises(InputError, match="class 'bone'"):
        audit.answer("bone")
    audit.answer("septa")
    for wrong in ("-1", "many", 1.5):
        with pytest.raises(InputError, match="no number of crossings"):
            audit.answer(wrong)
    assert audit.done == 1


def test_a_disk_that_is_full_is_said_and_the_question_stays(tmp_path):
    path = lc.write_points(tmp_path / "audit.csv", design())
    audit = Audit.open(path, SCHEME)
    audit.path = tmp_path / "no such folder" / "audit.csv"
    with pytest.raises(InputError):
        audit.answer("septa")
    assert audit.done == 0


def test_points_of_no_design_and_unknown_answers_are_refused():
    with pytest.raises(InputError, match="no design drew"):
        Audit(lc.Points.build([[1, 2]], ["septa"]), SCHEME)
    with pytest.raises(InputError, match="class 'bone'"):
        Audit(design().with_columns(**{"class": "bone"}), SCHEME)


def test_how_often_one_agrees_with_oneself():
    audit = Audit(design(spacing=5, repeat_fraction=0.3), SCHEME)
    asked = len(list(replies(audit)))
    found = repeatability(audit.points, SCHEME)
    assert found.agreement.value == 1
    assert found.n == round(0.3 * asked / 1.3)
    assert repeatability(design(), SCHEME) is None
