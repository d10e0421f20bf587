"""Paintings that stop and go on: killed, cancelled, damaged, refused; the same bytes at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import killing
from killing import STACK
from known_maps import RAMP, bright_model, brightness
from known_network import make_document
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.formats import open_store
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block
from napari_lungcls.inference.painted import read_map
from napari_lungcls.model import Model

MODEL = bright_model()
SUFFIXES = pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapGrid, "block", killing.EDGE)


def content(path: Path) -> dict[str, bytes]:
    """Every file of an output."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def some(count: int) -> Callable[[], bool]:
    """Cancel after so many blocks."""
    answers = iter([False] * count)
    return lambda: next(answers, True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Paint without a break, each map once."""
    folder, made = tmp_path_factory.mktemp("whole"), dict[tuple[str, str], Path]()

    def painted(name: str, stack: ImageStack = STACK) -> Path:
        key = (name, stack.source)
        if key not in made:
            made[key] = folder / str(len(made)) / name
            made[key].parent.mkdir()
            MODEL.paint(stack, out=made[key])
        return made[key]

    return painted


@pytest.mark.skipif(sys.platform != "linux", reason="forks a process that has begun to compute")
def test_killed_at_random_moments_it_continues_and_gives_the_same_bytes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, whole: Any
) -> None:
    kills = int(os.environ.get("LUNGCLS_TEST_KILLS", "3"))
    outs = [tmp_path / name for name in ("map.ome.zarr", "map.ome.tif")]
    model = MODEL.save(tmp_path_factory.mktemp("model") / "m.safetensors")
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, killing.__file__, str(kills), model, *outs],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for out, runs in zip(outs, json.loads(done.stdout), strict=True):
        assert sum(killed for *_, killed in runs) >= min(2, kills)
        for before, begun, reported, killed in runs:
            assert begun in (before, None)
            # Nothing that is complete is painted again, and all that is not is painted.
            assert killed or reported == killing.BLOCKS - before
        assert content(out) == content(whole(out.name))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.ome.tif", "map.ome.zarr"]


@SUFFIXES
def test_a_cancelled_map_can_be_used_and_continued(tmp_path: Path, suffix: str, whole: Any) -> None:
    out = tmp_path / f"map{suffix}"
    for count in (3, 4):
        MODEL.paint(STACK, out=out, resume=True, cancelled=some(count))
        assert [p.name for p in tmp_path.iterdir()] == [out.name]
    cells = np.asarray(read_map(out).classes)
    assert 0 < (cells > 0).mean() < 1
    with pytest.raises(InputError, match=r"\(7 of 12 blocks are painted\); use resume=True to"):
        MODEL.paint(STACK, out=out)
    steps = list(MODEL.painting(STACK, out=out, resume=True))
    assert [step.done for step in steps] == list(range(7, 13))
    assert content(out) == content(whole(out.name))
    with pytest.raises(InputError, match="is complete, there is nothing to resume"):
        MODEL.paint(STACK, out=out, resume=True)


@SUFFIXES
def test_a_painting_that_fails_keeps_what_it_has(tmp_path: Path, suffix: str, whole: Any) -> None:
    out = tmp_path / f"map{suffix}"
    run = MODEL.painting(STACK, out=out)
    for _ in range(4):
        next(run)
    run.close()
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == [f".{out.name}.partial", f".{out.name}.unfinished"]
    with pytest.raises(InputError, match=r"is unfinished \(3 of 12 blocks"):
        MODEL.paint(STACK, out=out)
    MODEL.paint(STACK, out=out, resume=True)
    assert content(out) == content(whole(out.name))


def test_an_unfinished_painting_can_be_given_up(tmp_path: Path, whole: Any) -> None:
    out = tmp_path / "map.ome.zarr"
    MODEL.paint(STACK, out=out, cancelled=some(3))
    MODEL.paint(STACK, out=out, overwrite=True)
    assert content(out) == content(whole(out.name))


def test_a_painting_that_replaces_an_older_map_continues(tmp_path: Path, whole: Any) -> None:
    out = tmp_path / "map.ome.zarr"
    MODEL.paint(STACK, 8, out=out)
    run = MODEL.painting(STACK, out=out, overwrite=True)
    assert next(run).done == 0
    assert next(run).done == 1
    run.close()
    assert read_map(out).stride == 8
    MODEL.paint(STACK, out=out, resume=True)
    assert content(out) == content(whole(out.name))


OTHER = ImageStack(np.asarray(STACK.levels[0]) + 1, source="made")
SMALLER = ImageStack(np.asarray(STACK.levels[0])[:, :99], source="made")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 2}, r"another setting stride \(4 before, 2 now\); use stride=4"),
        ({"region": (slice(0, 99), slice(0, 130))}, r"another region \(\[\[0, .* now\)"),
        ({"planes": slice(0, 1)}, r"another planes \(none before, \[0, 1\] now\)"),
        ({"probabilities": False}, r"another setting probabilities \(True before, False now\)"),
        ({"image": OTHER}, "other pixels in the images"),
        ({"image": SMALLER}, "another image"),
        (
            {"model": Model(make_document(RAMP), brightness((1, 1)).state())},
            "another model",
        ),
    ],
)
def test_another_job_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    out = tmp_path / "map.ome.zarr"
    MODEL.paint(STACK, out=out, cancelled=some(3))
    before = content(out)
    model, image = changes.pop("model", MODEL), changes.pop("image", STACK)
    with pytest.raises(InputError, match=f"was begun with {message}.* as then, or use overw"):
        model.paint(image, out=out, resume=True, **changes)
    assert content(out) == before
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_other_channels_are_another_job(tmp_path: Path) -> None:
    pixels = np.stack([np.asarray(STACK.levels[0])] * 3)
    chosen = [ImageStack(pixels, channels=c, channel_axis=0, source="made") for c in ("1", "0")]
    out = tmp_path / "map.ome.zarr"
    MODEL.paint(chosen[0], out=out, cancelled=some(3))
    for other, now in ((chosen[1], "0"), (STACK, "none")):
        with pytest.raises(InputError, match=rf"\(1 before, {now} now\); use channels='1' as"):
            MODEL.paint(other, out=out, resume=True)
    MODEL.paint(chosen[0], out=out, resume=True)
    MODEL.paint(STACK, out=out, overwrite=True, cancelled=some(3))
    with pytest.raises(InputError, match=r"another setting channels .* leave channels out as then"):
        MODEL.paint(chosen[0], out=out, resume=True)


@SUFFIXES
def test_two_runs_on_one_output_refuse_each_other(tmp_path: Path, suffix: str, whole: Any) -> None:
    out = tmp_path / f"map{suffix}"
    run = MODEL.painting(STACK, out=out)
    next(run)
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match=rf"is being written by process {os.getpid()} on \S+;"):
            MODEL.paint(STACK, out=out, **options)
    for _ in run:
        pass
    assert content(out) == content(whole(out.name))


def test_torn_chunks_and_records_are_not_believed(tmp_path: Path, whole: Any) -> None:
    out = tmp_path / "map.ome.zarr"
    run = MODEL.painting(STACK, out=out)
    for _ in range(6):
        next(run)
    run.close()
    hidden = tmp_path / ".map.ome.zarr.partial"
    chunk = hidden / "0" / "0" / "1" / "0"
    (chunk.with_suffix(".0123.partial")).write_bytes(b"half a chunk")
    # The fourth block was being written: its chunk is torn, and not in the record.
    chunk.write_bytes(chunk.read_bytes()[:9])
    record = tmp_path / ".map.ome.zarr.unfinished"
    text = record.read_bytes()
    first = text.index(b"\n") + 1
    record.write_bytes(text[: first + 3] + b"0" + text[first + 4 :])
    MODEL.paint(STACK, out=out, resume=True)
    assert content(out) == content(whole(out.name))


def stored(path: Path) -> ImageStack:
    """An image on disk, in chunks."""
    pixels = np.asarray(STACK.levels[0])
    array = zarr.create_array(path, shape=pixels.shape, chunks=(1, 64, 64), dtype="float32")
    array[:] = pixels
    return open_image(path)


def test_a_damaged_chunk_is_a_hole_in_the_map_that_can_be_filled(
    tmp_path: Path, whole: Any
) -> None:
    stack = stored(tmp_path / "image.zarr")
    out, chunk = tmp_path / "map.ome.zarr", tmp_path / "image.zarr" / "c" / "1" / "1" / "1"
    good = chunk.read_bytes()
    chunk.write_bytes(good[:50])
    with pytest.warns(LungclsWarning, match=r"plane 1, rows 64:100, columns 64:128\); the cells"):
        *_, last = MODEL.painting(stack, out=out)
    ((place, reason),) = last.damage.items()
    assert (place.plane, place.rows, place.columns) == ((1,), (64, 100), (64, 128))
    assert reason.startswith("cannot be read")
    chunk.write_bytes(good)
    wanted = whole(out.name, stack)
    holes, cells = np.asarray(read_map(out).classes), np.asarray(read_map(wanted).classes)
    assert not holes[1, 16:25, 16:32].any()
    assert (holes[0] == cells[0]).all()
    assert ((holes == cells) | (holes == 0)).all()
    MODEL.paint(stack, out=out, resume=True)
    assert content(out) == content(wanted)


def test_a_piece_around_the_damage_is_lost_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MapGrid, "block", 512)
    pixels = np.random.default_rng(0).uniform(0, 250, (450, 450)).astype(np.float32)
    array = zarr.create_array(
        tmp_path / "i.zarr", shape=pixels.shape, chunks=(100, 100), dtype="float32"
    )
    array[:] = pixels
    stack = open_image(tmp_path / "i.zarr")
    wanted = np.asarray(MODEL.paint(stack).classes)
    (tmp_path / "i.zarr" / "c" / "4" / "4").write_bytes(b"rubbish")
    stack = open_image(tmp_path / "i.zarr")  # what was read already would not be read again
    with pytest.warns(LungclsWarning, match="rows 400:450, columns 400:450"):
        cells = np.asarray(MODEL.paint(stack).classes)
    hole = cells == 0
    assert hole[100:, 100:].all()
    assert hole.mean() < 0.5
    assert (cells[~hole] == wanted[~hole]).mean() > 0.999


def test_an_image_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    stack = stored(tmp_path / "image.zarr")
    for chunk in (tmp_path / "image.zarr" / "c").rglob("[0-9]"):
        if chunk.is_file():
            chunk.write_bytes(b"rubbish")
    with pytest.raises(InputError, match=r"image\.zarr: cannot be read"):
        MODEL.paint(stack, out=tmp_path / "map.ome.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["image.zarr"]


def test_a_record_needs_blocks_that_are_chunks(tmp_path: Path, header: Any) -> None:
    store = open_store(tmp_path / "m.zarr", header((40, 40)), chunk=16, job={})
    store.write(
        Block((), slice(16, 32), slice(32, 40)), np.ones((16, 8), "uint8"), None, complete=False
    )
    store.abandon()
    assert not any(tmp_path.iterdir())
