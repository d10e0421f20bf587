"""The pages of the window, one for each step; what they show is made when it is first seen."""

from collections.abc import Callable, Sequence
from typing import Any

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_lungcls.gui.classifier.cards import ClassCards
from napari_lungcls.gui.classifier.slots import LazyFold
from napari_lungcls.gui.classifier.steps import DockStep, Facts, StepState, few_points
from napari_lungcls.gui.parts import (
    AMBER,
    MARGIN,
    SPACING,
    beside,
    button,
    column,
    note,
    primary,
)

Slots = Sequence[tuple[str, str]]
"""Titles of folded panels, and where their classes are."""


class StepPage(QWidget):
    """The page of a step: what is missing, and the panel.

    Parameters
    ----------
    step
        The step.
    make
        Makes the panel.
    """

    asked = Signal(object)
    """The step that gives what is missing; None for an image."""

    def __init__(
        self, step: DockStep, make: Callable[[], QWidget], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.step, self._make = step, make
        self.panel: Any = None
        self._helps: DockStep | None = None
        self.words, self.help_button = note(name=f"missing_{step.value.lower()}"), QPushButton()
        self.help_button.setObjectName(f"help_{step.value.lower()}")
        self.help_button.clicked.connect(lambda: self.asked.emit(self._helps))
        self.missing = beside((self.words, 1), self.help_button)
        # Of the whole row, and of nothing in it but the text.
        self.missing.setObjectName("missing")
        self.missing.setStyleSheet(f"QWidget#missing, QLabel {{ {AMBER} }}")
        frame = self.missing.layout()
        assert frame is not None
        frame.setContentsMargins(2, 2, 6, 2)
        self.top = QWidget()
        column(self.top).addWidget(self.missing)
        self.top.setContentsMargins(MARGIN, 0, MARGIN, 0)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        self.body.addWidget(self.top)
        self.top.hide()

    def build(self) -> Any:
        """Give the panel, made when it is first asked for."""
        if self.panel is None:
            self.panel = self._make()
            self._place(self.panel)
        return self.panel

    def show_state(self, state: StepState, facts: Facts) -> None:
        """Say what is missing, with a button to the step that gives it."""
        self._helps = state.helps
        self.words.setText(state.missing)
        self.help_button.setText("Open…" if state.helps is None else f"Go to {state.helps.value}")
        self.top.setVisible(not state.usable)

    def add_folds(self, slots: Slots, viewer: "napari.Viewer") -> None:
        """Add folded panels below the panel."""
        for title, path in slots:
            self.panel.more.addWidget(LazyFold(title, path, viewer))

    def _place(self, panel: Any) -> None:
        self.body.addWidget(panel, 1)


class LabelPage(StepPage):
    """The page of labelling: which classes, then their points, and below them the way on."""

    def __init__(
        self, step: DockStep, make: Callable[[], QWidget], parent: QWidget | None = None
    ) -> None:
        super().__init__(step, make, parent)
        self.cards = ClassCards()
        self.cards.hide()
        self.go_button = primary(button("Go on to Train", "go_to_train"))
        self.go_button.clicked.connect(lambda: self.asked.emit(DockStep.TRAIN))

    def show_state(self, state: StepState, facts: Facts) -> None:
        """Allow to go on once there are points enough."""
        super().show_state(state, facts)
        self.go_button.setEnabled(facts.enough)
        self.go_button.setToolTip(few_points(facts.counts))

    def let_go(self) -> None:
        """Take the panel out, so that it gives the keys back."""
        if self.panel is not None:
            self.body.removeWidget(self.panel)
            self.panel.setParent(None)

    def hold(self) -> None:
        """Put the panel back."""
        if self.panel is not None and self.panel.parent() is None:
            self.body.insertWidget(self.body.indexOf(self.top) + 1, self.panel, 1)
            self.panel.show()

    def _place(self, panel: Any) -> None:
        panel.above.addWidget(self.cards)
        super()._place(panel)
        below = QWidget()
        layout = column(below)
        layout.setContentsMargins(MARGIN, SPACING, MARGIN, MARGIN)
        layout.addWidget(self.go_button)
        self.body.addWidget(below)
