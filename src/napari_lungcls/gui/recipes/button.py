"""The button that copies what a window does as a line for the shell or as lines of Python."""

from collections.abc import Callable

from napari.utils.notifications import show_info
from qtpy.QtCore import QPointF, QRectF
from qtpy.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QMenu, QToolButton, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.recipes.lines import MakeRecipe, Recipe
from napari_lungcls.gui.workers import BackgroundJob, start_call

TIP = "Copy what this window does, to run it again in a terminal or a notebook"
EDGE = 32
"""Pixels of the icon."""


class CopyButton(QToolButton):
    """Copies the recipe of a window to the clipboard, or says what must be saved first.

    Parameters
    ----------
    name
        Prefix of object names.
    prepare
        Notes what the window shows, and gives a function that makes the recipe in a thread.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[], MakeRecipe],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._prepare = prepare
        self.job: BackgroundJob | None = None
        self.setIcon(_sheets())
        self.setAutoRaise(True)
        self.setObjectName(f"{name}_copy")
        self.setAccessibleName("Copy as command")
        self.setToolTip(TIP)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        # Without the arrow, for which there is no room; the menu opens all the same.
        self.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        menu = QMenu(self)
        self.command = menu.addAction("Copy as command line")
        self.python = menu.addAction("Copy as Python")
        self.setMenu(menu)
        for action, slot in ((self.command, self.copy_command), (self.python, self.copy_python)):
            assert action is not None
            action.triggered.connect(slot)

    def copy_command(self, _: bool = False) -> None:
        """Put the line for the shell on the clipboard."""
        self._copy(lambda recipe: recipe.command, "Copied: paste it into a terminal.")

    def copy_python(self, _: bool = False) -> None:
        """Put the lines of Python on the clipboard."""
        self._copy(lambda recipe: recipe.python, "Copied: paste it into a notebook or script.")

    def _copy(self, part: Callable[[Recipe], str], words: str) -> None:
        try:
            make = self._prepare()
        except InputError as error:
            refuse(error)
            return

        def put(recipe: Recipe) -> None:
            clipboard = QGuiApplication.clipboard()
            assert clipboard is not None
            clipboard.setText(part(recipe))
            show_info(words)

        self.job = start_call(make, owner=self, returned=put, ended=self._on_end)

    def _on_end(self) -> None:
        self.job = None


def _sheets() -> QIcon:
    """Draw two sheets, one before the other, in a grey that is seen in both themes."""
    picture = QPixmap(EDGE, EDGE)
    picture.fill(QColor(0, 0, 0, 0))
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(125, 125, 125), 3))
    painter.drawRoundedRect(QRectF(11, 11, 18, 18), 3, 3)
    painter.drawPolyline(
        [QPointF(7, 21), QPointF(3, 21), QPointF(3, 3), QPointF(21, 3), QPointF(21, 7)]
    )
    painter.end()
    return QIcon(picture)
