"""Predictions of a model at labelled points, as in its map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.evaluation.answers import PointPredictions
from napari_lungcls.inference.at_points import painted_at_points, predictions_at
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.training.point_index import Pair


def answer_pairs(
    predictor: Predictor,
    pairs: Sequence[Pair],
    *,
    stride: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PointPredictions:
    """Predict the labelled points of images.

    Parameters
    ----------
    predictor
        The network and what its model file says about it.
    pairs
        Images with their points.
    stride
        Image pixels between the cells of the map to sample; if not given, the network is
        evaluated exactly at the points.
    progress
        Called with the points done and the total.

    Raises
    ------
    InputError
        When a point's class is unknown, or image, points and model do not fit.
    """
    document = predictor.document
    codes = np.concatenate([points.codes(document.scheme) for _, points in pairs])
    probabilities = np.empty((len(codes), len(document.scheme)), np.float32)
    first = done = 0
    for pair in pairs:
        own = probabilities[first : first + len(pair[1])]
        for rows, found in _answers(predictor, pair, stride):
            own[rows] = found
            done += len(found)
            if progress:
                progress(done, len(codes))
        first += len(own)
    return PointPredictions(
        codes, probabilities, document.scheme, document.temperature, document.threshold, pairs
    )


def _answers(
    predictor: Predictor, pair: Pair, stride: int | None
) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    stack, points = pair
    where, source = points.coordinates, points.source
    if stride is None:
        return predictions_at(predictor, stack, where, source)
    return painted_at_points(predictor, stack, where, stride=stride, points=source)
