"""`lungcls agree`: observers against each other and against a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Channels, Device, EngineName, Json, PixelSize
from napari_lungcls.errors import InputError

if TYPE_CHECKING:
    from napari_lungcls.evaluation.agreement import Estimate, PairAgreement
    from napari_lungcls.evaluation.observers import Agreement

DEPENDENCE = (
    "Intervals are 95 % bootstrap intervals over points. Neighbouring points are not "
    "independent, so the truth is less sure than they say."
)


def agree(
    tables: Annotated[
        list[Path], typer.Argument(help="points files, one per observer", metavar="CSV")
    ],
    model: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--model", metavar="MODEL IMAGE", help="also compare each with a model on an image"
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", metavar="PX", help="largest distance of one place, in pixels"),
    ] = 1.0,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", metavar="NAME|FILE", help="order of the classes  [default: the model's]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="of the bootstrap")] = 0,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    engine: EngineName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Tell how far observers agree at the same points."""
    from napari_lungcls.annotation import ClassScheme
    from napari_lungcls.evaluation.observers import compare, compare_with_model, read_observers
    from napari_lungcls.model import load

    if not 0 <= tolerance < float("inf"):
        raise InputError(f"--tolerance {tolerance:g}: give a distance in pixels, 0 or more")
    if seed < 0:
        raise InputError(f"--seed {seed}: give a whole number from 0 on")
    observers = read_observers(tables)
    if len(observers) < 2 and model is None:
        raise InputError(
            f"{tables[0]} is by one observer; give a second file, a column 'observer' with "
            "several names, or --model MODEL IMAGE"
        )
    loaded = load(model[0], engine=engine, device=device) if model else None
    if loaded is not None:
        scheme = loaded.scheme
    elif classes is not None:
        scheme = ClassScheme.parse(classes)
    else:
        labels = (o.points.labels for o in observers if o.points.labels is not None)
        scheme = ClassScheme.for_labels(label for some in labels for label in some)
    found = compare(observers, scheme, tolerance, seed)
    if loaded is not None and model is not None:
        with console.progress("classifying") as show:
            against = compare_with_model(
                observers, loaded.predictions, model[1], pixel_size, channels, seed=seed,
                progress=lambda done, total: show(done, total, "observers"),
            )  # fmt: skip
            found = found.model_copy(update={"model": list(against)})
    console.answer(found.model_dump(mode="json"), "\n".join(_lines(found)), as_json=json)


def _lines(found: Agreement) -> Iterator[str]:
    for pair in [*found.pairs, *found.model]:
        yield from _pair_lines(pair, found.classes)
    if found.fleiss is not None:
        yield (
            f"{len(found.fleiss.observers)} observers at {found.fleiss.n} points: Fleiss' kappa "
            f"{_said(found.fleiss.kappa)}"
        )
        for name, each in found.fleiss.per_class.items():
            yield f"  {name} against the rest: {_said(each)}"
    for name, share in found.fractions.items():
        for two in share.pairs:
            yield (
                f"share of {name} in {two.n} animals: {two.a} minus {two.b} {two.bias:+.4f}, "
                f"limits of agreement {two.lower:+.4f} to {two.upper:+.4f}"
            )
        if share.icc.estimate is not None:
            low, high = share.icc.ci or (share.icc.estimate, share.icc.estimate)
            yield f"  ICC(2,1) {share.icc.estimate:.3f} ({low:.3f} to {high:.3f})"
    yield DEPENDENCE


def _pair_lines(pair: PairAgreement, names: list[str]) -> Iterator[str]:
    yield (
        f"{pair.a} and {pair.b} at {pair.n} points ({pair.unmatched_a} and {pair.unmatched_b} "
        "without partner):"
    )
    yield f"  agreement {_said(pair.agreement)}, Cohen's kappa {_said(pair.kappa)}"
    for name, each in pair.per_class.items():
        yield f"  {name}: specific agreement {_said(each)}"
    for row, counts in zip(names, pair.confusion, strict=True):
        called = ", ".join(f"{n} {name}" for n, name in zip(counts, names, strict=True) if n)
        if called:
            yield f"  what {pair.a} calls {row}, {pair.b} calls: {called}"


def _said(estimate: Estimate) -> str:
    if estimate.value is None or estimate.interval is None:
        return "–"
    low, high = estimate.interval
    return f"{estimate.value:.3f} ({low:.3f} to {high:.3f})"
