"""The panel that shows what a model sees at the cursor, and what counts at a point."""

from functools import partial
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QProgressBar, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.clicks import Clicks
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.layers import KEY, from_world, pictures, place
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.parts import beside, button, column, note, redden, show_text
from napari_lungcls.gui.session import session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.why.outlines import Outlines
from napari_lungcls.gui.why.pictures import SeenRow, ShareBars
from napari_lungcls.gui.why.reading import (
    Glimpse,
    explaining,
    glimpses,
    occluding,
    rows,
    sentence,
)
from napari_lungcls.gui.workers import BackgroundJob, start, start_call
from napari_lungcls.images.geometry import is_inside

if TYPE_CHECKING:
    from napari_lungcls.inference.explain import Explanation
    from napari_lungcls.inference.occlusion import Occlusion
    from napari_lungcls.model import Model

DELAY = 60
"""Milliseconds between two looks while the cursor moves."""

COVERED = Colormap(
    [[0.1, 0.3, 0.85, 1.0], [1.0, 1.0, 1.0, 0.0], [0.85, 0.1, 0.1, 1.0]], name="covered"
)
"""Blue, nothing, red: so that the tissue shows where a patch does not matter."""

HINT = "Switch on, move over the image to see what the network sees, and click to ask why there."


class WhyPanel(QWidget):
    """Explains decisions of the current model of a viewer.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer: Any = getattr(viewer, "__wrapped__", viewer)
        self._session = session(viewer)
        self._outlines = Outlines(self._viewer)
        self._clicks = Clicks(self._viewer, self._on_click)
        self._point: tuple[Model, Image, NDArray[np.float64]] | None = None
        self._job: BackgroundJob | None = None
        self._looking = self._look_again = False
        self.explanation: Explanation | None = None
        self.occlusion: Occlusion | None = None
        self._timer = QTimer(self, interval=DELAY, singleShot=True)
        self._timer.timeout.connect(self._look)
        self._build()
        moved = viewer.cursor.events.position
        camera = self._viewer.scene.camera.events
        listen(self, moved, slot=self._on_move)
        listen(self, camera.center, camera.zoom, slot=self._on_camera)
        listen(self, viewer.dims.events.ndisplay, slot=self._refresh)
        layers = viewer.layers.events
        listen(self, self._session.changed, layers.inserted, layers.removed, slot=self._refresh)
        at_end(self, self._close)
        self._refresh()

    def _build(self) -> None:
        self.button = button(
            "Ask why",
            "why_switch",
            "While this is on, the pictures below show what the network sees at the cursor, with\n"
            "their outlines in the image; a click asks why the model decides as it does there",
        )
        self.button.setCheckable(True)
        self.occlusion_button = button(
            "Cover patches",
            "why_occlusion",
            "Cover the image around the clicked point patch by patch, and show as a layer by how\n"
            "much the probability of the class falls each time",
        )
        self.cancel_button = button("Cancel", "why_cancel", "Stop; what is known so far is shown")
        self.seen, self.bars = SeenRow(), ShareBars()
        self.bar, self.words = QProgressBar(), note(HINT, name="why_words")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        layout = column(self)
        for widget in (
            self.button,
            self.seen,
            self.words,
            self.bars,
            beside((self.occlusion_button, 1), (self.cancel_button, 1)),
            self.bar,
        ):
            layout.addWidget(widget)
        self.button.toggled.connect(self._on_switch)
        self.occlusion_button.clicked.connect(self._cover)
        self.cancel_button.clicked.connect(self._cancel)

    def ask(self, position: Any) -> None:
        """Explain the point at a world position."""
        try:
            model, image = self._ready()
            where = from_world(image, position)
            if not is_inside(where, image_shape(image)).all():
                raise InputError(f"this point is outside the image {image.name!r}; click on it")
            stack = stack_of(image)
        except InputError as error:
            self._say(in_window(error), refused=True)
            return
        where[:-2] = np.rint(where[:-2])
        self._cancel()
        self._point, self.explanation = (model, image, where), None
        self.bars.show_rows([])
        self._say("Asking…")
        others = self._others(image)
        self._job = start(
            partial(explaining, model, stack, where, others),
            owner=self,
            title="Explaining a point",
            progressed=self._on_progress,
            returned=partial(self._on_explained, model, len(others)),
            failed=partial(self._say, refused=True),
            ended=self._on_end,
        )
        self._refresh()

    def _others(self, image: Image) -> NDArray[np.float64]:
        """Give the labelled points of an image, over which what is left out is averaged."""
        target = self._session.target
        if target is None or target.ndim != image.ndim:
            return np.empty((0, image.ndim))
        data = np.asarray(target.data, float)
        inside = is_inside(data, image_shape(image)).all(axis=1)
        kept = data[inside]
        # As `explain` does, so that the words are right.
        return kept[:: max(1, -(-len(kept) // 16))]

    def _on_explained(self, model: "Model", others: int, found: "Explanation | None") -> None:
        if found is None or self._point is None or self._point[0] is not model:
            return
        self.explanation = found
        self.bars.show_rows(rows(found, model.document.network.zooms))
        self._say(sentence(found, model.scheme.names, others))

    def _cover(self) -> None:
        if self._point is None or self._job is not None:
            return
        model, image, where = self._point
        try:
            stack = stack_of(image)
        except InputError as error:
            self._say(in_window(error), refused=True)
            return
        self._job = start(
            partial(occluding, model, stack, where),
            owner=self,
            title="Covering patches",
            progressed=self._on_progress,
            returned=partial(self._on_covered, model, image, where),
            failed=partial(self._say, refused=True),
            ended=self._on_end,
        )
        self._refresh()

    def _on_covered(
        self, model: "Model", image: Image, where: NDArray[np.float64], found: "Occlusion | None"
    ) -> None:
        if found is None or image not in self._viewer.layers:
            return
        self.occlusion = found
        name = model.scheme.names[found.code]
        _show_occlusion(self._viewer, image, where, found, name)
        done = int(np.isfinite(found.change).sum())
        told = "" if done == found.change.size else f" ({done} of {found.change.size} patches)"
        self._say(
            f"Red: without this patch {name} would be less likely; blue: more likely{told}. "
            f"With nothing covered it has {100 * found.probability:.0f} %."
        )

    def _on_progress(self, step: tuple[int, int]) -> None:
        self.bar.setRange(0, max(1, step[1]))
        self.bar.setValue(step[0])

    def _on_end(self) -> None:
        self._job = None
        self._refresh()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    # What the network sees at the cursor

    def _on_switch(self, on: bool) -> None:
        self._clicks.switch(on)
        if on and self.explanation is None:
            self._say(HINT)
        if not on:
            self._outlines.hide()
            self.seen.clear()

    def _on_click(self, position: Any) -> None:
        if self._job is None:
            self.ask(position)

    def _on_move(self, event: object = None) -> None:
        if self.button.isChecked() and not self._timer.isActive():
            self._timer.start()

    def _on_camera(self, event: object = None) -> None:
        self._outlines.redraw()

    def _look(self) -> None:
        """Read what is seen at the cursor; while a thread reads, only the last place is next."""
        if not self.button.isChecked():
            return
        if self._looking:
            self._look_again = True
            return
        try:
            model, image = self._ready()
            where = from_world(image, self._viewer.cursor.position)
            stack = stack_of(image)
        except InputError:
            return
        if not is_inside(where, image_shape(image)).all():
            self._outlines.hide()
            return
        self._looking = True
        start_call(
            partial(glimpses, model, stack, where),
            owner=self,
            returned=partial(self._on_seen, image, where),
            failed=partial(self._say, refused=True),
            ended=self._on_looked,
        )

    def _on_seen(self, image: Image, where: NDArray[np.float64], found: list[Glimpse]) -> None:
        if self.button.isChecked() and image in self._viewer.layers:
            self.seen.show_glimpses(found)
            self._outlines.show(image, where, [each.edge for each in found])

    def _on_looked(self) -> None:
        self._looking = False
        if self._look_again:
            self._look_again = False
            self._look()

    # State

    def _ready(self) -> "tuple[Model, Image]":
        missing = self._missing()
        if missing:
            raise InputError(missing)
        current, images = self._session.current, pictures(self._viewer)
        assert current is not None
        active = self._viewer.layers.selection.active
        return current.model, active if active in images else images[-1]

    def _missing(self) -> str:
        if not pictures(self._viewer):
            return "open an image first"
        if self._session.current is None:
            return "train or load a model first"
        return "" if self._viewer.dims.ndisplay == 2 else "switch to the 2-D view first"

    def _refresh(self, event: object = None) -> None:
        missing = self._missing()
        if missing and self.button.isChecked():
            self.button.setChecked(False)
        self.button.setEnabled(not missing)
        if self._point is not None and (
            self._point[1] not in self._viewer.layers
            or self._session.current is None
            or self._point[0] is not self._session.current.model
        ):
            self._point = self.explanation = None
            self.bars.show_rows([])
            self._say(HINT)
        if self._point is None and self._job is None and not self.words.styleSheet():
            self._say(f"{missing[:1].upper()}{missing[1:]}." if missing else HINT)
        busy = self._job is not None
        self.occlusion_button.setEnabled(self._point is not None and not busy)
        self.bar.setVisible(busy)
        self.cancel_button.setEnabled(busy)
        if not busy:
            self.bar.setRange(0, 0)

    def _say(self, line: str, *, refused: bool = False) -> None:
        redden(self.words, refused)
        show_text(self.words, f"{line[:1].upper()}{line[1:]}")

    def _close(self) -> None:
        self._clicks.switch(False)
        self._outlines.hide()


def _show_occlusion(
    viewer: Any, image: Image, where: NDArray[np.float64], found: "Occlusion", name: str
) -> None:
    """Add the change as an image layer around the point, and keep the selection."""
    lead = (1,) * (image.ndim - 2)
    step, first = np.ones(image.ndim), np.array(where, float)
    step[-2:], first[-2:] = found.edge, found.origin
    most = float(np.nanmax(np.abs(found.change))) or 1.0
    data = np.nan_to_num(found.change).reshape(*lead, *found.change.shape)
    options = place(image)
    options["translate"] = np.asarray(image.data_to_world(first))
    options["scale"] = np.asarray(image.scale) * step
    options.pop("affine", None)
    selected = viewer.layers.selection.active
    viewer.add_image(
        data,
        name=f"{name}: probability lost when covered",
        colormap=COVERED,
        contrast_limits=(-most, most),
        opacity=0.6,
        blending="translucent",
        interpolation2d="nearest",
        rgb=False,
        metadata={KEY: {"kind": "occlusion", "image": image.name}},
        **options,
    )
    viewer.layers.selection.active = selected
