"""Whole journeys in a napari of their own, by mouse and keys, with real ends and new beginnings."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine_examples import devices
from napari_lungcls.network.engines import ENGINES

HERE = Path(__file__).parent / "journeys"


@pytest.fixture
def environment(tmp_path, qapp):
    """Settings and journals of their own; `qapp` has started the display."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "NAPARI_CONFIG": str(tmp_path / "settings.yaml"),
        "LUNGCLS_JOURNALS": str(tmp_path / "journals"),
        "LUNGCLS_MODELS": str(tmp_path / "models"),
    }


def travel(environment, script, *arguments, seconds=420):
    """Run a journey to its end."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert "Traceback" not in done.stderr, done.stderr[-6000:]
    return done.stdout


def test_label_train_paint_classify_save_and_come_back(environment, tmp_path, capsys):
    folder = tmp_path / "seen"
    folder.mkdir()
    travel(environment, "whole_way.py", folder, seconds=900)
    seen = json.loads((folder / "seen.json").read_text())
    # How long a window may stand still depends on the machine: benchmarks/window.py measures it.
    with capsys.disabled():
        print(
            f"\nlongest gap of a 10 ms timer: {seen['training_gap_ms']} ms while training, "
            f"{seen['painting_gap_ms']} ms while painting, {seen['layer_gap_ms']} ms as the "
            f"map's layer appears ({seen['bare_gap_ms']} ms for bare labels)"
        )
    travel(environment, "come_back.py", folder)
    again = json.loads((folder / "again.json").read_text())
    assert seen["labels"] == again["labels"]
    np.testing.assert_array_equal(seen["points"], again["points"])
    np.testing.assert_array_equal(seen["cells"], again["cells"])
    np.testing.assert_allclose(seen["place"], again["place"])
    np.testing.assert_allclose(seen["probabilities"], again["probabilities"], atol=1e-6)
    assert seen["changes"] > 3, "the layer was not seen to fill while it was painted"
    assert seen["predictions"] >= 4
    assert "index.html" in seen["measured"]


def test_a_killed_window_loses_not_one_point(environment):
    chance = random.Random(time.time_ns())
    labelling = subprocess.Popen(
        [sys.executable, str(HERE / "labelling.py")],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert labelling.stdout is not None
    told = [json.loads(labelling.stdout.readline()) for _ in range(chance.randint(5, 25))]
    time.sleep(chance.uniform(0, 0.1))
    labelling.send_signal(signal.SIGKILL)
    # What it said before it died counts as well.
    told += [json.loads(line) for line in labelling.stdout.read().splitlines() if line[-1] == "]"]
    labelling.wait()
    labelling.stdout.close()
    restored = json.loads(travel(environment, "labelling.py", "restore", seconds=120))
    assert len(restored) - len(told[-1]) in (0, 1), "one more may have been on its way"
    assert restored[: len(told[-1])] == told[-1]


@pytest.mark.parametrize("engine", ENGINES)
def test_windows_closed_in_the_middle_leave_cleanly(environment, engine):
    devices(engine)
    said = travel(environment, "leaving.py", 5, time.time_ns() % 1000, engine)
    assert said.strip() == "left 5"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_process_that_ends_in_the_middle_ends_cleanly(environment, engine):
    devices(engine)
    for seed in range(2):
        assert travel(environment, "leaving.py", 1, seed, engine).strip() == "left 1"
