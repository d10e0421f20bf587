"""The pixel size and channels of the chosen image, below the combo box of images."""

from itertools import takewhile
from typing import Any

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import QLocale, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_lungcls.errors import InputError
from napari_lungcls.gui import image_layer
from napari_lungcls.gui.image_layer import pixel_size, set_pixel_size, stated_pixel_size
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.parts import (
    SPACING,
    LayerBox,
    beside,
    button,
    color_icon,
    column,
    narrow,
    note,
    show_text,
)

AMBER = "color: #c77700"
"""Style of a warning, readable in both themes."""

COLOURS = (("red", "#e02020"), ("green", "#20b020"), ("blue", "#2060ff"))
UNKNOWN = "pixel size unknown"
NONE = "–"


class PixelSize(QWidget):
    """Shows the pixel size as `1.8 µm/px`, or in amber that it is unknown, and lets it be set."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Image | None = None
        self.words, self.edit_button = QLabel(), QToolButton()
        self.field, self.set_button = QDoubleSpinBox(), QPushButton("Set")
        self.field.setLocale(QLocale.c())
        self.field.setDecimals(4)
        self.field.setRange(0.0001, 10_000)
        self.field.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.field.setSuffix(" µm/px")
        self.field.setMinimumWidth(140)
        self.edit_button.setAutoRaise(True)
        for widget, name, tip in (
            (self.words, "pixel_size", "Pixel size of this image in µm"),
            (self.edit_button, "edit_pixel_size", "Change the pixel size of the image"),
            (self.field, "pixel_size_value", "Pixel size in µm; press Enter to set it"),
            (self.set_button, "set_pixel_size", "Set this pixel size"),
        ):
            widget.setObjectName(name)
            widget.setToolTip(tip)
        parts = beside(self.words, self.edit_button, self.field, self.set_button)
        column(self).addWidget(parts, alignment=Qt.AlignmentFlag.AlignLeft)
        self.edit_button.clicked.connect(self._on_edit)
        self.set_button.clicked.connect(self._on_set)
        self.field.lineEdit().returnPressed.connect(self._on_set)

    def show_layer(self, layer: Image | None) -> None:
        """Show the pixel size of an image."""
        if layer != self._layer or self.words.text() == "":
            self._show_editing(False)
        self._layer = layer
        self.setVisible(layer is not None)
        if layer is None:
            return
        size = pixel_size(layer)
        self.words.setText(UNKNOWN if size is None else f"{size:.4g} µm/px")
        self.words.setStyleSheet(AMBER if size is None else "")
        self.edit_button.setText("set…" if size is None else "✎")

    def _show_editing(self, editing: bool) -> None:
        for widget in (self.words, self.edit_button):
            widget.setVisible(not editing)
        for widget in (self.field, self.set_button):
            widget.setVisible(editing)

    def _on_edit(self) -> None:
        """Let a number be entered, starting from the known size or the one in the file."""
        if self._layer is None:
            return
        known = pixel_size(self._layer) or stated_pixel_size(self._layer)
        self.field.setValue(known or 1.0)
        self._show_editing(True)
        self.field.setFocus()
        self.field.selectAll()

    def _on_set(self) -> None:
        layer = self._layer
        if layer is None or self.field.isHidden():
            return
        self._show_editing(False)
        try:
            set_pixel_size(self._viewer, layer, self.field.value())
        except InputError as error:
            refuse(error)


class ChannelChoice(QWidget):
    """Which layers are the colours of an image, if several are in the same position."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Image | None = None
        self._offered: list[Image] = []
        self.boxes = [QComboBox() for _ in COLOURS]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING)
        row.addWidget(QLabel("c:"))
        for box, (name, _) in zip(self.boxes, COLOURS, strict=True):
            box.setObjectName(f"{name}_channel")
            box.setToolTip(
                "Channels the network sees: a single one as grey, two or three as red, green\n"
                "and blue. Paint with the channels that the model was trained on."
            )
            narrow(box, 3)
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.activated.connect(self._on_choice)
            row.addWidget(box, 1)

    def show_layer(self, layer: Image | None) -> None:
        """Show the colours of an image, or nothing if there is no choice."""
        self._layer = layer
        self._offered = [] if layer is None else image_layer.companions(self._viewer, layer)
        self.setVisible(len(self._offered) > 1)
        if layer is None or len(self._offered) < 2:
            return
        colours = [c for c in image_layer.colours_of(layer) if c in self._offered]
        grey = len(colours) < 2
        for i, (box, (_, color)) in enumerate(zip(self.boxes, COLOURS, strict=True)):
            box.clear()
            box.addItems(_short([channel.name for channel in self._offered]))
            if i:
                box.insertItem(0, NONE)
            chosen = colours[i] if i < len(colours) else None
            index = 0 if chosen is None else self._offered.index(chosen) + bool(i)
            box.setCurrentIndex(index)
            box.setEnabled(i <= len(colours))
            if chosen is not None:
                box.setItemIcon(index, color_icon("#909090" if grey else color, 10))

    def _on_choice(self, _: int) -> None:
        if self._layer is None:
            return
        chosen = [box.currentIndex() - bool(i) for i, box in enumerate(self.boxes)]
        colours = [self._offered[i] for i in chosen if i >= 0]
        image_layer.choose_colours(self._layer, colours)


class ImageDetails(QWidget):
    """Pixel size and channels of the chosen image, and warnings about them.

    Parameters
    ----------
    viewer
        The viewer.
    box
        The combo box in which the image is chosen.
    """

    changed = Signal()
    """The pixel size, position or colours of the chosen image have changed."""

    def __init__(
        self, viewer: "napari.Viewer", box: LayerBox, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box = viewer, box
        self._watched: Layer | None = None
        self.pixel_size, self.channels = PixelSize(viewer), ChannelChoice(viewer)
        self.words = note(name="channel_words")
        self.words.setStyleSheet(AMBER)
        self.split_button = button(
            "Split into channels", "split_channels", "Replace this image by one layer per channel"
        )
        layout = column(self)
        for widget in (self.pixel_size, self.channels, self.words):
            layout.addWidget(widget)
        layout.addWidget(self.split_button, alignment=Qt.AlignmentFlag.AlignLeft)
        # Layers that belong together change one after the other; wait until all have.
        self._later = QTimer(self, singleShot=True)
        self._later.timeout.connect(self._show)
        self.split_button.clicked.connect(self.split)
        box.layer_changed.connect(self._on_layer)
        events = viewer.layers.events
        listen(self, events.inserted, events.removed, events.renamed, slot=self._on_list)
        at_end(self, self._forget)
        self._on_layer()

    def split(self) -> None:
        """Replace the image by one layer per channel."""
        layer = self._box.layer
        if layer is not None:
            axis = image_layer.channel_axis(layer)
            image_layer.split(self._viewer, layer, 0 if axis is None else axis)

    def _on_layer(self, _: object = None) -> None:
        self._forget()
        self._watched = self._box.layer
        if self._watched is not None:
            for event in _events(self._watched):
                event.connect(self._on_change)
        self._show()

    def _forget(self) -> None:
        if self._watched is not None:
            for event in _events(self._watched):
                event.disconnect(self._on_change)
            self._watched = None

    def _on_change(self, event: object = None) -> None:
        self._later.start()
        self.changed.emit()

    def _on_list(self, event: object = None) -> None:
        """Drop colours whose layers were removed."""
        layer = self._watched
        if layer is not None:
            colours = image_layer.colours_of(layer)
            kept = [colour for colour in colours if colour in self._viewer.layers]
            if len(kept) < len(colours):
                image_layer.choose_colours(layer, kept or [layer])
        self._later.start()

    def _show(self) -> None:
        layer = self._watched
        self.pixel_size.show_layer(layer)
        self.channels.show_layer(layer)
        words = "" if layer is None else _words(layer)
        show_text(self.words, words)
        self.split_button.setVisible(bool(words))


def _short(names: list[str]) -> list[str]:
    """Drop the leading words that all names share, keeping at least one word of each."""
    words = [name.split(" ") for name in names]
    columns = zip(*(each[:-1] for each in words), strict=False)
    same = len(list(takewhile(lambda column: len(set(column)) == 1, columns)))
    return [" ".join(each[same:]) for each in words]


def _words(layer: Layer) -> str:
    axis = image_layer.channel_axis(layer)
    if axis is not None:
        return f"Axis {layer.axis_labels[axis]!r} holds channels, not planes."
    if image_layer.may_be_channels(layer):
        return "The first axis is taken as planes. Are these channels?"
    return ""


def _events(layer: Layer) -> list[Any]:
    events = layer.events
    place = [events.scale, events.translate, events.rotate, events.shear, events.affine]
    return [*place, events.units, events.axis_labels, events.data, events.metadata]
