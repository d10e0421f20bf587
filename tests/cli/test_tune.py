"""`lungcls tune`: real processes on one study, killed and resumed; what it leaves for `train`."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from napari_lungcls.learning.settings_file import read_settings
from napari_lungcls.learning.tuning.owners import OWNER
from napari_lungcls.learning.tuning.queue import counted
from napari_lungcls.learning.tuning.storage import open_storage, open_study
from napari_lungcls.network.modelfile import read_model

LUNGCLS = "from napari_lungcls.cli import main; main()"
TRIALS = 5
KEYS = [
    "study", "trials", "complete", "pruned", "failed", "best_value", "best_params", "settings",
    "test", "model", "seconds",
]  # fmt: skip
RESULTS = {
    "settings.yaml", "trials.csv", "history.svg", "history.png", "importance.svg",
    "importance.png", "model.safetensors",
}  # fmt: skip

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")


@pytest.fixture
def words(lab: Any) -> list[object]:
    """A search of some seconds; its windows are small enough to split so small an image."""
    return [
        "tune", lab.image, "--points", lab.points, "--zooms", "1", "--window", "16",
        "--stages", "1", "--batch-size", "8", "--epochs", "12", "--device", "cpu",
        "--trials", TRIALS, "--pruner", "none", "--json",
    ]  # fmt: skip


def trials_of(storage: str) -> list[FrozenTrial]:
    return open_study(open_storage(storage), "lungcls", "none", 0).get_trials(deepcopy=False)


def kill_in_the_middle(storage: str, is_one: Callable[[int], bool]) -> int:
    """Kill a process that works on a trial, after an epoch of it; return the trial's number."""
    while True:
        for trial in trials_of(storage):
            pid = trial.user_attrs.get(OWNER, {}).get("pid", 0)
            if trial.state == TrialState.RUNNING and trial.intermediate_values and is_one(pid):
                os.kill(pid, signal.SIGKILL)
                return trial.number
        time.sleep(0.01)


def check_that_none_is_lost(storage: str, killed: int) -> None:
    trials = trials_of(storage)
    assert trials[killed].state == TrialState.FAIL
    ended = counted(trials)
    assert [trial.state for trial in ended] == [TrialState.COMPLETE] * TRIALS
    begun = {json.dumps(trial.params) for trial in trials if trial.params}
    assert begun == {json.dumps(trial.params) for trial in ended}


def check_results(out: Path, result: dict[str, Any], run_cli: Any) -> None:
    assert list(result) == KEYS
    assert {path.name for path in out.iterdir()} - {"study.journal"} == RESULTS
    counts = [result[name] for name in ("trials", "complete", "pruned", "failed")]
    assert counts == [TRIALS, TRIALS, 0, 0]
    with (out / "trials.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    values = [float(row["value"]) for row in rows if row["value"]]
    assert max(values) == result["best_value"]
    document, _ = read_model(result["model"])
    assert document.test == result["test"]
    assert result["test"]["n"] == document.split["test"] > 0
    written = read_settings(result["settings"])
    assert written["dropout"] == result["best_params"]["dropout"]
    assert "device" not in written


def test_several_processes_share_a_journal_and_one_is_killed(words, tmp_path, run_cli, lab):
    storage, out = str(tmp_path / "shared.journal"), tmp_path / "out"
    command = [sys.executable, "-c", LUNGCLS, *map(str, words), "--storage", storage]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    one, two = (
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2)
    )
    killed = kill_in_the_middle(storage, lambda pid: pid == one.pid)
    one.communicate()
    said, _ = two.communicate()
    assert one.returncode == -signal.SIGKILL
    assert two.returncode == 0
    assert json.loads(said) == {
        "study": "lungcls", "trials": TRIALS, "complete": TRIALS, "pruned": 0, "failed": 0,
    }  # fmt: skip
    check_that_none_is_lost(storage, killed)
    # Whoever comes last finds all trials done and draws the conclusion.
    result = run_cli(*words, "--storage", storage, "--out", out).json
    check_results(out, result, run_cli)
    check_that_none_is_lost(storage, killed)

    model = tmp_path / "again.safetensors"
    trained = run_cli(
        "train", lab.image, "--points", lab.points, "--settings", out / "settings.yaml",
        "--epochs", "1", "--device", "cpu", "--out", model,
    )  # fmt: skip
    assert trained.code == 0, trained.err
    ours = read_model(model)[0].settings
    assert ours["epochs"] == 1
    written = read_settings(out / "settings.yaml")
    assert {name: ours[name] for name in written} == written | {"epochs": 1}


def test_jobs_share_a_database_and_one_is_killed(words, tmp_path, run_cli, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    storage, out = f"sqlite:///{tmp_path / 'study.db'}", tmp_path / "out"
    killed: list[int] = []
    # The tables are there when the killer looks for the first time.
    open_storage(storage)
    killer = threading.Thread(
        target=lambda: killed.append(kill_in_the_middle(storage, lambda pid: pid != os.getpid()))
    )
    killer.start()
    result = run_cli(*words, "--storage", storage, "--jobs", "2", "--out", out).json
    killer.join()
    check_that_none_is_lost(storage, killed[0])
    check_results(out, result, run_cli)
