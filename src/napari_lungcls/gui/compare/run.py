"""Comparing two models in the background, and the layers that show it. No widgets."""

import napari
from napari.layers import Image, Layer
from napari.layers import Points as PointsLayer
from napari.utils.colormaps import DirectLabelColormap

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.compare import ComparedPoints, comparing
from napari_lungcls.gui.compare.region import region_around
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.layers import KEY, map_place
from napari_lungcls.gui.maps import map_layers, quieten
from napari_lungcls.gui.notices import tell_end
from napari_lungcls.gui.paint.extent import Extent, make_plan, position_in_view, region_in_view
from napari_lungcls.gui.session import BackgroundRun, NamedModel
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.train.pairs import gather
from napari_lungcls.inference.compare_maps import MapComparison, comparing_maps
from napari_lungcls.utils.humanize import percent

STRIDE = 4
"""Image pixels between the cells of the maps."""

DIFFERENT = "#ff2bd6"
"""Colour of cells that differ: no class of a preset has it, and it stands out from tissue."""


class ComparisonRun(BackgroundRun):
    """The comparison of two models in a viewer: one at a time.

    Attributes
    ----------
    names
        What the two models of the latest comparison are called.
    points, maps
        What the latest ones found, or None.
    layers
        The map of the first model, that of the second, and where they differ; empty without.
    words, refused
        How the latest one ended, and whether it failed.
    done, total
        Its progress.
    """

    title = "Comparing models"

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        self.names = ("A", "B")
        self.points: ComparedPoints | None = None
        self.maps: MapComparison | None = None
        self.layers: tuple[Layer, ...] = ()
        self.words, self.refused = "", False
        self.done, self.total = 0, 0
        self._image: Image | None = None

    def start_points(
        self, a: NamedModel, b: NamedModel, image: Image | None, labels: PointsLayer | None
    ) -> None:
        """Compare at the labelled points of an image, unless a comparison is in progress."""
        if self.job is not None:
            return
        try:
            pairs, _ = gather([(image, labels)])
        except InputError as error:
            self._refuse(in_window(error))
            return
        self._reset(a, b)
        self.points = None
        first, second = (a.name, a.model), (b.name, b.model)
        self._begin(lambda cancelled: comparing(first, second, pairs, cancelled=cancelled))

    def start_maps(self, a: NamedModel, b: NamedModel, image: Image | None) -> None:
        """Paint what is in view with both models, unless a comparison is in progress."""
        if self.job is not None:
            return
        if image is None:
            self._refuse("Open an image first.")
            return
        try:
            where = position_in_view(self.viewer, image)
            region = region_around(region_in_view(self.viewer, image))
            plan = make_plan(stack_of(image), STRIDE, Extent.PLANE, where, region=region)
        except InputError as error:
            self._refuse(in_window(error))
            return
        self._reset(a, b)
        self.maps, self._image = None, image
        quieten()
        grid = plan.grid
        self._begin(
            lambda cancelled: comparing_maps(
                (a.model.scheme, a.model.painting),
                (b.model.scheme, b.model.painting),
                grid.stack,
                STRIDE,
                region=(grid.rows, grid.columns),
                planes=grid.planes,
                cancelled=cancelled,
            )
        )

    def show(self, which: int) -> None:
        """Show the map of the first model (0), of the second (1), or where they differ (2)."""
        for number, layer in enumerate(self.layers):
            if layer in self.viewer.layers:
                layer.visible = number == which

    def forget_refusal(self) -> None:
        """Clear an error whose cause may have gone."""
        if self.refused and self.job is None:
            self.words, self.refused = "", False
            self.changed.emit()

    def unsaved(self) -> str:
        """Say that a comparison loses nothing: it is quickly made again."""
        return ""

    def _reset(self, a: NamedModel, b: NamedModel) -> None:
        self.names, self.words, self.refused = (a.name, b.name), "", False
        self.done, self.total = 0, 0

    def _refuse(self, line: str) -> None:
        self.words, self.refused = line, True
        self.changed.emit()

    def _on_progress(self, report: tuple[int, int]) -> None:
        self.done, self.total = report
        self.changed.emit()

    def _on_return(self, result: ComparedPoints | MapComparison | None) -> None:
        if isinstance(result, ComparedPoints):
            self.points = result
        elif isinstance(result, MapComparison):
            self.maps = result
            self._add_layers(result)
        else:
            self.words = "Cancelled; nothing was compared."

    def _on_failure(self, line: str) -> None:
        self.words, self.refused = line, True

    def _on_end(self) -> None:
        self.job = None
        self.changed.emit()
        tell_end(self.viewer, "compare_start", "The two models are compared.")

    def _add_layers(self, found: MapComparison) -> None:
        """Put the maps and their difference in the place of those of the comparison before."""
        viewer, active = self.viewer, self.viewer.layers.selection.active
        for layer in self.layers:
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        image = self._image if self._image in viewer.layers else None
        made = [
            map_layers(painted, f"{name} (compared)", image)[-1]
            for painted, name in ((found.a, self.names[0]), (found.b, self.names[1]))
        ]
        options = {
            "name": f"{self.names[0]} and {self.names[1]} differ",
            "colormap": DirectLabelColormap(
                color_dict={None: "transparent", 0: "transparent", 1: "transparent", 2: DIFFERENT}
            ),
            "features": {"models": ["not painted", "alike", "differ"]},
            "metadata": {KEY: {"kind": "difference"}},
            **map_place(image, found.a.header),
        }
        self.layers = tuple(
            Layer.create(*data) for data in (*made, (found.differ, options, "labels"))
        )
        # Right above the image, so that points stay in sight.
        first = viewer.layers.index(image) + 1 if image is not None else len(viewer.layers)
        for number, layer in enumerate(self.layers):
            layer.visible = number == len(self.layers) - 1
            viewer.layers.insert(first + number, layer)
        if active in viewer.layers:
            viewer.layers.selection.active = active


def difference_words(found: MapComparison) -> str:
    """Say how much two maps differ."""
    if found.share is None:
        return "Nothing could be painted here."
    size = " × ".join(str(STRIDE * n) for n in found.differ.shape[-2:])
    return f"{percent(found.share)} of the cells differ, on {size} pixels."
