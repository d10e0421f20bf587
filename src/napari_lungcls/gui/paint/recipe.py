"""How to paint as the window Paint does: a line for the shell, and Python. No Qt."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from napari.layers import Image

from napari_lungcls.errors import InputError
from napari_lungcls.gui.paint.extent import GLASS, PaintingPlan
from napari_lungcls.gui.recipes.files import ImageFile, ImageOrigin
from napari_lungcls.gui.recipes.lines import (
    MakeRecipe,
    Recipe,
    Variable,
    call,
    command_line,
    file_name,
    script,
)
from napari_lungcls.gui.session import NamedModel

STRIDE = 4
"""Of maps, where a command is not told."""


def painting_recipe(
    named: NamedModel,
    image: Image,
    plan: PaintingPlan,
    *,
    probabilities: bool,
    adapt: bool = False,
    server: str | None = None,
    token_file: Path | None = None,
) -> MakeRecipe:
    """Say how to paint what is chosen in the window Paint, into a file.

    Parameters
    ----------
    named
        The model.
    image
        The image.
    plan
        Its part, and the stride.
    probabilities
        Whether they are kept.
    adapt
        Whether the model is adapted to the image.
    server, token_file
        What computes it, if it is not this computer.

    Raises
    ------
    InputError
        If model or image are in no file, or a command cannot name that part of the image.
    """
    model = _model_file(named)
    origin, grid = ImageOrigin.of(image), plan.grid
    if grid.planes is not None and any(n > 1 for n in origin.stack.leading[:-1]):
        raise InputError(
            f"a command paints all of the axes before the planes of {image.name!r}",
            suggestion="choose Whole stack, and copy again",
        )
    region = (grid.rows, grid.columns)
    whole = tuple(slice(0, size) for size in origin.stack.plane_shape)
    part = None if region == whole else region
    device = None if server or named.model.device == "auto" else named.model.device
    token = token_file if server else None
    stride = None if grid.stride == STRIDE else grid.stride

    def make() -> Recipe:
        _check_masks(plan)
        no_glass = GLASS in plan.masks or None
        file = ImageFile.find(origin)
        out = file_name(f"{image.name} map", ".ome.zarr")
        opened = call("lc.open_image", file.path, channels=file.channels)
        if file.pixel_size is not None:
            opened += call(".with_pixel_size", file.pixel_size)
        opening = [f"model = {call('lc.load', model, device=device)}"]
        if server:
            ask = call("connect", model, server, token_file=token)
            opening = ["from napari_lungcls.remote.model import connect", "", f"model = {ask}"]
        return Recipe(
            command_line(
                "paint",
                model,
                file.path,
                out=out,
                stride=stride,
                region=None if part is None else ",".join(map(_range, part)),
                planes=None if grid.planes is None else _range(grid.planes),
                probabilities=probabilities or None,
                adapt=adapt or None,
                pixel_size=file.pixel_size,
                channels=file.channels,
                device=device,
                no_glass=no_glass,
                server=server,
                token_file=token,
            ),
            script(
                *opening,
                f"image = {opened}",
                *(["model = model.adapted(image)"] if adapt else []),
                call(
                    "model.paint",
                    Variable("image"),
                    stride=stride,
                    out=out,
                    region=part,
                    planes=grid.planes,
                    probabilities=None if probabilities else False,
                    no_glass=no_glass,
                ),
            ),
        )

    return make


def _model_file(named: NamedModel) -> Path:
    if named.path is None or not named.path.exists():
        raise InputError(
            f"the model {named.name!r} is not saved",
            suggestion="save it with Save model… in Train, and copy again",
        )
    return named.path


def _check_masks(plan: PaintingPlan) -> None:
    """Refuse what a command would paint and the window leaves empty.

    Raises
    ------
    InputError
        If there is such a cell; a mask that leaves none out is no obstacle.
    """
    others = {outside: mask for outside, mask in plan.masks.items() if outside != GLASS}
    fresh = replace(plan, masks=others, left_out=Counter())
    if fresh.masks and not all(fresh.kept(block).all() for block in plan.grid.blocks()):
        raise InputError(
            f"a command does not leave cells empty {' and '.join(+fresh.left_out)}",
            suggestion="choose the whole image in 'Within', and copy again",
        )


def _range(part: slice) -> str:
    return f"{part.start}:{part.stop}"
