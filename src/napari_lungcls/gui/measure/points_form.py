"""The form for drawing test points over an image."""

import math
from dataclasses import replace
from pathlib import Path

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QSpinBox, QWidget

from napari_lungcls.annotation import Points, read_points, write_points
from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open, ask_save
from napari_lungcls.gui.image_details import ImageDetails
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.image_layer import pixel_size
from napari_lungcls.gui.maps import map_of
from napari_lungcls.gui.mask_box import MaskBox
from napari_lungcls.gui.measure.sampling import (
    GridChoice,
    expectation,
    proposed_spacing,
    sampled_image,
)
from napari_lungcls.gui.parts import (
    SPACING,
    Fold,
    LayerBox,
    beside,
    button,
    column,
    labelled,
    note,
    redden,
)
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.workers import BackgroundJob, start_call
from napari_lungcls.stereology.drawing import SampledImage
from napari_lungcls.utils.humanize import count

NO_IMAGE = "No image yet: open one, or drop it on the viewer."
FILES = "Test points (*.csv)"
WAIT = 150
"""Milliseconds without a change before a mask is measured."""


class TestPointsForm(QWidget):
    """Says where test points are to lie, draws them, and opens tables of them."""

    __test__ = False

    opened = Signal(object)
    """Path of a table that was drawn or chosen."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._job: BackgroundJob | None = None
        self._area: float | None = None
        self._pixel_um: float | None = None
        self._proposed_for: Image | None = None
        self._planes, self._problem = 1, ""
        self.image_box = LayerBox(viewer, Image, accept=lambda layer: map_of(layer) is None)
        self.details = ImageDetails(viewer, self.image_box)
        self.spacing, self.spacing_words = QSpinBox(), QLabel()
        self.with_lines, self.line_length = QCheckBox("Test lines"), QSpinBox()
        self.mask_box = MaskBox(viewer)
        self.with_fields, self.fields, self.field_size = QCheckBox("Fields"), QSpinBox(), QSpinBox()
        self.seed = QSpinBox()
        self.words = note(name="grid_words")
        self.make_button = button(
            "Make test points…", "make_grid", "Draw test points at random, and save their table"
        )
        self.open_button = button(
            "Open…", "open_grid", "Go on with test points that were drawn before (.csv)"
        )
        self._timer = QTimer(self, singleShot=True, interval=WAIT)
        self._set_up()
        self._lay_out()
        self._connect()
        self._on_image()

    @property
    def image(self) -> Image | None:
        """The chosen image, or None."""
        return self.image_box.layer

    @property
    def mask(self) -> Layer | None:
        """The layer in which test points have to lie, or None for anywhere."""
        return self.mask_box.layer

    @property
    def choice(self) -> GridChoice:
        """What is chosen."""
        chosen = GridChoice(self.spacing.value(), seed=self.seed.value())
        if self.with_lines.isChecked():
            chosen = replace(chosen, lines=self.line_length.value())
        if self.with_fields.isChecked():
            chosen = replace(chosen, fields=self.fields.value(), field_size=self.field_size.value())
        return chosen

    def make(self, path: Path) -> None:
        """Draw test points, save them, and open their table."""
        image = self.image
        if image is None or self._job is not None:
            return
        try:
            _keep_answers(path)
            sampled = sampled_image(self._viewer, image, self.mask)
        except InputError as error:
            self._say(in_window(error), wrong=True)
            return
        choice = self.choice

        def draw() -> Points:
            points = choice.draw(sampled)
            write_points(path, points)
            return points

        self._job = start_call(
            draw,
            owner=self,
            title="Drawing test points",
            returned=lambda points: self._on_made(points, path),
            failed=lambda line: self._say(line, wrong=True),
            ended=self._on_end,
        )
        self._allow()

    def ask_and_make(self) -> None:
        """Ask where to save, and draw test points."""
        image = self.image
        name = (
            ""
            if image is None
            else "".join(c if c.isalnum() or c in " ._-" else "_" for c in image.name)
        )
        if path := ask_save(self, "Make test points", f"{name} audit.csv", FILES, (".csv",)):
            self.make(path)

    def ask_and_open(self) -> None:
        """Ask for a table of test points and open it."""
        if path := ask_open(self, "Open test points", FILES):
            self.opened.emit(path)

    def _on_made(self, points: Points, path: Path) -> None:
        self._say(f"Saved {count(len(points), 'test point')} in {path.name}.")
        self.opened.emit(path)

    def _on_end(self) -> None:
        self._job = None
        self._allow()

    def _on_image(self, layer: object = None) -> None:
        """Propose distances for an image: about 200 points."""
        image = self.image
        if image is not self._proposed_for and image is not None:
            with QSignalBlocker(self.spacing):
                self.spacing.setValue(proposed_spacing(math.prod(image_shape(image))))
            self._proposed_for = image
        self._pixel_um = None if image is None else pixel_size(image)
        self._measure()

    def _measure(self, event: object = None) -> None:
        """Find out how large the part is in which points may lie; a mask is read in a thread."""
        self._area, self._problem = None, NO_IMAGE if self.image is None else ""
        image, mask = self.image, self.mask
        if image is not None:
            try:
                sampled = sampled_image(self._viewer, image, mask)
            except InputError as error:
                self._problem = in_window(error)
            else:
                self._planes = math.prod(sampled.shape[:-2])
                if mask is None:
                    self._area = sampled.area
                else:
                    self._measure_mask(sampled, mask)
        self._show()

    def _measure_mask(self, sampled: SampledImage, mask: Layer) -> None:
        def known(area: float) -> None:
            if self.mask is mask:
                self._area = area
                self._show()

        start_call(lambda: sampled.area, owner=self, returned=known)

    def _show(self, value: object = None) -> None:
        for box, on in (
            (self.line_length, self.with_lines),
            (self.fields, self.with_fields),
            (self.field_size, self.with_fields),
        ):
            box.setEnabled(on.isChecked())
        um = self._pixel_um
        self.spacing_words.setText("" if um is None else f"= {self.spacing.value() * um:.3g} µm")
        if self._problem:
            self._say(self._problem, wrong=self.image is not None)
        elif self._area is None:
            self._say("Measuring the region…")
        else:
            self._say(expectation(self.choice, self._area, self._planes))
        self._allow()

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self.words.setText(text)
        redden(self.words, wrong)

    def _allow(self) -> None:
        self.make_button.setEnabled(
            self._job is None and self.image is not None and not self._problem
        )

    def _connect(self) -> None:
        self.image_box.layer_changed.connect(self._on_image)
        self.details.changed.connect(self._on_image)
        self.mask_box.changed.connect(self._measure)
        self.mask_box.edited.connect(self._timer.start)
        self._timer.timeout.connect(self._measure)
        for box in (self.spacing, self.line_length, self.fields, self.field_size, self.seed):
            box.valueChanged.connect(self._show)
        for check in (self.with_lines, self.with_fields):
            check.toggled.connect(self._show)
        self.make_button.clicked.connect(self.ask_and_make)
        self.open_button.clicked.connect(self.ask_and_open)

    def _set_up(self) -> None:
        for box, low, high, value, suffix in (
            (self.spacing, 1, 100_000, 100, " px"),
            (self.line_length, 2, 10_000, 60, " px"),
            (self.fields, 1, 1000, 12, ""),
            (self.field_size, 8, 100_000, 600, " px"),
            (self.seed, 0, 2**31 - 1, 0, ""),
        ):
            box.setRange(low, high)
            box.setValue(value)
            box.setSuffix(suffix)
        self.spacing.setMinimumWidth(105)
        self.with_lines.setChecked(True)
        for widget, name, tip in (
            (self.image_box, "grid_image", "The image in which test points are drawn"),
            (
                self.spacing,
                "grid_spacing",
                "Pixels between neighbouring test points. They form a square grid that is put\n"
                "down at random, on every plane anew.",
            ),
            (
                self.with_lines,
                "with_lines",
                "Put a test line on every point, in a random direction: for surfaces, L_m and\n"
                "the thickness of septa. You count how often it crosses a surface.",
            ),
            (self.line_length, "line_length", "Length of a test line in pixels"),
            (
                self.mask_box,
                "grid_mask",
                "Only within the outlines of a shapes layer, or where a labels layer is painted",
            ),
            (
                self.with_fields,
                "with_fields",
                "Draw only in square fields, which are faster to answer in large sections",
            ),
            (self.fields, "grid_fields", "Fields per plane, on average"),
            (self.field_size, "grid_field_size", "Edge of a field in pixels"),
            (self.seed, "grid_seed", "Another number draws other points of the same image"),
        ):
            widget.setObjectName(name)
            widget.setToolTip(tip)

    def _lay_out(self) -> None:
        form, more = QGridLayout(), QGridLayout()
        rare = QWidget()
        rare.setLayout(more)
        for grid in (form, more):
            grid.setContentsMargins(0, 0, 0, 0)
            grid.setSpacing(SPACING)
            grid.setColumnStretch(1, 1)
        distance = beside((self.spacing, 1), self.spacing_words)
        for grid, rows in (
            (
                form,
                (
                    (labelled("Image", self.image_box), self.image_box),
                    (None, self.details),
                    (labelled("Distance", self.spacing), distance),
                    (self.with_lines, self.line_length),
                ),
            ),
            (
                more,
                (
                    (labelled("Within", self.mask_box), self.mask_box),
                    (self.with_fields, self.fields),
                    (labelled("Field size", self.field_size), self.field_size),
                    (labelled("Seed", self.seed), self.seed),
                ),
            ),
        ):
            for row, (label, field) in enumerate(rows):
                if label is not None:
                    grid.addWidget(label, row, 0)
                grid.addWidget(field, row, 1)
        whole = column(self)
        whole.addLayout(form)
        whole.addWidget(Fold("Region, fields, seed", rare))
        whole.addWidget(self.words)
        whole.addWidget(beside((self.make_button, 2), (self.open_button, 1)))


def _keep_answers(path: Path) -> None:
    """Refuse to replace a table that somebody has answered."""
    if not path.exists():
        return
    try:
        labels = read_points(path).labels
    except InputError:
        return
    if labels is not None and any(str(text).strip() for text in labels):
        raise InputError(f"{path.name} has answers, which would be lost; give another name")
