"""A dock widget that lists the images of a file and opens the chosen ones."""

import os
from collections.abc import Sequence

import napari
from napari.layers import Layer
from napari.layers._source import Source
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
from napari_lungcls.gui.image_files import file_layers
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.parts import heading, note, panel_layout
from napari_lungcls.images.readers.selection import Listed


class ImageChooser(QWidget):
    """Lists the images of one file, and opens the chosen ones.

    Parameters
    ----------
    viewer
        The viewer to open them in.
    path
        The file.
    images
        The images in the file.

    Attributes
    ----------
    table : QTreeWidget
        One row per image.
    open_button, close_button : QPushButton
        Open the chosen images, or none; both close the list.
    """

    def __init__(self, viewer: "napari.Viewer", path: str, images: Sequence[Listed]) -> None:
        super().__init__()
        self.setObjectName("lungcls_image_chooser")
        self._viewer, self._path = viewer, path
        # Layers from HDF5 files are named after the dataset anyway.
        self._names = {i.choice: "" if i.choice[0] == ":" else i.name or i.choice for i in images}
        self.table = _table_of(images)
        self.open_button, self.close_button = QPushButton("Open"), QPushButton("Close")
        self.open_button.setToolTip("Open the chosen images as layers")
        self.close_button.setToolTip("Close this list without opening an image")
        self._build()
        self.table.itemSelectionChanged.connect(self._on_selection)
        self.table.itemDoubleClicked.connect(self.open_chosen)
        self.open_button.clicked.connect(self.open_chosen)
        self.close_button.clicked.connect(self.leave)
        self._on_selection()

    @property
    def chosen(self) -> list[str]:
        """The chosen images, as suffixes to the path of the file."""
        rows = [self.table.topLevelItem(row) for row in range(self.table.topLevelItemCount())]
        return [str(r.data(0, Qt.ItemDataRole.UserRole)) for r in rows if r.isSelected()]

    def open_chosen(self, *_: object) -> None:
        """Open the chosen images; the list stays open if one of them fails."""
        whole = True
        for choice in self.chosen:
            try:
                layers = file_layers(self._path + choice, self._names[choice])
            except InputError as error:
                refuse(error)
                whole = False
                continue
            for data in layers:
                layer = Layer.create(*data)
                layer._set_source(Source(path=self._path, reader_plugin=PLUGIN))
                self._viewer.add_layer(layer)
        if whole:
            self.leave()

    def leave(self) -> None:
        """Close the list and its dock."""
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
        layout.addWidget(note("Choose the images to open; select several with Ctrl or Shift."))
        layout.addWidget(self.table)
        layout.addLayout(row)

    def _on_selection(self) -> None:
        self.open_button.setEnabled(bool(self.chosen))


def show_chooser(viewer: "napari.Viewer", path: str, images: Sequence[Listed]) -> ImageChooser:
    """Open the list in a dock, without blocking."""
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
