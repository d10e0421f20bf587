"""The button that opens the guide to a step in the browser."""

from importlib.metadata import metadata

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QToolButton, QWidget

from napari_lungcls.gui.classifier.steps import DockStep
from napari_lungcls.gui.docks import PLUGIN

PAGES = {
    DockStep.LABEL: "labelling",
    DockStep.TRAIN: "training-window",
    DockStep.PAINT: "painting-window",
    DockStep.MEASURE: "measuring-window",
}
"""Pages of the documentation."""


class HelpButton(QToolButton):
    """Opens the page about the step that is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.page = "tutorial"
        self.setText("?")
        self.setObjectName("help")
        self.setAccessibleName("Help")
        self.setAutoRaise(True)
        self.setFixedWidth(24)
        self.clicked.connect(self._open)

    def show_step(self, step: DockStep | None) -> None:
        """Open the page of this step from now on; of the tutorial, if there is none yet."""
        self.page = "tutorial" if step is None else PAGES[step]
        of = "the tutorial" if step is None else f"the guide to {step.value}"
        self.setToolTip(f"Open {of} in the browser")

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl(f"{site()}{self.page}.html"))


def site() -> str:
    """Give the address of the documentation, as the package states it, with a slash at its end."""
    stated = metadata(PLUGIN).get_all("Project-URL") or []
    [address] = [line.split(", ")[1] for line in stated if line.startswith("Documentation, ")]
    return address
