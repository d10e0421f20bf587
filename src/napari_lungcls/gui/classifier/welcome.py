"""What the window shows while no image is open."""

from typing import Any

import napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import QApplication, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.parts import MARGIN, SPACING, button, note, primary

ANY = "Images (*.tif *.tiff *.btf *.svs *.ndpi *.h5 *.hdf5 *.ims *.png *.jpg *.jpeg);;All files (*)"


class EmptyPage(QWidget):
    """What to do while no image is open.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.left_behind = note(name="left_behind")
        self.open_button = primary(
            button("Open an image…", "open_image", "A section, a stack or a series of images")
        )
        self.sample_button = button(
            "Try the sample", "try_sample", "Eight sections of a lung, made by the computer"
        )
        self.open_button.clicked.connect(self.ask_image)
        self.sample_button.clicked.connect(self.open_sample)
        title = QLabel("What is your lung made of?")
        font = QFont(title.font())
        font.setPointSizeF(1.3 * font.pointSizeF())
        font.setBold(True)
        title.setFont(font)
        title.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * MARGIN, 3 * MARGIN, 2 * MARGIN, MARGIN)
        layout.setSpacing(2 * SPACING)
        layout.addWidget(title)
        layout.addWidget(
            note(
                "Click into some alveoli, septa and ducts. A network learns from them, paints the "
                "whole section, and you measure it."
            )
        )
        layout.addSpacing(MARGIN)
        layout.addWidget(self.open_button)
        layout.addWidget(self.sample_button)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.hide()
        layout.addWidget(self.bar)
        layout.addWidget(note("Or drop a file, or an OME-Zarr folder, on the window."))
        layout.addWidget(self.left_behind)
        layout.addStretch(1)

    def ask_image(self) -> None:
        """Ask for a file and open it, with the reader that keeps its pixel size."""
        # Imported here, as they reach into the core and the empty window needs none of it.
        from napari_lungcls.gui.dialogs import ask_open
        from napari_lungcls.gui.measure.images import reader_of
        from napari_lungcls.gui.notices import refuse

        path = ask_open(self, "Open an image", ANY)
        if path is None:
            return
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            self._viewer.open(str(path), plugin=reader_of(path))
        except InputError as error:
            refuse(error)
        finally:
            QApplication.restoreOverrideCursor()

    def open_sample(self) -> None:
        """Make the synthetic stack in a thread, and open it."""
        from napari.layers import Layer

        from napari_lungcls.gui.samples import prepared_stack
        from napari_lungcls.gui.workers import start_call

        def add(found: Any) -> None:
            for data, options, kind in found:
                self._viewer.add_layer(Layer.create(data, options, kind))

        self._show_busy(True)
        start_call(prepared_stack, owner=self, returned=add, ended=lambda: self._show_busy(False))

    def _show_busy(self, busy: bool) -> None:
        self.bar.setVisible(busy)
        self.open_button.setEnabled(not busy)
        self.sample_button.setEnabled(not busy)
        self.sample_button.setText("Making the sample…" if busy else "Try the sample")
