"""The row of steps at the top of the window, and the line below it that says what to do next."""

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_lungcls.gui.classifier.steps import ORDER, Advice, DockStep, StepState
from napari_lungcls.gui.parts import column

TICK = "✓"
_SHAPE = "QPushButton { padding: 5px 2px; border-radius: 3px; font-size: 12px; } "
WAITING = {"dark": "#a6acb6", "light": "#55595f"}
"""Colours of steps that wait for something, readable on the buttons of each theme."""

LINKS = {"dark": "#7db8ff", "light": "#1a56b0"}
"""Colours of words that can be clicked; Qt's own blue is unreadable on dark."""


class Stepper(QWidget):
    """One button for each step: its number, or a tick once it is done, and its name."""

    chosen = Signal(object)

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._states = theme, dict.fromkeys(ORDER, StepState())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        self.buttons: dict[DockStep, QPushButton] = {}
        group = QButtonGroup(self)
        for step in ORDER:
            made = self.buttons[step] = QPushButton()
            made.setObjectName(f"step_{step.value.lower()}")
            made.setCheckable(True)
            made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            made.setMinimumWidth(40)
            made.clicked.connect(lambda _=False, step=step: self.chosen.emit(step))
            group.addButton(made)
            row.addWidget(made, 1)
        self.show_states(self._states)

    def show_step(self, step: DockStep) -> None:
        """Mark the step that is shown."""
        self.buttons[step].setChecked(True)

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.show_states(self._states)

    def show_states(self, states: Mapping[DockStep, StepState]) -> None:
        """Show which steps are done, at work, or wait for something."""
        self._states = dict(states)
        dim = WAITING.get(self._theme, WAITING["dark"])
        waiting = f"{_SHAPE} QPushButton:!checked {{ color: {dim}; }}"
        for number, (step, made) in enumerate(self.buttons.items(), 1):
            found = states[step]
            mark = "…" if found.running else TICK if found.done else str(number)
            made.setText(f"{mark} {step.value}")
            made.setToolTip(found.missing or _tip(step, found))
            made.setAccessibleName(f"DockStep {number}, {step.value}: {_tip(step, found)}")
            style = _SHAPE if found.usable else waiting
            if made.styleSheet() != style:
                made.setStyleSheet(style)


class AdviceLine(QWidget):
    """One line in plain words, with words to click that lead on."""

    chosen = Signal(object)

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._advice, self._theme = Advice(""), theme
        self.words = QLabel()
        self.words.setObjectName("next_step")
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.words.linkActivated.connect(lambda name: self.chosen.emit(DockStep(name)))
        column(self).addWidget(self.words)

    def show_advice(self, advice: Advice) -> None:
        """Show what to do next."""
        self._advice = advice
        self._show()

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self._show()

    def _show(self) -> None:
        color = LINKS.get(self._theme, LINKS["dark"])
        links = [
            f'<a href="{step.value}" style="color: {color}; text-decoration: none;">'
            f"<b>{words}</b>&nbsp;&rsaquo;</a>"
            for words, step in self._advice.actions
        ]
        self.words.setText(" &nbsp;".join([self._advice.text, *links]))


def _tip(step: DockStep, found: StepState) -> str:
    if found.running:
        return "at work"
    if found.done:
        return "done"
    return {
        DockStep.LABEL: "click into tissue and say what it is",
        DockStep.TRAIN: "let a network learn from your points",
        DockStep.PAINT: "let the network classify every pixel",
        DockStep.MEASURE: "shares, volumes and surfaces, with their uncertainty",
    }[step]
