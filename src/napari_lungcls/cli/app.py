"""The commands together, and how errors leave the program: one line, exit code 2."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import click
import typer

from napari_lungcls.cli import classify, demo, evaluate, info, paint, train
from napari_lungcls.errors import InputError, LungclsWarning

BAD_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="lungcls",
    help="Train on labelled points, paint prediction maps over whole sections, measure them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("train", no_args_is_help=True)(train.train)
app.command("classify", no_args_is_help=True)(classify.classify)
app.command("evaluate", no_args_is_help=True)(evaluate.evaluate)
app.command("paint", no_args_is_help=True)(paint.paint)
app.command("info")(info.info)
app.command("demo")(demo.demo)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process.

    Exit codes are 0 for success, 2 for bad usage and bad input with one line on stderr,
    and 130 after an interrupt. With `--debug` errors show where they come from.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = spread([word for word in words if word != "--debug"])
    warnings.showwarning = _show_warning
    try:
        code = typer.main.get_command(app).main(words, "lungcls", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        print(help_wanted.format_message(), file=sys.stderr)
        code = BAD_INPUT
    except (InputError, click.ClickException) as error:
        if debug:
            raise
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"lungcls: {_one_line(text)}", file=sys.stderr)
        code = BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        print("lungcls: interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def spread(words: Sequence[str]) -> list[str]:
    """Let `--points` take several files: `--points a.csv b.csv` becomes two options.

    Only words that end in `.csv` are taken for further files, so images may follow.
    """
    out: list[str] = []
    follows = False
    for word in words:
        is_table = word.lower().endswith(".csv")
        if follows and is_table and out[-1] != "--points":
            out.append("--points")
        out.append(word)
        follows = word == "--points" or (follows and is_table)
    return out


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Print our own warnings as sentences; others with where they come from."""
    where = "" if issubclass(category, LungclsWarning) else f"{Path(filename).name}:{lineno}: "
    print(f"lungcls: {where}{_one_line(str(message))}", file=sys.stderr)
