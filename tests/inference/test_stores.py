"""Maps on disk: what is written comes back, whatever the order, and nothing half-written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.inference.formats import open_store
from napari_lungcls.inference.map_data import Block, blocks
from napari_lungcls.inference.painted import PaintedMap, read_map

SUFFIXES = (".ome.zarr", ".ome.tif", ".zarr", ".tiff")
LUNG = ClassScheme.preset("lung")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_blocks(store: Any, wanted: PaintedMap, places: Any) -> None:
    for block in places:
        cells = None if wanted.probabilities is None else wanted.probabilities[:, *block.place]
        store.write(block, wanted.classes[block.place], cells)


@st.composite
def _cases(draw):
    shape = (
        *draw(st.lists(st.integers(1, 3), max_size=2)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
    )
    scheme = [f"Klasse ä{i}" for i in range(draw(st.integers(1, 4)))]
    order = draw(st.permutations(list(blocks(shape, draw(st.integers(5, 40))))))
    suffix, chunk = draw(st.sampled_from(SUFFIXES)), draw(st.sampled_from([8, 16, 512]))
    changes = {
        "probabilities": draw(st.booleans()),
        "scheme": ClassScheme(name="s", classes=tuple(scheme)),
    }
    return shape, changes, order, suffix, chunk


@settings(max_examples=40, deadline=None)
@given(_cases())
def test_what_is_written_comes_back(tmp_path_factory, header, random_map, assert_same, case):
    shape, changes, order, suffix, chunk = case
    folder = tmp_path_factory.mktemp("map")
    described = header(shape, **changes)
    wanted = random_map(described)
    store = open_store(folder / f"m{suffix}", described, chunk=chunk)
    write_blocks(store, wanted, order)
    store.finish()
    store.abandon()  # as a `finally` would; too late to harm
    assert left_in(folder) == [f"m{suffix}"]
    found = read_map(folder / f"m{suffix}")
    assert_same(found, wanted)
    key = (0,) * (len(described.shape) - 2)
    np.testing.assert_array_equal(found.classes[(*key, slice(1, 3))], wanted.classes[*key, 1:3])
    if wanted.probabilities is not None:
        np.testing.assert_array_equal(
            found.probabilities[(0, *key, slice(1, 3))], wanted.probabilities[0, *key, 1:3]
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_maps_with_five_axes(tmp_path, suffix, header, random_map, assert_same):
    wanted = random_map(header((2, 3, 2, 9, 7), probabilities=False))
    assert_same(read_map(wanted.save(tmp_path / f"m{suffix}")), wanted)
    with pytest.raises(InputError, match="paint without probabilities or fewer planes"):
        open_store(tmp_path / f"n{suffix}", header((2, 3, 2, 9, 7)))
    with pytest.raises(InputError, match="a map with 6 axes fits no OME file"):
        open_store(tmp_path / f"n{suffix}", header((1, 2, 3, 2, 9, 7), probabilities=False))
    assert left_in(tmp_path) == [f"m{suffix}"]


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize("keep", [False, True])
def test_abandoned_maps(tmp_path, suffix, keep, header, random_map):
    wanted = random_map(header((2, 20, 30)))
    store = open_store(tmp_path / f"m{suffix}", wanted.header, chunk=16)
    write_blocks(store, wanted, list(blocks((2, 20, 30), 16))[:3])
    assert left_in(tmp_path) == [f".m{suffix}.lock", f".m{suffix}.partial"]
    store.abandon(keep=keep)
    assert left_in(tmp_path) == ([f"m{suffix}"] if keep else [])
    with pytest.raises(RuntimeError, match="finished and takes no more blocks"):
        store.write(Block((0,), slice(0, 1), slice(0, 1)), np.ones((1, 1), "uint8"))
    if keep:
        found = read_map(tmp_path / f"m{suffix}")
        np.testing.assert_array_equal(found.classes[0, :16], wanted.classes[0, :16])
        assert not found.classes[0, 16:, 16:].any()
        assert not found.classes[1].any()


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_an_existing_output_is_kept(tmp_path, suffix, header, random_map, assert_same):
    path = tmp_path / f"m{suffix}"
    old, new = random_map(header((20, 30)), 1), random_map(header((9, 8)), 2)
    old.save(path)
    with pytest.raises(InputError, match="exists already; remove it or choose another name"):
        open_store(path, new.header)
    store = open_store(path, new.header, overwrite=True)
    write_blocks(store, new, blocks((9, 8), 16))
    assert_same(read_map(path), old)
    store.abandon()
    assert_same(read_map(path), old)
    new.save(path, overwrite=True)
    assert_same(read_map(path), new)
    assert left_in(tmp_path) == [path.name]


def test_a_rename_that_fails_brings_the_old_map_back(
    tmp_path, header, random_map, assert_same, monkeypatch
):
    path = tmp_path / "m.zarr"
    old, new = random_map(header((20, 30)), 1), random_map(header((20, 30)), 2)
    old.save(path)
    rename = os.replace

    def locked(source, target):
        if Path(source).name == ".m.zarr.partial":
            raise OSError(errno.EACCES, "locked")
        rename(source, target)

    monkeypatch.setattr(os, "replace", locked)
    with pytest.raises(InputError, match=r"cannot be written \(locked\)"):
        new.save(path, overwrite=True)
    assert_same(read_map(path), old)
    assert left_in(tmp_path) == ["m.zarr"]


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_a_folder_of_something_else_is_never_replaced(tmp_path, suffix, header):
    path = tmp_path / f"m{suffix}"
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists already"):
        open_store(path, header((4, 5)), overwrite=True)
    assert (path / "thesis.txt").read_text() == "years of work"


def test_other_suffixes_and_lost_folders(tmp_path, header):
    with pytest.raises(InputError, match=r"is written as \.ome\.zarr or \.ome\.tif; choose one"):
        open_store(tmp_path / "m.png", header((4, 5)))
    with pytest.raises(InputError, match="does not exist; create it first"):
        open_store(tmp_path / "no" / "m.zarr", header((4, 5)))


KILLED = """
import numpy as np, os, signal, sys
from napari_lungcls.inference.formats import open_store
from napari_lungcls.inference.map_data import Block, MapHeader
header = MapHeader.model_validate_json(sys.argv[2])
store = open_store(sys.argv[1], header)
store.write(Block((), slice(0, 2), slice(0, 2)), np.ones((2, 2), "uint8"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_a_run_after_a_killed_one(tmp_path, suffix, header, random_map, assert_same):
    path = tmp_path / f"m{suffix}"
    wanted = random_map(header((4, 5), probabilities=False))
    run = [sys.executable, "-c", KILLED, str(path), wanted.header.model_dump_json()]
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(run, env={**os.environ, "PYTHONPATH": str(source)}, check=False)
    assert done.returncode == -signal.SIGTERM
    assert left_in(tmp_path) == [f".{path.name}.lock", f".{path.name}.partial"]
    wanted.save(path)
    assert left_in(tmp_path) == [path.name]
    assert_same(read_map(path), wanted)


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_a_full_disk_leaves_nothing(tmp_path, suffix, monkeypatch, header, random_map):
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    wanted = random_map(header((4, 5)))
    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        wanted.save(tmp_path / f"m{suffix}")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("suffix", "place"),
    [
        (".ome.zarr", "zarr.create_group"),
        (".ome.tif", "zarr.create_group"),
        (".ome.zarr", "napari_lungcls.inference.store_zarr.image_label"),
        (".ome.tif", "tifffile.TiffWriter.write"),
    ],
)
def test_late_errors_leave_nothing(tmp_path, suffix, place, monkeypatch, header, random_map):
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.EDQUOT, "quota")

    wanted = random_map(header((4, 5)))
    monkeypatch.setattr(place, full)
    with pytest.raises(InputError, match=r"cannot be written \(quota\)"):
        wanted.save(tmp_path / f"m{suffix}")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif", ".geojson"])
def test_saving_reports_every_step_and_can_be_stopped_at_each(tmp_path, suffix, header, random_map):
    wanted, told = random_map(header((2, 520, 20))), []
    wanted.save(tmp_path / f"m{suffix}", progress=lambda *step: told.append(step))
    total = told[-1][1]
    assert told == [(i, total) for i in range(total + 1)]
    for last in (0, total // 2, total - 1):
        answers = iter([False] * last)
        path = tmp_path / f"n{suffix}"
        assert wanted.save(path, cancelled=lambda answers=answers: next(answers, True)) is None
        assert left_in(tmp_path) == [f"m{suffix}"]


def test_maps_stay_on_disk(tmp_path, header):
    shape = (6000, 7000)
    store = open_store(tmp_path / "m.zarr", header(shape, probabilities=False))
    block = Block((), slice(0, 512), slice(512, 1024))
    store.write(block, np.full((512, 512), 2, "uint8"))
    tracemalloc.start()
    try:
        store.finish()
        found = read_map(tmp_path / "m.zarr")
        assert found.fractions() == {"alveoli": 0.0, "septa": 1.0, "duct": 0.0}
        found.save(tmp_path / "m.ome.tif")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6
    assert read_map(tmp_path / "m.ome.tif").classes[511, 512] == 2
