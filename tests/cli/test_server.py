"""`--server`: a command gives what it gives without, and Ctrl-C ends the work there too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import napari_lungcls as lc
from napari_lungcls.serving import jobs
from serving_here import serving

pytest.importorskip("fastapi")


@pytest.fixture(scope="module")
def server(lab):
    with serving(lab.model) as client:
        yield client


def test_commands_give_the_same(server, lab, run_cli, tmp_path):
    there = ("--server", server.base_url)
    polygon = {"type": "Polygon", "coordinates": [[[9, 9], [99, 9], [9, 99], [9, 9]]]}
    mask = tmp_path / "mask.geojson"
    mask.write_text(json.dumps(polygon))
    found = []
    for more, name, model in (((), "here", lab.model), (there, "there", "model")):
        out = tmp_path / f"{name}.csv"
        said = run_cli(
            "classify", lab.model, lab.image, "--points", lab.points, "--out", out, *more
        )
        assert said.code == 0, said.err
        ask = ("evaluate", model, lab.image, "--points", lab.points, "--json")
        exact = run_cli(*ask, "--report", tmp_path / name, *more).json
        cells = run_cli(*ask, "--painted", "--stride", "2", *more).json
        ask = ("paint", model, lab.image, "--out", tmp_path / f"{name}.ome.tif", "--stride", "2")
        ask = (*ask, "--within", mask, "--no-glass", "--probabilities")
        shares = run_cli(*ask, "--json", *more).json["fractions"]
        found.append((lc.read_points(out), exact, cells, shares))
    (ours, *rest), (theirs, *others) = found
    assert rest == others
    for column in ("p_alveoli", "p_septa", "p_duct"):
        here, there_ = (np.asarray(t.column(column), float) for t in (ours, theirs))
        np.testing.assert_allclose(here, there_, atol=1e-6)
    one, other = (lc.read_map(tmp_path / f"{name}.ome.tif") for name in ("here", "there"))
    assert one.header == other.header
    np.testing.assert_array_equal(one.classes, other.classes)
    assert 0 < np.count_nonzero(one.classes) < one.classes.size / 4


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--resume",), "leave --resume out"),
        (("--workers", "2"), "leave --workers out"),
        (("--device", "cpu"), "--device"),
        (("--shared", "."), "leave --shared out"),
        (("--token-file", "no such file"), "cannot be read"),
    ],
)
def test_what_does_not_go_with_a_server_is_said(server, bench, more, words):
    assert words in bench.complaint(*bench.paint("--server", server.base_url, *more))


def test_what_goes_with_a_server_only_is_said(bench):
    assert "go with --server" in bench.complaint(*bench.paint("--shared", "."))
    gone = bench.complaint(*bench.paint("--server", "http://127.0.0.1:9"))
    assert "does not answer" in gone
    assert "leave --server out" in gone


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_cancels_there(server, lab, tmp_path, monkeypatch):
    run = jobs.run_painting

    def held(*arguments, cancelled, **options):
        for step in run(*arguments, cancelled=cancelled, **options):
            yield step
            while not cancelled():
                time.sleep(0.01)

    monkeypatch.setattr(jobs, "run_painting", held)
    known = server.app.state.service.jobs._jobs
    before = set(known)
    program = "from napari_lungcls.cli import main; main()"
    words = ("paint", "model", lab.image, "--out", tmp_path / "map.ome.zarr", "--stride", "1",
             "--server", server.base_url)  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        until(lambda: any(known[key].state == "running" for key in set(known) - before))
        job = next(job for key, job in known.items() if key not in before)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert "interrupted" in told or "cancelled" in told
    until(lambda: job.state == "cancelled")


def until(condition):
    for _ in range(1500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError
