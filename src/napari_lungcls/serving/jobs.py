"""Paintings as jobs: one runs at a time, others wait; maps are kept for a while."""

from __future__ import annotations

import logging
import math
import secrets
import shutil
import tempfile
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import imageio.v3 as iio
import numpy as np

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.damage import Damage
from napari_lungcls.inference.grid import MapGrid, Region
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.inference.precision import choose_painting
from napari_lungcls.inference.run import PaintingProgress, map_header, run_painting
from napari_lungcls.model import Model
from napari_lungcls.network.engines import Precision
from napari_lungcls.network.suitability import assess_image
from napari_lungcls.reporting.pictures import label_picture
from napari_lungcls.serving.blocks import BlockFiles
from napari_lungcls.serving.dispatcher import Busy
from napari_lungcls.serving.errors import ApiWording, Refusal
from napari_lungcls.serving.options import ServerOptions
from napari_lungcls.utils.progress import exhaust

logger = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "cancelled"]
MapKind = Literal["ome-zarr", "ome-tiff", "png", "blocks"]
FILES: dict[MapKind, str] = {
    "blocks": "blocks",
    "ome-zarr": "map.ome.zarr",
    "ome-tiff": "map.ome.tif",
    "png": "map.png",
}


@dataclass(eq=False)
class PaintJob:
    """One painting, waiting, running or ended.

    Attributes
    ----------
    id
        Random: whoever knows it may see the map.
    model, name
        What paints, and what it is called.
    image
        Gives the image, and lets go of it.
    stride, region, planes, precision, kind, probabilities
        What is painted, and how it is written.
    folder
        Holds the map.
    state, done, total, remaining, error, fractions, notes, damage
        How far it is, and how it ended.
    blocks
        The blocks that can be fetched, if they are asked for.
    asked, unattended
        When somebody asked about it last, and the seconds after which it is given up.
    """

    id: str
    model: Model
    name: str
    image: Callable[[], AbstractContextManager[ImageStack]]
    stride: int
    region: Region | None
    planes: slice | None
    precision: Precision
    kind: MapKind
    probabilities: bool
    folder: Path
    state: State = "waiting"
    done: int = 0
    total: int = 0
    remaining: float | None = None
    error: str = ""
    fractions: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    damage: Damage = field(default_factory=dict)
    blocks: BlockFiles | None = None
    ended: float | None = None
    asked: float = field(default_factory=time.monotonic)
    unattended: float = math.inf
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def path(self) -> Path:
        """Where the map is written."""
        return self.folder / FILES[self.kind]

    def cancel(self) -> None:
        """Stop it, or do not begin it."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled, or nobody wants it any more."""
        return self._cancelled.is_set() or time.monotonic() - self.asked > self.unattended


class PaintJobs:
    """Paints one map after the other in a thread.

    Parameters
    ----------
    options
        Limits of the server.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="lungcls-maps-"))
        self._jobs: dict[str, PaintJob] = {}
        self._line: deque[PaintJob] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="lungcls-jobs", daemon=True)
        self._thread.start()

    def __getitem__(self, key: str) -> PaintJob:
        """Find a job that somebody asks about; KeyError if there is none any more."""
        job = self._jobs[key]
        job.asked = time.monotonic()
        return job

    @property
    def active(self) -> int:
        """Number of jobs that wait or run."""
        return sum(job.state in ("waiting", "running") for job in self._jobs.values())

    def add(
        self,
        model: Model,
        name: str,
        image: Callable[[], AbstractContextManager[ImageStack]],
        *,
        stride: int,
        region: Region | None,
        planes: slice | None,
        precision: Precision,
        kind: MapKind,
        probabilities: bool,
    ) -> PaintJob:
        """Put a painting in the line.

        Raises
        ------
        Busy
            If too many wait, or the server ends.
        """
        with self._changed:
            self._forget_old()
            if self._closing or self.active >= self._options.max_jobs:
                raise Busy
            key = secrets.token_urlsafe(16)
            folder = self._folder / key
            folder.mkdir()
            how = (stride, region, planes, precision, kind, probabilities)
            job = PaintJob(key, model, name, image, *how, folder)
            if kind == "blocks":
                job.unattended = self._options.unattended
            self._jobs[key] = job
            self._line.append(job)
            self._changed.notify_all()
        return job

    def remove(self, key: str) -> None:
        """Cancel a job that waits or runs; delete the map of one that has ended."""
        job = self._jobs[key]
        job.cancel()
        if job.ended is not None:
            del self._jobs[key]
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self, timeout: float) -> None:
        """Finish what was accepted, as far as the time allows, and delete all maps."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        for job in self._jobs.values():
            job.cancel()
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _forget_old(self) -> None:
        now = time.monotonic()
        ended = [job for job in self._jobs.values() if job.ended is not None]
        ended.sort(key=lambda job: job.ended or 0)
        most = self._options.max_jobs
        for i, job in enumerate(ended):
            is_old = now - (job.ended or now) > self._options.keep_jobs
            if is_old or i < len(ended) - most:
                self.remove(job.id)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._line or self._closing)
                if not self._line:
                    return
                job = self._line.popleft()
            self._paint(job)

    def _paint(self, job: PaintJob) -> None:
        job.state = "running"
        try:
            with job.image() as stack, warnings.catch_warnings():
                # They are said in the job's own notes.
                warnings.simplefilter("ignore", LungclsWarning)
                fit = assess_image(stack, job.model.document)
                job.notes = [*fit.remarks, *(each.told(ApiWording()) for each in fit.misfits)]
                painted = self._map(job, stack)
                if not job.cancelled:
                    job.fractions = painted.fractions()
                    if isinstance(painted, PaintedMap) and job.kind == "png":
                        write_png(painted, job.path)
                job.state = "cancelled" if job.cancelled else "done"
        except InputError as error:
            cancelled = job.cancelled
            job.state = "cancelled" if cancelled else "failed"
            job.error = "" if cancelled else error.told(ApiWording())
        except Refusal as error:
            job.state, job.error = "failed", f"{error.detail}; {error.remedy}"
        except Busy:
            job.state, job.error = "failed", "other images take up the memory; try again later"
        except Exception:  # a defect must not end the thread
            job.state, job.error = "failed", "a defect of the server; its log says more"
            logger.exception("a painting failed")
        finally:
            job.ended = time.monotonic()

    def _map(self, job: PaintJob, stack: ImageStack) -> PaintedMap | BlockFiles:
        def show(progress: PaintingProgress) -> None:
            job.done, job.total = progress.done, progress.total
            job.remaining, where = progress.remaining, f"{stack.path}: "
            job.damage = {k: why.replace(where, "") for k, why in progress.damage.items()}

        if job.kind == "blocks":
            return _paint_blocks(job, stack, show)
        return exhaust(
            job.model.painting(
                stack,
                job.stride,
                out=None if job.kind == "png" else job.path,
                region=job.region,
                planes=job.planes,
                precision=job.precision,
                probabilities=job.probabilities and job.kind != "png",
                cancelled=lambda: job.cancelled,
            ),
            show,
        )


def _paint_blocks(
    job: PaintJob, stack: ImageStack, show: Callable[[PaintingProgress], None]
) -> BlockFiles:
    """Paint into a file for each block; `job.precision` becomes the one that was chosen."""
    predictor, wanted = job.model.predictor, job.probabilities
    grid = MapGrid.over(stack, job.stride, job.region, job.planes)
    painting = choose_painting(predictor, grid, job.precision)
    job.precision = cast(Precision, painting.precision)
    header = map_header(grid, job.model.document, probabilities=wanted, precision=job.precision)
    job.path.mkdir()
    job.blocks = BlockFiles(job.path, header)
    run = run_painting(
        predictor,
        grid,
        job.blocks,
        painting=painting,
        probabilities=wanted,
        cancelled=lambda: job.cancelled,
    )
    exhaust(run, show)
    return job.blocks


def write_png(painted: PaintedMap, path: Path) -> None:
    """Write a map of one plane as a picture in the colours of the classes.

    Raises
    ------
    InputError
        If it has several planes.
    """
    classes = np.asarray(painted.classes)
    if classes.size != classes.shape[-1] * classes.shape[-2]:
        raise InputError("the map has several planes; ask for ome-zarr or ome-tiff")
    iio.imwrite(path, label_picture(classes.reshape(classes.shape[-2:]), painted.scheme))
