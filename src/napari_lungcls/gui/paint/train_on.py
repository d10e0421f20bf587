"""Going on with the training of the current model on corrected points, and painting again."""

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.paint.extent import Extent, make_plan, position_in_view, region_in_view
from napari_lungcls.gui.paint.run import PaintingRun
from napari_lungcls.gui.points_layer import to_points
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.learning.settings import TrainingSettings

if TYPE_CHECKING:
    from napari_lungcls.gui.train.run import TrainingRun


def train_on(viewer: Any) -> "TrainingRun":
    """Train the current model further on the points that are labelled.

    Training begins with the model's file, as *Start from* in the Train window does, and is shown
    there.

    Raises
    ------
    InputError
        When there is no model, no point, or a training in progress.
    """
    from napari_lungcls.gui.train.run import TrainingRun

    labeller, named, run = (
        labeller_of(viewer),
        session(viewer).current,
        session(viewer).part(TrainingRun),
    )
    if run.job is not None:
        raise InputError("a training is in progress; wait until it has ended, or cancel it")
    if named is None:
        raise InputError("there is no model to go on with; train or load one first")
    path = named.path or (None if named.kept is None else named.kept.path)
    if path is None:
        raise InputError(f"the model {named.name} is in no file yet; save it first")
    image, annotation = labeller.open_image, labeller.annotation
    if annotation is None or not len(annotation.points):
        raise InputError("there are no labelled points; correct the map first")
    wanted = preferences()
    settings = TrainingSettings(pretrained=str(path), engine=wanted.engine, device=wanted.device)
    points = to_points(annotation.layer, image)
    run.start([(stack_of(image), points)], annotation.scheme, settings)
    return run


def paint_view(viewer: Any, named: NamedModel, image: Image, stride: int) -> None:
    """Paint the part of an image in view with a model.

    Raises
    ------
    InputError
        When nothing of it is in view.
    """
    plan = make_plan(
        stack_of(image),
        stride,
        Extent.PLANE,
        position_in_view(viewer, image),
        region=region_in_view(viewer, image),
    )
    session(viewer).part(PaintingRun).start(
        named.model, plan, image, probabilities=True, confidence=False
    )
