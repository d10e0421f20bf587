"""Options that several commands share, and those made from the settings model."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from napari_lungcls.errors import InputError
from napari_lungcls.network.training_data import ModelNotes
from napari_lungcls.utils.atomic_write import check_writable
from napari_lungcls.utils.renamed import RENAMED, current_names

Images = Annotated[list[str], typer.Argument(help="image files", metavar="IMAGE")]
Image = Annotated[str, typer.Argument(help="image file", metavar="IMAGE")]
ModelFile = Annotated[Path, typer.Argument(help="model file", metavar="MODEL")]
_TABLES = "points, one file per image in the same order, or one whose column 'image' names them"
Tables = Annotated[list[Path], typer.Option("--points", metavar="CSV...", help=_TABLES)]
TablesUnlessPatches = Annotated[
    list[Path] | None,
    typer.Option(
        "--points", metavar="CSV...", help=f"{_TABLES}; without it the images are patch data sets"
    ),
]
ModelOut = Annotated[Path, typer.Option("--out", metavar="MODEL", help="model file to write")]
Resume = Annotated[
    bool, typer.Option("--resume", help="go on with a run that was killed or interrupted")
]
CheckpointEvery = Annotated[
    float,
    typer.Option(
        "--checkpoint-every",
        metavar="SECONDS",
        min=0,
        help="how often the run is written down beside the model, as MODEL.checkpoint",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="NAME|FILE",
        help="preset or scheme file; patches may name their own  [default: lung]",
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="library that computes the network  [default: the model's own]",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
]
PixelSize = Annotated[
    float | None,
    typer.Option(
        "--pixel-size",
        metavar="UM",
        help="micrometres per pixel of the images  [default: what they say]",
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        "--channels",
        metavar="LIST",
        help="channels of the images that are grey, or red,green,blue: 2 or 0+3,1,2",
    ),
]
Stride = Annotated[
    int, typer.Option("--stride", metavar="N", help="image pixels between painted cells, 1 to 64")
]
ReportFolder = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="folder for a report")
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        help="YAML or JSON file of settings; options that are given as well win",
    ),
]
Adapt = Annotated[
    bool,
    typer.Option(
        "--adapt",
        help="estimate the model's batch normalisation anew on the image, without labels: for "
        "another stain or light; see docs/model-card.md",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document on stdout")]

Command = Callable[..., None]


def with_settings(
    model: type[BaseModel], only: Collection[str] | None = None, panel: str = "Settings"
) -> Callable[[Command], Command]:
    """Give a command one option for each field of a settings model, or for some of them.

    The command receives them in its keyword arguments `**settings`; options that the user
    did not give are not among them, so that the model's own defaults hold. Help lists them under
    the title `panel`.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        hints = typing.get_type_hints(command, include_extras=True)
        own = [p.replace(annotation=hints[p.name]) for p in own]
        fields = model.model_fields.items()
        made = [
            _option(name, field, panel) for name, field in fields if only is None or name in only
        ]
        made += [_former(old, p) for p in made for old, new in RENAMED.items() if new == p.name]
        names = {p.name for p in made}

        def filled(**given: Any) -> None:
            settings = {k: given.pop(k) for k in names if k in given}
            settings = {k: v for k, v in settings.items() if v is not None}
            command(**given, **current_names(settings))

        filled.__name__, filled.__doc__ = command.__name__, command.__doc__
        filled.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
        filled.__annotations__ = {p.name: p.annotation for p in [*own, *made]}
        return filled

    return decorate


def _option(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    """Make the option of one field; its default is shown but left to the model."""
    kind = _plain(field.annotation)
    flag = "--" + name.replace("_", "-")
    flags = (f"{flag}/--no{flag[1:]}",) if kind is bool else (flag,)
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    option = typer.Option(
        *flags,
        help=_help(field, choices),
        show_default=False,
        metavar=None if kind is bool else _metavar(name, field.annotation),
        rich_help_panel=panel,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _former(name: str, now: inspect.Parameter) -> inspect.Parameter:
    """Make the hidden option that a setting had in earlier versions."""
    kind = get_args(now.annotation)[0]
    option = typer.Option("--" + name.replace("_", "-"), hidden=True)
    return now.replace(name=name, annotation=Annotated[kind, option])


def _plain(annotation: Any) -> Any:
    """Return the type that a word of the command line has: numbers, flags, else text."""
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        annotation = kinds[0] if len(kinds) == 1 else str
    return annotation if annotation in (int, float, bool) else str


def _help(field: FieldInfo, choices: tuple[Any, ...]) -> str:
    text = field.description or ""
    if choices:
        text = f"{text}: {', '.join(map(str, choices))}"
    default = field.default
    if default in (None, ""):
        return text
    if isinstance(default, tuple):
        default = ",".join(map(str, default)) or "auto"
    if isinstance(default, bool):
        default = "on" if default else "off"
    return f"{text}  [default: {default}]"


def _metavar(name: str, annotation: Any) -> str:
    named = {"pretrained": "NAME|FILE", "prior": "NAME|LIST"}
    named |= dict.fromkeys(ModelNotes.model_fields, "TEXT")
    if name in named:
        return named[name]
    if get_origin(annotation) is tuple:
        return "LIST"
    return {int: "N", float: "X"}.get(_plain(annotation), "NAME")


def check_file(path: Path) -> Path:
    """Find out before the work starts whether a file can be written after it.

    Raises
    ------
    InputError
        When its folder is missing or must not be written to, or it is a folder itself.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    return check_writable(path)


def check_new(path: Path, *, overwrite: bool) -> Path:
    """Find out before the work starts whether an output can be made after it.

    Raises
    ------
    InputError
        When it exists and must not be replaced, or its folder cannot take it.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; choose another name, or give --overwrite")
    return check_writable(path)


def check_folder(path: Path) -> Path:
    """Find out before the work starts whether a folder of results can be made or filled.

    Raises
    ------
    InputError
        When it is a file, or neither it nor a folder to make it in can be written to.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give the name of a folder")
    check_writable(path / "any" if path.is_dir() else path)
    return path


def one_of(option: str, given: str, choices: Any) -> Any:
    """Return a word of the command line if it is one of the choices of a `Literal`.

    Raises
    ------
    InputError
        Naming all of them.
    """
    if given not in get_args(choices):
        raise InputError(f"{option} {given}: choose from {', '.join(get_args(choices))}")
    return given
