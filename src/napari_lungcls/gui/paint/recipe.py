"""How to paint as the window Paint does: a line for the shell, and Python. No Qt."""

from contextlib import suppress
from pathlib import Path

from napari.layers import Image, Layer

from napari_lungcls.errors import InputError
from napari_lungcls.gui.paint.extent import PaintingPlan
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
from napari_lungcls.inference.leaving_out import KeptCells, hash_of_cells

STRIDE = 4
"""Of maps, where a command is not told."""


def painting_recipe(
    named: NamedModel,
    image: Image,
    plan: PaintingPlan,
    *,
    probabilities: bool,
    within: Layer | None = None,
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
    within
        The layer of the plan's mask.
    adapt
        Whether the model is adapted to the image.
    server, token_file
        What computes it, if it is not this computer.

    Raises
    ------
    InputError
        If model, image or mask are in no file, or a command cannot name that part of the image.
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
        mask = None if within is None else _mask_file(within, plan, origin.stack.shape)
        no_glass = plan.no_glass or None
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
                within=mask,
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
                    within=mask,
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


def _mask_file(layer: Layer, plan: PaintingPlan, shape: tuple[int, ...]) -> Path | None:
    """Give the file of a mask; None if the mask leaves no cell out.

    Raises
    ------
    InputError
        If the layer is from no file, or the file has other cells inside.
    """
    # Here, as the window opens without it.
    from napari_lungcls.images.masks import mask_from_file

    mask, grid = plan.within, plan.grid
    assert mask is not None
    kept = KeptCells(grid, {"": mask})
    if all(kept(block).all() for block in grid.blocks()):
        return None
    if layer.source.path:
        with suppress(InputError):
            stored = mask_from_file(layer.source.path, shape)
            if hash_of_cells(grid, stored) == hash_of_cells(grid, mask):
                return Path(layer.source.path)
    raise InputError(
        f"the layer {layer.name!r} is not in a file as it is now",
        suggestion="save it (File > Save Selected Layers…), open that file, choose it in 'Within', "
        "and copy again",
    )


def _range(part: slice) -> str:
    return f"{part.start}:{part.stop}"
