"""A window that lists the images of an HDF5 file and opens those that are chosen."""

import os
from collections.abc import Sequence

import napari
from napari.layers import Layer
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
from napari_lungcls.gui.parts import heading, note, panel_layout
from napari_lungcls.gui.reading.hdf5 import dataset_layer, described
from napari_lungcls.imaging.source_hdf5 import Listed


class DatasetChooser(QWidget):
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
        One row for each dataset.
    open_button, close_button : QPushButton
        Open what is chosen, or nothing; either closes the window.
    """

    def __init__(self, viewer: "napari.Viewer", path: str, images: Sequence[Listed]) -> None:
        super().__init__()
        self.setObjectName("lungcls_dataset_chooser")
        self._viewer, self._path = viewer, path
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
        """Paths of the chosen datasets, in their order."""
        rows = [self.table.topLevelItem(row) for row in range(self.table.topLevelItemCount())]
        return [str(r.data(0, Qt.ItemDataRole.UserRole)) for r in rows if r.isSelected()]

    def open_chosen(self, *_: object) -> None:
        """Open what is chosen; the window closes unless something could not be opened."""
        whole = True
        for inside in self.chosen:
            try:
                data, options, kind = dataset_layer(self._path, inside)
            except InputError as error:
                show_error(str(error))
                whole = False
                continue
            self._viewer.add_layer(Layer.create(data, options, kind))
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


def show_chooser(viewer: "napari.Viewer", path: str, images: Sequence[Listed]) -> DatasetChooser:
    """Open a chooser beside the image; nothing waits for it."""
    chooser = DatasetChooser(viewer, path, images)
    viewer.window.add_dock_widget(chooser, name=f"Choose from {os.path.basename(path)}")
    return chooser


def _table_of(images: Sequence[Listed]) -> QTreeWidget:
    table = QTreeWidget()
    table.setHeaderLabels(["Dataset", "Shape", "Type"])
    table.setRootIsDecorated(False)
    table.setUniformRowHeights(True)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setToolTip("The images in the file, and the shape and type of each")
    for image in images:
        row = QTreeWidgetItem(described(image))
        row.setData(0, Qt.ItemDataRole.UserRole, image.inside)
        row.setToolTip(0, image.inside)
        table.addTopLevelItem(row)
    header = table.header()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in (1, 2):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
    table.setCurrentItem(table.topLevelItem(0))
    return table
