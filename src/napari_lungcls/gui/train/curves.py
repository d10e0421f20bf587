"""Live curves of loss and accuracy over the epochs."""

from collections.abc import Callable, Sequence
from typing import Any

import pyqtgraph
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_lungcls.gui.train.history import History, Line, epoch_ticks, loss_ceiling
from napari_lungcls.gui.train.theme import Colours
from napari_lungcls.learning.history import TRAINING, VALIDATION

BETWEEN = 200
"""Milliseconds from one drawing to the next."""

HEIGHT = 75
BOTTOM_AXIS = 18
LEFT_AXIS = 36
PADDING = 0.14
"""Share of a range that is shown beyond it, so that its ends can be read."""

FEW = 40
"""Points of a line that are marked; more would hide it."""


class Curve(QWidget):
    """One figure over the epochs, for training and validation.

    Its legend tells the latest values, or those of the epoch that was kept, where a line stands.

    Parameters
    ----------
    title
        What is drawn.
    write
        Writes a value for the legend.
    axis
        Whether the epochs stand below it.
    names
        Whether the legend names the lines; where two plots use the same colours, one does.
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
        # The words change several times per second: the panel must not be laid out anew.
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
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
        # Axes that follow every value are drawn anew each time, which takes longer than the
        # lines; they move only when they must.
        self.plot.disableAutoRange()
        self._ranges = (0.0, 0.0)
        self._lines = [self._add_line(colour) for colour in (TRAINING, VALIDATION)]
        self.kept = pyqtgraph.InfiniteLine(angle=90, movable=False)
        self.kept.hide()
        self.plot.addItem(self.kept)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.legend)
        column.addWidget(self.plot)
        if axis:
            # pyqtgraph's own label of an axis is cut off at the bottom.
            column.addWidget(QLabel("epoch"), alignment=Qt.AlignmentFlag.AlignHCenter)

    def show_lines(self, training: Line, validation: Line, kept: int | None = None) -> None:
        """Draw both lines, and mark the epoch that was kept."""
        self.kept.setVisible(kept is not None)
        self.kept.setPos(kept or 0)
        legend = [f"<b>{self._title}</b>"]
        named = (("training", TRAINING, training), ("validation", VALIDATION, validation))
        for line, (name, colour, (epochs, values)) in zip(self._lines, named, strict=True):
            line.setData(epochs, values, symbol="o" if len(values) <= FEW else None)
            said = [name] if self._names else []
            said += [self._write(_at(epochs, values, kept))] if values else []
            legend.append(f"<span style='color:{colour}'>●</span> {' '.join(said)}")
        if kept is not None and not self._names:
            legend.append(f"┊ kept: {kept}")
        self.legend.setText("&nbsp; ".join(legend))

    def show_range(self, epochs: float, highest: float) -> None:
        """Show 0 to so many epochs and values up to `highest`."""
        if (epochs, highest) != self._ranges:
            self._ranges = epochs, highest
            self.plot.setRange(xRange=(0, epochs), yRange=(0, highest), padding=PADDING)
            ticks = [(y, f"{y:g}") for y in (0, highest / 2, highest)]
            self.plot.getAxis("left").setTicks([ticks])
            named = [(epoch, str(epoch)) for epoch in epoch_ticks(epochs)]
            self.plot.getAxis("bottom").setTicks([named])

    def use_colours(self, colours: Colours) -> None:
        """Take the colours of a theme."""
        self.plot.setBackground(colours.ground)
        self.plot.getViewBox().setBackgroundColor(colours.plot)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(colours.line)
            axis.setTextPen(colours.text)
        self.kept.setPen(pyqtgraph.mkPen(colours.text, style=Qt.PenStyle.DashLine))

    def _add_line(self, colour: str) -> Any:
        pen = pyqtgraph.mkPen(colour, width=2)
        return self.plot.plot(pen=pen, symbolSize=4, symbolBrush=colour, symbolPen=None)


class Curves(QWidget):
    """Loss and accuracy, one below the other over the same epochs.

    Parameters
    ----------
    theme
        Name of napari's theme.
    """

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = History()
        self.setObjectName("curves")
        self.loss = Curve("Loss", "{:.3f}".format, axis=False, names=True)
        self.accuracy = Curve("Accuracy", "{:.1f} %".format, axis=True, names=False)
        self.loss.setToolTip("How wrong and how sure the network is; lower is better.")
        self.accuracy.setToolTip("Share of the points that are right, in %, by epoch.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.loss)
        column.addWidget(self.accuracy)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(BETWEEN)
        self._timer.timeout.connect(self.draw)
        self.use_theme(theme)
        self.draw()

    def show_history(self, history: History) -> None:
        """Show a run, finished or not."""
        if history is not self.history or not self._timer.isActive():
            self.history = history
            self.draw()

    def draw_soon(self) -> None:
        """Draw what the run has reported meanwhile: at most five times per second."""
        if not self._timer.isActive():
            self._timer.start()

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        colours = Colours.of(theme)
        self.loss.use_colours(colours)
        self.accuracy.use_colours(colours)

    def draw(self) -> None:
        """Draw what is known now."""
        known = self.history
        training, validation = known.loss(), known.line("val_loss")
        self.loss.show_lines(training, validation, known.kept)
        self.loss.show_range(known.epochs, loss_ceiling(training[1], validation[1]))
        self.accuracy.show_range(known.epochs, 100)
        self.accuracy.show_lines(
            known.line("train_accuracy", times=100),
            known.line("val_accuracy", times=100),
            known.kept,
        )


def _at(epochs: Sequence[float], values: Sequence[float], kept: int | None) -> float:
    """Give the value at the end of an epoch, or the last one."""
    return values[epochs.index(kept)] if kept in epochs else values[-1]
