"""Running MXNet's folded network over tiles, with memory planned for the shapes that return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.mxnet.net import (
    FoldedNetwork,
    fold,
    mx,
    named_parameters,
    to_device,
)
from napari_lungcls.network.parameters import DETAIL
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import Heads

PLANS = 4
"""Shapes of tiles that get memory of their own, a few hundred MB each."""

Shape = tuple[int, ...]


class TilePainter:
    """A network as it was at one moment, made for painting.

    Parameters
    ----------
    spec
        The network's shape.
    state
        All arrays of the network.
    context
        MXNet's name of the device.
    computing
        The type of number that convolutions multiply.

    Notes
    -----
    With fixed memory the operating system need not hand out fresh pages for every tile, which
    takes a sixth of the time of large ones. The first shapes that come back get it. All
    painters share their parameters.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        state: Mapping[str, NDArray[np.float32]],
        context: Any,
        computing: str = "float32",
    ) -> None:
        self._spec, self._computing = spec, computing
        first = FoldedNetwork(spec, computing, detail=DETAIL in spec.stages)
        first.initialize(mx.init.Zero(), ctx=context)
        parameters = named_parameters(first.backbone)
        if first.detail is not None:
            parameters |= named_parameters(first.detail, "detail.")
        for name, array in fold(state).items():
            parameters[name].set_data(to_device(array, context))
        # By whether detail is painted: what paints tiles of any shape.
        self._any_shape = {DETAIL in spec.stages: first}
        if DETAIL in spec.stages and len(spec.zooms) > 1:
            self._any_shape[False] = FoldedNetwork(spec, computing, first, detail=False)
        for painter in self._any_shape.values():
            painter.hybridize()
        weights = Heads.of(spec, state).weights
        self._heads = {
            read: to_device(weight[:, :, np.newaxis, np.newaxis], context)
            for read, weight in weights.items()
        }
        self._seen: set[Shape] = set()
        self._planned: dict[Shape, FoldedNetwork] = {}

    def maps(self, images: Any, zoom: int) -> dict[int, NDArray[np.float32]]:
        """Project `(1, 3, y, x)`, normalised, to `(summed, rows, columns)` per stage."""
        painter = self._painter(images.shape, (zoom, DETAIL) in self._heads)
        heads = [self._heads[zoom, stage] for stage in painter.stages]
        maps = painter(images, *heads)
        return {s: found.asnumpy()[0] for s, found in zip(painter.stages, maps, strict=True)}

    def close(self) -> None:
        """Give memory back at once: Gluon's blocks hold each other in circles."""
        for painter in (*self._any_shape.values(), *self._planned.values()):
            painter.hybridize(active=False)

    def _painter(self, tile: Shape, detail: bool) -> FoldedNetwork:
        shape, painter = (*tile, detail), self._any_shape[detail]
        returns = shape in self._seen and shape not in self._planned
        if returns and len(self._planned) < PLANS:
            planned = FoldedNetwork(self._spec, self._computing, painter, detail=detail)
            planned.hybridize(static_alloc=True, static_shape=True)
            self._planned[shape] = planned
        self._seen.add(shape)
        return self._planned.get(shape, painter)
