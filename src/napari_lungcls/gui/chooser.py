"""A window that lists the images of a file and opens those that are chosen."""

import os
from collections.abc import Sequence

import napari
from napari.layers import Layer
from napari.layers._source import Source
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDockWidget,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import PLUGIN
from napari_lungcls.gui.image_layers import file_layers
from napari_lungcls.gui.messages import in_window
from napari_lungcls.gui.parts import heading, note, panel_layout
from napari_lungcls.images.readers.selection import Listed


class ImageChooser(QWidget):
    """The images of one file, of which some are to be opened.

    Parameters
    ----------
    viewer
        Where they are opened.
    path
        The file.
    images
        What is in it.

    Attributes
    ----------
    table : QTreeWidget
        One row for each image.
    open_button, close_button : QPushButton
        Open what is chosen, or nothing; either closes the window.
    """

    def __init__(self, viewer: "napari.Viewer", path: str, images: Sequence[Listed]) -> None:
        super().__init__()
        self.setObjectName("lungcls_image_chooser")
        self._viewer, self._path = viewer, path
        # The layers of HDF5 files are called after the dataset anyway.
        self._names = {i.choice: "" if i.choice[0] == ":" else i.name or i.choice for i in images}
        self.table = _table_of(images)
        self.open_button, self.close_button = QPushButton("Open"), QPushButton("Close")
        self.open_button.setToolTip("Open the chosen images as layers; only what is seen is read")
        self.close_button.setToolTip("Close this list and open nothing")
        self._build()
        self.table.itemSelectionChanged.connect(self._on_selection)
        self.table.itemDoubleClicked.connect(self.open_chosen)
        self.open_button.clicked.connect(self.open_chosen)
        self.close_button.clicked.connect(self.leave)
        self._on_selection()

    @property
    def chosen(self) -> list[str]:
        """What was chosen, as it is put behind the path of the file."""
        rows = [self.table.topLevelItem(row) for row in range(self.table.topLevelItemCount())]
        return [str(r.data(0, Qt.ItemDataRole.UserRole)) for r in rows if r.isSelected()]

    def open_chosen(self, *_: object) -> None:
        """Open what is chosen; the window closes unless something could not be opened."""
        whole = True
        for choice in self.chosen:
            try:
                layers = file_layers(self._path + choice, self._names[choice])
            except InputError as error:
                show_error(in_window(error))
                whole = False
                continue
            for data in layers:
                layer = Layer.create(*data)
                layer._set_source(Source(path=self._path, reader_plugin=PLUGIN))
                self._viewer.add_layer(layer)
        if whole:
            self.leave()

    def leave(self) -> None:
        """Close the window, and its dock with it."""
        dock = self.parent()
        if isinstance(dock, QDockWidget):
            self._viewer.window.remove_dock_widget(self)
        self.close()
        self.deleteLater()

    def _build(self) -> None:
        layout, row = panel_layout(self), QHBoxLayout()
        row.addWidget(self.open_button, 1)
        row.addWidget(self.close_button, 1)
        layout.addWidget(heading(f"Images in {os.path.basename(self._path)}"))
        layout.addWidget(note("This file holds several. Choose one, or more with Ctrl or Shift."))
        layout.addWidget(self.table)
        layout.addLayout(row)

    def _on_selection(self) -> None:
        self.open_button.setEnabled(bool(self.chosen))


def show_chooser(viewer: "napari.Viewer", path: str, images: Sequence[Listed]) -> ImageChooser:
    """Open a chooser beside the image; nothing waits for it."""
    chooser = ImageChooser(viewer, path, images)
    viewer.window.add_dock_widget(chooser, name=f"Choose from {os.path.basename(path)}")
    return chooser


def _table_of(images: Sequence[Listed]) -> QTreeWidget:
    table = QTreeWidget()
    table.setHeaderLabels(["Image", "Shape", "Type"])
    table.setRootIsDecorated(False)
    table.setUniformRowHeights(True)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setToolTip("The images in the file, and the shape and type of each")
    for image in images:
        name = image.name or image.choice
        row = QTreeWidgetItem([name, " × ".join(map(str, image.shape)), image.dtype])
        row.setData(0, Qt.ItemDataRole.UserRole, image.choice)
        row.setToolTip(0, name)
        table.addTopLevelItem(row)
    header = table.header()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in (1, 2):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
    table.setCurrentItem(table.topLevelItem(0))
    return table
