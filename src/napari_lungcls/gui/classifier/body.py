"""What the window shows once there is an image: the pages of the steps, kept in step."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import napari
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_lungcls.annotation.autosave import Unfinished
from napari_lungcls.gui.classifier.pages import LabelPage, Slots, StepPage
from napari_lungcls.gui.classifier.same_image import SameImage
from napari_lungcls.gui.classifier.steps import DockStep, Facts, StepState
from napari_lungcls.gui.classifier.watch import StepWatch
from napari_lungcls.gui.label.strips import unsaved_words
from napari_lungcls.gui.lifetime import listen


class Body(QObject):
    """The pages, each with its panel as soon as it is asked for.

    Importing this module, and the panels, takes longer than the window may take to open.

    Parameters
    ----------
    viewer
        The viewer.
    slots
        Folded panels by step.
    parent
        The window.
    """

    asked = Signal(object)
    """A step to go to; None for an image."""

    def __init__(
        self,
        viewer: "napari.Viewer",
        slots: Mapping[DockStep, Slots],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._slots = viewer, slots
        self._scheme_chosen = False
        self.watch = StepWatch(viewer)
        self.images = SameImage(viewer, self.watch)
        active = viewer.layers.selection.events.active
        listen(self, active, slot=self.images.follow_selection)
        self.label = LabelPage(DockStep.LABEL, self._make_label)
        self.pages: dict[DockStep, StepPage] = {
            DockStep.LABEL: self.label,
            DockStep.TRAIN: StepPage(DockStep.TRAIN, self._make_train),
            DockStep.PAINT: StepPage(DockStep.PAINT, self._make_paint),
            DockStep.MEASURE: StepPage(DockStep.MEASURE, self._make_measure),
        }
        self.label.cards.chosen.connect(self._on_scheme)
        for page in self.pages.values():
            page.asked.connect(self.asked)

    def build(self, step: DockStep) -> Any:
        """Give the panel of a step, with the folds that belong to it."""
        page = self.pages[step]
        if page.panel is None:
            page.build()
            page.add_folds(self._slots[step], self._viewer)
            self.watch.look()
        return page.panel

    def show_state(self, step: DockStep, state: StepState, facts: Facts) -> StepPage:
        """Show how a step stands, on its page, and give the page."""
        self.build(step)
        self.pages[step].show_state(state, facts)
        unasked = self.watch.labeller.annotation is None and not self._scheme_chosen
        self.label.cards.setVisible(facts.image and unasked)
        self.images.follow()
        return self.pages[step]

    def left_behind(self) -> str:
        """Say which points of earlier sessions were not saved; empty if none."""
        return _left_behind(self.watch.labeller.recovery.unfinished)

    def _on_scheme(self, scheme: Any) -> None:
        self._scheme_chosen = True
        self.watch.labeller.set_scheme(scheme)

    def _make_label(self) -> QWidget:
        from napari_lungcls.gui.label.panel import LabelPoints

        panel = LabelPoints(self._viewer)
        self.images.add(panel.images)
        return panel

    def _make_train(self) -> QWidget:
        from napari_lungcls.gui.train.window import TrainModel

        panel = TrainModel(self._viewer)
        panel.pairs.quiet = True
        panel.pairs.message.hide()
        self.images.add(panel.pairs.rows[0].image)
        return panel

    def _make_paint(self) -> QWidget:
        from napari_lungcls.gui.paint.window import PaintMap

        panel = PaintMap(self._viewer)
        self.images.add(panel.choices.image_box)
        return panel

    def _make_measure(self) -> QWidget:
        from napari_lungcls.gui.measure.window import MeasureMaps

        panel = MeasureMaps(self._viewer)
        self.images.add(panel.form.image_box)
        return panel


def _left_behind(entries: Sequence[Unfinished]) -> str:
    if not entries:
        return ""
    said = unsaved_words(entries[-1], datetime.datetime.now())
    more = f" So were {len(entries) - 1} sets before." if len(entries) > 1 else ""
    return f"{said}{more} Open the image to restore them."
