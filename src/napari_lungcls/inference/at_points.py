"""Predictions at points: exactly there, or in the map cell under each point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.predictions import PointPredictions
from napari_lungcls.images.geometry import map_cell
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.stack import ImageStack, check_inside, plane_indices
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block
from napari_lungcls.inference.painter import Painter
from napari_lungcls.network.compatibility import check_image, fitting_zooms
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.predictor import Predictor

AtRows = tuple[NDArray[np.intp], NDArray[np.float32]]
"""Which points, and their probabilities `(m, classes)`."""


def classified_table(
    points: Points,
    probabilities: NDArray[np.float32],
    scheme: ClassScheme,
    threshold: float | None = None,
) -> Points:
    """Add the columns `predicted` and `p_<class>` to points.

    Parameters
    ----------
    points
        The points, with whatever columns they have.
    probabilities
        `(n, classes)`.
    scheme
        Names the classes.
    threshold
        Of the model, see `predicted_class`.
    """
    names = np.array(scheme.names, object)
    columns = {f"p_{name}": probabilities[:, k] for k, name in enumerate(scheme.names)}
    return points.with_columns(
        predicted=names[predicted_class(probabilities, threshold)], **columns
    )


SQUARE = 512
"""Edge in image pixels of the squares whose points are answered together."""

MARGIN = 160
"""Zoomed pixels around points that are computed: with the halo as much as layer4 sees."""

TOGETHER = 48
"""Points whose rows and columns make one grid, of which its diagonal is wanted."""


def predictions_at(
    predictor: Predictor,
    stack: ImageStack,
    coordinates: NDArray[np.float64],
    points: str = "the points",
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Predict points of one image exactly where they lie, square by square.

    Parameters
    ----------
    predictor
        The network and what its model file says about it.
    stack
        The image.
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels.
    points
        What to call them in messages.

    Yields
    ------
    rows : ndarray of int
        Which points.
    probabilities : ndarray, (m, classes), float32
        Rows add up to 1.

    Raises
    ------
    InputError
        When points lie outside, model and image do not go together, or a point sees
        intensities that are no numbers.
    """
    check_inside(stack, coordinates, points)
    zooms = check_image(stack, predictor.document)
    painter = Painter.of(predictor, zooms)
    planes = plane_indices(stack, coordinates)
    with painter:
        for rows in _squares(planes, coordinates[:, -2:]):
            logits = _logits(painter, stack, planes[rows[0]], coordinates[rows, -2:])
            yield rows, _probabilities(logits, rows, stack, points)


def _probabilities(
    logits: NDArray[np.float32], rows: NDArray[np.intp], stack: ImageStack, points: str
) -> NDArray[np.float32]:
    if (blind := np.flatnonzero(~np.isfinite(logits).all(axis=1))).size:
        raise InputError(
            f"{points}: point {rows[blind[0]] + 1} sees NaN or infinite values of "
            f"{stack.source}; fill them, or remove the point"
        )
    found: NDArray[np.float32] = softmax(logits, axis=1)
    return found


def _nobody() -> bool:
    return False


@dataclass(frozen=True, eq=False)
class PointBatch:
    """Points of one image, of several that are predicted together.

    Attributes
    ----------
    stack
        The image.
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels.
    cancelled
        Asked before every square of points.
    """

    stack: ImageStack
    coordinates: NDArray[np.float64]
    cancelled: Callable[[], bool] = _nobody


def predict_together(
    predictor: Predictor, painting: Painting, batches: Sequence[PointBatch]
) -> list[NDArray[np.float32] | InputError | None]:
    """Predict points of several images at once: on a CPU their squares are shared out to cores.

    Parameters
    ----------
    predictor
        The network and what its model file says about it.
    painting
        Its network, made for painting.
    batches
        The points.

    Returns
    -------
    list
        For each batch the probabilities `(n, classes)` as `predictions_at` gives them, the error
        that it would raise, or None if it was cancelled. Differences of the image from those that
        the model was trained on are no warnings here; `remarks` names them.
    """
    found: list[NDArray[np.float32] | InputError | None] = []
    tasks: list[tuple[int, tuple[float, ...], NDArray[np.int64], NDArray[np.intp]]] = []
    for i, batch in enumerate(batches):
        where = batch.coordinates
        try:
            check_inside(batch.stack, where)
            zooms = fitting_zooms(batch.stack, predictor.document)
        except InputError as error:
            found.append(error)
            continue
        found.append(np.empty((len(where), predictor.engine.spec.classes), np.float32))
        planes = plane_indices(batch.stack, where)
        tasks += [(i, zooms, planes[r[0]], r) for r in _squares(planes, where[:, -2:])]

    def predict(task: tuple[int, tuple[float, ...], NDArray[np.int64], NDArray[np.intp]]) -> None:
        i, zooms, plane, rows = task
        batch, own = batches[i], found[i]
        if not isinstance(own, np.ndarray):
            return
        if batch.cancelled():
            found[i] = None
            return
        try:
            with Painter.of(predictor, zooms, painting) as painter:
                logits = _logits(painter, batch.stack, plane, batch.coordinates[rows, -2:])
            own[rows] = _probabilities(logits, rows, batch.stack, "the points")
        except InputError as error:
            found[i] = error

    painting.each(predict, tasks)
    return found


def painted_at_points(
    predictor: Predictor,
    stack: ImageStack,
    coordinates: NDArray[np.float64],
    *,
    stride: int,
    points: str = "the points",
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Paint the blocks that hold points, and read the cell under each point.

    Parameters
    ----------
    predictor, stack, coordinates, points
        See `predictions_at`.
    stride
        Image pixels between cells.

    Yields
    ------
    rows : ndarray of int
        Which points.
    probabilities : ndarray, (m, classes), float32
        Those of the cells, exactly as `run_painting` over the whole image writes them.

    Raises
    ------
    InputError
        When points lie outside, model and image do not go together, or the cell of a point
        is not painted because it sees intensities that are no numbers.
    """
    check_inside(stack, coordinates, points)
    grid = MapGrid.over(stack, stride)
    zooms = check_image(stack, predictor.document)
    painter = Painter.of(predictor, zooms)
    under = CellsUnder(grid, coordinates)
    for block in grid.blocks():
        if not len(rows := under.rows(block)):
            continue
        classes, probabilities = painter.block(grid, block)
        assert probabilities is not None
        yield rows, under.read(block, rows, classes, probabilities, points)


class CellsUnder:
    """The cells of a map in which points lie.

    Parameters
    ----------
    grid
        The map; all planes of its image.
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels of the image.
    """

    def __init__(self, grid: MapGrid, coordinates: NDArray[np.float64]) -> None:
        self._source = grid.stack.source
        self._planes = plane_indices(grid.stack, coordinates)
        last = np.asarray(grid.shape[-2:]) - 1
        self._cells = np.clip(map_cell(coordinates[:, -2:], grid.stride), 0, last)

    def rows(self, block: Block) -> NDArray[np.intp]:
        """Find the points in a block."""
        y, x = self._cells.T
        inside = (
            np.all(self._planes == np.asarray(block.index, np.int64), axis=1)
            & (y >= block.rows.start)
            & (y < block.rows.stop)
            & (x >= block.columns.start)
            & (x < block.columns.stop)
        )
        return np.flatnonzero(inside)

    def read(
        self,
        block: Block,
        rows: NDArray[np.intp],
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16],
        points: str,
    ) -> NDArray[np.float32]:
        """Read the probabilities `(m, classes)` of points in a block from its cells.

        Raises
        ------
        InputError
            When the cell of a point is not painted.
        """
        y, x = (self._cells[rows] - (block.rows.start, block.columns.start)).T
        if (blind := np.flatnonzero(classes[y, x] == 0)).size:
            raise InputError(
                f"{points}: the cell of point {rows[blind[0]] + 1} sees NaN or infinite values "
                f"of {self._source}; fill them, or remove the point"
            )
        found: NDArray[np.float32] = probabilities[:, y, x].T.astype(np.float32)
        return found


def by_squares(where: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order `(n,)` in which `predictions_at` takes points `(n, 2)` of one plane."""
    order: NDArray[np.intp] = np.lexsort(_squares_of(where).T[::-1])
    return order


def in_squares(stack: ImageStack, coordinates: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order `(n,)` in which `predictions_at` takes points `(n, ndim)`."""
    parts = list(_squares(plane_indices(stack, coordinates), coordinates[:, -2:]))
    return np.concatenate(parts) if parts else np.empty(0, np.intp)


def _squares_of(where: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(where / SQUARE).astype(np.int64)


def _squares(planes: NDArray[np.int64], where: NDArray[np.float64]) -> Iterator[NDArray[np.intp]]:
    """Give the rows of points that lie in one square of one plane."""
    keys = np.column_stack([planes, _squares_of(where)])
    _, square = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(square.ravel(), kind="stable")
    ends = np.flatnonzero(np.diff(square.ravel()[order])) + 1
    yield from (rows for rows in np.split(order, ends) if len(rows))


def _logits(
    painter: Painter, stack: ImageStack, plane: NDArray[np.int64], where: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Logits of the points `(n, 2)` of one square: `(n, classes)`."""
    order = np.argsort(where[:, 0], kind="stable")
    parts = [order[i : i + TOGETHER] for i in range(0, len(order), TOGETHER)]
    grids, diagonals = [], []
    for part in parts:
        (y, i), (x, j) = (np.unique(where[part, axis], return_inverse=True) for axis in (0, 1))
        grids.append((y, x))
        diagonals.append((i.ravel(), j.ravel()))
    found = np.empty((len(where), painter.spec.classes), np.float32)
    answers = painter.lattices(stack.plane(tuple(plane)), grids, margin=MARGIN)
    for part, (i, j), logits in zip(parts, diagonals, answers, strict=True):
        found[part] = painter.painting.to_numpy(logits)[:, i, j].T
    return found


def predict_pairs(
    document: ModelDocument,
    pairs: Sequence[Pair],
    predict: Callable[[ImageStack, NDArray[np.float64], str], Iterator[AtRows]],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PointPredictions:
    """Predict the labelled points of images.

    Parameters
    ----------
    document
        What the model file says.
    pairs
        Images with their points.
    predict
        Takes an image, coordinates `(n, ndim)` and what to call them in messages, and gives
        predictions as `predictions_at` does.
    progress
        Called with the points done and the total.

    Raises
    ------
    InputError
        When a point's class is unknown, or image, points and model do not fit.
    """
    codes = np.concatenate([points.codes(document.scheme) for _, points in pairs])
    probabilities = np.empty((len(codes), len(document.scheme)), np.float32)
    first = done = 0
    for stack, points in pairs:
        own = probabilities[first : first + len(points)]
        for rows, found in predict(stack, points.coordinates, points.source):
            own[rows] = found
            done += len(found)
            if progress:
                progress(done, len(codes))
        first += len(own)
    return PointPredictions(
        codes, probabilities, document.scheme, document.temperature, document.threshold, pairs
    )
