"""A saved session: a folder of points, models and maps, and a file that joins them. No Qt."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from napari_lungcls.annotation.autosave import AutosaveHeader
from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import atomic_write, writing

NAME = "session.json"
SUFFIX = ".lungcls-session"
"""Of the folder that is proposed; any folder with a `session.json` of ours is read."""

LARGEST = 2**24
"""Bytes; a larger file is not ours."""


class SavedImage(BaseModel, frozen=True, extra="ignore"):
    """Where an image came from: a file and its reader, or a sample and its plugin, or neither."""

    name: str
    path: str = ""
    reader: str | None = None
    sample: tuple[str, str] | None = None


class SavedFile(BaseModel, frozen=True, extra="ignore"):
    """Something in the folder, by its name there."""

    file: str


class SavedPoints(SavedFile, frozen=True):
    """A points file, and the layer and image that it belongs to."""

    layer: AutosaveHeader


class SavedModel(SavedFile, frozen=True):
    """A model file; one of a session is the current model."""

    name: str
    current: bool = False


class SavedMap(SavedFile, frozen=True):
    """A map, and the layer and image that it belongs to; the image's name is empty if none is."""

    name: str
    image: str = ""
    source: str = ""
    shape: tuple[int, ...] = ()


class SavedSession(BaseModel, frozen=True, extra="ignore"):
    """What a session consists of.

    Attributes
    ----------
    images
        The images, which stay where they are.
    points, models, maps
        Names of files in the folder, and what they are.
    choices
        What the forms showed, by form.
    """

    format: Literal["napari-lungcls session"] = "napari-lungcls session"
    version: Literal[1] = 1
    images: tuple[SavedImage, ...] = ()
    points: tuple[SavedPoints, ...] = ()
    models: tuple[SavedModel, ...] = ()
    maps: tuple[SavedMap, ...] = ()
    choices: dict[str, dict[str, Any]] = {}

    def write(self, folder: Path) -> None:
        """Write the file, last of all: a folder without it is no session.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        with writing(folder / NAME), atomic_write(folder / NAME) as aside:
            aside.write_text(self.model_dump_json(indent=1), encoding="utf-8")


def is_session(path: Path) -> bool:
    """Tell quickly whether a folder is a session of ours."""
    try:
        with (path / NAME).open("rb") as file:
            return b'"napari-lungcls session"' in file.read(4096)
    except OSError:
        return False


def read_session(folder: Path) -> SavedSession:
    """Read what a session consists of; its files are in the folder and nowhere else.

    Raises
    ------
    InputError
        When it is damaged, or was written by a newer version.
    """
    path = folder / NAME
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: too large for a session; open its files one by one")
        found = SavedSession.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the folder") from error
    except ValidationError as error:
        raise InputError(
            f"{path}: damaged, or of a newer version ({one_line(error)}); open its files one by one"
        ) from error
    entries: list[SavedFile] = [*found.points, *found.models, *found.maps]
    for entry in entries:
        if entry.file != Path(entry.file).name or entry.file in ("", ".", ".."):
            raise InputError(
                f"{path}: {entry.file!r} lies outside the folder; open its files one by one"
            )
    return found
