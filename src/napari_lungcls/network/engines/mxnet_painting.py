"""Running MXNet's folded trunk over tiles, with memory planned for the shapes that return."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.mxnet_net import Painter, fold, mx, to_device
from napari_lungcls.network.engines.painting import HostPainting
from napari_lungcls.network.spec import NetworkSpec

if TYPE_CHECKING:
    from napari_lungcls.network.engines.mxnet_engine import MxnetEngine

PLANS = 4
"""Shapes of tiles that get memory of their own, a few hundred MB each."""

Shape = tuple[int, ...]


class TilePainter:
    """A network as it was at one moment, made for painting.

    Parameters
    ----------
    spec
        The network's shape.
    trunk
        Arrays of the trunk under torchvision's names.
    heads
        Per stage the device's array `(zooms, classes, channels)`.
    context
        MXNet's name of the device.
    computing
        The type of number that the trunk's convolutions multiply.

    Notes
    -----
    With fixed memory the operating system need not hand out fresh pages for every tile, which
    takes a sixth of the time of large ones. The first shapes that come back get it. All
    painters share their parameters.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        trunk: Mapping[str, NDArray[np.float32]],
        heads: Mapping[int, Any],
        context: Any,
        computing: str = "float32",
    ) -> None:
        self._spec, self._computing = spec, computing
        self._any_shape = Painter(spec, computing)
        self._any_shape.initialize(mx.init.Zero(), ctx=context)
        self._any_shape.hybridize()
        parameters = self._any_shape.trunk.named_parameters()
        for name, array in fold(trunk).items():
            parameters[name].set_data(to_device(array, context))
        self._heads = {
            zoom: [heads[stage][i].expand_dims(2).expand_dims(3) for stage in spec.stages]
            for i, zoom in enumerate(spec.zooms)
        }
        self._seen: set[Shape] = set()
        self._planned: dict[Shape, Painter] = {}

    def maps(self, images: Any, zoom: int) -> dict[int, NDArray[np.float32]]:
        """Project `(1, 3, y, x)`, normalised, to `(classes, rows, columns)` per stage."""
        maps = self._painter(images.shape)(images, *self._heads[zoom])
        return {s: found.asnumpy()[0] for s, found in zip(self._spec.stages, maps, strict=True)}

    def close(self) -> None:
        """Give memory back at once: Gluon's blocks hold each other in circles."""
        for painter in (self._any_shape, *self._planned.values()):
            painter.hybridize(active=False)

    def _painter(self, shape: Shape) -> Painter:
        returns = shape in self._seen and shape not in self._planned
        if returns and len(self._planned) < PLANS:
            self._planned[shape] = Painter(self._spec, self._computing, self._any_shape)
            self._planned[shape].hybridize(static_alloc=True, static_shape=True)
        self._seen.add(shape)
        return self._planned.get(shape, self._any_shape)


class MixedPainting(HostPainting):
    """Painting with convolutions in other numbers than float32.

    Parameters
    ----------
    engine
        The network.
    precision
        What they compute in, a key of `mxnet_precision.TYPES`.
    """

    def __init__(self, engine: MxnetEngine, precision: str) -> None:
        super().__init__(engine)
        self.precision = precision
        self._project = partial(engine.class_maps, precision=precision)
