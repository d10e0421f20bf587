"""Writing files: whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_lungcls as lc
from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import atomic_write, check_writable, remove_store
from napari_lungcls.utils.locks import why_unreadable


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "map.ome.tif"
    path.write_text("old")
    return path


def only(path: Path) -> bool:
    """Whether nothing but `path` lies in its folder."""
    return list(path.parent.iterdir()) == [path]


@given(st.binary(max_size=50))
def test_what_was_written_is_there_and_nothing_else(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("files") / "a.ome.tif"
    with atomic_write(path) as aside:
        assert aside.parent == path.parent
        assert aside.name.endswith(".ome.tif")
        aside.write_bytes(content)
        assert not path.exists()
    assert path.read_bytes() == content
    assert only(path)


def write_half(path: Path, error: BaseException) -> None:
    with atomic_write(path) as aside:
        aside.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError(), OSError(), KeyboardInterrupt()], ids=repr)
def test_an_error_leaves_the_old_file_and_nothing_else(old, error):
    with pytest.raises(type(error)):
        write_half(old, error)
    assert old.read_text() == "old"
    assert only(old)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(old, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_write(old) as aside:
        aside.write_text("new")
    assert old.read_text() == "old"
    assert only(old)


def test_a_writer_that_removes_and_makes_the_file_anew_is_fine(old):
    with atomic_write(old) as aside:
        aside.unlink()
        aside.write_text("new")
    assert old.read_text() == "new"
    assert only(old)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_what_the_mask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.csv") as aside:
            aside.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o640


def test_a_relative_name_is_beside_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_write("a.csv") as aside:
        aside.write_text("x")
    assert only(tmp_path / "a.csv")


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "map.csv").mkdir()
    with (
        pytest.raises(InputError, match="is a folder; give the name of a file"),
        atomic_write(tmp_path / "map.csv"),
    ):
        pytest.fail("the block must not run")
    assert only(tmp_path / "map.csv")


def test_outputs_that_cannot_be_are_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("x")
    for parent in ("none", "file"):
        with pytest.raises(InputError, match="does not exist; create it first"):
            check_writable(tmp_path / parent / "a.csv")
    assert check_writable(tmp_path / "a.csv") == tmp_path / "a.csv"
    assert only(tmp_path / "file")


def test_a_folder_that_refuses_files_is_named(tmp_path, monkeypatch):
    # Permissions do not stop root, so the refusal itself is played.
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"cannot write in .* \(Permission denied\); choose an"):
        check_writable(tmp_path / "a.csv")


def test_a_store_is_removed_whole(tmp_path):
    store = tmp_path / "map.zarr"
    (store / "0").mkdir(parents=True)
    (store / "0" / "zarr.json").write_text("{}")
    remove_store(store)
    remove_store(store)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "close the other program"),
        (OSError(errno.EBUSY, "Device or resource busy"), "close the other program"),
        (OSError("unable to lock file, errno = 0, Win32 GetLastError() = 33"), "close the other"),
        (OSError(errno.ENOLCK, "unable to lock file"), "HDF5_USE_FILE_LOCKING"),
        (OSError(errno.EPERM, "Operation not permitted"), "change its permissions"),
        (OSError(errno.EIO, "Input/output error"), None),
        (OSError("file signature not found"), None),
        (ValueError("unable to lock file"), None),
    ],
)
def test_a_file_that_is_withheld_is_not_called_damaged(error, said):
    found = why_unreadable(error)
    assert (found is None) if said is None else (said in found)


def test_a_file_that_must_not_be_read(tmp_path):
    path = tmp_path / "a"
    path.touch(0o000)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match=r"must not be read by this user; change its permissions"):
        lc.read_points(path)


def test_an_hdf5_file_that_another_program_writes(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    program = (
        f"import h5py; f = h5py.File({str(path)!r}, 'w'); f['x'] = [[1, 2]] * 2; f.flush(); "
        "print('ready', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as other:
        assert other.stdout.readline().startswith(b"ready")
        for read in (lc.open_image, lc.open_patches):
            with pytest.raises(InputError, match=r"a\.h5 is open in another program; close the"):
                read(path)
        other.communicate(b"\n")
    assert h5py.File(path)["x"].shape == (2, 2)


def test_an_output_that_another_program_shows(old, monkeypatch):
    def shown(source, target):
        raise PermissionError(errno.EACCES, "used by another process")

    monkeypatch.setattr(os, "replace", shown)
    with (
        pytest.raises(InputError, match=r"used by another process\); close the program that"),
        atomic_write(old) as aside,
    ):
        aside.write_text("new")
    assert old.read_text() == "old"
    assert only(old)
