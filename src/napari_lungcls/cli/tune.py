"""`lungcls tune`: search for good settings, alone or with other processes and machines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import (
    Channels,
    Classes,
    Images,
    Json,
    PixelSize,
    SettingsFile,
    Tables,
    check_folder,
    one_of,
    with_settings,
)
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.metrics import Objective, headlines
from napari_lungcls.learning.settings import TrainingSettings

if TYPE_CHECKING:
    from napari_lungcls.hyperparameter_search.space import Space

PRUNERS = Literal["median", "hyperband", "none"]


@with_settings(TrainingSettings)
def tune(
    images: Images,
    points: Tables,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="folder for the results; without it this process only helps others with the "
            "study in --storage",
        ),
    ] = None,
    classes: Classes = None,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", help="trials in all, of all calls")
    ] = 50,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="begin no further trial after this time"),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", help="processes that work at once")
    ] = 1,
    objective: Annotated[
        str,
        typer.Option(
            "--objective",
            metavar="NAME",
            help="what trials are judged by, on the validation points: "
            + ", ".join(get_args(Objective)),
        ),
    ] = "accuracy",
    pruner: Annotated[
        str,
        typer.Option(
            "--pruner",
            metavar="NAME",
            help="what ends hopeless trials early: " + ", ".join(get_args(PRUNERS)),
        ),
    ] = "median",
    space: Annotated[
        Path | None,
        typer.Option("--space", metavar="FILE", help="YAML or JSON file of what to search"),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="NAME=RANGE",
            help="search a setting, or search it elsewhere: LOW:HIGH, LOW:HIGH:log or A/B/C",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="FILE|URL",
            help="where the study is kept: a file, or a database such as sqlite:///study.db  "
            "[default: in --out]",
        ),
    ] = None,
    study: Annotated[
        str, typer.Option("--study", metavar="NAME", help="name of the study")
    ] = "lungcls",
    settings_file: SettingsFile = None,
    json: Json = False,
    **settings: Any,
) -> None:
    """Search for the settings that learn best; settings that are given are not searched."""
    from napari_lungcls.annotation import ClassScheme
    from napari_lungcls.hyperparameter_search import Request, Search
    from napari_lungcls.hyperparameter_search.space import read_space
    from napari_lungcls.learning.settings_file import chosen_settings
    from napari_lungcls.utils.progress import exhaust

    began = time.perf_counter()
    _check_counts(trials, jobs, timeout)
    _check_places(out, storage)
    chosen = chosen_settings(settings_file, settings)
    scheme = ClassScheme.parse(classes or "lung")
    request = Request(
        images=tuple(images),
        points=tuple(map(str, points)),
        scheme=scheme,
        settings=chosen,
        out=out,
        storage=storage,
        space=read_space(space) if space else None,
        search=_search(search or [], settings),
        fixed=tuple(settings),
        pixel_size=pixel_size,
        channels=channels,
        study=study,
        objective=one_of("--objective", objective, Objective),
        pruner=one_of("--pruner", pruner, PRUNERS),
        trials=trials,
        timeout=timeout,
        jobs=jobs,
    )
    search_on = Search(request)
    with console.progress("tuning") as show, console.interruptible() as cancelled:
        exhaust(search_on.trials(cancelled), lambda p: show(p.done, p.total, p.words))
        if cancelled():
            raise console.Interrupted(
                "the search was interrupted; the same command goes on with it"
            )
    if out is None:
        counts = search_on.counts()
        console.answer(counts, _counted(counts), as_json=json)
        return
    with console.progress("training the best") as show, console.interruptible() as cancelled:
        last = search_on.conclude(cancelled)
        result = exhaust(last, lambda p: show(p.done, p.total, p.words))
        if cancelled():
            raise console.Interrupted(
                f"the last training was interrupted; {out} holds what was learned until then"
            )
    result |= {"seconds": round(time.perf_counter() - began, 2)}
    console.answer(result, _text(result), as_json=json)


def _check_counts(trials: int, jobs: int, timeout: float | None) -> None:
    for name, value in (("trials", trials), ("jobs", jobs)):
        if value < 1:
            raise InputError(f"--{name} {value}: give at least 1")
    if timeout is not None and timeout <= 0:
        raise InputError(f"--timeout {timeout:g}: give a positive number of seconds")


def _check_places(out: Path | None, storage: str | None) -> None:
    if out is not None:
        check_folder(out)
    elif storage is None:
        raise InputError("give --out for the results, or --storage to help with a study there")


def _search(words: list[str], given: dict[str, Any]) -> Space:
    """Read what to search beyond the space, which must not be settled by another option."""
    added = parse_search(words)
    for name in added.dimensions:
        if name in given:
            option = name.replace("_", "-")
            raise InputError(f"--search {option} and --{option} cannot both be; leave one out")
    return added


def parse_search(words: Sequence[str]) -> Space:
    """Read `NAME=LOW:HIGH`, `NAME=LOW:HIGH:log` and `NAME=A/B/C` from the command line.

    Raises
    ------
    InputError
        Naming the option.
    """
    from napari_lungcls.hyperparameter_search.space import Space

    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        ends = text.split(":")
        if not equals or not text or len(ends) > 3 or (len(ends) == 3 and ends[2] != "log"):
            raise InputError(
                f"--search {word}: write NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A/B/C, such as "
                "learning-rate=1e-4:1e-2:log or zooms=1/1,4"
            )
        if len(ends) > 1:
            found[name] = {"low": ends[0], "high": ends[1], "log": len(ends) == 3}
        else:
            found[name] = text.split("/")
    return Space.build(found, "--search")


def _counted(result: dict[str, Any]) -> str:
    return (
        f"study {result['study']!r}: {result['trials']} trials, {result['complete']} complete, "
        f"{result['pruned']} stopped early, {result['failed']} failed"
    )


def _text(result: dict[str, Any]) -> str:
    best = ", ".join(
        f"{name} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in result["best_params"].items()
    )
    lines = [
        f"{_counted(result)}, in {result['seconds']:.0f} s",
        f"best value on the validation points: {result['best_value']:.4f} with {best}",
    ]
    if test := result["test"]:
        lines.append(
            f"trained anew with these settings, on {test['n']} test points that the search has "
            f"not seen: {headlines(test)}"
        )
    return "\n".join([*lines, f"settings: {result['settings']}", f"model: {result['model']}"])
