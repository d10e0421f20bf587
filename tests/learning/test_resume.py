"""Runs that are killed go on to the digit, as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from killed_runs import LONG, train_to_the_end
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.checkpoint import Checkpoint
from napari_lungcls.learning.run import Trained
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.model_file import read_model, write_model
from three_tissues import QUICK, READS, run, same, scene


def losses(trained: Trained) -> list[tuple[Any, ...]]:
    return [(r["train_loss"], r["val_loss"]) for r in trained.document.history]


def check_same(found: Trained, wanted: Trained) -> None:
    np.testing.assert_allclose(
        np.array(losses(found), float), np.array(losses(wanted), float), atol=1e-6
    )
    assert same(found, wanted)
    assert found.document.validation == wanted.document.validation
    assert found.document.test == wanted.document.test


@pytest.fixture(scope="module")
def whole() -> Trained:
    return run([scene()], LONG)[1]


def test_a_run_that_is_killed_ten_times_ends_as_if_it_had_not_been(
    whole: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng()
    # The server that forks the processes does not know this one's sys.path.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed_runs"])
    checkpoint, out = tmp_path / "a.safetensors.checkpoint", tmp_path / "a.safetensors"
    killed = 0
    while not out.exists() or checkpoint.exists():
        process = context.Process(target=train_to_the_end, args=(checkpoint, out))
        process.start()
        if killed < 10:
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            while process.is_alive() and not _changed(checkpoint, before):
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.15))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            killed += process.is_alive() or process.exitcode != 0
        process.join(60)
    document, state = read_model(out)
    check_same(Trained(document, state), whole)
    assert killed >= 5, "it was over before it could be killed"
    # Neither the checkpoint nor what was half written of it is left.
    assert not [path for path in tmp_path.iterdir() if "checkpoint" in path.name]


def _changed(path: Path, before: int) -> bool:
    try:
        return path.stat().st_mtime_ns != before
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("stop_at", [1, 9, 30, 60])
def test_a_cancelled_run_goes_on(whole: Trained, tmp_path: Path, stop_at: int) -> None:
    path = tmp_path / "x.checkpoint"
    asked = iter(range(10_000))
    early = run(
        [scene()],
        LONG,
        checkpoint=Checkpoint(path),
        cancelled=lambda: next(asked) >= READS + stop_at,
    )
    assert early[1].state, "what is cancelled leaves a network"
    steps, late = run([scene()], LONG, checkpoint=Checkpoint(path, resume=True))
    check_same(late, whole)
    first = next(step for step in steps if step.phase == "training")
    assert first.done > stop_at - 2, "steps that were taken are not taken again"


def test_another_engine_may_go_on_and_says_so(tmp_path: Path) -> None:
    mxnet = pytest.importorskip("mxnet")
    assert mxnet
    path = tmp_path / "x.checkpoint"
    asked = iter(range(10_000))
    run([scene()], QUICK, checkpoint=Checkpoint(path), cancelled=lambda: next(asked) > READS + 6)
    other = QUICK.model_copy(update={"engine": "mxnet"})
    with pytest.warns(LungclsWarning, match="does not continue to the digit"):
        trained = run([scene()], other, checkpoint=Checkpoint(path, resume=True))[1]
    assert trained.document.engine == "mxnet"
    assert len(trained.document.history) == QUICK.epochs


@pytest.mark.parametrize(
    ("seed", "changes", "message"),
    [
        (0, {"dropout": 0.1}, r"another setting dropout \(0.3 before, 0.1 now\)"),
        (1, {}, "another set of points"),
    ],
)
def test_a_run_does_not_go_on_with_anything_else(
    tmp_path: Path, seed: int, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "x.checkpoint"
    asked = iter(range(10_000))
    run([scene()], LONG, checkpoint=Checkpoint(path), cancelled=lambda: next(asked) > READS + 3)
    with pytest.raises(InputError, match=message):
        run(
            [scene(seed)], LONG.model_copy(update=changes), checkpoint=Checkpoint(path, resume=True)
        )


def test_a_run_does_not_go_on_with_other_pixels_under_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint"
    asked = iter(range(10_000))
    run([scene()], LONG, checkpoint=Checkpoint(path), cancelled=lambda: next(asked) > READS + 3)
    stack, points = scene()
    other = ImageStack(255 - np.asarray(stack.levels[0]), source="a.tif")
    assert (other.name, other.shape, other.dtype) == (stack.name, stack.shape, stack.dtype)
    with pytest.raises(InputError, match="by a run with other pixels in the images; use the same"):
        run([(other, points)], LONG, checkpoint=Checkpoint(path, resume=True))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run to go on with; use resume=False"):
        Checkpoint(tmp_path / "none", resume=True)
    (tmp_path / "half").write_bytes(b"\x00" * 100)
    with pytest.raises(InputError, match="no checkpoint that can be read"):
        Checkpoint(tmp_path / "half", resume=True)


def test_an_existing_model_learns_on(tmp_path: Path) -> None:
    first = run([scene()], QUICK)[1]
    path = write_model(tmp_path / "first.safetensors", first.document, first.state)
    settings = TrainingSettings(
        epochs=1, batch_size=16, device="cpu", pretrained=str(path), learning_rate=1e-6
    )
    later = run([scene(3)], settings)[1]
    assert later.document.network == first.document.network
    assert later.document.pretrained.startswith("the model first.safetensors")
    for name, array in first.state.items():
        if name.endswith("weight") and array.ndim > 1:  # others follow the statistics of the image
            np.testing.assert_allclose(later.state[name], array, atol=1e-4)
    with pytest.raises(InputError, match="has tile 32, not 64; leave tile out"):
        run([scene(3)], TrainingSettings(tile=64, pretrained=str(path), device="cpu"))
