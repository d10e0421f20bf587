"""Predicting the class of a point with a click, or of a grid of points with a drag."""

from napari_lungcls.gui.point_prediction.panel import PointPredictionPanel

__all__ = ["PointPredictionPanel"]
