"""Ctrl-C in the middle of the work: what was done is kept, whole, and nothing else."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_lungcls as lc

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")

PATIENCE = 120.0
PROGRAM = (
    sys.executable,
    "-c",
    "import torch; torch.set_num_threads(1); from napari_lungcls.cli import main; main()",
)


def interrupt(words, folder: Path, ready) -> tuple[int, str, str]:
    """Start a command, send SIGINT once `ready(its stderr so far)`, and wait for its end."""
    told = folder.parent / f"{folder.name}.stderr"
    with told.open("w") as stderr:
        process = subprocess.Popen(
            [*PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        try:
            _until(process, lambda: ready(told.read_text()), told)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
    return process.returncode, out, told.read_text()


def _until(process, ready, told: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert process.poll() is None, told.read_text()
        assert time.monotonic() < end, told.read_text()
        time.sleep(0.02)


def test_training_leaves_its_best_model(lab, listing, tmp_path):
    out = tmp_path / "m.safetensors"
    code, said, told = interrupt(
        (
            "train", lab.image, "--points", lab.points, *lab.fast, "--epochs", "100000",
            "--patience", "100000", "--out", out, "--report", tmp_path / "report", "--json",
        ),
        tmp_path,
        lambda told: re.search(r"training (\d+)/\1 reading tissue", told),
    )  # fmt: skip
    assert code == 130
    assert told.splitlines()[-1] == (
        f"lungcls: training was interrupted; {out} holds what was learned until then, and the "
        "same command with --resume goes on"
    )
    assert "Traceback" not in told
    found = json.loads(said)
    assert found["model"] == str(out)
    assert found["epochs"] < 100_000
    model = lc.load(out)
    assert len(model.document.history) == found["epochs"]
    probabilities = model.classify(np.asarray(lc.open_image(lab.image).levels[0]), [[50.0, 60.0]])
    assert probabilities.sum() == pytest.approx(1)
    left = {name for name in listing(tmp_path) if not name.startswith("report")}
    assert left == {"m.safetensors", "m.safetensors.checkpoint"}


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_painting_leaves_a_readable_map(lab, tmp_path, suffix):
    stack = tmp_path.parent / f"stack{suffix}.tif"
    planes = np.random.default_rng(0).integers(0, 255, (3000, 40, 40), np.uint8)
    tifffile.imwrite(stack, planes, photometric="minisblack", metadata={"axes": "ZYX"}, imagej=True)
    out = tmp_path / f"map{suffix}"
    hidden = tmp_path / f".map{suffix}.partial" / "0"
    code, said, told = interrupt(
        ("paint", lab.model, stack, "--out", out, "--stride", "1", "--json"),
        tmp_path,
        lambda _: hidden.is_dir() and any(p.is_dir() for p in hidden.iterdir()),
    )
    stack.unlink()
    assert code == 130
    assert told.splitlines()[-1] == (
        f"lungcls: painting was interrupted; {out} holds what was painted until then, and "
        "--resume continues it"
    )
    assert "Traceback" not in told
    found = json.loads(said)
    assert found["shape"] == [3000, 40, 40]
    assert sum(found["fractions"].values()) == pytest.approx(1)
    painted = (np.asarray(lc.read_map(out).classes) > 0).all(axis=(1, 2))
    count = int(painted.sum())
    assert 0 < count < 3000
    assert painted[:count].all()
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
