"""`lungcls gui`: napari with the window of this program, and what it shall open."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.errors import InputError
from napari_lungcls.utils.library_order import load_before_qt


def gui(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...]", help="images, painted maps, points, or a saved session"
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL", help="model file to go on with")
    ] = None,
) -> None:
    """Start napari with the window in which to label, train, paint and measure."""
    check_napari()
    opened = [*(files or ()), *([] if model is None else [model])]
    for path in opened:
        if not path.exists():
            raise InputError(f"{path}: there is no such file; check the path")
    load_before_qt()
    from napari_lungcls.gui.start import open_napari

    open_napari(opened)


def check_napari() -> None:
    """Refuse to go on without napari.

    Raises
    ------
    InputError
        With how to install it.
    """
    if find_spec("napari") is None:
        raise InputError("napari is not installed; install it with: pip install 'napari[pyqt6]'")
