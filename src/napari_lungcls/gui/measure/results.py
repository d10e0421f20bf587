"""Measuring: the maps, the table of sections, the start button, and the figures."""

from pathlib import Path

import napari
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QGridLayout, QLabel, QToolButton, QWidget

from napari_lungcls.annotation import Points
from napari_lungcls.gui.dialogs import ask_folder, ask_open
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.measure.auditing import Auditing
from napari_lungcls.gui.measure.figures_table import FiguresTable
from napari_lungcls.gui.measure.map_list import MapList
from napari_lungcls.gui.measure.measuring import MeasuringEnd, MeasuringRun
from napari_lungcls.gui.measure.recipe import measuring_recipe
from napari_lungcls.gui.parts import SPACING, Caution, beside, button, column, note
from napari_lungcls.gui.recipes.button import CopyButton
from napari_lungcls.gui.recipes.lines import MakeRecipe
from napari_lungcls.gui.run_bar import RunBar
from napari_lungcls.gui.session import session
from napari_lungcls.gui.titles import in_window

NO_MAP = "No map yet: paint one, or add one from a file."
NO_ANSWERS = "none yet: the maps alone, uncorrected"
EVERY_PLANE = "each plane counts as one"
TOP, MIDDLE = Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignVCenter
START_TIP = "Measure, and write a page and tables into a folder"


class Results(QWidget):
    """Measures maps with the answers at the test points.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        shared = session(viewer)
        self.measuring, self.auditing = shared.part(MeasuringRun), shared.part(Auditing)
        self.sections: Path | None = None
        self._shown: MeasuringEnd | None = None
        self.maps = MapList(viewer)
        self.answers, self.sections_words = note(name="measure_answers"), note(EVERY_PLANE)
        self.sections_words.setObjectName("measure_sections")
        self.sections_button = button(
            "Choose…",
            "choose_sections",
            "A table that says which section, animal and group each image and plane is (.csv)",
        )
        self.forget_button = QToolButton()
        self.forget_button.setObjectName("forget_sections")
        self.forget_button.setText("✕")
        self.forget_button.setToolTip("Measure without a table of sections")
        self.run_bar = RunBar("Measure…", "measure")
        self.copy_button = CopyButton("measure", self._recipe)
        self.run_bar.add(self.copy_button)
        self.run_bar.cancel_button.setToolTip("Stop; nothing is written")
        self.caution, self.table = Caution("measure_caution"), FiguresTable()
        self.page_button = button("Open page", "open_page", "Show the page in the web browser")
        self._lay_out()
        self._connect()
        self._show_figures(None)
        self._show()

    def start(self, folder: Path) -> None:
        """Measure, and write into a folder."""
        # What is measured must not be seen by somebody who answers.
        self.auditing.stop()
        self.measuring.start(self.maps.maps, self._answered, self.sections, folder)

    @property
    def _answered(self) -> Points | None:
        audit = self.auditing.audit
        return audit.points if audit is not None and audit.done else None

    def _recipe(self) -> MakeRecipe:
        """Note what `start` would measure."""
        points, sections = self._answered, self.sections
        table = None if points is None else self.auditing.path
        return measuring_recipe(self.maps.files, table, points, sections)

    def choose_sections(self, path: Path | None) -> None:
        """Choose a table of sections; None for none."""
        self.sections = path
        self.sections_words.setText(EVERY_PLANE if path is None else path.name)
        self.forget_button.setVisible(path is not None)

    def open_page(self) -> None:
        """Show the page that was written."""
        if self.measuring.end is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.measuring.end.page)))

    def _show(self) -> None:
        run, end, audit = self.measuring, self.measuring.end, self.auditing.audit
        self.run_bar.allow("" if self.maps.maps else NO_MAP)
        if self.maps.maps:
            self.run_bar.start_button.setToolTip(START_TIP)
        self.answers.setText(
            NO_ANSWERS
            if audit is None or audit.path is None or not audit.done
            else f"{audit.path.name}: {audit.done:,} of {audit.total:,} answered"
        )
        if run.job is not None:
            if not self.run_bar.running:
                self.run_bar.begin("starting…")
            if run.total:
                done = 100 * run.done // run.total
                self.run_bar.report(run.done, run.total, f"{done} % measured", None)
        else:
            self.run_bar.end(run.words, refused=run.refused)
        if end is not self._shown:
            self._shown = end
            self._show_figures(end)

    def _show_figures(self, end: MeasuringEnd | None) -> None:
        measures = None if end is None else end.measured.measures
        path = self.auditing.path
        lines = [] if measures is None else measures.warnings
        if path is not None:
            # The folder is known here, and long.
            lines = [line.replace(str(path), path.name) for line in lines]
        self.caution.show_lines(map(in_window, lines))
        self.table.show_measures(measures)
        self.page_button.setVisible(measures is not None)

    def _ask_folder(self) -> None:
        if folder := ask_folder(self, "Write the page and its tables into"):
            self.start(folder)

    def _ask_sections(self) -> None:
        if path := ask_open(self, "Choose the table of sections", "Sections (*.csv)"):
            self.choose_sections(path)

    def _connect(self) -> None:
        listen(self, self.measuring.changed, self.auditing.changed, slot=self._show)
        self.maps.changed.connect(self._show)
        self.run_bar.start_clicked.connect(self._ask_folder)
        self.run_bar.cancel_clicked.connect(self.measuring.cancel)
        self.sections_button.clicked.connect(self._ask_sections)
        self.forget_button.clicked.connect(lambda: self.choose_sections(None))
        self.page_button.clicked.connect(self.open_page)

    def _lay_out(self) -> None:
        form = QGridLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACING)
        form.setColumnStretch(1, 1)
        self.forget_button.hide()
        sections = beside((self.sections_words, 1), self.forget_button, self.sections_button)
        for row, (label, field) in enumerate(
            (("Maps", self.maps), ("Answers", self.answers), ("Sections", sections))
        ):
            title = QLabel(label)
            if field is self.maps:
                title.setContentsMargins(0, 4, 0, 0)
            form.addWidget(title, row, 0, TOP if field is self.maps else MIDDLE)
            form.addWidget(field, row, 1)
        layout = column(self)
        layout.addLayout(form)
        # The window keeps the run bar in view, below what scrolls.
        for widget in (self.table, self.page_button, self.caution):
            layout.addWidget(widget)
