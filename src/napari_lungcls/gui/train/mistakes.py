"""The held-out points behind a result: the worst mistakes, and a way from one to the next."""

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_lungcls.evaluation.held_out_points import HeldOutPoints
from napari_lungcls.gui.parts import Fold, color_icon, column, note, show_text
from napari_lungcls.gui.visiting import Visits
from napari_lungcls.gui.visits_strip import VisitsStrip
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.humanize import count, percent

MOST = 20
"""Worst mistakes that are listed."""

IN_SIGHT = 7
"""Rows of the list that are seen without scrolling."""

UNKNOWN = (
    "This model does not tell where its points were: it is from an earlier version, or learned "
    "from patches. Train again to see them."
)


class Mistakes(QWidget):
    """Lists the worst mistakes of a model, and shows points in the viewer."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.visits = Visits(viewer)
        self.strip = VisitsStrip(self.visits, "mistakes")
        self.list = QListWidget()
        self.list.setObjectName("worst_mistakes")
        self.list.setAccessibleName("Worst mistakes")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setToolTip("Wrong and very sure of it. Click, or press Enter, to see the point.")
        self.fold = Fold("Worst mistakes", self.list)
        self.problem = note(name="points_unknown")
        self._document: ModelDocument | None = None
        self._points: HeldOutPoints | None = None
        self.list.itemClicked.connect(self._on_item)
        self.list.itemActivated.connect(self._on_item)
        layout = column(self)
        for widget in (self.strip, self.problem, self.fold):
            layout.addWidget(widget)
        self.show_document(None)

    def show_document(self, document: ModelDocument | None) -> None:
        """List the mistakes of a model; of none, nothing."""
        if document is not None and document is self._document:
            self.show()
            return
        self._document = document
        self._points = None if document is None else HeldOutPoints.of(document)
        self.visits.end()
        show_text(self.problem, "")
        self._fill()
        self.setVisible(document is not None)

    def show_cell(self, truth: int, predicted: int) -> None:
        """Show the points in a cell of the confusion matrix.

        Parameters
        ----------
        truth, predicted
            Codes of classes; -1 as `predicted` for whatever is wrong.
        """
        if self._document is None:
            return
        if self._points is None:
            show_text(self.problem, UNKNOWN)
            return
        names = self._document.scheme.names
        if predicted < 0:
            rows, what = self._points.wrong_of(truth), f"{names[truth]} called something else"
        else:
            rows = self._points.in_cell(truth, predicted)
            called = "recognised" if truth == predicted else f"called {names[predicted]}"
            what = f"{names[truth]} {called}"
        if len(rows):
            title = f"{count(len(rows), 'point')} of {what}"
            self.visits.begin(title, [self._points.places[row] for row in rows])

    def _on_item(self, item: QListWidgetItem) -> None:
        if self._points is not None:
            row = item.data(Qt.ItemDataRole.UserRole)
            self.visits.begin(item.text(), [self._points.places[row]])

    def _fill(self) -> None:
        points, document = self._points, self._document
        self.list.clear()
        rows = [] if points is None else points.worst(MOST).tolist()
        self.fold.setVisible(bool(rows))
        if points is None or document is None or not rows:
            return
        scheme = document.scheme
        for row in rows:
            truth, predicted = int(points.truth[row]), int(points.predicted[row])
            sure = percent(float(points.confidence[row]), 0)
            text = f"{scheme.names[truth]}, called {scheme.names[predicted]} with {sure}"
            item = QListWidgetItem(color_icon(scheme.colors[truth]), text)
            item.setData(Qt.ItemDataRole.UserRole, row)
            image = points.places[row].image
            place = ", ".join(f"{at:.0f}" for at in points.places[row].where)
            item.setToolTip(f"{image}, pixel {place}")
            self.list.addItem(item)
        self.fold.button.setText(f"Worst mistakes ({len(rows)})")
        high = self.list.sizeHintForRow(0) * min(len(rows), IN_SIGHT)
        self.list.setFixedHeight(high + 2 * self.list.frameWidth())
