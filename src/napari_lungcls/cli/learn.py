"""What the commands that train share: check, run, save, report, say how to go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lungcls.cli import console
from napari_lungcls.cli.options import check_file
from napari_lungcls.learning.checkpoint import Checkpoint, checkpoint_path
from napari_lungcls.network.training_data import ModelNotes
from napari_lungcls.utils.progress import exhaust

if TYPE_CHECKING:
    from napari_lungcls.learning.progress import TrainingProgress
    from napari_lungcls.learning.run import Trained
    from napari_lungcls.network.model_file import ModelDocument


@dataclass(frozen=True)
class Kind:
    """What differs between a training on points and one on patches.

    Attributes
    ----------
    examples
        What is learned from, in the plural.
    split
        Keys of the answer that tell of the split, and what it calls them.
    words
        Lines that say in words how well it went.
    """

    examples: str
    split: Mapping[str, str]
    words: Callable[[dict[str, Any]], list[str]]


@dataclass(frozen=True)
class Places:
    """Where a training leaves what it makes; checked before anything is read.

    Attributes
    ----------
    model
        The model file.
    report
        A folder for a report, or None.
    checkpoint
        Where the run is written down.
    """

    model: Path
    report: Path | None
    checkpoint: Checkpoint

    @classmethod
    def check(cls, model: Path, report: Path | None, *, resume: bool, every: float) -> Places:
        """Refuse what cannot be written.

        Raises
        ------
        InputError
            Naming the file or folder.
        """
        from napari_lungcls.network.model_file import check_model_name
        from napari_lungcls.reporting import check_report_folder

        check_file(check_model_name(model))
        if report is not None:
            check_report_folder(report)
        return cls(model, report, Checkpoint(checkpoint_path(model), resume=resume, every=every))


def take_notes(settings: dict[str, Any]) -> ModelNotes:
    """Take the user's own words out of what `with_settings` gave.

    Raises
    ------
    InputError
        When one of the texts is too long.
    """
    given = settings.keys() & ModelNotes.model_fields.keys()
    return ModelNotes.check(**{name: settings.pop(name) for name in given})


def learn(
    start: Callable[[Callable[[], bool]], Generator[TrainingProgress, None, Trained]],
    kind: Kind,
    places: Places,
    notes: ModelNotes,
    *,
    as_json: bool,
) -> None:
    """Run a training to its end, and print what came of it.

    Parameters
    ----------
    start
        Begins the run; is given what to ask whether the user wants it to end.
    kind, places
        What is said of it, and where it goes.
    notes
        What the user says of it.
    as_json
        Whether to print the document in place of words.

    Raises
    ------
    Interrupted
        When the user ended it; the model then holds what was learned until then.
    """
    from napari_lungcls.network.model_file import write_model
    from napari_lungcls.reporting.runs import training_report

    began = time.perf_counter()
    with console.progress("training") as show, console.interruptible() as cancelled:
        trained = exhaust(start(cancelled), lambda p: show(p.done, p.total, p.words))
        stopped = cancelled()
    document = trained.document.model_copy(update={"notes": notes})
    write_model(places.model, document, trained.state)
    if not stopped:
        places.checkpoint.remove()
    result = {
        "model": str(places.model),
        **{key: document.split[name] for key, name in kind.split.items()},
        "epochs": len(document.history),
        "seconds": round(time.perf_counter() - began, 2),
        "engine": document.engine,
        "device": document.device,
        "split": document.split,
        "val": document.validation,
        "test": document.test,
    }
    if places.report is not None:
        training_report(places.report, document, result, trained.predictions)
    console.answer(result, _text(result, kind, document), as_json=as_json)
    if stopped:
        raise console.Interrupted(
            f"training was interrupted; {places.model} holds what was learned until then, and the "
            "same command with --resume goes on"
        )


def _text(result: dict[str, Any], kind: Kind, document: ModelDocument) -> str:
    lines = [
        f"trained on {result['n_train']} {kind.examples} for {result['epochs']} epochs in "
        f"{result['seconds']:.0f} s ({result['engine']} on {result['device']})"
    ]
    if document.pretrained != "none":
        lines.append(f"started from {document.pretrained}")
    if document.settings["freeze"] == "yes":
        lines.append("fitted the heads only: the backbone stays as it was (see --freeze)")
    return "\n".join([*lines, *kind.words(result), f"model: {result['model']}"])
