"""The commands together, and how errors leave the program: one line, exit code 2."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer

from napari_lungcls.cli import (
    agree,
    augment,
    classify,
    compare,
    convert,
    demo,
    evaluate,
    export,
    grid,
    gui,
    info,
    measure,
    paint,
    patches,
    serve,
    share,
    suggest,
    train,
    tune,
)
from napari_lungcls.cli.console import Incomplete, Interrupted, Options, print_anywhere, showing_log
from napari_lungcls.errors import InputError, LungclsWarning

BAD_INPUT = 2
INCOMPLETE = 3
INTERRUPTED = 130
TABLES = (".csv", ".tsv", ".txt")
"""What points files end in; the last is what Excel calls Unicode text."""

SEVERAL = ("--points", "--audit", "--lines")
"""Options after which several tables may stand."""

VERBOSE = {"-v": 1, "--verbose": 1, "-vv": 2}
"""Words that may stand anywhere, and how much more each shows of what the package logs."""

# Newer versions of typer bring their own copy of click, older ones import it; the base of
# this class is what both raise for wrong words.
UsageError: type[Any] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="lungcls",
    help="Train on labelled points, paint what was learned over whole sections, evaluate it.",
    epilog="With --verbose (-v) any command says what it does, with -vv in detail; with --debug it "
    "shows where an error comes from.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("napari-lungcls"))
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    pass


app.command("train")(train.train)
app.command("augment")(augment.augment)
app.command("tune")(tune.tune)
app.command("classify")(classify.classify)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("agree")(agree.agree)
app.command("suggest")(suggest.suggest)
app.command("grid")(grid.grid)
app.command("paint")(paint.paint)
app.command("measure")(measure.measure)
app.command("convert")(convert.convert)
app.add_typer(patches.app, name="patches")
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("pull")(share.pull)
app.command("push")(share.push)
app.command("gui")(gui.gui)
app.command("info")(info.info)
app.command("demo")(demo.demo)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process.

    Exit codes are 0 for success, 2 for bad usage and bad input with one line on stderr,
    3 when a part of the input could not be read and the result lacks it, and 130 after an
    interrupt; 1 is a defect of this program, said in one line as well.
    With `--debug` errors show where they come from; with `--verbose` the log is shown.
    """
    print_anywhere()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    verbosity = sum(VERBOSE.get(word, 0) for word in words)
    words = spread([word for word in words if word != "--debug" and word not in VERBOSE])
    warnings.showwarning = _show_warning
    if not debug:
        sys.excepthook = _show_defect
    try:
        command = typer.main.get_command(app)
        with showing_log(verbosity):
            code = command.main(words or ["--help"], "lungcls", standalone_mode=False)
        if code == INTERRUPTED:
            raise Interrupted("interrupted")
        if not words:
            code = BAD_INPUT
    except Interrupted as end:
        print(f"lungcls: {_one_line(str(end))}", file=sys.stderr)
        code = INTERRUPTED
    except Incomplete as lack:
        print(f"lungcls: {_one_line(str(lack))}", file=sys.stderr)
        code = INCOMPLETE
    except (InputError, UsageError) as error:
        if debug:
            raise
        text = error.told(Options()) if isinstance(error, InputError) else _usage(error)
        print(f"lungcls: {_one_line(text)}", file=sys.stderr)
        code = BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        print("lungcls: interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def spread(words: Sequence[str]) -> list[str]:
    """Let options of tables take several files: `--points a.csv b.csv` becomes two options.

    Only words that end as tables do are taken for further files, so images may follow.
    """
    out: list[str] = []
    option = ""
    for word in words:
        is_table = word.lower().endswith(TABLES)
        if option and is_table and out[-1] != option:
            out.append(option)
        out.append(word)
        option = word if word in SEVERAL else option if is_table else ""
    return out


def _usage(error: Any) -> str:
    """Say what is wrong with the words of a command, and where to find the right ones."""
    where = error.ctx.command_path if error.ctx else "lungcls"
    return f"{error.format_message().rstrip('.')}; see {where} --help"


def _show_defect(
    kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    """Say in one line what no user can be blamed for; Python then ends with code 1."""
    print(
        f"lungcls: {kind.__name__}: {_one_line(str(error))} (this should not happen: run the "
        "command again with --debug and report what it says)",
        file=sys.stderr,
    )


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
    text = message.told(Options()) if isinstance(message, LungclsWarning) else str(message)
    print(f"lungcls: {where}{_one_line(text)}", file=sys.stderr)
