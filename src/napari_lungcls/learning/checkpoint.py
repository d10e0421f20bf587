"""A training run on disk: all that another process needs to go on to the digit."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from napari_lungcls.errors import InputError
from napari_lungcls.learning.progress import EpochRecord, Tally
from napari_lungcls.run_identity import difference
from napari_lungcls.utils.atomic_write import replace_synced

if TYPE_CHECKING:
    from napari_lungcls.learning.trainer import Trainer, TrainerState

SECONDS = 30.0
"""Time between two checkpoints; more than that is never lost."""

METADATA_KEY = "napari-lungcls-checkpoint"
SUFFIX = ".checkpoint"

Arrays = dict[str, NDArray[Any]]

logger = logging.getLogger(__name__)


class CheckpointDocument(BaseModel, extra="forbid"):
    """What a checkpoint says beside its arrays.

    Attributes
    ----------
    fingerprint
        What the run learns from, and how; a run goes on only with the same.
    engine
        What computed it.
    finished
        Results of the parts that are done, in their order.
    standing
        Of the part in progress, as `TrainerState`.
    """

    version: int = 1
    fingerprint: dict[str, Any]
    engine: str
    finished: list[dict[str, Any]]
    standing: dict[str, Any]


class Checkpoint:
    """The checkpoint file of one run.

    Parameters
    ----------
    path
        Where it lies; written aside and renamed, so that it is whole at any moment.
    resume
        Whether to go on from it.
    every
        Seconds between two writings.

    Examples
    --------
    >>> checkpoint = lc.Checkpoint("lung.checkpoint", every=60)
    >>> model = lc.train("section.ome.tif", "section.csv", quick, checkpoint=checkpoint)
    >>> model.save("lung.safetensors").name
    'lung.safetensors'
    >>> checkpoint.remove()

    After a crash, `lc.Checkpoint("lung.checkpoint", resume=True)` goes on where the run stood.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, resume: bool = False, every: float = SECONDS
    ) -> None:
        self.path, self.every = Path(path), every
        self._written = time.monotonic()
        self.arrays: Arrays = {}
        self.document: CheckpointDocument | None = None
        if resume:
            self.document, self.arrays = _read(self.path)

    def check(self, fingerprint: Mapping[str, Any]) -> None:
        """Refuse to go on with other points, images or settings than the run began with.

        Raises
        ------
        InputError
            Naming what differs.
        """
        if self.document is None:
            return
        if (other := difference(self.document.fingerprint, fingerprint)) is not None:
            raise InputError(
                f"{self.path} was written by a run with {other}",
                suggestion=(other.remedy, "as then, or", {"resume": False}, "to start anew"),
            )

    def is_due(self) -> bool:
        """Tell whether it is time to write again."""
        return time.monotonic() - self._written >= self.every

    def write(
        self, fingerprint: Mapping[str, Any], finished: list[dict[str, Any]], loop: Trainer,
        results: Mapping[str, NDArray[Any]],
    ) -> None:  # fmt: skip
        """Write down where a run stands.

        Parameters
        ----------
        fingerprint
            See `check`.
        finished, results
            What the finished parts left: numbers, and arrays.
        loop
            The part in progress.

        Raises
        ------
        InputError
            When the disk is full or must not be written to.
        """
        loop.standing.rng_state = dict(loop.rng.bit_generator.state)
        document = CheckpointDocument(
            fingerprint=dict(fingerprint),
            engine=loop.engine.name,
            finished=finished,
            standing=asdict(loop.standing),
        )
        arrays: Arrays = {f"result.{name}": array for name, array in results.items()}
        arrays |= {f"state.{name}": array for name, array in loop.engine.state().items()}
        arrays |= {f"moment.{k}": v for k, v in loop.engine.optimizer_state().items()}
        arrays |= {f"best.{name}": array for name, array in loop.best.items()}
        if loop.logits is not None:
            arrays["logits"] = loop.logits
        whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        try:
            # Always the same name: what a killed process left half-written is replaced.
            save_file(whole, self._aside, metadata={METADATA_KEY: document.model_dump_json()})
            replace_synced(self._aside, self.path)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{self.path}: the checkpoint cannot be written ({error}); free space there"
            ) from error
        self._written = time.monotonic()
        logger.debug("wrote the checkpoint %s", self.path)

    def restore(self, loop: Trainer) -> None:
        """Let the part in progress go on where it stood."""
        assert self.document is not None
        loop.engine.load(self._named("state."))
        loop.engine.load_optimizer_state(self._named("moment."))
        loop.resume(_standing(self.document.standing), self._named("best."), self.logits)

    @property
    def logits(self) -> NDArray[np.float32] | None:
        """Of the best epoch of the part in progress."""
        return self.arrays.get("logits")

    @property
    def results(self) -> Arrays:
        """Arrays of the finished parts."""
        return self._named("result.")

    def remove(self) -> None:
        """Delete the file: the run is complete, and its model is written."""
        self.path.unlink(missing_ok=True)
        self._aside.unlink(missing_ok=True)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    def _named(self, prefix: str) -> Arrays:
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }


def checkpoint_path(model: str | os.PathLike[str]) -> Path:
    """Give the place of the checkpoint of the run that writes `model`."""
    return Path(f"{os.fspath(model)}{SUFFIX}")


def _read(path: Path) -> tuple[CheckpointDocument, Arrays]:
    if not path.is_file():
        raise InputError(f"{path}: there is no run to go on with", suggestion={"resume": False})
    try:
        with safe_open(path, framework="numpy") as stored:
            text = (stored.metadata() or {}).get(METADATA_KEY, "")
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return CheckpointDocument.model_validate_json(text), arrays
    except (SafetensorError, OSError, TypeError, ValidationError) as error:
        line = str(error).splitlines()[0]
        raise InputError(
            f"{path} is no checkpoint that can be read ({line}); start the run anew"
        ) from error


def _standing(found: Mapping[str, Any]) -> TrainerState:
    # Only here: the command line asks this module for a constant, and shall start at once.
    from napari_lungcls.learning.trainer import TrainerState

    try:
        return TrainerState(
            history=[EpochRecord(**record) for record in found["history"]],
            step=int(found["step"]),
            tally=Tally(**found["tally"]),
            draw_state=dict(found["draw_state"]),
            rng_state=dict(found["rng_state"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the checkpoint is damaged at {error}; start the run anew") from error
