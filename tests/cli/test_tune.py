"""`lungcls tune`: real processes on one study, killed and resumed; what it leaves for `train`."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from napari_lungcls.hyperparameter_search.queue import OWNER, counted
from napari_lungcls.hyperparameter_search.study import open_storage, open_study
from napari_lungcls.learning.settings_file import read_settings
from napari_lungcls.network.model_file import read_model

TRIALS = 4
KEYS = [
    "study", "trials", "complete", "pruned", "failed", "best_value", "best_params", "settings",
    "test", "model", "seconds",
]  # fmt: skip
RESULTS = {"settings.yaml", "trials.csv", "history.svg", "history.png", "model.safetensors"}
IMPORTANCE = {"importance.svg", "importance.png"}
"""Drawn where something can be said: which of four trials run at once is first is chance, and
with it whether a forest finds anything to split."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")


@pytest.fixture
def words(lab: Any) -> list[object]:
    """A search of some seconds."""
    return [
        "tune", lab.image, "--points", lab.points, "--zooms", "1", "--tile", "16",
        "--stages", "layer1", "--batch-size", "4", "--pretrained", "none", "--epochs", "5",
        "--device", "cpu", "--trials", TRIALS, "--pruner", "none", "--json",
    ]  # fmt: skip


def trials_of(storage: str) -> list[FrozenTrial]:
    return open_study(open_storage(storage), "lungcls", "none", 0).get_trials(deepcopy=False)


def kill_in_the_middle(storage: str) -> int:
    """Kill a process that works on a trial, after an epoch of it; return the trial's number."""
    study = open_study(open_storage(storage), "lungcls", "none", 0)
    while True:
        for trial in study.get_trials(deepcopy=False):
            if trial.state == TrialState.RUNNING and trial.intermediate_values:
                os.kill(trial.user_attrs[OWNER]["pid"], signal.SIGKILL)
                return trial.number
        time.sleep(0.03)


def check_that_none_is_lost(storage: str, killed: int) -> None:
    trials = trials_of(storage)
    assert trials[killed].state == TrialState.FAIL
    ended = counted(trials)
    assert [trial.state for trial in ended] == [TrialState.COMPLETE] * TRIALS
    begun = {json.dumps(trial.params) for trial in trials if trial.params}
    assert begun == {json.dumps(trial.params) for trial in ended}


def check_results(out: Path, result: dict[str, Any]) -> None:
    assert list(result) == KEYS
    formats = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    shown = re.search(r"### `tune`\n\n```json\n(.*?)```", formats, re.DOTALL)
    assert shown is not None
    assert list(json.loads(shown[1])) == KEYS
    found = {path.name for path in out.iterdir()} - {"study.journal"}
    assert found in (RESULTS, RESULTS | IMPORTANCE)
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


def test_processes_share_a_study_and_one_is_killed(words, tmp_path, run_cli, lab, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    storage, out = f"sqlite:///{tmp_path / 'study.db'}", tmp_path / "out"
    search = [*words, "--storage", storage]
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.append(kill_in_the_middle(storage)))
    # The tables are there when the killer looks for the first time.
    open_storage(storage)
    killer.start()
    result = run_cli(*search, "--jobs", "2", "--out", out).json
    killer.join()
    check_that_none_is_lost(storage, killed[0])
    check_results(out, result)

    # Another machine that comes too late finds nothing to do.
    assert run_cli(*search).json == {name: result[name] for name in KEYS[:5]}

    model = tmp_path / "again.safetensors"
    trained = run_cli(
        "train", lab.image, "--points", lab.points, "--settings", out / "settings.yaml",
        "--epochs", "1", "--device", "cpu", "--out", model,
    )  # fmt: skip
    assert trained.code == 0, trained.err
    written, ours = read_settings(out / "settings.yaml"), read_model(model)[0].settings
    assert {name: ours[name] for name in written} == written | {"epochs": 1}
