"""Images that are sent once, and maps that are fetched block by block."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import numpy as np
import pytest

import napari_lungcls as lc
from napari_lungcls.run_identity import diagonal_samples
from serving_here import serving

pytest.importorskip("fastapi")

PNG = {"content-type": "image/png"}
POINTS = [[20.0, 10.0], [50.5, 60.25]]


def kept(client: Any, picture: bytes) -> dict[str, Any]:
    answer = client.post("/v1/images", content=picture, headers=PNG)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_image_is_sent_once_and_asked_about_often(client, picture, image, model_file):
    sent, named = kept(client, picture), client.post("/v1/images", json={"path": "section.png"})
    stack = lc.as_stack(image)
    for said in (sent, named.json()):
        assert (said["shape"], said["dtype"], said["rgb"]) == ([96, 96], "uint8", True)
        assert said["samples"] == diagonal_samples(stack)
    expected = lc.load(model_file, device="cpu").classify(
        lc.as_stack(image, pixel_size=1.0), POINTS
    )
    for said in (sent, sent, named.json()):
        ask = {"image_id": said["id"], "coordinates": POINTS, "pixel_size": 1.0}
        found = client.post("/v1/classify", json=ask).json()["predictions"]
        rows = [list(each["probabilities"].values()) for each in found]
        np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert client.delete(f"/v1/images/{sent['id']}").status_code == 204
    gone = client.post("/v1/classify", json={"image_id": sent["id"]})
    assert gone.status_code == 404
    assert "again" in gone.json()["error"]["remedy"]


@pytest.mark.parametrize("path", ["../secret.png", "link.png", "/etc/passwd"])
def test_no_path_leads_out_of_the_folder(client, path):
    assert client.post("/v1/images", json={"path": path}).status_code == 403


def test_what_is_no_image_is_not_kept(model_file, picture):
    with serving(model_file, max_images=2) as client:
        for data in (b"", b"nothing", picture[:100]):
            assert client.post("/v1/images", content=data, headers=PNG).status_code == 400
        kept(client, picture)
        kept(client, picture)
        full = client.post("/v1/images", content=picture, headers=PNG)
        assert (full.status_code, "retry-after" in full.headers) == (503, True)
        images = client.app.state.service.images
        for each in images._images.values():
            each.used -= 61
        kept(client, picture)
        assert len(images._images) == len(list(images._top.iterdir())) == 2


def test_another_model_does_not_answer(client, picture):
    known = client.get("/v1/models").json()["models"][0]["sha256"]
    for sha256, status in ((known, 200), (known.upper(), 200), ("0" * 64, 409)):
        address = f"/v1/classify?sha256={sha256}"
        assert client.post(address, content=picture, headers=PNG).status_code == status


def test_a_map_is_fetched_block_by_block(client, picture, image, model_file):
    ask = {"image_id": kept(client, picture)["id"], "format": "blocks", "stride": 1,
           "probabilities": True, "precision": "fp32", "pixel_size": 1.0}  # fmt: skip
    job = client.post("/v1/paint", json=ask).json()
    while job["state"] in ("waiting", "running"):
        time.sleep(0.02)
        job = client.get(job["url"]).json()
    assert (job["state"], job["blocks"], job["precision"]) == ("done", 1, "fp32")
    painted = lc.load(model_file, device="cpu").paint(lc.as_stack(image, pixel_size=1.0), 1)
    assert job["fractions"] == pytest.approx(painted.fractions())
    line, _, cells = gzip.decompress(client.get(f"{job['url']}/blocks/0").content).partition(b"\n")
    head = json.loads(line)
    assert head == {"index": [], "rows": [0, 96], "columns": [0, 96], "probabilities": 3,
                    "complete": True}  # fmt: skip
    np.testing.assert_array_equal(
        np.frombuffer(cells, np.uint8, 96 * 96).reshape(96, 96), painted.classes
    )
    np.testing.assert_array_equal(
        np.frombuffer(cells, "<f2", offset=96 * 96).reshape(3, 96, 96), painted.probabilities
    )
    for number in (-1, 1):
        assert client.get(f"{job['url']}/blocks/{number}").status_code == 404


def test_a_painting_that_nobody_asks_about_is_given_up(model_file, picture, monkeypatch):
    from napari_lungcls.serving import jobs

    run = jobs.run_painting

    def held(*arguments: Any, cancelled: Any, **options: Any) -> Any:
        for step in run(*arguments, cancelled=cancelled, **options):
            yield step
            while not cancelled():
                time.sleep(0.01)

    monkeypatch.setattr(jobs, "run_painting", held)
    with serving(model_file, unattended=0.4) as client:
        ask = {"image_id": kept(client, picture)["id"], "format": "blocks"}
        job = client.post("/v1/paint", json=ask).json()
        for _ in range(8):
            time.sleep(0.1)
            assert client.get(job["url"]).json()["state"] in ("waiting", "running")
        time.sleep(0.6)
        assert client.get(job["url"]).json()["state"] == "cancelled"


@pytest.mark.parametrize("trouble", ["gone", "memory", "defect"])
def test_a_painting_that_cannot_begin_does_not_end_the_others(
    client, picture, monkeypatch, trouble
):
    service = client.app.state.service
    image = kept(client, picture)
    ask = {"image_id": image["id"], "format": "blocks", "pixel_size": 1.0}
    with monkeypatch.context() as patch:
        if trouble == "gone":
            patch.setattr(service.images, "_images", {})
        elif trouble == "memory":
            patch.setattr(service.pixels, "_left", 10)
        else:
            patch.setattr(service.images, "open", None)
        job = ended(client, client.post("/v1/paint", json=ask).json())
    assert job["state"] == "failed"
    words = {
        "gone": "no such image any more; send it again",
        "memory": "memory",
        "defect": "defect",
    }
    assert words[trouble] in job["error"]
    assert ended(client, client.post("/v1/paint", json=ask).json())["state"] == "done"


def ended(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(500):
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.02)
        job = client.get(job["url"]).json()
    raise AssertionError(job)
