"""A whole run: one training for each split, perhaps one on everything, and what it found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.learning.checkpoint import Checkpoint
from napari_lungcls.learning.examples import Examples, Side
from napari_lungcls.learning.held_out import HeldOut, RowsHeldOut, evaluate_held_out
from napari_lungcls.learning.initialization import Initialization, continue_network, start_network
from napari_lungcls.learning.linear_probe import fit_linear_probe, poses_for
from napari_lungcls.learning.progress import ALL_POINTS, Clock, EpochRecord, TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, nobody
from napari_lungcls.learning.trainer import Logits, Trainer, TrainingPart, logits_of
from napari_lungcls.network.engines import Engine, State
from napari_lungcls.network.known_points import Part
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.utils.renamed import current_names

LINEAR = 20
"""Steps of training that take about as long as the linear map that it begins with."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """What a run works on.

    Attributes
    ----------
    examples
        Everything labelled.
    splits
        One, or one for each fold.
    dtype
        Type of the images.
    pixel_size
        Micrometres per pixel that the model sees, or None.
    fingerprint
        What tells this run from others.
    """

    examples: Examples
    splits: tuple[Split, ...]
    dtype: str
    pixel_size: float | None
    fingerprint: dict[str, Any]


class Experiment:
    """Trains what the settings ask for, part after part.

    Parameters
    ----------
    material, settings, scheme, origin
        What to learn, how, and from which start.
    checkpoint
        Where the run is written down from time to time.
    """

    def __init__(
        self,
        material: TrainingData,
        settings: TrainingSettings,
        scheme: ClassScheme,
        origin: Initialization,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._material, self._settings, self._scheme = material, settings, scheme
        self._origin, self._checkpoint = origin, checkpoint
        self._parts = _parts(material, settings)
        self._finished: list[dict[str, Any]] = []
        self._logits: dict[str, NDArray[Any]] = {}
        self._kept: tuple[NetworkSpec, State] | None = None
        self._computed = ("", "")

    @property
    def state(self) -> State:
        """The network to keep: of everything, if that was trained to its end, or of one split."""
        assert self._kept is not None
        return self._kept[1]

    def go(
        self, clock: Clock, cancelled: Callable[[], bool]
    ) -> Generator[TrainingProgress, None, None]:
        """Run all parts that are left; `state` and `document` then hold the result."""
        self._take_up()
        steps = [
            _steps(part, self._settings_of(number)) + self._linear_steps(number)
            for number, part in enumerate(self._parts)
        ]
        before = sum(steps[: len(self._finished)])
        clock.start(sum(steps), before)
        for number in range(len(self._finished), len(self._parts)):
            complete = yield from self._train(number, clock, before, cancelled)
            if not complete:
                return
            before += steps[number]

    def _train(
        self, number: int, clock: Clock, before: int, cancelled: Callable[[], bool]
    ) -> Generator[TrainingProgress, None, bool]:
        """Train one part; tell whether it went to its end."""
        examples, part = self._material.examples, self._parts[number]
        settings, seed = self._settings_of(number), (self._settings.seed, number)
        engine = self._start(number)
        self._computed = (engine.name, engine.device)
        logger.info(
            "training part %d of %d on %d examples with %s on %s",
            number + 1, len(self._parts), len(part.train), engine.name, engine.device,
        )  # fmt: skip
        if settings.freezes:
            steps = _steps(part, settings)
            history, logits = yield from fit_linear_probe(
                engine, examples, part, settings, clock, before, steps, cancelled
            )
            best, complete = engine.state(), True
        else:
            first = self._linear_steps(number)
            if first and not self._is_resumed(number):
                # Training begins where the linear map on the weights as they are ends.
                only = TrainingPart(part.name, part.train, Side())
                known = self._origin.stages
                for step in fit_linear_probe(
                    engine, examples, only, settings, clock, before, first, cancelled, known
                ):
                    if step.record is None:
                        yield step
            loop = Trainer(examples, part, settings, engine, seed)
            yield from self._watch(loop, loop.run(clock, before + first, cancelled), number)
            history, logits, best, complete = loop.history, loop.logits, loop.best, loop.is_over
        if complete or self._kept is None:
            self._close(number, engine, best, history, logits)
        return complete

    def _linear_steps(self, number: int) -> int:
        """Count the steps as which the linear map counts that a part begins with; 0 without."""
        begins = self._origin.weights is not None and self._settings.pooling == "point"
        return 0 if self._settings.freezes or not begins or self._finishes(number) else LINEAR

    def _is_resumed(self, number: int) -> bool:
        """Tell whether an earlier process took steps of a part."""
        found = None if self._checkpoint is None else self._checkpoint.document
        return found is not None and number == len(found.finished)

    def _finishes(self, number: int) -> bool:
        """Tell whether a part goes on with the network of the first split, on all points."""
        settings = self._settings
        is_last = number == len(self._material.splits)
        return is_last and settings.final == "finish" and not settings.freezes

    def _settings_of(self, number: int) -> TrainingSettings:
        """Return the settings of a part."""
        if not self._finishes(number):
            return self._settings
        before, now = self._parts[0], self._parts[number]
        return self._settings.finishing(len(before.train), len(now.train))

    def _start(self, number: int) -> Engine:
        """Build the network that a part begins with."""
        material, settings = self._material, self._settings_of(number)
        if self._finishes(number):
            assert self._kept is not None
            return continue_network(*self._kept, settings, self._origin)
        return start_network(
            material.examples, self._parts[number].train, settings, len(self._scheme),
            material.dtype, self._origin,
        )  # fmt: skip

    def document(self) -> ModelDocument:
        """Describe the model that the run made."""
        settings = self._settings
        assert self._kept is not None
        judged = self._judged()
        test = self._held(judged[:1], "test")
        verdict = evaluate_held_out(self._held(judged, "validation"), test, settings, self._scheme)
        return ModelDocument(
            network=self._kept[0],
            scheme=self._scheme,
            pixel_size=self._material.pixel_size,
            settings=settings.model_dump(mode="json"),
            split=self._described(),
            history=self._finished[0]["history"] if self._finished else [],
            pretrained=self._origin.said,
            engine=self._computed[0],
            device=self._computed[1],
            **vars(verdict),
        )

    def _described(self) -> dict[str, Any]:
        """Describe the split: of the first fold where there are several, and of each."""
        settings, codes = self._settings, self._material.examples.codes
        split, count = self._material.splits[0], len(self._scheme)
        parts = {"train": split.train, "validation": split.validation, "test": split.test}
        return (
            split.describe()
            | {"val_fraction": settings.val_fraction, "test_fraction": settings.test_fraction}
            | {"final": len(self._parts[-1].train) if self._is_final else 0}
            | {
                "class_counts": {
                    name: np.bincount(codes[rows], minlength=count).tolist()
                    for name, rows in parts.items()
                }
            }
            | self._folds()
        )

    @property
    def _is_final(self) -> bool:
        """Whether the model was trained on everything, after the splits."""
        return len(self._finished) > len(self._material.splits)

    def _take_up(self) -> None:
        """Take over from a checkpoint what is done already."""
        if self._checkpoint is None or self._checkpoint.document is None:
            return
        self._finished = list(self._checkpoint.document.finished)
        logger.info("resuming the training of %s", self._checkpoint.path)
        for name, array in self._checkpoint.results.items():
            self._logits[name] = array
        if self._finished:
            spec = NetworkSpec.model_validate(
                current_names(self._finished[0]["network"], warn=False)
            )
            prefix = "kept."
            kept = {n.removeprefix(prefix): self._logits.pop(n) for n in [*self._logits]
                    if n.startswith(prefix)}  # fmt: skip
            self._kept = (spec, kept)

    def _watch(
        self, loop: Trainer, steps: Generator[TrainingProgress, None, None], number: int
    ) -> Generator[TrainingProgress, None, None]:
        """Pass progress on, and write the run down from time to time and when it ends early."""
        checkpoint = self._checkpoint
        if checkpoint is None:
            yield from steps
            return
        if self._is_resumed(number):
            checkpoint.restore(loop)
        for step in steps:
            if checkpoint.is_due():
                self._write(checkpoint, loop)
            yield step
        if not loop.is_over:
            self._write(checkpoint, loop)

    def _write(self, checkpoint: Checkpoint, loop: Trainer) -> None:
        results = dict(self._logits)
        if self._kept is not None:
            results |= {f"kept.{name}": array for name, array in self._kept[1].items()}
        checkpoint.write(self._material.fingerprint, self._finished, loop, results)

    def _close(
        self, number: int, engine: Engine, best: State, history: list[EpochRecord],
        logits: Logits | None,
    ) -> None:  # fmt: skip
        """Keep what a part found: network, history, and the logits of the points held out."""
        splits = self._material.splits
        if number == 0 or number == len(splits):
            self._kept = (engine.spec, best)
        self._finished.append(
            {
                "network": engine.spec.model_dump(mode="json"),
                "history": [asdict(record) for record in history],
            }
        )
        if number < len(splits) and logits is not None:
            self._logits[f"validation.{number}"] = logits
        if number == 0 and len(splits[0].test) and history:
            engine.load(best)
            self._logits["test.0"] = logits_of(
                engine, self._material.examples, Side(splits[0].test, splits[0].test_regions)
            )

    def _judged(self) -> list[tuple[int, Split]]:
        """Return the splits whose training has ended, with their numbers."""
        return list(enumerate(self._material.splits))[: len(self._finished)]

    def _held(self, judged: list[tuple[int, Split]], part: str) -> HeldOut | None:
        """Give the logits of all points that were held out, over all folds."""
        found = [(self._logits.get(f"{part}.{i}"), getattr(split, part)) for i, split in judged]
        asked = [(logits, rows) for logits, rows in found if logits is not None]
        if not asked:
            return None
        logits = np.concatenate([logits for logits, _ in asked]).astype(np.float64)
        return logits, self._material.examples.codes[np.concatenate([rows for _, rows in asked])]

    def _folds(self) -> dict[str, Any]:
        """Describe each fold, where there are several."""
        if len(self._material.splits) == 1:
            return {}
        folds = []
        for number, split in self._judged():
            held = self._held([(number, split)], "validation")
            right = None if held is None else float((held[0].argmax(1) == held[1]).mean())
            folds.append(split.describe() | {"accuracy": right})
        return {"folds": folds}

    def held_out(self, part: Part = "validation") -> RowsHeldOut | None:
        """Give the points that were held out, as rows of the examples, and their logits."""
        judged = [(i, s) for i, s in self._judged() if f"{part}.{i}" in self._logits]
        held = self._held(judged, part)
        if held is None:
            return None
        return np.concatenate([getattr(split, part) for _, split in judged]), held[0]

    @property
    def trained(self) -> NDArray[np.intp]:
        """Rows of the examples that the network to keep learned from."""
        return self._parts[-1 if self._is_final else 0].train.rows


def _parts(material: TrainingData, settings: TrainingSettings) -> tuple[TrainingPart, ...]:
    """List the trainings of a run in their order."""
    count = len(material.splits)
    parts = [
        TrainingPart(
            f"fold {i} of {count}" if count > 1 else "",
            Side(split.train, split.train_regions),
            Side(split.validation, split.validation_regions),
        )
        for i, split in enumerate(material.splits, 1)
    ]
    held_out = any(len(s.train) < len(material.examples.codes) for s in material.splits)
    if held_out and (settings.final != "none" or count > 1):
        # A data set that brings its own test part is compared by it; that is left alone.
        apart = material.splits[0].test if material.splits[0].by == "files" else nobody()
        everyone = np.setdiff1d(np.arange(len(material.examples.codes)), apart)
        parts.append(TrainingPart(ALL_POINTS, Side(everyone), Side()))
    return tuple(parts)


def _steps(part: TrainingPart, settings: TrainingSettings) -> int:
    """Count the steps of a part, if it does not stop early."""
    n = len(part.train)
    if settings.freezes:
        return n * poses_for(n)
    return settings.epochs_for(n) * settings.steps_per_epoch(n)
