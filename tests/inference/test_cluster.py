"""A real scheduler and real workers: one is killed, the painting is stopped, the bytes agree."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

from killing import EDGE, STACK
from known_maps import bright_model
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.masks import ImageMask
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference import cluster
from napari_lungcls.inference.grid import MapGrid

pytest.importorskip("distributed")

MODEL = bright_model()


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapGrid, "block", EDGE)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two processes on this computer."""
    with cluster.connected(None, 2) as client:
        yield client


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image on disk, where the workers find it."""
    path, pixels = tmp_path_factory.mktemp("image") / "i.zarr", np.asarray(STACK.levels[0])
    array = zarr.create_array(path, shape=pixels.shape, chunks=(1, 64, 64), dtype="float32")
    array[:] = pixels
    return path


@pytest.fixture(scope="module")
def wanted(image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The map as one process paints it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MapGrid, "block", EDGE)
        out = tmp_path_factory.mktemp("wanted") / "map.ome.zarr"
        MODEL.paint(image, out=out)
    return content(out)


def content(path: Path) -> dict[str, bytes]:
    """Every file of an output."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_a_killed_worker_costs_nothing_but_its_tasks(
    client: Any, image: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "map.ome.zarr"
    pids = client.run(os.getpid)
    assert len(set(pids.values()) | {os.getpid()}) == 3
    steps = []
    for step in MODEL.painting(image, out=out, scheduler=client):
        steps.append(step.done)
        if len(steps) == 3:
            os.kill(next(iter(pids.values())), signal.SIGKILL)
    assert steps == list(range(13))
    assert content(out) == wanted
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_a_painting_that_is_stopped_goes_on_with_or_without_a_cluster(
    client: Any, image: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    out, asked = tmp_path / "map.ome.zarr", iter([False])
    address = client.scheduler.address
    MODEL.paint(image, out=out, scheduler=address, cancelled=lambda: next(asked, True))
    assert [p.name for p in tmp_path.iterdir()] == [out.name]
    first, *_, last = MODEL.painting(image, out=out, resume=True)
    # What had been handed out was painted: at most a few blocks for each worker.
    assert 0 < first.done <= 2 * cluster.AHEAD
    assert last.done == last.total == 12
    assert content(out) == wanted


def test_damage_is_told_by_the_workers(client: Any, image: Path, tmp_path: Path) -> None:
    chunk = image / "c" / "1" / "1" / "1"
    good = chunk.read_bytes()
    chunk.write_bytes(b"rubbish")
    out = tmp_path / "map.ome.zarr"
    with pytest.warns(LungclsWarning, match=r"plane 1, rows 64:100, columns 64:128"):
        *_, last = MODEL.painting(image, out=out, scheduler=client)
    chunk.write_bytes(good)
    assert len(last.damage) == 1
    assert next(MODEL.painting(image, out=out, resume=True)).done == 6


def test_workers_see_the_channels_that_were_chosen(client: Any, tmp_path: Path) -> None:
    plane = np.tile(np.linspace(0, 250, 130, dtype=np.float32), (100, 1))
    path = tmp_path / "five.zarr"
    zarr.create_array(path, data=np.stack([plane * 0, plane, 255 - plane, plane / 2, plane]))
    wanted, lazy = tmp_path / "wanted.ome.zarr", da.from_zarr(path)
    MODEL.paint(open_image(path, "1+4,3,1"), out=wanted)
    for i, image in enumerate(
        (open_image(path, "1+4,3,1"), ImageStack(lazy, channels="1+4,3,1", source="five"))
    ):
        out = tmp_path / f"{i}.ome.zarr"
        MODEL.paint(image, out=out, scheduler=client)
        cells = [np.asarray(zarr.open_group(p, mode="r")["0"]) for p in (out, wanted)]
        np.testing.assert_array_equal(*cells)
        assert len(np.unique(cells[0])) > 1
    memory = ImageStack(np.asarray(lazy), channels="0", source="made")
    with pytest.raises(InputError, match="made: the workers of a cluster cannot see an image in"):
        MODEL.paint(memory, out=tmp_path / "no.ome.zarr", scheduler=client)


def test_masks_hold_on_a_cluster_too(client: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(90, 180, (2, 640, 900)).astype(np.float32)
    pixels[:, :, :400] = 250  # glass
    labels = np.zeros((320, 450), np.uint8)
    labels[40:200, 150:400] = 1
    zarr.create_array(tmp_path / "i.zarr", data=pixels)
    zarr.create_array(tmp_path / "mask.zarr", data=labels)
    one, other = tmp_path / "here" / "map.ome.zarr", tmp_path / "there" / "map.ome.zarr"
    one.parent.mkdir()
    other.parent.mkdir()
    options = {"stride": 8, "no_glass": True, "within": tmp_path / "mask.zarr"}
    here = MODEL.paint(tmp_path / "i.zarr", out=one, **options)
    *_, last = MODEL.painting(tmp_path / "i.zarr", out=other, scheduler=client, **options)
    assert content(one) == content(other)
    assert last.total == 80
    cells = np.asarray(here.classes)
    assert 0 < np.count_nonzero(cells) < 2 * labels.sum() / 16
    assert cells[:, 10:50, 60:100].all()
    asked = iter([False])
    MODEL.paint(
        tmp_path / "i.zarr", out=other, overwrite=True, scheduler=client,
        cancelled=lambda: next(asked, True), **options,
    )  # fmt: skip
    MODEL.paint(tmp_path / "i.zarr", out=other, resume=True, **options)
    assert content(one) == content(other)


def test_what_a_cluster_cannot_do_is_said(
    client: Any, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "map.ome.zarr"
    memory = ImageStack(np.asarray(open_image(image).levels[0]), source="made")
    with pytest.raises(InputError, match="made: the workers of a cluster cannot see an image in"):
        MODEL.paint(memory, out=out, scheduler=client)
    with pytest.raises(InputError, match="a cluster paints into files"):
        MODEL.paint(image, scheduler=client)
    mask = ImageMask(ImageStack(np.ones((100, 130), np.uint8)), "made")
    with pytest.raises(InputError, match="within: the workers of a cluster cannot see a mask in"):
        MODEL.paint(image, out=out, scheduler=client, within=mask)
    monkeypatch.setattr(cluster, "CONNECT", 0.2)
    with pytest.raises(InputError, match=r"^scheduler: tcp://127\.0\.0\.1:9 does not answer"):
        MODEL.paint(image, out=out, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"^workers: give at least 1, not 0"):
        MODEL.paint(image, out=out, workers=0)
    assert not any(tmp_path.iterdir())
