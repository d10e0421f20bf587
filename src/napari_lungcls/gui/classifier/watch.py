"""What there is in a viewer, as the steps see it: image, points, model, map, runs. No Qt."""

from collections.abc import Mapping
from typing import Any

import napari
from napari.layers import Image
from psygnal import Signal

from napari_lungcls.evaluation.metrics import validation_of
from napari_lungcls.gui.classifier.steps import DockStep, Facts
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.layers import KEY, pictures
from napari_lungcls.gui.lifetime import ViewerPart
from napari_lungcls.gui.session import BackgroundRun, NamedModel, session

RUNS = {
    "TrainingRun": DockStep.TRAIN,
    "PaintingRun": DockStep.PAINT,
    "MeasuringRun": DockStep.MEASURE,
}
"""Runs by the names of their classes: importing these takes longer than the window may."""


class StepWatch(ViewerPart):
    """Follows a viewer and gives the facts that the steps depend on.

    The image that is labelled is the image of all steps.

    Parameters
    ----------
    viewer
        The viewer; it is held weakly.
    """

    changed = Signal()
    """Something may be different."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        real = self.viewer
        self._runs: dict[DockStep, Any] = {}
        self.labeller = labeller_of(real)
        self.labeller.changed.connect(self._tell)
        session(real).changed.connect(self._tell)
        events = real.layers.events
        for event in (events.inserted, events.removed):
            event.connect(self._on_layers)
        self.look()

    @property
    def image(self) -> Image | None:
        """The image of all steps."""
        return self.labeller.image

    def look(self) -> None:
        """Follow runs that have been used since, and see that there is an image if one is open."""
        for run in session(self.viewer).runs:
            step = RUNS.get(type(run).__name__)
            if step is not None and step not in self._runs:
                self._runs[step] = run
                run.changed.connect(self._tell)
        images = pictures(self.viewer)
        if self.image is None and images:
            self.labeller.choose_image(images[-1])
        self.changed.emit()

    def facts(self) -> Facts:
        """Say what there is now."""
        labeller, current = self.labeller, session(self.viewer).current
        scheme, annotation = labeller.scheme, labeller.annotation
        found: Mapping[str, int] = {} if annotation is None else annotation.counts()
        measuring = self._runs.get(DockStep.MEASURE)
        return Facts(
            image=self.image is not None,
            counts={name: int(found.get(name, 0)) for name in scheme.names},
            key=scheme.classes[0].key or "",
            model="" if current is None else current.name,
            right=None if current is None else _right(current),
            learned=None if current is None else self._learned(current),
            painted=any("map" in layer.metadata.get(KEY, {}) for layer in self.viewer.layers),
            measured=measuring is not None and measuring.end is not None,
            running=frozenset(s for s, run in self._runs.items() if _is_busy(run)),
        )

    def _learned(self, named: NamedModel) -> int | None:
        """Count the points that the model was made of, if it was trained in this session."""
        run = self._runs.get(DockStep.TRAIN)
        document = named.model.document
        if run is None or run.ended is None or run.ended.document is not document:
            return None
        parts = ("train", "validation", "test", "n_buffered")
        return sum(int(document.split.get(part, 0)) for part in parts)

    def _on_layers(self, event: object = None) -> None:
        self.look()

    def _tell(self, event: object = None) -> None:
        self.changed.emit()


def _right(named: NamedModel) -> tuple[int, int] | None:
    metrics = validation_of(named.model.document)
    return None if metrics is None else (round(metrics.accuracy * metrics.n), metrics.n)


def _is_busy(run: BackgroundRun) -> bool:
    return run.job is not None
