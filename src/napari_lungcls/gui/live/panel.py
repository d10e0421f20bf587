"""The switch of the live map, what its network is, and what there is to say about it."""

from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QLabel, QProgressBar, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.live.run import AUTOMATIC, LiveRun
from napari_lungcls.gui.parts import beside, button, column, narrow, note, redden, show_text
from napari_lungcls.gui.session import session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.learning.live import LiveStep
from napari_lungcls.network.pretrained import IMAGENET
from napari_lungcls.utils.downloads import is_cached

if TYPE_CHECKING:
    from napari_lungcls.model import Model

FILE = "file…"
OFF = "Shows a map of the part in view, and makes it anew after every few labels."
TIP = (
    "Make a map of the part of the image in view, and make it anew whenever labels are added\n"
    "or the view is moved. Only the last step of the network learns, so it takes a moment."
)
KEEP_TIP = (
    "Make the network behind the live map the current model, to paint with it, to save it,\n"
    "or to go on training from it"
)


class LivePanel(QWidget):
    """Switches the live map of a viewer on and off.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session(viewer)
        self.run = self._session.part(LiveRun)
        self.button = button("Live map", "live_switch", TIP)
        self.button.setCheckable(True)
        self.keep_button = button("Keep as model", "live_keep", KEEP_TIP)
        self.start_box, self.words, self.bar = QComboBox(), note(name="live_words"), QProgressBar()
        self.start_box.setObjectName("live_start")
        self.start_box.setAccessibleName("Network of the live map")
        self.start_box.setToolTip(
            "The network whose features the live map is made of; automatic: ImageNet's if it is\n"
            "on this computer, else that of the current model"
        )
        narrow(self.start_box, 8)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        layout = column(self)
        for widget in (
            beside((self.button, 1), (self.keep_button, 1)),
            beside(QLabel("Network"), (self.start_box, 1)),
            self.bar,
            self.words,
        ):
            layout.addWidget(widget)
        self.button.toggled.connect(self.run.switch)
        self.keep_button.clicked.connect(self._on_keep)
        self.start_box.activated.connect(self._on_start)
        listen(self, self.run.changed, slot=self._show)
        listen(self, self.run.progressed, slot=self._on_step)
        listen(self, self._session.changed, slot=self._fill)
        at_end(self, self._close)
        self._fill()
        self._show()

    def choose(self, start: "str | Model") -> None:
        """Make the map of the features of a model, of weights, or of a file."""
        self.run.choose(start)
        self._fill()

    def _close(self) -> None:
        self.run.switch(False)

    def _fill(self) -> None:
        """List what the features can be those of."""
        entries: list[tuple[str, Any]] = [("automatic", AUTOMATIC)]
        entries += [(named.name, named.model) for named in self._session.models]
        if is_cached(IMAGENET):
            entries.append(("ImageNet", "imagenet"))
        entries.append(("random numbers", "none"))
        if self.run.start not in [start for _, start in entries]:
            if isinstance(self.run.start, str):
                entries.append(
                    (self.run.start.replace("\\", "/").rpartition("/")[2], self.run.start)
                )
            else:  # the model was removed
                self.run.choose(AUTOMATIC)
        entries.append((FILE, FILE))
        with QSignalBlocker(self.start_box):
            self.start_box.clear()
            for text, start in entries:
                self.start_box.addItem(text, start)
            places = [i for i, (_, start) in enumerate(entries) if start is self.run.start]
            self.start_box.setCurrentIndex(places[0] if places else 0)

    def _on_start(self, index: int) -> None:
        start = self.start_box.itemData(index)
        if start == FILE:
            path = ask_open(self, "Weights of a ResNet-18", "Weights (*.safetensors *.pth *.pt)")
            start = self.run.start if path is None else str(path)
        self.choose(start)

    def _on_step(self, step: LiveStep) -> None:
        self.bar.setRange(0, max(1, step.total))
        self.bar.setValue(step.done)
        self.bar.setVisible(True)
        if self.run.result is None:
            show_text(self.words, f"{step.words[:1].upper()}{step.words[1:]}…")

    def _on_keep(self) -> None:
        try:
            named = self.run.keep()
        except InputError as error:
            redden(self.words, True)
            show_text(self.words, in_window(error))
            return
        redden(self.words, False)
        show_text(self.words, f"Kept as {named.name}, which is the current model now.")

    def _show(self) -> None:
        run = self.run
        with QSignalBlocker(self.button):
            self.button.setChecked(run.on)
        self.keep_button.setEnabled(run.on and run.result is not None)
        if run.step is None:
            self.bar.setVisible(False)
        redden(self.words, run.refused and run.on)
        show_text(self.words, run.words if run.on and run.words else OFF)
