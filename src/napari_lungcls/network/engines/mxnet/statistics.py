"""Running statistics of MXNet's batch normalisation, moved as torchvision's are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from napari_lungcls.images.geometry import STAGE_STRIDES, cell_count
from napari_lungcls.network.parameters import DETAIL, PARTS, stage_of

STATISTICS = ("running_mean", "running_var")
"""How the names of arrays end that a network gathers and does not learn."""


class RunningVariances:
    """Running variances as they were before a step.

    Parameters
    ----------
    body
        Gluon's parameters of trunk and detail under the names of the model file.
    fixed
        Parts of the trunk whose statistics stay.
    """

    def __init__(self, body: Mapping[str, Any], fixed: Collection[str]) -> None:
        self._now = {
            name: each
            for name, each in body.items()
            if name.endswith("running_var") and name.partition(".")[0] not in fixed
        }
        self._before = {name: each.data().copy() for name, each in self._now.items()}

    def unbias(self, tiles: int, zooms: int, shape: tuple[int, int]) -> None:
        """Let them follow the unbiased variance, after the step's backward pass.

        MXNet adds a tenth of the biased variance of the batch, `(n − 1) / n` of the other.

        Parameters
        ----------
        tiles, zooms
            Numbers of both in the batch; detail sees one zoom.
        shape
            Height and width of a tile in level pixels.
        """
        for name, old in self._before.items():
            of_trunk = name.partition(".")[0] in PARTS
            stride = STAGE_STRIDES[stage_of(name) if of_trunk else DETAIL]
            rows, columns = (cell_count(edge, stride) for edge in shape)
            values = tiles * (zooms if of_trunk else 1) * rows * columns
            if values > 1:
                new = self._now[name].data()
                new += (new - 0.9 * old) / (values - 1)
