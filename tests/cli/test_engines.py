"""One model, every engine: trained in one, used in the others, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import napari_lungcls as lc
from engine_examples import devices
from napari_lungcls.inference.painted import read_map
from napari_lungcls.network.engines import ENGINES
from napari_lungcls.network.model_file import read_model

NEAR = 1e-4
"""Probabilities differ by no more."""


@pytest.fixture(params=[name for name in ENGINES if name != "torch"])
def other(request):
    assert "cpu" in devices(request.param)
    return request.param


@pytest.fixture
def models(other, lab, run_cli, tmp_path):
    """Train a model with each engine."""
    made = {"torch": lab.model, other: tmp_path / "other.safetensors"}
    told = run_cli(
        "train", lab.image, "--points", lab.points, *lab.fast, "--epochs", "4",
        "--engine", other, "--out", made[other], "--json",
    ).json  # fmt: skip
    assert (told["engine"], told["device"].split(":")[0] in ("cpu", "cuda")) == (other, True)
    assert read_model(made[other])[0].engine == other
    return made


def test_it_learns_as_torch_does(models, other, lab, run_cli):
    accuracies = [
        run_cli(
            "evaluate", model, lab.other, "--points", lab.folder / "other.csv",
            "--painted", "--stride", "2", "--device", "cpu", "--json",
        ).json["accuracy"]
        for model in models.values()
    ]  # fmt: skip
    assert min(accuracies) > 0.6  # four epochs on 60 points; chance is a third


def test_points_get_the_same_answers(models, other, lab, run_cli, tmp_path):
    for model in models.values():
        probabilities = []
        for engine in ("torch", other):
            out = tmp_path / f"{engine}.csv"
            told = run_cli(
                "classify", model, lab.image, "--points", lab.points, "--out", out,
                "--engine", engine, "--device", "cpu", "--json",
            )  # fmt: skip
            assert told.code == 0, told.err
            table = lc.read_points(out).table.filter(like="p_")
            assert table.shape == (60, 3)
            probabilities.append(table.to_numpy(float))
        assert np.abs(probabilities[0] - probabilities[1]).max() <= NEAR


def test_maps_are_the_same(models, other, lab, run_cli, tmp_path):
    for trained, model in models.items():
        maps = []
        for engine in ("torch", other):
            out = tmp_path / f"{trained}-{engine}.ome.zarr"
            told = run_cli(
                "paint", model, lab.image, "--out", out, "--stride", "3", "--probabilities",
                "--engine", engine, "--device", "cpu", "--json",
            )  # fmt: skip
            assert told.code == 0, told.err
            maps.append(read_map(out))
        first, second = (np.asarray(m.classes) for m in maps)
        assert (first != second).mean() <= 1e-3
        first, second = (np.asarray(m.probabilities, np.float32) for m in maps)
        # Stored with 11 bits, so neighbours on that grid are as near as can be asked for.
        assert np.abs(first - second).max() <= NEAR + 2**-11


def test_a_run_repeats_to_the_bit(models, other, lab, run_cli, tmp_path):
    again = tmp_path / "again.safetensors"
    told = run_cli(
        "train", lab.image, "--points", lab.points, *lab.fast, "--epochs", "4",
        "--engine", other, "--out", again,
    )  # fmt: skip
    assert told.code == 0, told.err
    first, second = (read_model(path)[1] for path in (models[other], again))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_every_engine_says_whether_it_runs(run_cli):
    told = run_cli("info", "--json").json["engines"]
    assert list(told) == list(ENGINES)
    for status in told.values():
        assert status["version"] if status["available"] else status["reason"]
        assert ("cpu" in status["devices"]) == status["available"]
    text = run_cli("info").out
    for status in told.values():
        assert status.get("reason", "available: True") in text


def test_an_engine_that_cannot_run_is_one_line(bench, monkeypatch):
    for name in [m for m in sys.modules if "mxnet" in m and not m.startswith("tests")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "MXNet" in bench.complaint(*bench.train("--engine", "mxnet"))
    assert "MXNet" in bench.complaint(*bench.paint("--engine", "mxnet"))


def test_the_program_ends_as_it_should(other, lab, tmp_path):
    """In a process of its own: libraries with threads may crash when it ends."""
    code = "from napari_lungcls.cli import main; main()"
    model, out = tmp_path / "m.safetensors", tmp_path / "map.ome.tif"
    for words in (
        ["train", lab.image, "--points", lab.points, *lab.fast, "--engine", other, "--out", model],
        ["paint", model, lab.image, "--out", out, "--engine", other],
    ):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *map(str, words), "--json"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)
    assert out.is_file()
