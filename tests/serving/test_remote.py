"""A server in the place of this computer, over real HTTP: the same answers, or a remedy."""

from __future__ import annotations

import gzip
import logging
import shutil
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

import napari_lungcls as lc
from napari_lungcls.errors import LungclsWarning
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.model import Model
from napari_lungcls.remote import connection as connecting
from napari_lungcls.remote.connection import Cancelled, Connection
from napari_lungcls.remote.model import RemoteModel, connect
from napari_lungcls.serving import jobs
from napari_lungcls.serving.errors import Refusal
from napari_lungcls.serving.service import Service
from serving_here import serving

pytest.importorskip("fastapi")

TOKEN = "a-secret-of-16-letters"


@pytest.fixture(scope="module")
def local(model_file: Path) -> Model:
    return lc.load(model_file, device="cpu")


@pytest.fixture
def remote(client: Any, model_file: Path) -> Iterator[RemoteModel]:
    with connect(model_file, str(client.base_url)) as found:
        yield found


@pytest.fixture(scope="module")
def stack(image: np.ndarray) -> lc.ImageStack:
    """Planes along two axes, with a coarser level."""
    planes = np.stack([np.roll(image, 7 * i, axis=1) for i in range(6)]).reshape(2, 3, 96, 96, 3)
    return lc.ImageStack([planes, planes[..., ::2, ::2, :]], rgb=True, pixel_size=1.0, name="many")


@pytest.fixture
def small_blocks(monkeypatch: Any) -> None:
    """Maps of several blocks, here and at the server."""
    monkeypatch.setattr(MapGrid, "block", property(lambda self: 32))


@pytest.fixture
def quick(monkeypatch: Any) -> None:
    monkeypatch.setattr(connecting, "LONGEST_WAIT", 0.01)


def files(folder: Path) -> dict[str, bytes]:
    if folder.is_file():
        return {"": folder.read_bytes()}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# The same answers


def test_points_get_the_same_answers(local, remote, image, stack):
    rng = np.random.default_rng(3)
    plain = lc.as_stack(image, pixel_size=1.0)
    for which, where in (
        (plain, rng.uniform(0, 95, (400, 2))),
        (stack, np.column_stack([rng.integers(0, [2, 3], (60, 2)), rng.uniform(0, 95, (60, 2))])),
        (stack, np.array([[1, 2, 20.0, 10.5]])),
        (plain, np.empty((0, 2))),
    ):
        expected = local.classify(which, where)
        np.testing.assert_allclose(remote.classify(which, where), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["map.ome.zarr", "map.ome.tif"])
@pytest.mark.usefixtures("small_blocks")
def test_maps_are_the_same_files(local, remote, stack, name, tmp_path):
    part = {"planes": slice(1, 3), "region": (slice(8, 90), slice(0, 96)), "probabilities": True}
    for where, model in (("here", local), ("there", remote)):
        (tmp_path / where).mkdir()
        seen = [p.done for p in model.painting(stack, 1, out=tmp_path / where / name, **part)]
        assert seen == list(range(4 * 9 + 1))
    here, there = files(tmp_path / "here" / name), files(tmp_path / "there" / name)
    assert here == there
    assert [path.name for path in (tmp_path / "there").iterdir()] == [name]


def test_a_map_in_memory_is_the_same(local, remote, stack):
    ours, theirs = (model.paint(stack, 3) for model in (local, remote))
    assert ours.header == theirs.header
    np.testing.assert_array_equal(ours.classes, theirs.classes)
    np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_an_image_that_does_not_suit_is_refused_here(remote, dtype):
    with pytest.raises(lc.InputError, match="uint8"):
        remote.classify(lc.as_stack(np.ones((90, 90), dtype), pixel_size=1.0), [[5, 5]])


# Which model, which image


def test_never_another_model(client, model_file, local, tmp_path, image):
    changed = dict(local.state)
    name = next(iter(changed))
    changed[name] = changed[name] + np.float32(1e-3)
    other = Model(local.document, changed, device="cpu").save(tmp_path / "lung.safetensors")
    with pytest.raises(lc.InputError, match=r"does not have the model .*lung \(SHA-256"):
        connect(other, str(client.base_url))
    with pytest.raises(lc.InputError, match="no model 'liver'"):
        connect("liver", str(client.base_url))
    with connect("lung", str(client.base_url)) as found:
        assert found.document == local.document.model_copy(update={"history": []})
        # The server is begun anew with another file under the same name.
        served = client.app.state.service.models.find("lung")
        object.__setattr__(served, "sha256", "0" * 64)
        try:
            with pytest.raises(lc.InputError, match="another file"):
                found.classify(lc.as_stack(image, pixel_size=1.0), [[5, 5]])
        finally:
            object.__setattr__(served, "sha256", found._which["sha256"])


def test_an_image_is_sent_once_and_an_edited_one_again(remote, client, image, monkeypatch):
    asked = []
    ask = Connection.ask
    monkeypatch.setattr(
        Connection, "ask", lambda self, *a, **k: asked.append(a[:2]) or ask(self, *a, **k)
    )
    edited = image.copy()
    for _ in range(3):
        remote.classify(lc.as_stack(edited, pixel_size=1.0), [[5, 5]])
    assert asked.count(("POST", "/v1/images")) == 1
    edited[40, 41] += 1
    remote.classify(lc.as_stack(edited, pixel_size=1.0), [[5, 5]])
    assert asked.count(("POST", "/v1/images")) == 2
    remote.close()
    assert not client.app.state.service.images._images


def test_images_that_both_computers_see_are_named(model_file, image, local, tmp_path, stack):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    (theirs / "mouse").mkdir(parents=True)
    levels = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}
    grey = np.asarray(stack.levels[0][0, ..., 0])
    tifffile.imwrite(theirs / "mouse" / "a.ome.tif", grey, ome=True, **levels)
    shutil.copytree(theirs, ours)
    with serving(model_file, roots=(theirs,), max_image_mb=0.001) as client:
        with connect(model_file, str(client.base_url), shared=ours) as remote:
            opened = lc.open_image(ours / "mouse" / "a.ome.tif").with_pixel_size(1.0)
            where = [[0, 5, 5], [2, 50, 60.5]]
            expected = local.classify(opened, where)
            np.testing.assert_allclose(remote.classify(opened, where), expected, atol=1e-6)
            one, other = (m.paint(opened, 4, planes=slice(1, 3)) for m in (local, remote))
            np.testing.assert_array_equal(one.classes, other.classes)
            iio.imwrite(tmp_path / "outside.png", image)
            outside = lc.open_image(tmp_path / "outside.png").with_pixel_size(1.0)
            with pytest.raises(lc.InputError, match="is not in"):
                remote.classify(outside, [[5, 5]])
            tifffile.imwrite(ours / "mouse" / "a.ome.tif", grey[::-1], ome=True, **levels)
            changed = lc.open_image(ours / "mouse" / "a.ome.tif").with_pixel_size(1.0)
            with pytest.raises(lc.InputError, match=r"another image \(samples\)"):
                remote.classify(changed, where)
        with (
            connect(model_file, str(client.base_url)) as remote,
            pytest.raises(lc.InputError, match=r"more than 0\.001 MB when compressed"),
        ):
            remote.classify(lc.as_stack(image, pixel_size=1.0), [[5, 5]])
    with (
        serving(model_file, max_megapixels=0.001) as client,
        connect(model_file, str(client.base_url)) as remote,
        pytest.raises(lc.InputError, match=r"0 megapixels, and the server takes 0.001"),
    ):
        remote.classify(lc.as_stack(image, pixel_size=1.0), [[5, 5]])


@pytest.mark.usefixtures("small_blocks")
def test_a_damaged_image_is_painted_around_as_here(model_file, image, local, tmp_path):
    path = tmp_path / "a.tif"
    large = np.tile(image, (7, 7, 1))
    tifffile.imwrite(path, large, tile=(32, 32), compression="zlib", photometric="rgb")
    with tifffile.TiffFile(path) as tif:
        offset, size = tif.pages[0].dataoffsets[8], tif.pages[0].databytecounts[8]
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = b"\xff" * size
    path.write_bytes(data)
    opened = lc.open_image(path).with_pixel_size(1.0)
    seen = {}
    with (
        serving(model_file, roots=(tmp_path,)) as client,
        connect(model_file, str(client.base_url), shared=tmp_path) as remote,
    ):
        for name, model in (("here", local), ("there", remote)):
            out = tmp_path / f"{name}.ome.zarr"
            with pytest.warns(LungclsWarning, match="cannot be read"):
                steps = list(model.painting(opened, 4, out=out))
            seen[name] = steps[-1].damage, np.asarray(lc.read_map(out).classes)
        with pytest.raises(lc.InputError, match=r"a\.tif: .*cannot be read") as refused:
            remote.classify(opened, [[16, 272]])
        assert str(tmp_path) not in str(refused.value)
        with (
            connect(model_file, str(client.base_url)) as sender,
            pytest.raises(lc.InputError, match="cannot be sent; leave server out"),
        ):
            sender.paint(opened, 4)
    (ours, cells), (theirs, others) = seen["here"], seen["there"]
    assert ours == theirs
    assert ours
    assert (cells == 0).any()
    assert cells.any()
    np.testing.assert_array_equal(cells, others)


# Tokens


def test_the_token_comes_from_a_file_or_the_environment(model_file, tmp_path, monkeypatch, caplog):
    (tmp_path / "token").write_text(TOKEN + "\n")
    caplog.set_level(logging.DEBUG)
    with serving(model_file, token=TOKEN) as client:
        address = str(client.base_url)
        with pytest.raises(lc.InputError, match="LUNGCLS_TOKEN"):
            connect("lung", address)
        connect("lung", address, token_file=tmp_path / "token").close()
        monkeypatch.setenv("LUNGCLS_TOKEN", TOKEN)
        connect("lung", address).close()
    assert "/v1/models" in caplog.text
    assert TOKEN not in caplog.text


def test_a_token_does_not_cross_a_network_in_clear():
    with pytest.raises(lc.InputError, match="without encryption") as refused:
        Connection("http://lab.example:8080", TOKEN)
    assert TOKEN not in str(refused.value)
    Connection("http://lab.example:8080", TOKEN, token_in_clear=True).close()
    Connection("https://lab.example:8080", TOKEN).close()
    Connection("http://[::1]:8080", TOKEN).close()
    for wrong in ("lab.example", "ftp://lab.example", "http://", "http://a:b@lab.example"):
        with pytest.raises(lc.InputError, match="address"):
            Connection(wrong)


@pytest.mark.parametrize("held", ["", "two words", "ümlaut", "x" * 2000])
def test_what_cannot_be_a_token_is_said(tmp_path, held):
    (tmp_path / "token").write_text(held)
    with pytest.raises(lc.InputError, match="token"):
        connecting.read_token(tmp_path / "token")


# When a server is busy, gone, or strange


def test_a_busy_server_is_asked_again_and_not_for_ever(
    client, model_file, image, monkeypatch, quick
):
    full, admitted = 2, Service.admitted

    def refuse(self: Service) -> Any:
        nonlocal full
        full -= 1
        if full >= 0:
            raise self.busy()
        return admitted(self)

    monkeypatch.setattr(Service, "admitted", refuse)
    plain = lc.as_stack(image, pixel_size=1.0)
    with connect("lung", str(client.base_url)) as remote:
        with pytest.warns(LungclsWarning, match="is busy; trying again in") as told:
            remote.classify(plain, [[5, 5]])
        assert str(told[-1].message).endswith("(2 of 5)")
        full = 1000
        with (
            pytest.warns(LungclsWarning),
            pytest.raises(lc.InputError, match="too many requests wait; try again"),
        ):
            remote.classify(plain, [[6, 5]])
        assert full == 1000 - connecting.TRIES


def test_a_server_that_is_not_there_is_said(model_file):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(lc.InputError, match="does not answer") as refused:
        connect(model_file, address)
    assert refused.value.setting == "server"
    assert "leave server out" in str(refused.value)


def test_what_is_no_server_of_ours_is_said(tmp_path):
    from file_server import FileServer

    server = FileServer(tmp_path)
    try:
        with pytest.raises(lc.InputError, match="no server of this program"):
            connect("lung", server.url(""))
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda data, level: b"nothing", "other parts"),
        (lambda data, level: gzip.compress(data[:-1]), "other parts"),
        (lambda data, level: gzip.compress(data + b"0" * 10**7), "other parts"),
        (lambda data, level: gzip.compress(data.replace(b'"rows": [0', b'"rows": [1')), "parts"),
        (lambda data, level: b"0" * 10**6, "more than"),
    ],
    ids=["noise", "short", "bomb", "elsewhere", "long"],
)
def test_blocks_that_are_none_are_refused(
    remote, image, monkeypatch, answer, words, tmp_path, small_blocks
):
    from napari_lungcls.serving import blocks

    class Strange:
        compress = staticmethod(answer)

    monkeypatch.setattr(blocks, "gzip", Strange)
    with pytest.raises(lc.InputError, match=words):
        remote.paint(lc.as_stack(image, pixel_size=1.0), 1, out=tmp_path / "map.ome.zarr")
    assert not list(tmp_path.iterdir())


def test_what_is_not_understood_is_said(remote, image, monkeypatch):
    from napari_lungcls.serving import api

    described = api.described
    plain = lc.as_stack(image, pixel_size=1.0)
    for wrong in ({"state": "gone"}, {"blocks": -1}, {"id": "../x y"}, {"damaged": [1]}):
        monkeypatch.setattr(api, "described", lambda job, wrong=wrong: described(job) | wrong)
        with pytest.raises(lc.InputError, match="not understood"):
            remote.paint(plain, 4)


def test_a_slow_server_is_asked_for_fewer_points(client, image, local, monkeypatch):
    asked, classify = [], Service.classify

    async def slow(self: Service, request: Any, model: Any, image: Any, points: Any) -> Any:
        asked.append(len(points))
        if len(points) > 20:
            raise Refusal(504, "it took more than 60 s", "send fewer points")
        return await classify(self, request, model, image, points)

    monkeypatch.setattr(Service, "classify", slow)
    where = np.random.default_rng(0).uniform(0, 95, (40, 2))
    plain = lc.as_stack(image, pixel_size=1.0)
    with connect("lung", str(client.base_url)) as remote:
        found = remote.classify(plain, where)
    np.testing.assert_allclose(found, local.classify(plain, where), atol=1e-6)
    assert asked == [40, 40, 16, 16, 8]


# Giving up


@pytest.fixture
def slow_painting(monkeypatch: Any) -> threading.Event:
    """The server paints one block and then waits for the event, or for being cancelled."""
    go, run = threading.Event(), jobs.run_painting

    def held(*arguments: Any, cancelled: Any, **options: Any) -> Any:
        for step in run(*arguments, cancelled=cancelled, **options):
            yield step
            while step.done >= 1 and not (go.wait(0.01) or cancelled()):
                pass

    monkeypatch.setattr(jobs, "run_painting", held)
    return go


def newest(client: Any) -> Any:
    return list(client.app.state.service.jobs._jobs.values())[-1]


def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError


@pytest.mark.usefixtures("small_blocks", "slow_painting")
def test_cancelling_here_cancels_there_and_keeps_what_is_painted(remote, client, image, tmp_path):
    cancel = threading.Event()
    run = remote.painting(
        lc.as_stack(image, pixel_size=1.0), 1, out=tmp_path / "map.ome.zarr",
        cancelled=cancel.is_set,
    )  # fmt: skip
    for step in run:
        if step.done == 1:
            job = newest(client)
            cancel.set()
    until(lambda: job.state == "cancelled")
    painted = lc.read_map(tmp_path / "map.ome.zarr")
    cells = np.asarray(painted.classes)
    assert cells[:32, :32].all()
    assert not cells[32:].any()


@pytest.mark.usefixtures("small_blocks", "slow_painting")
def test_a_painting_that_nobody_follows_ends(remote, client, image, tmp_path):
    run = remote.painting(lc.as_stack(image, pixel_size=1.0), 1, out=tmp_path / "map.ome.zarr")
    next(run)
    next(run)
    job = newest(client)
    run.close()
    until(lambda: job.state == "cancelled")
    assert not list(tmp_path.iterdir())


def test_sending_can_be_cancelled(client, image):
    with connect("lung", str(client.base_url)) as remote:
        run = remote.painting(lc.as_stack(image, pixel_size=1.0), 1, cancelled=lambda: True)
        with pytest.raises(Cancelled):
            next(run)


@pytest.mark.usefixtures("small_blocks", "quick")
def test_a_server_that_is_lost_leaves_no_half_map(model_file, image, slow_painting, tmp_path):
    with serving(model_file, grace=1) as client:
        remote = connect("lung", str(client.base_url))
        run = remote.painting(lc.as_stack(image, pixel_size=1.0), 1, out=tmp_path / "map.ome.zarr")
        next(run)
        next(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LungclsWarning)
        with pytest.raises(lc.InputError, match=r"does not answer|cancel"):
            list(run)
    remote.close()
    assert not list(tmp_path.iterdir())
