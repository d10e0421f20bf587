"""Models as scripts use them: save, load, classify, paint, evaluate."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.any_model import AnyModel, AtPoints
from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.pairs import PathLike
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.engines import Engine, Precision, State, create_engine
from napari_lungcls.network.model_file import ModelDocument, read_model, write_model
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.network.training_data import AdaptedTo, ModelNotes
from napari_lungcls.utils.printable import printable

if TYPE_CHECKING:
    from distributed import Client

    from napari_lungcls.evaluation.metrics import Metrics
    from napari_lungcls.images.masks import Mask
    from napari_lungcls.inference.grid import InView, Region
    from napari_lungcls.inference.painted import PaintedMap
    from napari_lungcls.inference.run import PaintingProgress
    from napari_lungcls.inference.store_base import BlockStore
    from napari_lungcls.patch_datasets.opening import AnyPatches

logger = logging.getLogger(__name__)


def never() -> bool:
    """Say no: nobody cancels."""
    return False


class Model(AnyModel):
    """A trained network with its classes.

    Parameters
    ----------
    document
        What the model file says about the network.
    state
        Its arrays.
    engine
        Library that computes it; the one that trained it by default.
    device
        `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Examples
    --------
    >>> model = lc.load("lung.safetensors", device="cpu")
    >>> model.scheme.names
    ('alveoli', 'septa', 'duct')
    >>> model.classify("section.ome.tif", [[20, 30], [50, 60]]).shape
    (2, 3)
    >>> model.paint("section.ome.tif", stride=8).classes.shape
    (24, 24)
    >>> model.evaluate("section.ome.tif", "section.csv").n
    60
    """

    def __init__(
        self,
        document: ModelDocument,
        state: State,
        *,
        engine: str | None = None,
        device: str = "auto",
    ) -> None:
        self.document = document
        self.state = state
        self._engine_name = engine or document.engine or "torch"
        self._device = device
        self._engine: Engine | None = None

    @property
    def device(self) -> str:
        """What was asked for: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
        return self._device

    @property
    def engine(self) -> Engine:
        """The network on its device; built when first asked for."""
        if self._engine is None:
            self._engine = create_engine(
                self._engine_name, self.document.network, device=self._device
            )
            self._engine.load(self.state)
            logger.debug("built the network with %s on %s", self._engine.name, self._engine.device)
        return self._engine

    @property
    def predictor(self) -> Predictor:
        """The network and what the model file says about it; built when first asked for."""
        return Predictor(self.engine, self.document)

    def save(self, path: PathLike) -> Path:
        """Write the model to a `.safetensors` file; see docs/formats.md."""
        written = write_model(path, self.document, self.state)
        logger.info("wrote the model %s", written)
        return written

    def prepare(self) -> None:
        """Build the network, which otherwise the first question does."""
        _ = self.engine

    def describe(self, **notes: str) -> None:
        """Write down in the user's own words what the model is for; it is saved with the model.

        Parameters
        ----------
        **notes
            Any of the texts of `ModelNotes`, such as `intended_use` and `limitations`; the
            others stay as they are.

        Raises
        ------
        InputError
            When a text is too long, or of another name.
        """
        found = ModelNotes.check(**self.document.notes.model_dump() | notes)
        self.document = self.document.model_copy(update={"notes": found})

    def adapted(self, image: Any) -> Model:
        """Return a model whose batch normalisation is estimated anew on an image, without labels.

        Where an image has another stain or light than those trained on, that may help; where it
        has other tissue, or looks the same, it may harm: see docs/model-card.md. This model and
        its file stay as they are, and maps of the other one say that it was adapted.

        Parameters
        ----------
        image
            Anything that `as_stack` takes.

        Raises
        ------
        InputError
            When another library than PyTorch computes the model, when it was trained by an
            earlier version on weights from a file, or when the image does not suit it.

        Examples
        --------
        >>> model = lc.load("lung.safetensors", device="cpu")
        >>> model.adapted("section.ome.tif").document.adapted.image
        'section.ome'
        """
        from napari_lungcls.network.adaptation import adapted_state

        if self._engine_name != "torch":
            raise InputError(
                f"adapting needs PyTorch, and {self._engine_name} computes this model",
                setting="engine",
                suggestion={"engine": "torch", "adapt": None},
            )
        stack = as_stack(image)
        state, tiles = adapted_state(self.document, self.state, stack, self._device)
        made = AdaptedTo(image=printable(stack.name), tiles=tiles)
        document = self.document.model_copy(update={"adapted": made})
        logger.info("adapted the model to %s on %d tiles", stack.source, tiles)
        return Model(document, state, engine=self._engine_name, device=self._device)

    def predictions_at(
        self, stack: ImageStack, coordinates: NDArray[np.float64], points: str = "the points"
    ) -> AtPoints:
        """Predict points of one image exactly where they lie, square by square.

        See `inference.at_points.predictions_at`.
        """
        from napari_lungcls.inference.at_points import predictions_at

        return predictions_at(self.predictor, stack, coordinates, points)

    def painted_at(
        self,
        stack: ImageStack,
        coordinates: NDArray[np.float64],
        points: str = "the points",
        *,
        stride: int,
    ) -> AtPoints:
        """Paint the blocks that hold points, and read the cells under them.

        See `inference.at_points.painted_at_points`.
        """
        from napari_lungcls.inference.at_points import painted_at_points

        return painted_at_points(self.predictor, stack, coordinates, stride=stride, points=points)

    def painting(  # type: ignore[override]
        self,
        image: Any,
        stride: int = 4,
        *,
        out: PathLike | None = None,
        region: Region | None = None,
        planes: slice | None = None,
        probabilities: bool = True,
        overwrite: bool = False,
        precision: Precision = "auto",
        resume: bool = False,
        cancelled: Callable[[], bool] = never,
        in_view: InView | None = None,
        scheduler: str | Client | None = None,
        workers: int | None = None,
        no_glass: bool = False,
        within: PathLike | Mask | None = None,
    ) -> Generator[PaintingProgress, None, PaintedMap]:
        """Paint, yielding progress; the map is the generator's return value.

        Parameters
        ----------
        image
            Anything that `as_stack` takes.
        stride
            Image pixels between cells, 1 to 64.
        out
            An `.ome.zarr` or `.ome.tif` to write to; in memory if not given.
        region
            Rows and columns of image pixels; everything if not given.
        planes
            Range along the axis before `(y, x)`.
        probabilities
            Whether to keep the probabilities of all classes.
        overwrite
            Whether `out` may exist.
        precision
            What the network computes with: `fp32`, `bf16` (CPUs with AVX512-BF16 or AMX, GPUs
            since Ampere), `fp16` (GPUs), or `auto`: the fastest, if on a sample of the map it
            gives the classes that fp32 gives. The map's provenance says which it was.
        resume
            Continue the painting of `out` that was killed or cancelled, or for which a part
            of the image could not be read; where there is none, begin one.
        cancelled
            Asked before every block; what is painted until then is kept.
        in_view
            Asked before every block for the cell `(…, y, x)` of the map that is looked at;
            blocks near it are painted first. Not on a cluster.
        scheduler
            A Dask cluster that paints: the address of its scheduler, or a client. Its workers
            must see the image and `out` under the same paths.
        workers
            Processes on this computer that paint; for several GPUs, or images that take
            longer to decode than to paint.
        no_glass
            Leave cells on bare glass around the tissue empty.
        within
            Leave cells outside of a mask empty: the path of polygons (GeoJSON, or shapes of napari
            as CSV) or of an image in which all but 0 is inside, see `mask_from_file`; or, but
            not on a cluster, a mask. A cell lies where its middle pixel does.

        Yields
        ------
        PaintingProgress

        Raises
        ------
        InputError
            When the image does not suit the model, the output cannot be written, or the
            unfinished painting had another model, image or other settings.

        Warns
        -----
        LungclsWarning
            When the image does not look like those that the model was trained on; see
            `suitability`.
        """
        from napari_lungcls.inference.formats import open_store
        from napari_lungcls.inference.grid import MapGrid
        from napari_lungcls.inference.leaving_out import kept_cells, open_within
        from napari_lungcls.inference.painted import MemoryStore, read_map
        from napari_lungcls.inference.precision import choose_painting
        from napari_lungcls.inference.resume import describe_job
        from napari_lungcls.inference.run import map_header, run_painting
        from napari_lungcls.network.suitability import warn_of_misfits

        on_cluster = scheduler is not None or workers is not None
        if on_cluster and out is None:
            raise InputError("a cluster paints into files; say where with out")
        mask_path = os.path.abspath(within) if isinstance(within, str | os.PathLike) else None
        if on_cluster and within is not None and mask_path is None:
            raise InputError(
                "the workers of a cluster cannot see a mask in memory; save it and give its path",
                setting="within",
            )
        grid = MapGrid.over(as_stack(image), stride, region, planes)
        mask = open_within(within, grid)
        warn_of_misfits(grid.stack, self.document)
        predictor = self.predictor
        network = choose_painting(predictor, grid, precision)
        how: dict[str, Any] = {
            "probabilities": probabilities,
            "precision": network.precision,
            "no_glass": no_glass,
            "within": mask,
        }
        header = map_header(grid, self.document, **how)
        options: dict[str, Any] = {
            "painting": network,
            "probabilities": probabilities,
            "cancelled": cancelled,
            "in_view": in_view,
            "kept": kept_cells(grid, mask, no_glass=no_glass),
        }
        if out is None:
            memory = MemoryStore(header)
            yield from run_painting(predictor, grid, memory, **options)
            return memory.map

        def begin() -> BlockStore:
            return open_store(
                out,
                header,
                chunk=grid.block,
                overwrite=overwrite,
                job=describe_job(predictor, grid, **how),
                resume=resume,
            )

        if on_cluster:
            from napari_lungcls.inference.cluster import connected, run_on_cluster

            # The output is claimed only when there is somebody to paint it.
            with connected(scheduler, workers) as client:
                yield from run_on_cluster(
                    client,
                    predictor,
                    grid,
                    begin(),
                    device=self._device,
                    cancelled=cancelled,
                    within=mask_path,
                    no_glass=no_glass,
                )
        else:
            store = begin()
            left = store.left(grid.blocks())
            said = "painting" if len(left) == grid.block_count else "resuming"
            logger.info("%s %s: %d of %d blocks to paint", said, out, len(left), grid.block_count)
            yield from run_painting(predictor, grid, store, blocks=left, **options)
        logger.info("wrote the map %s", out)
        return read_map(out)

    def classify_patches(
        self, data: AnyPatches, *, progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Probabilities of the classes for patches.

        Parameters
        ----------
        data
            Anything that `patch_datasets.opening.as_patches` takes; labels are not needed.
        progress
            Called with the patches done and in all.

        Returns
        -------
        ndarray, (n, classes), float32
            In the order of `data.parts`; rows add up to 1.

        Raises
        ------
        InputError
            When model and patches do not go together.
        """
        from napari_lungcls.patch_datasets.opening import as_patches
        from napari_lungcls.patch_datasets.predictions import classify_patches

        patches = as_patches(data, labelled=False)
        probabilities = np.empty((len(patches), len(self.scheme)), np.float32)
        for rows, found in classify_patches(self.engine, self.document, patches):
            probabilities[rows] = found
            if progress:
                progress(rows.stop, len(patches))
        return probabilities

    def evaluate_patches(
        self,
        data: AnyPatches,
        labels: NDArray[Any] | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Metrics:
        """Compare the model with labelled patches; see `classify_patches`.

        Raises
        ------
        InputError
            When model, patches and labels do not go together.
        """
        from napari_lungcls.evaluation.metrics import score
        from napari_lungcls.patch_datasets.opening import as_patches

        patches = as_patches(data, labels)
        codes = patches.codes(self.scheme)
        probabilities = self.classify_patches(patches, progress=progress)
        return score(codes, probabilities, self.scheme.names, self.document.threshold)


def load(path: PathLike, *, engine: str | None = None, device: str = "auto") -> Model:
    """Read a model file.

    Raises
    ------
    InputError
        When it is missing, damaged, of another kind or of a newer format.

    Examples
    --------
    >>> model = lc.load("lung.safetensors", device="cpu")
    >>> model.document.pixel_size
    4.0
    """
    model = Model(*read_model(path), engine=engine, device=device)
    logger.info("read the model %s: %s", path, ", ".join(model.scheme.names))
    return model
