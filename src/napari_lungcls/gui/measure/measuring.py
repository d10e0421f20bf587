"""Measuring in the background, with or without a window. No widgets."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari

from napari_lungcls.annotation import Points
from napari_lungcls.annotation.columns import IMAGE_COLUMN, LINE_LENGTH_COLUMN
from napari_lungcls.gui.measure.images import maps_for_table
from napari_lungcls.gui.notices import tell_end
from napari_lungcls.gui.session import BackgroundRun
from napari_lungcls.gui.workers import Work
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.reporting.measures import write_measures
from napari_lungcls.reporting.page_folder import check_report_folder
from napari_lungcls.stereology.measure import Measured, measure
from napari_lungcls.stereology.sections import read_sections
from napari_lungcls.utils.progress import stepwise

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class MeasuringEnd:
    """What was measured, and the page that says it."""

    measured: Measured
    page: Path


class MeasuringRun(BackgroundRun):
    """The measuring of a viewer: one at a time, shown by any number of windows.

    Attributes
    ----------
    end
        What the latest one has measured, or None.
    done, total
        Its progress.
    words, refused
        How it ended, and whether it failed.
    """

    title = "Measuring"

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        self.end: MeasuringEnd | None = None
        self.done, self.total = 0, 0
        self.words, self.refused = "", False

    def start(
        self, maps: Sequence[MapData], points: Points | None, sections: Path | None, folder: Path
    ) -> None:
        """Measure maps with the answers that there are, unless it is being done.

        Parameters
        ----------
        maps
            The maps.
        points
            Test points, answered; None for the raw shares of the maps.
        sections
            Table of sections, animals and groups.
        folder
            Where the page and its tables are written.
        """
        if self.job is not None:
            return
        self.end, self.words, self.refused = None, "", False
        self.done, self.total = 0, 0
        self._begin(_work(maps, points, sections, folder))

    def unsaved(self) -> str:
        """Name the measuring in progress; what is measured is written at once."""
        return "" if self.job is None else "the measuring in progress; it will stop"

    def _on_progress(self, report: tuple[int, int]) -> None:
        self.done, self.total = report
        self.changed.emit()

    def _on_return(self, result: MeasuringEnd | None) -> None:
        self.end = result
        self.words = "Cancelled; nothing was written." if result is None else ""

    def _on_failure(self, line: str) -> None:
        self.words, self.refused = line, True

    def _on_end(self) -> None:
        self.job = None
        self.changed.emit()
        if self.end is not None:
            tell_end(self.viewer, "measure_start", f"Measured: {self.end.page}")


def _work(
    maps: Sequence[MapData], points: Points | None, sections: Path | None, folder: Path
) -> Work:
    def work(cancelled: Callable[[], bool]) -> Generator[Any, None, MeasuringEnd | None]:
        def call(report: Report) -> MeasuringEnd | None:
            check_report_folder(folder)
            tables = [] if points is None else [points]
            lined = [each for each in tables if each.column(LINE_LENGTH_COLUMN) is not None]
            measured = measure(
                _named(maps, points),
                tables,
                lined,
                None if sections is None else read_sections(sections),
                progress=report,
                cancelled=cancelled,
            )
            if measured is None or cancelled():
                return None
            return MeasuringEnd(measured, write_measures(folder, measured))

        return stepwise(call)

    return work


def _named(maps: Sequence[MapData], points: Points | None) -> Sequence[MapData]:
    column = None if points is None else points.column(IMAGE_COLUMN)
    return maps if column is None else maps_for_table(maps, list(dict.fromkeys(map(str, column))))
