"""The suggestions of a viewer: which are left, which place is shown, and its label. No widgets."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import napari
from napari.layers import Image
from psygnal import Signal

from napari_lungcls.annotation.columns import SUGGESTION
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Snapshot
from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.layers import pictures
from napari_lungcls.gui.lifetime import ViewerPart
from napari_lungcls.gui.points_layer import to_points
from napari_lungcls.gui.questions.stage import Stage
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.workers import Work
from napari_lungcls.stereology.audit import AuditQuestion
from napari_lungcls.utils.progress import Step

if TYPE_CHECKING:
    from napari_lungcls.model import Model

PREDICTED, WHY = "predicted", "why"


class SuggestionQueue(ViewerPart):
    """The one queue of suggestions of a viewer; a window shows it and asks for classes.

    Parameters
    ----------
    viewer
        The viewer; it is held weakly.

    Attributes
    ----------
    image
        The image that the places lie in, or None.
    at
        Which place is shown, counted from 0; as many as there are when all were shown.
    labelled
        How many of them were given a class.
    """

    changed = Signal()
    """The places, the shown one or the counts have changed, or showing has begun or ended."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        self.image: Image | None = None
        self.at, self.labelled = 0, 0
        self._points: Points | None = None
        self._stage: Stage | None = None
        self._steps: list[Snapshot | None] = []
        self.viewer.layers.events.removed.connect(self._on_removed)

    @property
    def total(self) -> int:
        """How many places there are."""
        return 0 if self._points is None else len(self._points)

    @property
    def showing(self) -> bool:
        """Whether a place is shown."""
        return self._stage is not None

    @property
    def scheme(self) -> ClassScheme:
        """The classes that a place can be given."""
        return labeller_of(self.viewer).scheme

    @property
    def proposed(self) -> str:
        """The model's class for the shown place; empty if none is shown."""
        return self._said(PREDICTED)

    @property
    def why(self) -> str:
        """Why the shown place is suggested, as the model says it; empty if none is shown."""
        return self._said(WHY)

    @property
    def can_go_back(self) -> bool:
        """Whether a place was shown before this one."""
        return bool(self._steps)

    def others(self) -> list[NamedModel]:
        """Give the models with which the current one can be compared, the latest first."""
        shared = session(self.viewer)
        now = shared.current
        if now is None:
            return []
        names = set(now.model.scheme.names)
        return [
            each
            for each in reversed(shared.models)
            if each is not now and set(each.model.scheme.names) == names
        ]

    def missing(self) -> str:
        """Say what is needed before places can be suggested; empty if nothing."""
        if not pictures(self.viewer):
            return "Open an image first."
        if session(self.viewer).current is None:
            return "Train or load a model first: it says where it is unsure."
        return ""

    def work(self, n: int, previous: "Model | None", seed: int) -> Work:
        """Prepare the search for places; it is run in a thread, and `begin` takes its result.

        Raises
        ------
        InputError
            When image, model or classes are missing or do not fit.
        """
        if line := self.missing():
            raise InputError(line)
        labeller, current = labeller_of(self.viewer), session(self.viewer).current
        assert current is not None
        image = labeller.image or pictures(self.viewer)[-1]
        if labeller.image is None:
            labeller.choose_image(image)
        model = current.model
        if strange := [name for name in model.scheme.names if name not in labeller.scheme.names]:
            raise InputError(
                f"the model {current.name!r} has the class {strange[0]!r}, which your points do "
                "not have; choose another model, or add the class"
            )
        layer = labeller.layer
        known = None if layer is None or not len(layer.data) else to_points(layer)
        self.image, stack = image, stack_of(image)

        def work(cancelled: Callable[[], bool]) -> Generator[Step, None, Points]:
            # Only here, as it loads what computes the network.
            from napari_lungcls.active_learning.suggest import suggesting

            return suggesting(
                model, stack, n, labelled=known, previous=previous, seed=seed, cancelled=cancelled
            )

        return work

    def begin(self, points: Points) -> None:
        """Show the first of some places."""
        self.stop()
        self._points, self._steps = points, []
        self.at = self.labelled = 0
        self.resume()

    def resume(self) -> None:
        """Go on with what is left."""
        if self.at < self.total and self._stage is None and self.image is not None:
            self._stage = Stage(self.viewer)
        self._show()

    def stop(self) -> None:
        """Show the viewer as it was before; what is left stays in the queue."""
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.end()
            self.changed.emit()

    def label(self, name: str) -> None:
        """Give the shown place a class, and show the next one.

        Raises
        ------
        InputError
            When the points do not have the class.
        """
        if not self.showing or self._points is None:
            return
        labeller = labeller_of(self.viewer)
        if labeller.image is not self.image:
            labeller.choose_image(self.image)
        labeller.add_points(self._points.coordinates[[self.at]], [name], SUGGESTION)
        assert labeller.annotation is not None
        self.labelled += 1
        self._go_on(labeller.annotation.points)

    def skip(self) -> None:
        """Leave the shown place without a class, and show the next one."""
        if self.showing:
            self._go_on(None)

    def back(self) -> None:
        """Show the place before again, and take its label back.

        A label is left alone if something else was done to the points since.
        """
        if not self._steps:
            return
        after = self._steps.pop()
        annotation = labeller_of(self.viewer).annotation
        if after is not None and annotation is not None and annotation.points is after:
            labeller_of(self.viewer).undo()
            self.labelled -= 1
        self.at -= 1
        self.resume()

    def _go_on(self, after: Snapshot | None) -> None:
        self._steps.append(after)
        self.at += 1
        self._show()

    def _show(self) -> None:
        if self._stage is not None:
            if self._points is None or self.image is None or self.at >= self.total:
                self.stop()
                return
            where = self._points.coordinates[self.at]
            self._stage.show(self.image, AuditQuestion(self.at, "class", self.image.name, where))
        self.changed.emit()

    def _said(self, column: str) -> str:
        texts = None if self._points is None else self._points.column(column)
        return "" if texts is None or not self.showing else str(texts[self.at])

    def _on_removed(self, event: Any) -> None:
        """End with the image: its places mean nothing without it."""
        if event.value is self.image:
            self.stop()
            self.image, self._points, self._steps = None, None, []
            self.at = self.labelled = 0
            self.changed.emit()
