"""Painting on a Dask cluster: blocks as tasks, written by the workers themselves."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from napari_lungcls.errors import InputError
from napari_lungcls.images.channels import stored
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.cluster_worker import ClusterTask, paint_block
from napari_lungcls.inference.damage import BlockReport
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block
from napari_lungcls.inference.run import BlockTally, PaintingProgress, kept_or_abandoned
from napari_lungcls.inference.store_base import BlockStore
from napari_lungcls.inference.store_cells import MODEL
from napari_lungcls.network.compatibility import check_image
from napari_lungcls.network.model_file import write_model
from napari_lungcls.network.predictor import Predictor

if TYPE_CHECKING:
    from distributed import Client, Future

AHEAD = 2
"""Blocks for each thread of the workers that are handed out at a time."""

POLL = 0.2
"""Seconds between looks at whether the painting was cancelled or workers came."""

CONNECT = 20.0
"""Seconds after which a scheduler that does not answer is given up."""


@contextlib.contextmanager
def connected(scheduler: str | Client | None, workers: int | None = None) -> Iterator[Client]:
    """Connect to a scheduler, or start workers on this computer.

    Parameters
    ----------
    scheduler
        Its address, such as `tcp://host:8786`, or a client, which stays open.
    workers
        Number of processes to start where there is no scheduler.

    Raises
    ------
    InputError
        When `distributed` is not installed, or the scheduler does not answer.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            "painting on a cluster needs Dask's scheduler; install napari-lungcls with the "
            "extra distributed"
        ) from error
    if isinstance(scheduler, distributed.Client):
        yield scheduler
        return
    with contextlib.ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            address = stack.enter_context(_local(1 if workers is None else workers))
        stack.enter_context(_quiet(logging.getLogger("distributed.client")))
        try:
            client = stack.enter_context(distributed.Client(address, timeout=CONNECT))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{scheduler} does not answer ({error})",
                setting="scheduler",
                suggestion="give the address that it prints, such as tcp://host:8786",
            ) from error
        yield client


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep tracebacks from a user who is told in one line that the scheduler is lost."""
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _local(workers: int) -> Any:
    """Start workers that share the cores of this computer and leave Ctrl-C to us."""
    from distributed import LocalCluster

    if workers < 1:
        raise InputError(f"give at least 1, not {workers}", setting="workers")
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.ERROR,
        env={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        preload=["napari_lungcls.inference.cluster_worker"],
    )


def run_on_cluster(
    client: Client,
    predictor: Predictor,
    grid: MapGrid,
    store: BlockStore,
    *,
    device: str = "auto",
    cancelled: Callable[[], bool] = lambda: False,
    within: str | None = None,
    no_glass: bool = False,
) -> Generator[PaintingProgress, None, bool]:
    """Paint what is left of a map by the workers of a cluster; see `run_painting`.

    The model goes into the hidden folder, where every worker reads it once. A block counts
    as complete when its worker has reported it. The blocks of a worker that dies are given
    to others.

    Raises
    ------
    InputError
        When the image cannot be opened by workers, or they or the scheduler fail.
    """
    model = store.folder / MODEL
    with kept_or_abandoned(store):
        check_image(grid.stack, predictor.document)
        image = _portable(grid.stack)
        write_model(model, predictor.document, predictor.engine.state())
        task = ClusterTask(
            token=uuid.uuid4().hex,
            model=os.path.abspath(model),
            engine=predictor.engine.name,
            device=device,
            image=image,
            channels=grid.stack.channels,
            pixel_size=grid.stack.pixel_size,
            stride=grid.stride,
            region=(grid.rows, grid.columns),
            planes=grid.planes,
            folder=os.path.abspath(store.folder),
            header=store.header,
            within=within,
            no_glass=no_glass,
        )
        left = store.left(grid.blocks())
        tally = BlockTally(grid, store, len(left))
        yield tally.start()
        for block, report in _reports(client, task, left, cancelled):
            if not report.damage:
                store.mark(block)
            yield tally.add(block, report)
        model.unlink(missing_ok=True)
        store.sweep()
        return tally.conclude()


def _reports(
    client: Client, task: ClusterTask, blocks: list[Block], cancelled: Callable[[], bool]
) -> Iterator[tuple[Block, BlockReport]]:
    """Hand out blocks, a few ahead of the workers, and give what they report.

    After cancellation, no new blocks are submitted, and those that were begun are waited for.
    """
    from distributed import wait
    from distributed.client import FuturesCancelledError

    waiting = list(reversed(blocks))
    pending: dict[Future[BlockReport], Block] = {}
    try:
        while waiting or pending:
            stopped = cancelled()
            threads = _threads(client)
            if stopped and (not pending or not threads):
                return
            while waiting and not stopped and len(pending) < AHEAD * max(1, threads):
                block = waiting.pop()
                pending[client.submit(paint_block, task, block, pure=False)] = block
            with contextlib.suppress(TimeoutError, FuturesCancelledError):
                wait(list(pending), timeout=POLL, return_when="FIRST_COMPLETED")
            for future in [f for f in pending if f.status != "pending"]:
                block = pending.pop(future)
                report = _report(client, future)
                if report is None:
                    waiting.append(block)
                else:
                    yield block, report
    finally:
        if pending and client.status == "running":
            client.cancel(list(pending))


def _threads(client: Client) -> int:
    """Count the threads of all workers that are there now."""
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise _lost(error) from error


def _report(client: Client, future: Future[BlockReport]) -> BlockReport | None:
    """Give the report of a block; None when it has to be handed out again."""
    from distributed import KilledWorker

    if future.status in ("cancelled", "lost"):
        if client.status != "running":
            raise _lost(None)
        return None
    error = future.exception() if future.status == "error" else None
    if error is None:
        report: BlockReport = future.result()
        return report
    if isinstance(error, KilledWorker):
        raise InputError(
            "several workers died of the same block",
            suggestion=("give them more memory, and", {"resume": True}, "to continue the painting"),
        ) from error
    if isinstance(error, ImportError):
        raise InputError(
            f"a worker cannot paint ({error}); install the same napari-lungcls where the "
            "workers run"
        ) from error
    raise error


def _lost(error: Exception | None) -> InputError:
    why = f" ({error})" if error is not None else ""
    remedy = ({"resume": True}, "to continue the painting")
    return InputError(f"the scheduler is gone{why}", suggestion=remedy)


def _portable(stack: ImageStack) -> str | ImageStack:
    """Give what lets another process read the same image.

    Raises
    ------
    InputError
        When it lies in the memory of this one.
    """
    if stack.path is not None:
        return stack.path
    kinds = {type(stored(level)).__module__.split(".")[0] for level in stack.levels}
    if kinds <= {"zarr", "dask"}:
        return stack
    raise InputError(
        f"{stack.source}: the workers of a cluster cannot see an image in memory; save it and "
        "give its path"
    )
