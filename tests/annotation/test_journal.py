"""A journal brings back every edit that was acknowledged, whatever happened to its writer."""

from __future__ import annotations

import itertools
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation import journal as journal_module
from napari_lungcls.annotation.edits import Snapshot, diff
from napari_lungcls.annotation.journal import FOLDER_VARIABLE, SUFFIX, Journal, folder
from napari_lungcls.annotation.recovery import (
    DamagedJournal,
    claimed,
    delete_discarded,
    discard,
    replay,
    take_back,
    unfinished,
)
from napari_lungcls.errors import InputError

LUNG = ClassScheme.preset("lung")
FIRST = Snapshot.build([[1, 2], [3.5, 4.25]], {"class": ["duct", None], "source": ["hand", "a"]})

WRITER = """
import sys
from pathlib import Path
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation.edits import Snapshot, diff
from napari_lungcls.annotation.journal import Journal

def state(n):
    # Every edit adds a point, each third moves all, each fifth removes one, each seventh relabels.
    rows = range(n // 5, n)
    classes = ["septa" if (i + n // 7) % 2 else "duct" for i in rows]
    where = [[i + n // 3, i / 4] for i in rows] or Snapshot.empty(2).coordinates
    return Snapshot.build(where, {"class": classes})

if __name__ == "__main__":
    lung = ClassScheme.preset("lung")
    journal = Journal.begin(state(0), image="lung", scheme=lung, where=Path(sys.argv[1]))
    for n in range(1, 1_000_000):
        journal.edit(diff(state(n - 1), state(n)))
        print(n, flush=True)
"""


def begin(where: Path, points: Snapshot = FIRST, **options: object) -> Journal:
    return Journal.begin(points, image="lung.tif", scheme=LUNG, where=where, **options)


def rows(points: object) -> list[tuple[object, ...]]:
    return list(zip(points.coordinates.tolist(), points.labels, strict=True))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    where = draw(st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 3), max_size=5))
    cells = st.sampled_from([None, "duct", 'Ä\n"', 1, True, 0.1])
    return Snapshot.build(
        np.reshape(where, (-1, 3)),
        {
            n: draw(st.lists(cells, min_size=len(where), max_size=len(where)))
            for n in ("class", "n")
        },
    )


@given(states=st.lists(snapshots(), min_size=1, max_size=5))
@settings(max_examples=40)
def test_replay_gives_what_was_there_last(tmp_path_factory, states):
    journal = begin(tmp_path_factory.mktemp("j"), states[0])
    for before, after in itertools.pairwise(states):
        journal.edit(diff(before, after))
    header, points = replay(journal.path)
    journal.finish()
    assert (header.image, header.ndim, header.pid) == ("lung.tif", 3, os.getpid())
    wanted = states[-1].points()
    np.testing.assert_array_equal(points.coordinates, wanted.coordinates)
    assert list(points.labels) == list(wanted.labels)
    assert list(points.column("n")) == list(wanted.column("n"))


def test_other_classes_come_with_their_points_in_one_line(tmp_path):
    journal = begin(tmp_path, shape=(20, 30))
    other = ClassScheme.of_names(["airway", "rest"])
    journal.edit(diff(FIRST, FIRST.renamed({"duct": "airway"})), other)
    assert len(journal.path.read_text().splitlines()) == 3
    header, points = replay(journal.path)
    assert (header.scheme, header.shape) == (other, (20, 30))
    assert rows(points) == [([1, 2], "airway"), ([3.5, 4.25], "")]
    journal.finish()
    assert list(tmp_path.iterdir()) == []


def test_what_is_discarded_can_be_taken_back_for_some_time(tmp_path, monkeypatch):
    begin(tmp_path).release()
    (entry,) = unfinished(tmp_path)
    aside = discard(entry)
    assert unfinished(tmp_path) == []
    with pytest.raises(InputError, match="is gone"):
        discard(entry)
    delete_discarded(tmp_path)
    take_back(aside)
    assert len(unfinished(tmp_path)) == 1
    aside = discard(entry)
    os.utime(aside, (time.time() - 31 * 86400,) * 2)
    delete_discarded(tmp_path)
    with pytest.raises(InputError, match="discarded 30 days ago is deleted"):
        take_back(aside)


def test_a_torn_last_line_is_passed_over_and_nothing_else(tmp_path):
    journal = begin(tmp_path)
    whole = journal.path.stat().st_size
    journal.edit(diff(FIRST, FIRST.rows(np.array([1]))))
    journal.release()
    text = journal.path.read_bytes()
    for end in range(whole, len(text) - 1):
        journal.path.write_bytes(text[:end])
        assert len(replay(journal.path)[1]) == 2
    # All of the line is there, only its end is not: nothing speaks against believing it.
    journal.path.write_bytes(text[:-1])
    assert len(replay(journal.path)[1]) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("rubbish", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("{}", "neither edit nor scheme"),
        ('{"edit": {"remove": [2], "columns": []}}', "remove: these are not places of 2 points"),
        ('{"edit": {"remove": [1, 1], "columns": []}}', "remove: these are not places"),
        ('{"edit": {"remove": [-1], "columns": []}}', "greater than or equal to 0"),
        ('{"edit": {"add": [9], "at": [[0, 0]], "columns": []}}', "add: these are not places"),
        ('{"edit": {"add": [2], "at": [[0]], "columns": []}}', "not 1 positions of 2 axes"),
        ('{"edit": {"add": [2], "at": [[0, NaN]], "columns": []}}', "finite number"),
        ('{"edit": {"set": {"class": [[0], []]}, "columns": []}}', "0 cells for 1 points"),
        ('{"edit": {}, "shell": "rm"}', "Extra inputs"),
    ],
)
def test_damage_is_named_and_what_was_before_it_is_shown(tmp_path, line, problem):
    journal = begin(tmp_path)
    journal.release()
    text = journal.path.read_bytes()
    journal.path.write_bytes(text + line.encode() + b"\n" + b'{"edit": {"remove": [0]}}\n')
    with pytest.raises(DamagedJournal, match=r"line 3: .*restore the 2 points") as caught:
        replay(journal.path)
    assert problem in str(caught.value)
    assert caught.value.header.image == "lung.tif"
    assert rows(caught.value.points) == [([1, 2], "duct"), ([3.5, 4.25], "")]
    (entry,) = unfinished(tmp_path)
    assert len(entry.points) == 2
    assert "line 3" in entry.problem


@pytest.mark.parametrize("text", [b"", b"\x00" * 50, b"{}\n", b"\xff\n", b'{"format": "x"}\n'])
def test_what_has_no_header_has_nothing_to_offer(tmp_path, text):
    path = tmp_path / f"x{SUFFIX}"
    path.write_bytes(text)
    with pytest.raises(DamagedJournal, match=r"line 1: .*nothing can be restored"):
        replay(path)
    assert unfinished(tmp_path) == []
    with pytest.raises(InputError, match="cannot be read"):
        replay(tmp_path)


def test_only_what_nobody_writes_is_offered(tmp_path):
    first, second = begin(tmp_path), begin(tmp_path)
    assert unfinished(tmp_path) == []
    first.release()
    (entry,) = unfinished(tmp_path)
    assert (entry.path, len(entry.points), entry.problem) == (first.path, 2, "")
    assert abs(entry.when - time.time()) < 60
    with claimed(entry):
        assert unfinished(tmp_path) == []
        with pytest.raises(InputError, match="in use"), claimed(entry):
            pass
    assert not first.path.exists()
    with pytest.raises(InputError, match="is gone"), claimed(entry):
        pass
    second.finish()
    assert unfinished(tmp_path / "nowhere") == []


def test_a_journal_that_could_not_be_restored_stays(tmp_path):
    journal = begin(tmp_path)
    journal.release()
    (entry,) = unfinished(tmp_path)
    with pytest.raises(KeyError), claimed(entry):
        raise KeyError
    assert len(unfinished(tmp_path)) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows always has locks")
def test_without_locks_the_process_number_decides(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_lungcls.annotation.recovery.lock", lambda *_: None)
    journal = begin(tmp_path)
    journal.release()
    assert unfinished(tmp_path) == []
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        check=True,
        text=True,
    )
    text = journal.path.read_text().replace(
        f'"pid":{os.getpid()}', f'"pid":{process.stdout.strip()}'
    )
    journal.path.write_text(text)
    assert len(unfinished(tmp_path)) == 1
    journal.path.write_text(text.replace('"host":"', '"host":"other-'))
    assert unfinished(tmp_path) == []


def test_a_full_disk_leaves_what_was_written(tmp_path, monkeypatch):
    journal = begin(tmp_path)

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module.os, "fsync", fail)
    with pytest.raises(InputError, match=r"No space left on device.*save the points to a file"):
        journal.edit(diff(FIRST, FIRST.rows(np.array([1]))))
    with pytest.raises(ValueError, match="closed"):
        journal.edit(diff(FIRST, FIRST))
    assert len(replay(journal.path)[1]) == 2
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        begin(tmp_path / "file")


def test_a_point_without_a_position_is_refused(tmp_path):
    journal = begin(tmp_path)
    with pytest.raises(InputError, match="no finite position"):
        journal.edit(diff(FIRST, Snapshot.build([[1, np.inf]], {"class": ["duct"]})))
    assert len(replay(journal.path)[1]) == 2


def test_names_that_are_no_text_do_no_harm(tmp_path):
    journal = begin(tmp_path, source="a\udcff.tif")
    odd = Snapshot.build([[1, 2]], {"class": ["\udcff"], "p": [np.inf]})
    journal.edit(diff(FIRST, odd))
    header, points = replay(journal.path)
    assert (header.source, list(points.labels), list(points.column("p"))) == ("a?.tif", ["?"], [""])
    journal.finish()


def test_a_column_named_like_a_coordinate_does_not_lose_the_points(tmp_path):
    odd = Snapshot.build([[1, 2]], {"class": ["duct"], "axis-0": [7], "feature axis-0": [8]})
    journal = begin(tmp_path, odd)
    journal.release()
    (entry,) = unfinished(tmp_path)
    assert entry.points.coordinates.tolist() == [[1, 2]]
    assert list(entry.points.column("feature feature axis-0")) == ["7"]


def test_the_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert folder().parts[-1] == "journals"
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert folder() == tmp_path
    journal = Journal.begin(FIRST, image="x", scheme=LUNG)
    assert journal.path.parent == tmp_path
    first = json.loads(journal.path.read_text().splitlines()[0])
    assert (first["format"], first["version"]) == ("napari-lungcls journal", 2)
    journal.finish()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_loses_no_acknowledged_edit(tmp_path):
    dice = random.Random(3)
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    state = runpy.run_path(str(script))["state"]
    for turn in range(12):
        where = tmp_path / str(turn)
        process = subprocess.Popen([sys.executable, script, where], stdout=subprocess.PIPE)
        assert process.stdout is not None
        said = process.stdout.readline()
        time.sleep(dice.uniform(0, 0.15))
        assert unfinished(where) == []
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        last = int(said[: said.rindex(b"\n")].split()[-1])
        (entry,) = unfinished(where)
        assert entry.problem == ""
        # One edit more is there when it was written and death came before it was said.
        assert rows(entry.points) in [rows(state(n).points()) for n in (last, last + 1)]
