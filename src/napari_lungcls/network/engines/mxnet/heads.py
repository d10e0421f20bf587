"""Reading cells at points in MXNet, and the heads that make logits of what is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.engines.interpolation import corners, images_of
from napari_lungcls.network.engines.mxnet.net import mx, to_device
from napari_lungcls.network.parameters import DETAIL, hidden_shapes, stage_channels
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.tiles import Tiles


def read_points(spec: NetworkSpec, cells: Mapping[int, Any], tiles: Tiles) -> dict[int, Any]:
    """Read one vector per point, zoom and stage.

    Parameters
    ----------
    spec
        The network.
    cells
        Per stage `(n · zooms, channels, rows, columns)`; detail has `n` images.
    tiles
        Whose points these are; the pixels are not looked at.

    Returns
    -------
    dict
        Per stage `(m, zooms, channels)`; detail has the finest zoom only.
    """
    m, found = len(tiles), {}
    for stage in spec.stages:
        maps = cells[stage]
        count = 1 if stage == DETAIL else len(spec.zooms)
        image = images_of(tiles.owner, count)
        if spec.pooling == "mean":
            vectors = maps.mean(axis=(2, 3)).take(_index(image, maps.context), axis=0)
        else:
            at = tiles.places[:, :count].reshape(-1, 2) / STAGE_STRIDES[stage]
            vectors = _interpolated(maps, image, at)
        vectors = vectors.reshape((m, count, stage_channels(stage)))
        if tiles.factors is not None:
            factors = to_device(tiles.factors[:, :count, np.newaxis], maps.context)
            vectors = mx.nd.broadcast_mul(vectors, factors)
        found[stage] = vectors
    return found


def _interpolated(maps: Any, image: NDArray[np.intp], at: NDArray[np.float64]) -> Any:
    """Read maps `(images, channels, rows, columns)` at points of some images: `(p, channels)`."""
    channels, rows, columns = maps.shape[1:]
    four = corners(image, at, rows, columns)
    flat = maps.transpose((0, 2, 3, 1)).reshape((-1, channels))
    taken = flat.take(_index(four.index.ravel(), maps.context), axis=0)
    shares = to_device(four.shares.ravel()[:, np.newaxis], maps.context)
    weighed = mx.nd.broadcast_mul(taken, shares).reshape((4, len(image), channels))
    return weighed.sum(axis=0)


def _index(array: NDArray[Any], context: Any) -> Any:
    # Single precision cannot count the pixels of a batch.
    return to_device(array, context, "int32")


class PointHeads:
    """One linear map per zoom and stage, summed, and the hidden layer behind them.

    Parameters
    ----------
    spec
        The network.
    context
        MXNet's name of the device.

    Attributes
    ----------
    parameters
        Gluon's, under the names of the model file.
    """

    def __init__(self, spec: NetworkSpec, context: Any) -> None:
        self._spec = spec
        shapes: dict[str, tuple[int, ...]] = {
            spec.head_name(zoom, stage): (spec.summed, stage_channels(stage))
            for zoom, stage in spec.reads
        }
        shapes[spec.bias_name] = (spec.summed,)
        if spec.hidden:
            shapes |= hidden_shapes(spec.hidden, spec.classes)
        self.parameters = {name: mx.gluon.Parameter(name, shape=s) for name, s in shapes.items()}
        for parameter in self.parameters.values():
            parameter.initialize(mx.init.Zero(), ctx=context)

    def __call__(self, features: Mapping[int, Any]) -> Any:
        """Return the logits `(m, classes)` of features `(m, zooms, channels)` per stage."""
        index = {zoom: i for i, zoom in enumerate(self._spec.zooms)}
        parts = [
            mx.nd.dot(
                features[stage][:, index[zoom]],
                self._array(self._spec.head_name(zoom, stage)),
                transpose_b=True,
            )
            for zoom, stage in self._spec.reads
        ]
        bias = self._array(self._spec.bias_name)
        summed = mx.nd.broadcast_add(mx.nd.add_n(*parts), bias.expand_dims(0))
        if not self._spec.hidden:
            return summed
        lit = mx.nd.relu(summed)
        weight, shift = self._array("heads.out.weight"), self._array("heads.out.bias")
        return mx.nd.broadcast_add(mx.nd.dot(lit, weight, transpose_b=True), shift.expand_dims(0))

    def _array(self, name: str) -> Any:
        return self.parameters[name].data()
