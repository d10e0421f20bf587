"""What to paint: the model, the image, the cell size, the planes, and the layers to keep."""

from typing import TYPE_CHECKING

import napari
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QSpinBox, QWidget

from napari_lungcls.errors import InputError, Message
from napari_lungcls.gui.compute_on import ComputeOn
from napari_lungcls.gui.image_details import ImageDetails
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.maps import map_of
from napari_lungcls.gui.mask_box import MaskBox
from napari_lungcls.gui.messages import cells
from napari_lungcls.gui.model_card import ModelCardButton
from napari_lungcls.gui.model_choice import ModelChoice
from napari_lungcls.gui.paint.extent import (
    Extent,
    PaintingPlan,
    common,
    make_plan,
    position_in_view,
    region_in_view,
)
from napari_lungcls.gui.paint.looks import ImageLooks
from napari_lungcls.gui.parts import (
    SPACING,
    Fold,
    LayerBox,
    beside,
    button,
    labelled,
    narrow,
    note,
    redden,
)
from napari_lungcls.gui.remembering import RememberedFields
from napari_lungcls.gui.session import NamedModel
from napari_lungcls.gui.titles import in_window
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MAX_STRIDE, Region
from napari_lungcls.network.compatibility import fitting_zooms, remarks
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.addresses import web_address
from napari_lungcls.utils.humanize import size

if TYPE_CHECKING:
    from napari_lungcls.images.masks import Mask

DEFAULT_STRIDE = 4
NO_MODEL = "No model yet: train one, or load one from a file."
NO_IMAGE = "No image yet: open one, or drop it on the viewer."


class PaintChoices(QWidget):
    """The form above the start button."""

    changed = Signal()

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._stack: ImageStack | None = None
        self._problem = NO_IMAGE
        self._glass_for: ModelDocument | None = None
        self.model_box = ModelChoice(viewer)
        self.load_button = button("Load…", "load_model", "Load a model from a .safetensors file")
        self.card_button = ModelCardButton(viewer)
        self.image_box = LayerBox(viewer, Image, accept=lambda layer: map_of(layer) is None)
        self.details = ImageDetails(viewer, self.image_box)
        self.stride_box, self.stride_words = QSpinBox(), QLabel()
        self.extent_box = QComboBox()
        self.first_box, self.last_box = QSpinBox(), QSpinBox()
        self.in_view = QCheckBox("Only the visible part")
        self.within = MaskBox(viewer)
        self.no_glass = QCheckBox("Leave bare glass empty")
        self.probabilities = QCheckBox("Probabilities")
        self.confidence = QCheckBox("Confidence")
        self.adapt = QCheckBox("Adapt to this image")
        self.compute_on = ComputeOn()
        self.fold = Fold("Expert settings", self.compute_on)
        self.fold.button.setObjectName("paint_expert")
        # What is not the default is in sight.
        self.fold.button.setChecked(bool(self.compute_on.server))
        self.estimate = note()
        self._looks = ImageLooks(self)
        self._looks.found.connect(self.changed)
        self._set_up()
        fields = {
            "stride": self.stride_box,
            "planes": self.extent_box,
            "visible part": self.in_view,
            "probabilities": self.probabilities,
            "confidence": self.confidence,
        }
        self.remembered = RememberedFields("paint", fields, self)
        self._lay_out()
        self._connect()
        self._on_image()

    @property
    def model(self) -> NamedModel | None:
        """The chosen model, or None."""
        return self.model_box.model

    @property
    def image(self) -> Image | None:
        """The chosen image, or None."""
        return self.image_box.layer

    @property
    def extent(self) -> Extent:
        """Which planes are chosen; all for an image without planes."""
        return Extent(self.extent_box.currentText()) if self._planes() else Extent.ALL

    def refusal(self) -> str:
        """Say why painting cannot start; empty if it can."""
        if self.model is None:
            return NO_MODEL
        if self._stack is not None:
            try:
                fitting_zooms(self._stack, self.model.model.document)
            except InputError as error:
                return in_window(error)
        return self._problem or self.compute_on.refusal()

    def remarks(self) -> list[str]:
        """Say how the image differs from those the model was trained on."""
        if self.model is None or self._stack is None:
            return []
        document = self.model.model.document
        lines: list[Message | str] = [*remarks(self._stack, document)]
        return [in_window(line) for line in (*lines, *self._looks.of(document, self._stack))]

    def plan(self) -> PaintingPlan:
        """Lay cells over the chosen part of the chosen image.

        Raises
        ------
        InputError
            If that part is empty.
        """
        image = self.image
        if image is None:
            raise InputError(NO_IMAGE)
        return self._plan(image, stack_of(image))

    def _plan(self, image: Image, stack: ImageStack) -> PaintingPlan:
        region = region_in_view(self._viewer, image) if self.in_view.isChecked() else None
        within, around = self._mask(image, stack)
        return make_plan(
            stack,
            self.stride_box.value(),
            self.extent,
            position_in_view(self._viewer, image),
            planes=(self.first_box.value(), self.last_box.value()),
            region=common(region, around),
            within=within,
            no_glass=self.no_glass.isChecked(),
        )

    def _mask(self, image: Image, stack: ImageStack) -> "tuple[Mask | None, Region | None]":
        """Give what alone is painted, and the rows and columns around it.

        Raises
        ------
        InputError
            If nothing is outlined, or the outlines do not fit the image.
        """
        if (layer := self.within.layer) is None:
            return None, None
        # Here, as the window opens without it.
        from napari_lungcls.gui.masks import extent_of, layer_mask

        mask = layer_mask(layer, image, stack.shape)
        return mask, extent_of(mask, stack.plane_shape)

    def update_estimate(self) -> None:
        """Show the number of cells and the memory they take, or what is wrong."""
        image, stack, named = self.image, self._stack, self.model
        text, wrong = self.refusal(), True
        if image is None or stack is None or named is None:
            wrong = False
        elif not text:
            try:
                text, wrong = self._estimate(self._plan(image, stack), named), False
            except InputError as error:
                text = in_window(error)
        self.estimate.setText(text)
        redden(self.estimate, wrong)

    def _estimate(self, plan: PaintingPlan, named: NamedModel) -> str:
        room = plan.bytes(
            len(named.model.scheme),
            probabilities=self.probabilities.isChecked(),
            confidence=self.confidence.isChecked(),
        )
        server = self.compute_on.server
        place = f", computed by {web_address(server).netloc}" if server else ""
        return f"{cells(plan.grid.shape)}, {size(room)}{place}"

    def _set_up(self) -> None:
        self.stride_box.setRange(1, MAX_STRIDE)
        self.stride_box.setValue(DEFAULT_STRIDE)
        self.stride_box.setSuffix(" px")
        self.extent_box.addItems([extent.value for extent in Extent])
        self.probabilities.setChecked(True)
        narrow(self.extent_box, 6)
        for widget, name, tip in (
            (self.model_box, "paint_model", "The model to paint with"),
            (self.image_box, "paint_image", "The image to paint"),
            (
                self.stride_box,
                "paint_stride",
                "Distance between painted cells in image pixels. Small strides show thin\n"
                "structures but take more memory; the time is nearly the same.",
            ),
            (
                self.extent_box,
                "paint_extent",
                "Which planes to paint, along the last slider. Of the other sliders, such as\n"
                "time, the shown position is painted, unless the whole stack is.",
            ),
            (self.first_box, "paint_first", "First plane, counted from 0"),
            (self.last_box, "paint_last", "Last plane, included"),
            (self.in_view, "paint_in_view", "Paint only what the viewer shows now"),
            (
                self.within,
                "paint_within",
                "Paint only inside the outlines of a shapes layer, or where a labels layer is\n"
                "painted",
            ),
            (
                self.no_glass,
                "paint_no_glass",
                "Leave bright glass around the tissue unpainted: a model that knows no class for\n"
                "it paints it as one of its own, and counts it",
            ),
            (
                self.probabilities,
                "with_probabilities",
                "Keep the probability of each class: told at the cursor, shown on request, and\n"
                "saved with the map. Takes 2 bytes per class and cell.",
            ),
            (
                self.adapt,
                "paint_adapt",
                "Estimate the model's batch normalisation anew on this image, without labels.\n"
                "Helps where stain or light are other than in training; harms where the tissue\n"
                "is other, such as in a part that is mostly duct.",
            ),
            (
                self.confidence,
                "with_confidence",
                "Keep the highest probability, to show where the model is unsure.",
            ),
        ):
            widget.setObjectName(name)
            widget.setToolTip(tip)

    def _lay_out(self) -> None:
        form = QGridLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACING)
        form.setColumnStretch(1, 1)
        self._range = beside((self.first_box, 1), QLabel("to"), (self.last_box, 1))
        self._extent_label = labelled("Planes", self.extent_box)
        self._within_label = labelled("Within", self.within)
        stride = beside((self.stride_box, 1), (self.stride_words, 1))
        rows: list[tuple[QLabel | None, QWidget]] = [
            (labelled("Model", self.model_box), beside((self.model_box, 1), self.load_button)),
            (None, self.card_button),
            (labelled("Image", self.image_box), self.image_box),
            (None, self.details),
            (labelled("Stride", self.stride_box), stride),
            (self._extent_label, self.extent_box),
            (None, self._range),
            (None, self.in_view),
            (self._within_label, self.within),
            (None, self.no_glass),
            (None, self.adapt),
            (QLabel("Keep"), beside((self.probabilities, 1), (self.confidence, 1))),
        ]
        for i, (label, field) in enumerate(rows):
            if label is not None:
                form.addWidget(label, i, 0)
            form.addWidget(field, i, 1)
        form.addWidget(self.fold, len(rows), 0, 1, 2)
        form.addWidget(self.estimate, len(rows) + 1, 0, 1, 2)

    def _connect(self) -> None:
        self.model_box.changed.connect(self._on_model)
        self.model_box.changed.connect(self._on_change)
        self.compute_on.changed.connect(self._on_change)
        self.image_box.layer_changed.connect(self._on_image)
        self.details.changed.connect(self._on_image)
        self.extent_box.currentIndexChanged.connect(self._on_change)
        for box in (self.stride_box, self.first_box, self.last_box):
            box.valueChanged.connect(self._on_change)
        for check in (self.in_view, self.no_glass, self.probabilities, self.confidence):
            check.toggled.connect(self._on_change)
        self.within.changed.connect(self._on_change)
        self.within.edited.connect(self._on_change)
        self.within.listed.connect(self._show_within)
        self._show_within(self.within.offers)
        self._on_model()

    def _on_image(self, layer: object = None) -> None:
        self._stack, self._problem = None, NO_IMAGE
        if self.image is not None:
            try:
                self._stack, self._problem = stack_of(self.image), ""
            except InputError as error:
                self._problem = in_window(error)
        count = self._planes()
        for widget in (self.extent_box, self._extent_label):
            widget.setVisible(bool(count))
        for box, value in ((self.first_box, 0), (self.last_box, count - 1)):
            box.setRange(0, max(0, count - 1))
            box.setValue(max(0, value))
        self._on_change()

    def _show_within(self, offers: bool) -> None:
        for widget in (self._within_label, self.within):
            widget.setVisible(offers)

    def _on_model(self) -> None:
        """Leave glass out unless the model has a class for what is outside."""
        self.compute_on.set_model(self.model)
        document = None if self.model is None else self.model.model.document
        if document is not self._glass_for:
            self._glass_for = document
            self.no_glass.setChecked(document is not None and not document.scheme.knows_outside)

    def _on_change(self, value: object = None) -> None:
        self._range.setVisible(self.extent is Extent.RANGE)
        size_um = None if self._stack is None else self._stack.pixel_size
        stride = self.stride_box.value()
        self.stride_words.setText("" if size_um is None else f"= {stride * size_um:.3g} µm")
        self.update_estimate()
        self.changed.emit()

    def _planes(self) -> int:
        """Count the planes along the axis before `(y, x)`; 0 for a 2-D image."""
        leading = () if self._stack is None else self._stack.leading
        return leading[-1] if leading else 0
