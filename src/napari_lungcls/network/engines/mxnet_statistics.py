"""Running statistics of MXNet's batch normalisation, moved as torchvision's are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_lungcls.imaging.geometry import STAGE_STRIDES, cell_count
from napari_lungcls.network.parameters import stage_of

STATISTICS = ("running_mean", "running_var")
"""How the names of arrays end that a trunk gathers and does not learn."""

_STEM_STRIDE = 2


class RunningVariances:
    """Running variances of a trunk as they were before a step.

    Parameters
    ----------
    trunk
        Gluon's parameters under torchvision's names.
    """

    def __init__(self, trunk: Mapping[str, Any]) -> None:
        self._now = {name: each for name, each in trunk.items() if name.endswith("running_var")}
        self._before = {name: each.data().copy() for name, each in self._now.items()}

    def unbias(self, images: int, edge: int) -> None:
        """Let them follow the unbiased variance, after the step's backward pass.

        MXNet adds a tenth of the biased variance of the batch, `(n − 1) / n` of the other.

        Parameters
        ----------
        images
            In the batch, each zoom counted.
        edge
            Height and width of each in pixels.
        """
        for name, old in self._before.items():
            stride = STAGE_STRIDES.get(stage_of(name), _STEM_STRIDE)
            values = images * cell_count(edge, stride) ** 2
            if values > 1:
                new = self._now[name].data()
                new += (new - 0.9 * old) / (values - 1)
