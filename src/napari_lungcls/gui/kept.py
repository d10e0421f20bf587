"""Models on disk before anybody saved them, so that closing or a crash loses none. No Qt."""

import contextlib
import os
import re
import weakref
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_lungcls.errors import InputError
from napari_lungcls.network.model_file import SUFFIX
from napari_lungcls.utils.locks import Claim, Claimed

if TYPE_CHECKING:
    from napari_lungcls.model import Model

FOLDER_VARIABLE = "LUNGCLS_MODELS"
LOCK = ".lock"


def folder() -> Path:
    """Give the folder of kept models: in the user's data folder, or `$LUNGCLS_MODELS`."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_data_dir("napari-lungcls")) / "models"


class Kept:
    """A model file in that folder; other windows leave it alone until it is let go.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    Claimed
        When another window has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        claim = Claim(path.with_name(path.name + LOCK))
        self._release = weakref.finalize(self, claim.release)

    @property
    def name(self) -> str:
        """What to call the model: `lung 2026-11-28 16-43`."""
        return self.path.stem

    def remove(self) -> None:
        """Delete the file: the model is saved elsewhere, or not wanted."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leave the file for the next session."""
        self._release()


def keep(model: "Model") -> Kept:
    """Write a model to the folder.

    Raises
    ------
    InputError
        When that cannot be done.
    """
    where = folder()
    scheme = re.sub(r"[^\w -]", "_", model.scheme.name)
    base = f"{scheme} {datetime.now():%Y-%m-%d %H-%M}"
    try:
        where.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = where / f"{base}{f' ({number})' if number > 1 else ''}{SUFFIX}"
            number += 1
            if path.exists():
                continue
            with contextlib.suppress(Claimed):
                kept = Kept(path)
                break
    except OSError as error:
        raise InputError(
            f"{where}: the model cannot be kept there ({error.strerror}); save it yourself"
        ) from error
    try:
        model.save(path)
    except BaseException:
        kept.release()
        raise
    return kept


def left_behind() -> list[Kept]:
    """Claim the models that sessions before this one left."""
    found = []
    # A hidden file is what is left of one that was being written when its process was killed.
    for path in sorted(folder().glob(f"[!.]*{SUFFIX}")):
        with contextlib.suppress(Claimed, OSError):
            kept = Kept(path)
            if path.exists():
                found.append(kept)
            else:  # It was saved or deleted while we looked.
                kept.release()
    return found
