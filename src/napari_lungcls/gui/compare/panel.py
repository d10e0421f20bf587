"""The panel that compares two models of the session."""

import napari
from napari.layers import Image
from napari.layers import Points as PointsLayer
from qtpy.QtWidgets import QButtonGroup, QComboBox, QPushButton, QWidget

from napari_lungcls.gui.compare.run import ComparisonRun, difference_words
from napari_lungcls.gui.layers import image_of, is_labels, pictures
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import (
    LayerBox,
    beside,
    button,
    narrow,
    note,
    panel_layout,
    show_text,
)
from napari_lungcls.gui.run_bar import RunBar
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.visiting import Visits
from napari_lungcls.gui.visits_strip import VisitsStrip
from napari_lungcls.utils.humanize import count

FEW = "Train or load a second model to compare it with."
TWICE = "Choose two different models."


class ComparePanel(QWidget):
    """Compares two models at labelled points, and as maps of what is in view.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._session = viewer, session(viewer)
        self.comparison = self._session.part(ComparisonRun)
        self.visits = Visits(viewer)
        self.models = tuple(self._model_box(letter) for letter in "AB")
        self.points = LayerBox(viewer, PointsLayer, is_labels, empty="no points are open")
        self.points.setObjectName("compare_points")
        self.points.setToolTip("Labelled points that tell which model is right, and their image")
        self.run = RunBar("At the points", "compare", other="Maps")
        self.run.other_button.setToolTip(
            "Paint what is in view with both models, at most 1024 × 1024 pixels."
        )
        self.result = note(name="compare_result")
        self.shows = [
            button("", f"compare_{name}", "Select these points and go through them.")
            for name in ("only_b", "only_a", "both_wrong")
        ]
        self.strip = VisitsStrip(self.visits, "compare")
        self.difference = note(name="compare_difference")
        self.maps = [self._map_button(name) for name in ("a", "b", "differ")]
        self._maps = beside(*self.maps)
        self._group = QButtonGroup(self)
        for number, made in enumerate(self.maps):
            self._group.addButton(made, number)
        self._lay_out()
        self._connect()
        self._fill()
        self._show()

    @property
    def chosen(self) -> tuple[NamedModel | None, NamedModel | None]:
        """The two models."""
        first, second = (box.currentData() for box in self.models)
        return first, second

    def compare_points(self) -> None:
        """Compare the chosen models at the chosen points."""
        a, b = self.chosen
        if a is not None and b is not None and a is not b:
            labels = self.points.layer
            image = None if labels is None else image_of(self._viewer, labels)
            self.visits.end()
            self.comparison.start_points(a, b, image, labels)

    def compare_maps(self) -> None:
        """Paint what is in view with the chosen models."""
        a, b = self.chosen
        if a is not None and b is not None and a is not b:
            labels = self.points.layer
            image = None if labels is None else image_of(self._viewer, labels)
            self.comparison.start_maps(a, b, image or self._any_image())

    def _any_image(self) -> Image | None:
        images = pictures(self._viewer)
        return images[-1] if images else None

    def _fill(self) -> None:
        """List the models; at first the two latest are chosen."""
        known = self._session.models
        for box in self.models:
            before = box.currentText()
            box.clear()
            for named in known:
                box.addItem(named.name, named)
            if not known:
                box.addItem("no model yet", None)
            box.setCurrentIndex(max(0, box.findText(before)))
        if len({box.currentIndex() for box in self.models}) == 1:
            for place, box in enumerate(self.models):
                box.setCurrentIndex(max(0, len(known) - 2 + place))
        self._allow()

    def _allow(self, _: object = None) -> None:
        a, b = self.chosen
        reason = FEW if len(self._session.models) < 2 else TWICE if a is b else ""
        self.run.allow(reason)
        if self.comparison.job is None and not self.comparison.words:
            self.run.end(reason)

    def _show(self) -> None:
        """Show the comparison, or how it goes."""
        found = self.comparison
        if found.job is not None:
            if not self.run.running:
                self.run.begin("starting…")
            self.run.report(found.done, found.total, f"{found.done} of {found.total}", None)
            if found.job.cancelling:
                self.run.show_cancelling()
            return
        self.run.end(found.words, refused=found.refused)
        lines = [] if found.points is None else found.points.summary.lines()
        show_text(self.result, "\n".join(lines))
        self._show_buttons()
        words = "" if found.maps is None else difference_words(found.maps)
        show_text(self.difference, words)
        self._maps.setVisible(bool(found.layers))
        for made, name in zip(self.maps, (*found.names, "Differ"), strict=True):
            made.setText(name)
        if found.layers:
            self.maps[2].setChecked(True)
        self._allow()

    def _show_buttons(self) -> None:
        found = self.comparison.points
        names = self.comparison.names
        texts = (f"only {names[1]} is right", f"only {names[0]} is right", "both are wrong")
        for made, text, rows in zip(self.shows, texts, self._rows(), strict=True):
            made.setText(f"{count(len(rows), 'point')}: {text}")
            made.setVisible(found is not None and bool(rows))

    def _rows(self) -> list[list[int]]:
        found = self.comparison.points
        if found is None:
            return [[], [], []]
        sides = ((False, True), (True, False), (False, False))
        return [found.rows(a=a, b=b).tolist() for a, b in sides]

    def _visit(self, which: int) -> None:
        found = self.comparison.points
        if found is not None:
            places = [found.places[row] for row in self._rows()[which]]
            self.visits.begin(self.shows[which].text(), places)

    def _model_box(self, letter: str) -> QComboBox:
        made = QComboBox()
        narrow(made, 6)
        made.setObjectName(f"compare_model_{letter.lower()}")
        made.setAccessibleName(f"Model {letter}")
        made.setToolTip(f"Model {letter}")
        return made

    def _map_button(self, name: str) -> QPushButton:
        made = button("", f"compare_map_{name}", "Show this layer alone.")
        made.setCheckable(True)
        return made

    def _connect(self) -> None:
        self.run.start_clicked.connect(self.compare_points)
        self.run.other_clicked.connect(self.compare_maps)
        self.run.cancel_clicked.connect(self.comparison.cancel)
        self._group.idClicked.connect(self.comparison.show)
        for number, made in enumerate(self.shows):
            made.clicked.connect(lambda _=False, which=number: self._visit(which))
        for box in self.models:
            box.activated.connect(self._allow)
            box.activated.connect(self.comparison.forget_refusal)
        self.points.layer_changed.connect(self.comparison.forget_refusal)
        listen(self, self._session.changed, slot=self._fill)
        listen(self, self.comparison.changed, slot=self._show)

    def _lay_out(self) -> None:
        layout = panel_layout(self)
        for widget in (
            beside(*((box, 1) for box in self.models)),
            self.points,
            self.run,
            self.result,
            *self.shows,
            self.strip,
            self.difference,
            self._maps,
        ):
            layout.addWidget(widget)
        layout.addStretch(1)
