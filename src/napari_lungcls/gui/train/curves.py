"""Live plots of loss and accuracy over the epochs, in the colours of napari's theme."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyqtgraph
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_lungcls.gui.parts import column, lay_out
from napari_lungcls.gui.train.run import Line, TrainingHistory, epoch_ticks, loss_ceiling
from napari_lungcls.learning.progress import TRAINING, VALIDATION

INTERVAL = 200
"""Least milliseconds between two redraws."""

HEIGHT, BOTTOM_AXIS, LEFT_AXIS = 75, 18, 36

PADDING = 0.14
"""Share of a range that is shown beyond its ends."""

FEW = 40
"""Most points of a line that are drawn with markers."""


@dataclass(frozen=True)
class ThemeColours:
    """The colours of a theme that plots and tables use."""

    ground: QColor
    plot: QColor
    line: QColor
    text: QColor

    @classmethod
    def of(cls, theme: str) -> "ThemeColours":
        """Look up the colours of a theme."""
        found = get_theme(theme)
        colours = (found.background, found.foreground, found.highlight, found.text)
        return cls(*(QColor(*colour.as_rgb_tuple()[:3]) for colour in colours))


class Curve(QWidget):
    """One quantity over the epochs, for training and validation.

    The legend shows the latest values, or those of the selected epoch once it is known.

    Parameters
    ----------
    title
        Name of the quantity.
    write
        Formats a value for the legend.
    axis
        Whether to show the epoch axis.
    names
        Whether the legend names the lines.
    """

    def __init__(
        self,
        title: str,
        write: Callable[[float], str],
        *,
        axis: bool,
        names: bool,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._title, self._write, self._names = title, write, names
        self.legend = QLabel()
        # The text changes several times per second, which must not trigger a new layout.
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.caption = QLabel()
        self.caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.plot = pyqtgraph.PlotWidget()
        self.plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.plot.setFixedHeight(HEIGHT + BOTTOM_AXIS * axis)
        self.plot.hideButtons()
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(y=True, alpha=0.15)
        self.plot.getAxis("left").setWidth(LEFT_AXIS)
        self.plot.getAxis("left").setStyle(hideOverlappingLabels=False)
        bottom = self.plot.getAxis("bottom")
        bottom.setStyle(showValues=axis)
        bottom.setHeight(BOTTOM_AXIS if axis else 2)
        # Redrawing the axes takes longer than drawing the lines, so they only change on demand.
        self.plot.disableAutoRange()
        self._ranges = (0.0, 0.0)
        self._lines = [self._add_line(colour) for colour in (TRAINING, VALIDATION)]
        self.kept = pyqtgraph.InfiniteLine(angle=90, movable=False)
        self.before = pyqtgraph.InfiniteLine(angle=90, movable=False)
        for mark in (self.kept, self.before):
            mark.hide()
            self.plot.addItem(mark)
        layout = column(self)
        layout.setSpacing(0)
        layout.addWidget(self.legend)
        layout.addWidget(self.plot)
        if axis:
            # pyqtgraph's own axis label is cut off at the bottom.
            self.caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(self.caption)

    def show_lines(
        self, training: Line, validation: Line, kept: int | None = None, before: int = 0
    ) -> None:
        """Draw both lines, and mark the selected epoch and where all points took over."""
        self.kept.setVisible(kept is not None)
        self.kept.setPos(kept or 0)
        self.before.setVisible(before > 0)
        self.before.setPos(before + 0.5)
        marks = [f"┊ {kept} is kept"] * (kept is not None) + ["│ then all points"] * (before > 0)
        self.caption.setText("   ".join(["epoch", *marks]))
        legend = [f"<b>{self._title}</b>"]
        named = (("training", TRAINING, training), ("validation", VALIDATION, validation))
        for line, (name, colour, (epochs, values)) in zip(self._lines, named, strict=True):
            line.setData(epochs, values, symbol="o" if len(values) <= FEW else None)
            said = [name] if self._names else []
            said += [self._write(_at(epochs, values, kept))] if values else []
            legend.append(f"<span style='color:{colour}'>●</span> {' '.join(said)}")
        self.legend.setText("&nbsp; ".join(legend))

    def show_range(self, epochs: float, highest: float) -> None:
        """Show epochs from 0 to `epochs` and values from 0 to `highest`."""
        if (epochs, highest) != self._ranges:
            self._ranges = epochs, highest
            self.plot.setRange(xRange=(0, epochs), yRange=(0, highest), padding=PADDING)
            ticks = [(y, f"{y:g}") for y in (0, highest / 2, highest)]
            self.plot.getAxis("left").setTicks([ticks])
            named = [(epoch, str(epoch)) for epoch in epoch_ticks(epochs)]
            self.plot.getAxis("bottom").setTicks([named])

    def use_colours(self, colours: ThemeColours) -> None:
        """Take the colours of a theme."""
        self.plot.setBackground(colours.ground)
        self.plot.getViewBox().setBackgroundColor(colours.plot)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(colours.line)
            axis.setTextPen(colours.text)
        self.kept.setPen(pyqtgraph.mkPen(colours.text, style=Qt.PenStyle.DashLine))
        self.before.setPen(pyqtgraph.mkPen(colours.line))

    def _add_line(self, colour: str) -> Any:
        pen = pyqtgraph.mkPen(colour, width=2)
        return self.plot.plot(pen=pen, symbolSize=4, symbolBrush=colour, symbolPen=None)


class Curves(QWidget):
    """Loss and accuracy, one below the other over the same epochs."""

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = TrainingHistory()
        self.setObjectName("curves")
        self.loss = Curve("Loss", "{:.2f}".format, axis=False, names=True)
        self.accuracy = Curve("Accuracy", "{:.1f} %".format, axis=True, names=False)
        self.loss.setToolTip("Mean loss by epoch; lower is better.")
        self.accuracy.setToolTip("Percentage of points classified correctly, by epoch.")
        layout = column(self)
        layout.setSpacing(2)
        layout.addWidget(self.loss)
        layout.addWidget(self.accuracy)
        self._timer = QTimer(self, singleShot=True, interval=INTERVAL)
        self._timer.timeout.connect(self.draw)
        self.use_theme(theme)
        self.draw()

    def show_history(self, history: TrainingHistory) -> None:
        """Show a training run, finished or not."""
        if history is not self.history or not self._timer.isActive():
            self.history = history
            self.draw()

    def draw_soon(self) -> None:
        """Redraw, at most five times per second."""
        if not self._timer.isActive():
            self._timer.start()

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        colours = ThemeColours.of(theme)
        self.loss.use_colours(colours)
        self.accuracy.use_colours(colours)

    def draw(self) -> None:
        """Draw the history as it is now."""
        known = self.history
        training, validation = known.loss(), known.line("val_loss")
        self.loss.show_lines(training, validation, known.kept, known.before)
        self.loss.show_range(known.epochs, loss_ceiling(training[1], validation[1]))
        self.accuracy.show_range(known.epochs, 100)
        self.accuracy.show_lines(
            known.line("train_accuracy", times=100),
            known.line("val_accuracy", times=100),
            known.kept,
            known.before,
        )
        for changed in (self.loss, self.accuracy):
            lay_out(changed)


def _at(epochs: Sequence[float], values: Sequence[float], kept: int | None) -> float:
    """Give the value at the selected epoch, or the latest one."""
    return values[epochs.index(kept)] if kept in epochs else values[-1]
