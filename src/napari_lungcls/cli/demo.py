"""`lungcls demo`: the main job from end to end, without any data of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.gui import check_napari
from napari_lungcls.cli.options import Json
from napari_lungcls.utils.humanize import percent
from napari_lungcls.utils.library_order import load_before_qt


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="folder for everything it makes")
    ] = Path("lungcls-demo"),
    gui: Annotated[
        bool, typer.Option("--gui", help="show it in napari: label, train, paint a stack")
    ] = False,
    json: Json = False,
) -> None:
    """Make a lung, train on it, paint another, compare with the truth."""
    if gui:
        _in_napari()
        return
    from napari_lungcls.demo import run_demo

    with console.progress("demo") as show, console.interruptible() as cancelled:
        found = run_demo(out, show, cancelled)
    result = {
        "val_accuracy": found.val_accuracy,
        "painted_accuracy": found.painted_accuracy,
        "seconds": round(found.seconds, 1),
        "report": str(found.report),
        "share_errors": {name: round(off, 2) for name, off in found.share_errors.items()},
    }
    text = (
        f"map of an unseen section: {percent(found.painted_accuracy)} of its cells "
        f"right, shares at most {max(map(abs, found.share_errors.values())):.1f} points off; "
        f"validation points: {percent(found.val_accuracy)}; "
        f"{found.seconds:.0f} s\nreport: {found.report}"
    )
    console.answer(result, text, as_json=json)


def _in_napari() -> None:
    check_napari()
    load_before_qt()
    from napari_lungcls.gui.demo import open_demo

    typer.echo(
        "napari opens with a made stack and points on it, trains (about a minute on two cores) "
        "and paints; close its window to end",
        err=True,
    )
    open_demo()
