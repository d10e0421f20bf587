"""A server over real HTTP: what it answers, and what it refuses."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import imageio.v3 as iio
import numpy as np
import pytest

import napari_lungcls as lc
from serving_here import serving

pytest.importorskip("fastapi")

POINTS = [[20.0, 10.0], [50.5, 60.25], [95.0, 0.0]]
PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def expected(model_file: Any, image: np.ndarray) -> np.ndarray:
    return lc.load(model_file, device="cpu").classify(lc.as_stack(image, pixel_size=1.0), POINTS)


def probabilities(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array([list(p["probabilities"].values()) for p in answer.json()["predictions"]])


def ended(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(600):
        told = client.get(job["url"]).json()
        if told["state"] not in ("waiting", "running"):
            return told
        time.sleep(0.05)
    raise AssertionError(told)


# Classifying


def test_says_what_the_model_says_however_it_is_asked(client, picture, expected):
    sent = client.post(
        "/v1/classify", files={"image": picture}, data={"coordinates": json.dumps(POINTS)}
    )
    bare = client.post(
        f"/v1/classify?coordinates={json.dumps(POINTS)}", content=picture, headers=PNG
    )
    named = client.post("/v1/classify", json={"path": "section.png", "coordinates": POINTS})
    for answer in (sent, bare, named):
        np.testing.assert_allclose(probabilities(answer), expected, atol=1e-6)
    first = sent.json()["predictions"][0]
    assert first["class"] == sent.json()["classes"][int(expected[0].argmax())]
    assert first["confidence"] == pytest.approx(expected[0].max(), abs=1e-6)
    assert "pixel size" in sent.json()["notes"][0]


def test_a_crowd_is_predicted_together_and_each_gets_its_own(client, picture):
    rng = np.random.default_rng(0)
    asked = [rng.uniform(0, 95, (rng.integers(1, 6), 2)).round(2).tolist() for _ in range(40)]

    def ask(points: Any) -> Any:
        files, data = {"image": picture}, {"coordinates": json.dumps(points)}
        return probabilities(client.post("/v1/classify", files=files, data=data))

    before = client.app.state.service.dispatcher.batches
    alone = [ask(points) for points in asked[:6]]
    with ThreadPoolExecutor(12) as crowd:
        together = list(crowd.map(ask, asked))
    for points, one, other in zip(asked, alone, together, strict=False):
        assert len(other) == len(points)
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert client.app.state.service.dispatcher.batches - before < 6 + 40


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"coordinates": "[[1000, 5]]"}, 400, "outside"),
        ({"coordinates": "[[1, 2], [3]]"}, 400, "different lengths"),
        ({"coordinates": "[[1, NaN]]"}, 400, "no number"),
        ({"coordinates": "many"}, 400, "coordinates"),
        ({"model": "other"}, 404, "no model"),
        ({"colour": "red"}, 400, "colour"),
        ({"pixel_size": "-1"}, 400, "pixel_size"),
        ({"path": "section.png"}, 400, "one image"),
    ],
)
def test_refuses_with_a_remedy(client, picture, body, status, words):
    answer = client.post("/v1/classify", files={"image": picture}, data=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert words in error["problem"], error
    assert error["code"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["../secret.png", "/etc/passwd", "a/../../secret.png", "..\\secret.png", "link.png", "x\0"],
)
def test_no_path_leads_out_of_the_folder(client, path):
    answer = client.post("/v1/classify", json={"path": path, "coordinates": [[1, 1]]})
    assert answer.status_code == 403
    assert "secret" not in answer.json()["error"]["remedy"]


@pytest.mark.parametrize("name", ["x" * 5000, "\ud800"])
def test_a_name_that_no_file_can_have_is_no_file(client, name):
    asked = {"path": name, "coordinates": [[1, 1]]}
    body, headers = json.dumps(asked).encode(), {"content-type": "application/json"}
    answer = client.post("/v1/classify", content=body, headers=headers)
    assert (answer.status_code, "no such image" in answer.text) == (404, True)
    body = json.dumps({"path": name, "stride": 8}).encode()
    job = client.post("/v1/paint", content=body, headers=headers)
    said = ended(client, job.json()) if job.status_code == 202 else job.json()["error"]
    assert "no such image" in str(said)


def test_the_page_has_no_other_files(client):
    for name in ("x" * 5000 + ".js", "../errors.py", "%2e%2e%2fpage.py", "page.py"):
        assert client.get(f"/page/{name}").status_code == 404


def test_what_is_no_picture_is_said(client, picture):
    for data in (b"", b"nothing", picture[:200], b"RIFF" * 50):
        assert client.post("/v1/classify", content=data, headers=PNG).status_code == 400
    text = client.post("/v1/classify", content=picture, headers={"content-type": "text/plain"})
    assert text.status_code == 415


def test_a_bomb_is_refused_by_its_header(client):
    huge = np.zeros((1, 1), np.uint8)
    file = io.BytesIO()
    iio.imwrite(file, huge, extension=".png")
    data = bytearray(file.getvalue())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    answer = client.post("/v1/classify", content=bytes(data), headers=PNG)
    assert answer.status_code in (400, 413)
    assert client.app.state.service.pixels.used == 0


# Painting


@pytest.mark.parametrize("kind", ["ome-zarr", "ome-tiff", "png"])
def test_paints_a_map_as_a_job(client, picture, image, model_file, kind, tmp_path):
    painted = lc.load(model_file, device="cpu").paint(lc.as_stack(image, pixel_size=1.0), 2)
    asked = client.post("/v1/paint", files={"image": picture}, data={"stride": "2", "format": kind})
    assert asked.status_code == 202
    job = ended(client, asked.json())
    assert job["state"] == "done"
    assert job["done"] == job["total"] > 0
    shares = painted.fractions()
    assert job["fractions"] == pytest.approx(shares, abs=0.01)
    if kind == "ome-zarr":
        zarr = pytest.importorskip("zarr")
        address = str(client.base_url).rstrip("/") + job["map"]
        store = zarr.storage.FsspecStore.from_url(address)
        cells = np.asarray(zarr.open_group(store, mode="r")["0"])
    else:
        (tmp_path / "map").write_bytes(client.get(job["map"]).content)
        cells = iio.imread(tmp_path / "map", extension=".tif" if kind == "ome-tiff" else ".png")
    assert cells.shape[:2] == painted.classes.shape
    if kind != "png":
        np.testing.assert_array_equal(cells, painted.classes)
    for path in ("../../x", "map.ome.zarr/../../x", "nothing", "x" * 5000):
        assert client.get(f"{job['url']}/{path}").status_code == 404
    assert client.delete(job["url"]).status_code == 200
    assert client.get(job["url"]).status_code == 404


def test_a_painting_can_be_cancelled(client, model_file, tmp_path):
    file, rng = io.BytesIO(), np.random.default_rng(0)
    iio.imwrite(file, rng.integers(0, 255, (1500, 1500, 3), np.uint8), extension=".png")
    job = client.post("/v1/paint", files={"image": file.getvalue()}, data={"stride": "1"}).json()
    client.delete(job["url"])
    assert ended(client, job)["state"] == "cancelled"
    assert client.get(f"{job['url']}/map.ome.zarr/.zattrs").status_code == 409


# SageMaker


def test_keeps_sagemakers_contract(client, picture, expected, image, model_file):
    assert client.get("/ping").content == b""
    centre = lc.load(model_file, device="cpu").classify(
        lc.as_stack(image, pixel_size=1.0), [[47.5, 47.5]]
    )
    for accept in ("*", "*/*", "application/json", ""):
        answer = client.post("/invocations", content=picture, headers=PNG | {"accept": accept})
        np.testing.assert_allclose(answer.json(), centre[0], atol=1e-6)
    order = "class 2,class 0,class 1"
    told = f"coordinates={json.dumps(POINTS)};class-order={order}"
    lines = client.post(
        "/endpoints/lung/invocations",
        content=picture,
        headers={
            "content-type": "application/x-image",
            "accept": "application/jsonlines",
            "X-Amzn-SageMaker-Custom-Attributes": told,
        },
    )
    rows = [json.loads(line)["prediction"] for line in lines.text.splitlines()]
    np.testing.assert_allclose(rows, expected[:, [2, 0, 1]], atol=1e-6)
    target = client.post(
        "/invocations",
        content=picture,
        headers=PNG | {"X-Amzn-SageMaker-Target-Model": "none.tar.gz"},
    )
    assert target.status_code == 400
    assert target.headers["x-amzn-errortype"] == "ValidationError"
    table = client.post("/invocations", content=picture, headers=PNG | {"accept": "text/csv"})
    assert table.status_code == 406


# Who may ask, and how much


def test_a_token_is_asked_for(model_file, picture):
    with serving(model_file, token="a-secret-of-16-letters") as client:
        assert client.get("/ping").status_code == client.get("/").status_code == 200
        for header in ({}, {"Authorization": "Bearer other"}):
            refused = client.get("/v1/models", headers=header)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
        known = {"Authorization": "Bearer a-secret-of-16-letters"}
        assert client.get("/v1/models", headers=known).status_code == 200


def test_pages_of_other_addresses_may_not_call(client, picture, model_file):
    stranger = {"origin": "https://evil.example"}
    assert client.post("/v1/classify", content=picture, headers=PNG | stranger).status_code == 403
    own = {"origin": str(client.base_url).rstrip("/")}
    assert client.get("/v1/models", headers=own).status_code == 200
    with serving(model_file, allow_origins=("https://lab.example",)) as other:
        answer = other.get("/v1/models", headers={"origin": "https://lab.example"})
        assert answer.headers["access-control-allow-origin"] == "https://lab.example"


def test_too_large_a_body_is_refused(model_file, picture):
    with serving(model_file, max_image_mb=0.01) as client:
        told = client.post("/v1/classify", content=b"0" * 20_000, headers=PNG)
        chunks = (b"0" * 4000 for _ in range(5))
        untold = client.post("/v1/classify", content=chunks, headers=PNG)
        assert told.status_code == untold.status_code == 413
        assert "smaller" in told.json()["error"]["remedy"]


def test_a_full_line_says_when_to_try_again(model_file, picture, monkeypatch):
    with serving(model_file, max_waiting=2) as client:
        dispatcher = client.app.state.service.dispatcher
        go = threading.Event()
        painting = dispatcher._painting
        monkeypatch.setattr(dispatcher, "_painting", lambda model: go.wait(20) and painting(model))

        def ask(_: int) -> Any:
            return client.post("/v1/classify", content=picture, headers=PNG)

        with ThreadPoolExecutor(6) as crowd:
            asked = [crowd.submit(ask, i) for i in range(6)]
            while sum(each.done() for each in asked) < 4:
                time.sleep(0.02)
            assert client.get("/readyz").status_code == 503
            go.set()
            answers = [each.result() for each in asked]
        refused = [each for each in answers if each.status_code == 503]
        assert len(refused) == 4
        assert int(refused[0].headers["retry-after"]) >= 1


def test_ends_well_when_asked_to(model_file, picture):
    """The command itself, ended by SIGTERM while it works: what it accepted is answered."""
    run = "from napari_lungcls.cli import main; main()"
    command = [sys.executable, "-c", run, "serve", str(model_file), "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = ""
        for line in server.stderr:
            if "running on" in line:
                address = line.split("running on ")[1].split()[0]
                break
        import httpx

        with httpx.Client(base_url=address, timeout=60) as client, ThreadPoolExecutor(8) as crowd:
            files = {"image": picture}
            grid = [[y, x] for y in range(0, 96, 2) for x in range(0, 96, 2)]
            data = {"coordinates": json.dumps(grid)}
            asked = [
                crowd.submit(client.post, "/v1/classify", files=files, data=data) for _ in range(8)
            ]
            while client.get("/metrics").text.count("lungcls_waiting 0.0"):
                time.sleep(0.005)
            server.send_signal(signal.SIGTERM)
            assert all(each.result().status_code in (200, 503) for each in asked)
            assert any(each.result().status_code == 200 for each in asked)
        assert server.wait(30) in (0, -signal.SIGTERM, 143)
    finally:
        server.kill()
        server.stderr.close()
        server.wait()


def test_beyond_this_computer_a_token_is_needed(model_file, tmp_path):
    from napari_lungcls.cli.serve import serve

    with pytest.raises(lc.InputError, match="--token-file"):
        serve([model_file], host="0.0.0.0")
    (tmp_path / "token").write_text("short")
    with pytest.raises(lc.InputError, match="16"):
        serve([model_file], host="0.0.0.0", token_file=tmp_path / "token")


def test_metrics_and_description_are_there(client):
    metrics = client.get("/metrics").text
    for name in (
        "lungcls_requests_total",
        "lungcls_request_seconds_bucket",
        "lungcls_points_total",
    ):
        assert name in metrics
    described = client.get("/openapi.json").json()
    assert described["paths"]["/v1/classify"]["post"]["requestBody"]["content"]
    assert client.get("/v1/models/lung").json()["sha256"]


def test_models_have_cards(client):
    found = client.get("/v1/models/lung").json()
    assert found["sha256"] == found["card"]["sha256"]
    assert found["card"]["split"]["by"] is None
    (listed,) = client.get("/v1/models").json()["models"]
    assert listed["notes"] == found["notes"]
    assert listed["accuracy"] == {}


def test_a_painting_of_what_is_not_there_stops_no_other(client, picture):
    def ended(asked: httpx.Response) -> dict[str, Any]:
        url = asked.json()["url"]
        until = time.monotonic() + 30
        while (job := client.get(url).json())["state"] in ("waiting", "running"):
            assert time.monotonic() < until
            time.sleep(0.02)
        return job

    missing = ended(client.post("/v1/paint", json={"path": "nowhere.png"}))
    assert (missing["state"], missing["error"].split(";")[0]) == (
        "failed",
        "nowhere.png: there is no such image",
    )
    painted = client.post("/v1/paint", files={"image": picture}, data={"stride": "16"})
    assert ended(painted)["state"] == "done"
