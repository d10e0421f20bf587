"""The window with all steps, from an image to its measures: Label, Train, Paint, Measure.

It opens with next to nothing of the core imported; `body` comes with the first image.
"""

from collections.abc import Callable, Generator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import napari
from napari.layers import Image
from qtpy.QtCore import QEvent, QTimer, Signal
from qtpy.QtWidgets import QDockWidget, QSizePolicy, QStackedWidget, QWidget

from napari_lungcls.gui.classifier.help_button import HelpButton
from napari_lungcls.gui.classifier.stepper import AdviceLine, Stepper
from napari_lungcls.gui.classifier.steps import ORDER, DockStep, Facts, advice, state
from napari_lungcls.gui.classifier.welcome import EmptyPage
from napari_lungcls.gui.docks import CLASSIFIER, keep_tidy
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import MARGIN, SPACING, beside, column, show_text

if TYPE_CHECKING:
    from napari_lungcls.gui.classifier.body import Body

SLOTS: dict[DockStep, list[tuple[str, str]]] = {
    DockStep.LABEL: [
        ("Suggest points", "napari_lungcls.gui.suggest:SuggestionPanel"),
        ("Live map", "napari_lungcls.gui.live:LivePanel"),
    ],
    DockStep.TRAIN: [("Compare two models", "napari_lungcls.gui.compare:ComparePanel")],
    DockStep.PAINT: [("Why", "napari_lungcls.gui.why:WhyPanel")],
    DockStep.MEASURE: [],
}
"""Folded panels below the panel of a step, as `("Title", "package.module:Class")`; the class
takes the viewer, and is imported when the fold is first opened."""

WIDTH = 300
"""Least width in pixels at which nothing is cut off."""

SOON = 60
"""Milliseconds after a change until the steps are looked at, once for many changes."""

AHEAD = tuple(
    f"napari_lungcls.gui.{name}"
    for name in ("classifier.body", "label.panel", "train.window", "paint.window", "measure.window")
)
"""Modules that are imported while the window is looked at, in the order they are needed."""

ENOUGH = AHEAD[1]
"""With these the first step can be shown."""


class LungClassifier(QWidget):
    """Leads through the four steps.

    When napari's ✕ takes it out of its dock, it gives the keys back, and is then destroyed.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    step_changed = Signal(object)

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # Plugins are handed a proxy, whose layers are not the layers that events bring.
        viewer: napari.Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer, self.step = viewer, DockStep.LABEL
        self.body: Body | None = None
        self.stepper, self.line = Stepper(viewer.theme), AdviceLine(viewer.theme)
        self.empty, self.stack, self.help = EmptyPage(viewer), QStackedWidget(), HelpButton()
        self.blank = QWidget()
        self._imported = False
        self._soon = QTimer(self, singleShot=True, interval=SOON)
        self._lay_out()
        self.stepper.chosen.connect(self.go_to)
        self.line.chosen.connect(self.go_to)
        self._soon.timeout.connect(self.refresh)
        events = viewer.layers.events
        listen(self, events.inserted, events.removed, slot=self._on_change)
        listen(self, viewer.events.theme, slot=self._use_theme)
        keep_tidy(self, viewer, CLASSIFIER)
        self._show(Facts())
        self._begin = QTimer(self, singleShot=True, interval=0)
        self._begin.timeout.connect(self._import_ahead)
        self._begin.start()

    def go_to(self, step: DockStep | str) -> Any:
        """Show a step and give its panel.

        Parameters
        ----------
        step
            A step, or its name such as `Train`.
        """
        self.step = DockStep(step)
        panel = self.whole().build(self.step)
        self.refresh()
        self.step_changed.emit(self.step)
        return panel

    def whole(self) -> "Body":
        """Give the pages of the steps, made when they are first asked for."""
        if self.body is None:
            from napari_lungcls.gui.classifier.body import Body

            body = self.body = Body(self._viewer, SLOTS, self)
            for page in body.pages.values():
                self.stack.addWidget(page)
            body.asked.connect(self._on_help)
            listen(self, body.watch.changed, slot=self._on_change)
        return self.body

    def refresh(self) -> None:
        """Show how the steps stand."""
        if self.body is None and self._imported:
            self.whole()
        self._show(Facts() if self.body is None else self.body.watch.facts())

    def event(self, event: QEvent | None) -> bool:
        """Give the keys back when napari takes the window out of its dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.body:
            docked = isinstance(self.parent(), QDockWidget)
            (self.body.label.hold if docked else self.body.label.let_go)()
        return super().event(event)

    def _show(self, facts: Facts) -> None:
        states = {step: state(step, facts) for step in ORDER}
        self.stepper.show_states(states)
        self.stepper.show_step(self.step)
        self.line.show_advice(advice(self.step, facts))
        if self.step is DockStep.LABEL and not facts.image:
            shown = self.blank if self._has_image() else self.empty
            show_text(self.empty.left_behind, "" if self.body is None else self.body.left_behind())
        else:
            shown = self.whole().show_state(self.step, states[self.step], facts)
        self.help.show_step(None if shown is self.empty else self.step)
        if self.stack.currentWidget() is not shown:
            self.stack.setCurrentWidget(shown)

    def _has_image(self) -> bool:
        return any(isinstance(layer, Image) for layer in self._viewer.layers)

    def _import_ahead(self) -> None:
        """Import in a thread what the first image needs, and then what later steps need."""
        from napari_lungcls.gui.workers import start

        def work(cancelled: Callable[[], bool]) -> Generator[str, None, None]:
            for name in AHEAD:
                if cancelled():
                    return
                import_module(name)
                yield name

        def imported(name: str) -> None:
            if not self._imported and AHEAD.index(name) >= AHEAD.index(ENOUGH):
                self._imported = True
                self.refresh()

        start(work, owner=self, progressed=imported)

    def _on_help(self, step: DockStep | None) -> None:
        if step is None:
            self.empty.ask_image()
        else:
            self.go_to(step)

    def _on_change(self, event: object = None) -> None:
        self._soon.start()

    def _use_theme(self, event: Any) -> None:
        self.stepper.use_theme(event.value)
        self.line.use_theme(event.value)

    def _lay_out(self) -> None:
        self.setMinimumWidth(WIDTH)
        top, layout = QWidget(), column(self)
        layout.setSpacing(SPACING)
        inside = column(top)
        inside.setContentsMargins(MARGIN, MARGIN, MARGIN, 0)
        inside.addWidget(self.stepper)
        inside.addWidget(beside((self.line, 1), self.help))
        self.stack.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.blank)
        layout.addWidget(top)
        layout.addWidget(self.stack, 1)
