"""One button per class: colour, name, key, and how many points it has, unless that is blind."""

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_lungcls.annotation.schemes import ClassScheme, ClassSpec
from napari_lungcls.gui.parts import color_icon
from napari_lungcls.utils.humanize import count as counted

BESIDE = 20
"""Pixels of a button that are neither icon, name, key nor count."""


class ClassButton(QPushButton):
    """The button of one class.

    Parameters
    ----------
    spec
        The class.
    blind
        Whether it answers a question: then it shows no count and does not stay pressed.
    """

    def __init__(
        self, spec: ClassSpec, parent: QWidget | None = None, *, blind: bool = False
    ) -> None:
        super().__init__(color_icon(spec.color), f" {spec.name}", parent)
        self._name, self._key, self._blind = spec.name, spec.key, blind
        self.setObjectName(f"{'answer' if blind else 'class_button'}_{spec.name}")
        self.setCheckable(not blind)
        # A click leaves the keyboard with the image. Reached with Tab, a button passes on the
        # keys of classes, as it has no use for letters.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setStyleSheet("text-align: left; padding: 5px 8px;")
        self._count, key = QLabel("0", self), QLabel(spec.key or "", self)
        self._count.setObjectName(f"class_count_{spec.name}")
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 10, 0)
        row.addStretch(1)
        self._count.setHidden(blind)
        for label, width in ((key, 18), (self._count, 44)):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.setStyleSheet("background: transparent;")
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            label.setMinimumWidth(width)
            row.addWidget(label)
        how = f"or press {spec.key}" if spec.key else "it has no key"
        self.setToolTip(
            f"Answer {spec.name} ({how})."
            if blind
            else f"Label with {spec.name} ({how}), then click on the image.\n"
            "Selected points are given this class."
        )
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._say(0)

    def _say(self, count: int) -> None:
        key = f", key {self._key}" if self._key else ""
        points = "" if self._blind else f", {counted(count, 'point')}"
        self.setAccessibleName(f"{self._name}{key}{points}")

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Cut a long name where the key begins."""
        super().resizeEvent(event)
        layout = self.layout()
        taken = 0 if layout is None else layout.minimumSize().width()
        room = self.width() - taken - self.iconSize().width() - BESIDE
        fitted = self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideRight, room)
        self.setText(f" {fitted}")

    def show_count(self, count: int) -> None:
        """Show how many points the class has."""
        self._say(count)
        self._count.setText(f"{count:,}".replace(",", "\u2009"))


class ClassButtons(QWidget):
    """The buttons of a scheme, of which one is checked; none if they are blind."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, blind: bool = False) -> None:
        super().__init__(parent)
        self._blind = blind
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(3)
        self._buttons: dict[str, ClassButton] = {}

    def show_scheme(self, scheme: ClassScheme) -> None:
        """Make the buttons anew."""
        for button in self._buttons.values():
            self._column.removeWidget(button)
            # Hidden at once, deleted later: this may be called from a click on it.
            button.hide()
            button.setParent(None)
            button.deleteLater()
        self._buttons = {}
        for spec in scheme.classes:
            button = ClassButton(spec, self, blind=self._blind)
            button.clicked.connect(lambda _=False, name=spec.name: self.chosen.emit(name))
            self._column.addWidget(button)
            self._buttons[spec.name] = button

    def show_state(self, current: str, counts: Mapping[str, int]) -> None:
        """Check the current class and show the counts."""
        for name, button in self._buttons.items():
            button.show_count(counts.get(name, 0))
            button.setChecked(name == current)
