"""Autosave brings back every change that was acknowledged, whatever happened to its writer."""

from __future__ import annotations

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

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.annotation.autosave import (
    FOLDER_VARIABLE,
    SUFFIX,
    Autosave,
    AutosaveHeader,
    claimed,
    delete_discarded,
    discard,
    folder,
    read_autosave,
    take_back,
    unfinished,
    unreadable,
)
from napari_lungcls.annotation.points import points_of_features
from napari_lungcls.errors import InputError
from napari_lungcls.utils import atomic_write as files

LUNG = ClassScheme.preset("lung")
HEADER = AutosaveHeader(image="lung.tif", scheme=LUNG)
FIRST = Points.build([[1, 2], [3.5, 4.25]], ["duct", ""], source=["hand", "a"])

WRITER = """
import sys
from pathlib import Path
import numpy as np
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.annotation.autosave import Autosave, AutosaveHeader

def state(n):
    # Each change adds a point, each third moves all, each fifth removes one, each seventh relabels.
    rows = range(n // 5, n)
    classes = ["septa" if (i + n // 7) % 2 else "duct" for i in rows]
    where = np.reshape([[i + n // 3, i / 4] for i in rows], (-1, 2))
    return Points.build(where, classes)

if __name__ == "__main__":
    header = AutosaveHeader(image="lung", scheme=ClassScheme.preset("lung"))
    autosave = Autosave(Path(sys.argv[1]))
    for n in range(1, 1_000_000):
        autosave.write(header, state(n))
        print(n, flush=True)
"""


def begin(where: Path, points: Points = FIRST, header: AutosaveHeader = HEADER) -> Autosave:
    autosave = Autosave(where)
    autosave.write(header, points)
    return autosave


def rows(points: Points) -> list[tuple[object, ...]]:
    return list(zip(points.coordinates.tolist(), points.labels, strict=True))


@st.composite
def tables(draw: st.DrawFn) -> Points:
    where = draw(st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 3), max_size=5))
    cells = st.sampled_from(["", "duct", 'Ä\n"', "1", "0.1"])
    labels, notes = (
        draw(st.lists(cells, min_size=len(where), max_size=len(where))) for _ in range(2)
    )
    return Points.build(np.reshape(where, (-1, 3)), labels, n=notes)


@given(states=st.lists(tables(), min_size=1, max_size=5))
@settings(max_examples=40)
def test_what_was_written_last_is_read(tmp_path_factory, states):
    autosave = Autosave(tmp_path_factory.mktemp("a"))
    for points in states:
        autosave.write(HEADER, points)
    found = read_autosave(autosave.path)
    autosave.remove()
    assert found.header == HEADER
    np.testing.assert_array_equal(found.points.coordinates, states[-1].coordinates)
    assert found.points.columns == states[-1].columns
    for name in ("class", "n", "index"):
        assert list(found.points.column(name)) == list(states[-1].column(name))


def test_other_classes_come_with_their_points(tmp_path):
    autosave = begin(tmp_path)
    other = AutosaveHeader(
        image="b", shape=(20, 30), layer="p", scheme=ClassScheme.of_names(["airway", "rest"])
    )
    autosave.write(other, Points.build([[1, 2]], ["airway"]))
    found = read_autosave(autosave.path)
    assert found.header == other
    assert rows(found.points) == [([1, 2], "airway")]
    autosave.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_discarded_can_be_taken_back_for_some_time(tmp_path):
    begin(tmp_path).release()
    (entry,) = unfinished(tmp_path)
    aside = discard(entry)
    assert unfinished(tmp_path) == []
    with pytest.raises(InputError, match="is gone"):
        discard(entry)
    delete_discarded(tmp_path)
    take_back(aside, entry.when)
    (again,) = unfinished(tmp_path)
    assert again.when == pytest.approx(entry.when, abs=1e-3)
    aside = discard(entry)
    os.utime(aside, (time.time() - 31 * 86400,) * 2)
    delete_discarded(tmp_path)
    with pytest.raises(InputError, match="discarded 30 days ago is deleted"):
        take_back(aside, entry.when)
    assert list(tmp_path.iterdir()) == []


def damaged(document: dict[str, object], *path: str, value: object) -> dict[str, object]:
    """Give a copy with another value at some place."""
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("format",), "x", "format: "),
        (("version",), 2, "version: "),
        (("ndim",), 1, "greater than or equal to 2"),
        (("ndim",), 3, "not all positions have 3 axes"),
        (("coordinates",), [[0, 0], [1]], "not all positions have 2 axes"),
        (("coordinates",), [[0, 0], [1, float("inf")]], "finite number"),
        (("columns", "class"), ["duct"], "1 values for 2 points"),
        (("columns", "class"), ["duct", 1], "valid string"),
        (("columns", "axis-0"), ["1", "2"], "axis-0 is a coordinate"),
        (("shell",), "rm", "Extra inputs"),
    ],
)
def test_damage_is_named_and_nothing_is_offered(tmp_path, path, value, problem):
    autosave = begin(tmp_path)
    autosave.release()
    whole = json.loads(autosave.path.read_text())
    autosave.path.write_text(json.dumps(damaged(whole, *path, value=value)))
    with pytest.raises(InputError, match=r"holds unsaved points but is damaged.*delete it") as told:
        read_autosave(autosave.path)
    assert problem in str(told.value)
    assert unfinished(tmp_path) == []
    assert unreadable(tmp_path) == [str(told.value)]


@pytest.mark.parametrize("text", [b"", b"\x00" * 50, b"{}\n", b"\xff\n", b"[" * 100_000, b'{"a'])
def test_what_is_no_document_is_named(tmp_path, text):
    path = tmp_path / f"x{SUFFIX}"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"x\.lungcls-autosave holds unsaved points but is dam"):
        read_autosave(path)
    assert unfinished(tmp_path) == []
    with pytest.raises(InputError, match="cannot be read"):
        read_autosave(tmp_path)


def test_files_of_development_versions_are_refused_with_a_remedy(tmp_path):
    assert unreadable(tmp_path / "nowhere") == []
    begin(tmp_path).release()
    assert unreadable(tmp_path) == []
    (tmp_path / "1.lungcls-journal").write_text("{}")
    (line,) = unreadable(tmp_path)
    assert "which this version cannot read; restore and save them with that version" in line
    assert len(unfinished(tmp_path)) == 1


def test_only_what_nobody_writes_is_offered(tmp_path):
    first, second = begin(tmp_path), begin(tmp_path)
    assert unfinished(tmp_path) == []
    first.release()
    (entry,) = unfinished(tmp_path)
    assert (entry.path, len(entry.points)) == (first.path, 2)
    assert abs(entry.when - time.time()) < 60
    with claimed(entry):
        assert unfinished(tmp_path) == []
        with pytest.raises(InputError, match="in use"), claimed(entry):
            pass
    assert not first.path.exists()
    with pytest.raises(InputError, match="is gone"), claimed(entry):
        pass
    second.remove()
    assert unfinished(tmp_path / "nowhere") == []
    assert list(tmp_path.iterdir()) == []


def test_they_are_listed_by_their_last_change(tmp_path):
    # All begin in one second, which their names tell no better, and one is changed again later.
    windows = [begin(tmp_path) for _ in range(5)]
    for seconds, window in zip((30, 10, 50, 20, 40), windows, strict=True):
        os.utime(window.path, (1e9 + seconds,) * 2)
        window.release()
    listed = [entry.path for entry in unfinished(tmp_path)]
    assert listed == [windows[index].path for index in (1, 3, 0, 4, 2)]


def test_what_could_not_be_restored_stays(tmp_path):
    begin(tmp_path).release()
    (entry,) = unfinished(tmp_path)
    with pytest.raises(KeyError), claimed(entry):
        raise KeyError
    assert len(unfinished(tmp_path)) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows always has locks")
def test_without_locks_the_process_number_decides(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_lungcls.utils.locks.lock", lambda *_: None)
    autosave = begin(tmp_path)
    assert unfinished(tmp_path) == []
    assert autosave.path.exists()
    # Killed, it leaves its lock file.
    (lock,) = tmp_path.glob("*.lock")
    text = lock.read_text()
    autosave.release()
    lock.write_text(text)
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        check=True,
        text=True,
    )
    pid, host = lock.read_text().split()
    assert pid == str(os.getpid())
    lock.write_text(f"{process.stdout.strip()} {host}")
    assert len(unfinished(tmp_path)) == 1
    lock.write_text(f"{process.stdout.strip()} other-{host}")
    assert unfinished(tmp_path) == []


def test_a_full_disk_leaves_what_was_written(tmp_path, monkeypatch):
    autosave = begin(tmp_path)

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", fail)
        with pytest.raises(InputError, match=r"No space left on device.*save them to a file"):
            autosave.write(HEADER, FIRST.select([1]))
    assert len(read_autosave(autosave.path).points) == 2
    autosave.write(HEADER, FIRST.select([1]))
    assert len(read_autosave(autosave.path).points) == 1
    autosave.remove()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be kept in"):
        begin(tmp_path / "file")


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    autosave = begin(tmp_path)
    autosave.release()
    half = Path(f"{autosave.path}.new")
    half.write_text("{")
    assert len(unfinished(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == [autosave.path]


def test_names_that_are_no_text_do_no_harm(tmp_path):
    header = AutosaveHeader(image="a", source="a\udcff.tif", scheme=LUNG)
    autosave = begin(tmp_path, Points.build([[1, 2]], ["\udcff"]), header)
    found = read_autosave(autosave.path)
    assert (found.header.source, list(found.points.labels)) == ("a?.tif", ["?"])
    autosave.remove()


def test_a_column_named_like_a_coordinate_does_not_lose_the_points(tmp_path):
    odd = {"class": ["duct"], "axis-0": [7], "feature axis-0": [8]}
    points = points_of_features([[1, 2]], odd, "p", rename=True)
    begin(tmp_path, points).release()
    (entry,) = unfinished(tmp_path)
    assert entry.points.coordinates.tolist() == [[1, 2]]
    assert list(entry.points.column("feature feature axis-0")) == ["7"]


def test_the_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert folder().parts[-1] == "journals"
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert folder() == tmp_path
    autosave = begin(None)
    assert autosave.path.parent == tmp_path
    document = json.loads(autosave.path.read_text())
    assert (document["format"], document["version"]) == ("napari-lungcls autosave", 1)
    autosave.remove()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_loses_no_acknowledged_change(tmp_path):
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
        assert unreadable(where) == []
        # One change more is there when it was written and death came before it was said.
        assert rows(entry.points) in [rows(state(n)) for n in (last, last + 1)]
