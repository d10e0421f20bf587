"""Small pieces of work side by side: all are done, with a core each, and none waits for itself."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from known_network import make_spec, random_engine
from napari_lungcls.network.engines.protocol import ReadGrid
from napari_lungcls.network.engines.torch.execution import SMALL, share_out

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def done(sizes: list[int], device: torch.device = CPU) -> list[tuple[int, str, int, bool]]:
    found = []

    def do(size: int) -> None:
        here = threading.current_thread().name
        found.append((size, here, torch.get_num_threads(), torch.is_inference_mode_enabled()))

    with torch.inference_mode():
        share_out(do, sizes, lambda size: size, device)
    return found


def test_small_tasks_have_threads_of_one_core_each() -> None:
    here = threading.current_thread().name
    found = done([5, SMALL + 1, 7, SMALL + 2])
    assert [size for size, *_ in found[:2]] == [SMALL + 1, SMALL + 2]
    assert all(each[1:] == (here, 2, True) for each in found[:2])
    assert sorted(size for size, *_ in found[2:]) == [5, 7]
    assert all(name != here for _, name, *_ in found[2:])
    assert all(each[2:] == (1, True) for each in found[2:])
    assert torch.get_num_threads() == 2


def test_elsewhere_and_alone_tasks_are_done_in_turn() -> None:
    here = threading.current_thread().name
    for found in (done([5]), done([5, 7], torch.device("meta")), done([])):
        assert all(each[1:] == (here, 2, True) for each in found)
    torch.set_num_threads(1)
    assert [each[:3] for each in done([7, 5])] == [(7, here, 1), (5, here, 1)]


def test_a_task_may_share_out_its_own_parts() -> None:
    found = []
    share_out(lambda i: share_out(found.append, [i, -i], abs, CPU), list(range(1, 40)), abs, CPU)
    assert sorted(found) == sorted([*range(1, 40), *range(-39, 0)])


def test_threads_that_begin_later_have_all_cores() -> None:
    done([1, 2, 3])
    cores = []
    later = threading.Thread(target=lambda: cores.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert cores == [2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own() -> None:
    done([1, 2, 3])
    child = multiprocessing.get_context("fork").Process(target=done, args=([1, 2, 3],), daemon=True)
    child.start()
    child.join(timeout=30)
    if child.exitcode is None:
        child.kill()
    assert child.exitcode == 0


def test_what_goes_wrong_in_a_task_is_raised() -> None:
    def fail(size: int) -> None:
        raise RuntimeError(f"task {size}")

    with pytest.raises(RuntimeError, match="task"):
        share_out(fail, [1, 2], abs, CPU)


def test_a_tile_is_the_same_on_one_core_and_on_two() -> None:
    rng = np.random.default_rng(0)
    tile = np.full((640, 640, 3), 240, np.uint8)
    for y, x in ((90, 90), (100, 400), (400, 120), (420, 430)):
        tile[y : y + 60, x : x + 90] = rng.integers(0, 255, (60, 90, 3))
    painting = random_engine(make_spec(tile=64, stages=(-1, 0, 1, 2, 4)), 3).painting()
    at = np.arange(0.5, 512, 3)

    def read() -> dict[int, torch.Tensor]:
        out = painting.zeros((len(at), len(at), 3))
        maps = painting.head_maps(tile, 1, [ReadGrid(stage, at, at, out) for stage in (-1, 0)])
        return maps | {0: out}

    together = read()
    torch.set_num_threads(1)
    for stage, cells in read().items():
        torch.testing.assert_close(together[stage], cells, rtol=1e-5, atol=1e-5)
