"""Options of the commands that a server may compute, and the model that they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lungcls.errors import InputError

if TYPE_CHECKING:
    from napari_lungcls.any_model import AnyModel

_PANEL = "Server"

ServerModel = Annotated[
    Path, typer.Argument(help="model file, or with --server a name there", metavar="MODEL")
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="compute on a server that lungcls serve runs, such as https://lab.example:8080",
        rich_help_panel=_PANEL,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="file with the server's token  [default: what LUNGCLS_TOKEN holds]",
        rich_help_panel=_PANEL,
    ),
]
TokenInClear = Annotated[
    bool,
    typer.Option(
        "--token-in-clear",
        help="send the token though the address is http and others could read it",
        rich_help_panel=_PANEL,
    ),
]
Shared = Annotated[
    Path | None,
    typer.Option(
        "--shared",
        metavar="DIR",
        help="folder here that is the server's --root: its images are not sent",
        rich_help_panel=_PANEL,
    ),
]


@contextmanager
def opened_model(
    model: Path,
    engine: str | None,
    device: str,
    server: str | None,
    token_file: Path | None,
    token_in_clear: bool,
    shared: Path | None,
) -> Iterator[AnyModel]:
    """Load a model, or find it at a server until the block ends.

    Raises
    ------
    InputError
        When there is none, or options do not go together.
    """
    if server is None:
        from napari_lungcls.model import load

        if token_file is not None or token_in_clear or shared is not None:
            raise InputError("--token-file, --token-in-clear and --shared go with --server")
        yield load(model, engine=engine, device=device)
        return
    if engine is not None or device != "auto":
        raise InputError("--engine and --device are the server's business; leave them out")
    from napari_lungcls.remote.model import connect

    found = connect(
        model, server, token_file=token_file, token_in_clear=token_in_clear, shared=shared
    )
    with found:
        yield found
