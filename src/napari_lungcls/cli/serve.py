"""`lungcls serve`: models over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli.options import Device, EngineName
from napari_lungcls.errors import InputError
from napari_lungcls.utils.addresses import is_loopback


def serve(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="model files; clients use their names")
    ],
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="address to listen at")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one")
    ] = 8080,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="file with a word that clients must send"
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option(
            "--no-token", help="let anybody ask who reaches an address beyond this computer"
        ),
    ] = False,
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="DIR", help="folder whose images clients may name by path"),
    ] = None,
    max_image_mb: Annotated[
        float, typer.Option("--max-image-mb", metavar="N", min=0.001, help="largest request")
    ] = 64,
    max_waiting: Annotated[
        int,
        typer.Option("--max-waiting", metavar="N", min=1, help="requests at once; more get 503"),
    ] = 64,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", metavar="URL", help="web page that may call from a browser"),
    ] = None,
    class_order: Annotated[
        str | None,
        typer.Option(
            "--class-order",
            metavar="LIST",
            help="order of SageMaker's probabilities: alveoli,duct,septa",
        ),
    ] = None,
    engine: EngineName = None,
    device: Device = "auto",
) -> None:
    """Serve models over HTTP: a page, a JSON interface, and SageMaker's contract."""
    try:
        import uvicorn

        from napari_lungcls.serving.app import create_app
        from napari_lungcls.serving.models import read_models
        from napari_lungcls.serving.options import ServerOptions
    except ModuleNotFoundError as error:
        raise InputError(
            f"a server needs {error.name}; pip install 'napari-lungcls[serve]'"
        ) from error
    token = None if token_file is None else _token(token_file)
    if token is None and not no_token and not is_loopback(host):
        raise InputError(
            f"--host {host}: others could use the server; give --token-file, or --no-token if "
            "that is what you want"
        )
    for folder in root or ():
        if not folder.is_dir():
            raise InputError(f"--root {folder}: is no folder")
    options = ServerOptions(
        max_image_mb=max_image_mb,
        max_waiting=max_waiting,
        roots=tuple(root or ()),
        token=token,
        allow_origins=tuple(allow_origin or ()),
        class_order=tuple(filter(None, (class_order or "").split(","))),
    )
    served = read_models(models, engine=engine, device=device)
    for each in served:
        names = each.model.scheme.names
        if options.class_order and sorted(options.class_order) != sorted(names):
            raise InputError(
                f"--class-order {class_order}: {each.name} has the classes {', '.join(names)}"
            )
    uvicorn.run(
        create_app(served, options),
        host=host,
        port=port,
        log_level="info",
        timeout_graceful_shutdown=int(options.grace),
        h11_max_incomplete_event_size=2**16,
    )


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--token-file {path}: cannot be read ({error})") from error
    if len(token) < 16 or any(c.isspace() or not c.isascii() for c in token):
        raise InputError(
            f"--token-file {path}: a token is one word of 16 plain characters or more, such as "
            "python -c 'import secrets; print(secrets.token_urlsafe())' makes"
        )
    return token
