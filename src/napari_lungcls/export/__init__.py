"""Models for other programs: ONNX, torchvision, bioimage.io, and QuPath's WSInfer."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import check_writable

if TYPE_CHECKING:
    from napari_lungcls.model import Model

logger = logging.getLogger(__name__)

ExportFormat = Literal["onnx", "torchvision", "bioimageio", "wsinfer"]
"""What a model can be exported to."""

_SUFFIXES: dict[ExportFormat, str] = {
    "onnx": ".onnx",
    "torchvision": ".pth",
    "bioimageio": ".zip",
    "wsinfer": "",
}
_NEEDED = {"onnx", "onnxscript", "onnxruntime", "bioimageio"}


def export_model(
    model: Model,
    path: str | os.PathLike[str],
    to: ExportFormat,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write a model for another program, and check what was written against the model.

    Parameters
    ----------
    model
        The model.
    path
        File to write: `.onnx`, `.pth` or `.zip`; for `wsinfer` a folder.
    to
        `onnx`: the network of one patch, and beside it for each zoom the network of a whole
        picture; `torchvision`: the state dict of a plain ResNet-18; `bioimageio`: a package of the
        network of a whole picture; `wsinfer`: a folder for QuPath's WSInfer.
    overwrite
        Whether existing outputs are replaced.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        When the model has no such form, a library is missing, the output exists, or what was
        written does not say what the model says.
    """
    target = Path(path)
    if to not in get_args(ExportFormat):
        raise InputError(
            f"{to} is nothing to export to; choose from {', '.join(get_args(ExportFormat))}"
        )
    suffix = _SUFFIXES[to]
    if suffix and target.suffix != suffix:
        raise InputError(f"{target}: the name must end in {suffix}")
    check_writable(target)
    module = f"{__name__}.{to}"
    try:
        write: Callable[[Model, Path], None] = import_module(module).write
        outputs: Callable[[Model, Path], list[Path]] = import_module(module).outputs
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        raise InputError(
            f"exporting to {to} needs {missing}; pip install 'napari-lungcls[export]'"
        ) from error
    written = outputs(model, target)
    for each in written:
        if each.exists() and not overwrite:
            raise InputError(f"{each} exists already", suggestion={"overwrite": True})
    aside = target.with_name(f".{target.name}.unfinished")
    _remove(aside)
    aside.mkdir()
    try:
        write(model, aside / target.name)
        for each in written:
            _remove(each)
            (aside / each.name).rename(each)
    finally:
        _remove(aside)
    logger.info("wrote %s", ", ".join(map(str, written)))
    return written


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
