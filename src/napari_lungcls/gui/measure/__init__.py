"""The Measure window: test points, their answers, and the figures of a paper."""

from napari_lungcls.gui.measure.window import MeasureMaps

__all__ = ["MeasureMaps"]
