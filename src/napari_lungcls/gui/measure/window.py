"""The Measure window: drawing test points, answering them, and measuring."""

import napari
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lungcls.gui.docks import keep_tidy
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.measure.answer_panel import AnswerPanel
from napari_lungcls.gui.measure.points_form import TestPointsForm
from napari_lungcls.gui.measure.results import Results
from napari_lungcls.gui.parts import Caution, heading, panel_layout, scrolled


class MeasureMaps(QWidget):
    """Goes from painted maps to the figures of a paper, in three steps from top to bottom."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        # Plugins are handed a proxy, whose layers are not the layers that events bring.
        viewer: napari.Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.form, self.panel, self.results = (
            TestPointsForm(viewer),
            AnswerPanel(viewer),
            Results(viewer),
        )
        self.caution = Caution("audit_caution")
        self.form.opened.connect(self._on_opened)
        self._rest: list[QWidget] = []
        self.more = QVBoxLayout()  # for what the guided window adds below
        self._lay_out()
        listen(self, self.panel.auditing.changed, slot=self._show)
        self._show()
        keep_tidy(self, napari_viewer, "Measure")

    def _on_opened(self, path: object) -> None:
        self.panel.open(path)  # type: ignore[arg-type]
        self.caution.show_lines(self.panel.auditing.remarks)

    def _show(self) -> None:
        """Leave nothing but the question while somebody answers."""
        for widget in self._rest:
            widget.setHidden(self.panel.auditing.answering)

    def _lay_out(self) -> None:
        content = QWidget()
        layout = panel_layout(content)
        points, answer, measure = map(heading, ("Test points", "Answer", "Measure"))
        run_bar = self.results.run_bar
        self._rest = [points, self.form, measure, self.results, run_bar]
        for widget in (points, self.form, answer, self.caution, self.panel, measure, self.results):
            layout.addWidget(widget)
        layout.addLayout(self.more)
        layout.addStretch(1)
        scrolled(self, content, run_bar)
