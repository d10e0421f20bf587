"""The live map of a viewer: what is asked for, its worker, and its layer. No widgets."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui import kept
from napari_lungcls.gui.docks import drawn_later, main_window
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.layers import KEY, map_place
from napari_lungcls.gui.maps import (
    EDITED,
    LIVE,
    SHARES,
    add_layers,
    map_colors,
    map_layers,
    map_of,
    quieten,
)
from napari_lungcls.gui.paint.extent import Extent, make_plan, position_in_view, region_in_view
from napari_lungcls.gui.points_layer import to_points
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.session import BackgroundRun, NamedModel, session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.train.words import model_name
from napari_lungcls.gui.workers import start_call
from napari_lungcls.images.geometry import map_cell
from napari_lungcls.images.pixel_size import effective_zooms
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid, Region
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.learning.live import LiveResult, LiveStep, live_region, live_stride
from napari_lungcls.network.pretrained import IMAGENET
from napari_lungcls.utils.downloads import is_cached
from napari_lungcls.utils.humanize import count

if TYPE_CHECKING:
    from napari_lungcls.learning.live_features import LiveFeatures
    from napari_lungcls.model import Model

NAME = "live map"
DELAY = 250
"""Milliseconds without a new label or a movement of the view before the map is made again."""

AUTOMATIC = "auto"


@dataclass(frozen=True, eq=False)
class LiveRequest:
    """What is to be shown: everything that the worker needs, as it was at one moment.

    Attributes
    ----------
    image, stack
        The image, as layer and as the core sees it.
    start
        Model or weights whose features are read.
    coordinates, codes, scheme
        The labels.
    plane, grid
        Where cells are painted.
    """

    image: Image
    stack: ImageStack
    start: "str | Model"
    coordinates: NDArray[np.float64]
    codes: NDArray[np.int64]
    scheme: ClassScheme
    plane: tuple[int, ...]
    grid: MapGrid
    place: tuple[Any, ...] = field(default=())

    @property
    def region(self) -> Region:
        """Rows and columns of the image."""
        return self.grid.rows, self.grid.columns

    def same_view(self, other: "LiveRequest") -> bool:
        """Tell whether the same network is to look at the same place."""
        return (
            self.image is other.image
            and self.start is other.start
            and (self.plane, self.grid.stride, *self.region)
            == (other.plane, other.grid.stride, *other.region)
        )

    def same(self, other: "LiveRequest | None") -> bool:
        """Tell whether the map would be the same."""
        return (
            other is not None
            and self.same_view(other)
            and self.scheme == other.scheme
            and np.array_equal(self.coordinates, other.coordinates)
            and np.array_equal(self.codes, other.codes)
        )


class LiveRun(BackgroundRun):
    """The live map of a viewer.

    Attributes
    ----------
    start
        What the features are those of: `auto`, `imagenet`, `none`, a file, or a model.
    step
        What the worker does; None when it rests.
    result
        The latest map, or None.
    words, refused
        What there is to say about it, and whether it could not be made.
    fits
        Maps made since it was switched on.
    """

    title = ""
    progressed = Signal(LiveStep)

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        self.start: str | Model = AUTOMATIC
        self.on = self.refused = False
        self.words, self.fits = "", 0
        self.step: LiveStep | None = None
        self.result: LiveResult | None = None
        self.layer: Labels | None = None
        self._known: tuple[Any, ...] = ()
        self._features: LiveFeatures | None = None
        self._running: LiveRequest | None = None
        self._shown: LiveRequest | None = None
        self._again = False
        self._watched: Image | None = None
        # Without a parent, as the window may be destroyed first.
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self._begin_latest)

    def switch(self, on: bool) -> None:
        """Start or stop following labels and view; the layer stays until it is removed."""
        if on == self.on:
            return
        self.on = on
        viewer, labeller = self.viewer, labeller_of(self.viewer)
        camera, dims = viewer.scene.camera.events, viewer.dims.events
        wired = (
            (labeller.changed, self._ask),
            (camera.center, self._ask),
            (camera.zoom, self._ask),
            (dims.point, self._ask),
            (dims.ndisplay, self._ask),
            (viewer.layers.events.removed, self._on_removed),
        )
        for emitter, slot in wired:
            (emitter.connect if on else emitter.disconnect)(slot)
        if on:
            quieten()
            self.fits = 0
            self._shown = None
            self._begin_latest()
        else:
            self._timer.stop()
            self._again = False
            self._watch(None)
            self.cancel()
            # The features of a whole view are large, and may be out of date when it is on again.
            self._features, self._known = None, ()
        self.changed.emit()

    def choose(self, start: "str | Model") -> None:
        """Read the features of another network."""
        if start is not self.start:
            self.start = start
            self._ask()

    def unsaved(self) -> str:
        """Live maps are made again in a moment, and nothing is lost with them."""
        return ""

    def keep(self) -> NamedModel:
        """Make the heads and their backbone the current model.

        Raises
        ------
        InputError
            When there is no map yet, or a class has no points.
        """
        from napari_lungcls.learning.live import as_model
        from napari_lungcls.model import Model

        if self.result is None or self._features is None or self._shown is None:
            raise InputError("there is no live map yet; label points of two classes")
        stack, shared = self._shown.stack, session(self.viewer)
        parts = as_model(
            self.result.fit, self._features.backbone, rgb=stack.rgb, pixel_size=stack.pixel_size
        )
        model = Model(*parts, device=preferences().device)
        taken = [known.name for known in shared.models]
        named = shared.add(model, model_name(f"{model.scheme.name} live", taken))
        start_call(
            lambda: kept.keep(model),
            owner=main_window(self.viewer),
            returned=lambda found: shared.keeps(named, found),
        )
        return named

    def _ask(self, event: object = None) -> None:
        """Make the map again when labels and view have come to rest."""
        if self.on:
            self._timer.start()

    def _begin_latest(self) -> None:
        """Start the worker for what there is to see now; if it runs, when it has ended."""
        if not self.on:
            return
        if self._edited():
            self._say("The live map waits: points are not made yet of what was painted over it.")
            return
        try:
            request = self._request()
        except InputError as error:
            self._say(in_window(error), refused=False)
            return
        if request.same(self._shown) and self.job is None:
            return
        if self.job is not None:
            self._again = True
            if self._running is not None and not request.same_view(self._running):
                self.cancel()
            return
        self._running = request
        self._watch(request.image)
        self._begin(self._work(request))

    def _edited(self) -> bool:
        """Tell whether the layer holds strokes that a new map would destroy."""
        return self.layer is not None and bool(self.layer.metadata[KEY].get(EDITED))

    def _request(self) -> LiveRequest:
        """Look at labels and view.

        Raises
        ------
        InputError
            When something is missing.
        """
        viewer, labeller = self.viewer, labeller_of(self.viewer)
        image, annotation = labeller.open_image, labeller.annotation
        if annotation is None or not len(annotation.points):
            raise InputError("label points of at least two classes; a map can be made then")
        if viewer.dims.ndisplay != 2:
            raise InputError("the live map needs the 2-D view; switch to it")
        points = to_points(annotation.layer)
        labels = [] if points.labels is None else list(points.labels)
        known = np.array([label in annotation.scheme.names for label in labels], bool)
        points = points.select(known & ~points.is_audit)
        codes = points.codes(annotation.scheme)
        if len(set(codes.tolist())) < 2:
            raise InputError("label points of at least two classes; a map can be made then")
        stack, start = stack_of(image), self._chosen()
        zoom = 1.0
        if not isinstance(start, str):
            document = start.document
            zoom = effective_zooms(document.network.zooms, document.pixel_size, stack)[0]
        region = live_region(region_in_view(viewer, image), stack.plane_shape, zoom)
        position = position_in_view(viewer, image)
        plan = make_plan(stack, live_stride(region), Extent.PLANE, position, region=region)
        last = np.array(stack.leading, int) - 1
        plane = tuple(int(i) for i in np.clip(map_cell(position[:-2], 1), 0, last))
        return LiveRequest(
            image, stack, start, points.coordinates, codes, annotation.scheme, plane, plan.grid
        )

    def _chosen(self) -> "str | Model":
        """Choose the network: ImageNet's if it is there, else the current model's."""
        if self.start != AUTOMATIC:
            return self.start
        if is_cached(IMAGENET):
            return "imagenet"
        current = session(self.viewer).current
        return "none" if current is None else current.model

    def _work(self, request: LiveRequest) -> Any:
        from napari_lungcls.learning.live import live_map

        key, device = (request.image, request.start), preferences().device
        known = self._features if self._known == key else None

        def work(cancelled: Callable[[], bool]) -> Generator[LiveStep, None, Any]:
            features = known
            if features is None:
                from napari_lungcls.learning.frozen_backbone import open_backbone
                from napari_lungcls.learning.live_features import LiveFeatures

                yield LiveStep("loading the network", 0, 1)
                start = request.start
                backbone = open_backbone(
                    start if isinstance(start, str) else (start.document, start.state),
                    request.stack,
                    request.region,
                    request.plane,
                    device=device,
                )
                features = LiveFeatures(backbone, request.stack)
            result = yield from live_map(
                features,
                request.coordinates,
                request.codes,
                request.scheme,
                request.plane,
                request.region,
                request.grid.stride,
                cancelled=cancelled,
            )
            return key, features, result

        return work

    def _on_progress(self, step: LiveStep) -> None:
        self.step = step
        self.progressed.emit(step)

    def _on_return(self, found: Any) -> None:
        key, features, result = found
        request = self._running
        if not self.on or request is None:
            return
        if self._watched is request.image:  # its pixels are those that were read
            self._known, self._features = key, features
        if result is None or self._edited():
            return
        self.result, self._shown = result, request
        self.fits += 1
        self._show(request, result)
        fit = result.fit
        named = zip(fit.counts, request.scheme.names, strict=True)
        counts = ", ".join(f"{n} {name}" for n, name in named)
        self._say(
            f"Fitted to {count(len(fit.vectors), 'point')} ({counts}), features of "
            f"{features.backbone.said}. Not tested: how often it is right is not known."
        )

    def _on_failure(self, line: str) -> None:
        # What failed is not tried again before something changes.
        self._shown = self._running
        self._say(line, refused=True)

    def _on_end(self) -> None:
        self.job, self.step, self._running = None, None, None
        again, self._again = self._again, False
        self.changed.emit()
        if again and self.on:
            self._begin_latest()

    def _say(self, line: str, *, refused: bool = False) -> None:
        self.words, self.refused = f"{line[:1].upper()}{line[1:]}", refused
        self.changed.emit()

    def _show(self, request: LiveRequest, result: LiveResult) -> None:
        """Put the map into its layer, below the points."""
        layers, image = self.viewer.layers, request.image
        if image not in layers:
            return
        lead = (1,) * len(request.stack.leading)
        classes = result.classes.reshape(*lead, *result.classes.shape)
        probabilities = result.probabilities.reshape(
            len(request.scheme), *lead, *result.classes.shape
        )
        provenance: dict[str, object] = {"image": request.stack.source, "live": True}
        header = request.grid.header(request.scheme, probabilities=True, provenance=provenance)
        painted = PaintedMap(classes, probabilities, header)
        if self.layer is None or self.layer not in layers:
            active = layers.selection.active
            with drawn_later(self.viewer):
                (added,) = add_layers(self.viewer, map_layers(painted, NAME, image))
            layers.selection.active = active
            assert isinstance(added, Labels)
            self.layer = added
        else:
            before = map_of(self.layer)
            self.layer.data = classes
            for name, value in map_place(image, header).items():
                setattr(self.layer, name, value)
            if before is None or before.scheme != painted.scheme:
                self.layer.colormap = map_colors(painted.scheme)
        known = self.layer.metadata[KEY]
        known |= {"map": painted, "image": image.name, LIVE: True, SHARES: painted.fractions()}

    def _watch(self, image: Image | None) -> None:
        """Forget what was read of an image when its pixels change."""
        if self._watched is not None:
            self._watched.events.data.disconnect(self._on_pixels)
        self._watched = image
        if image is not None:
            image.events.data.connect(self._on_pixels)

    def _on_pixels(self, event: object = None) -> None:
        self._features, self._known, self._shown = None, (), None
        # A worker that reads the old ones must not bring them back.
        self._watch(None)
        self.cancel()
        self._ask()

    def _on_removed(self, event: Any) -> None:
        """Stop with the layer or its image."""
        if event.value is self.layer or event.value == self._watched:
            self.layer = None if event.value is self.layer else self.layer
            self.switch(False)
