"""Unsaved models kept on disk, so that closing napari or a crash loses none. No Qt."""

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
from napari_lungcls.utils.names import numbered

if TYPE_CHECKING:
    from napari_lungcls.model import Model

FOLDER_VARIABLE = "LUNGCLS_MODELS"
LOCK = ".lock"


def folder() -> Path:
    """Give the folder of unsaved models: in the user's data folder, or `$LUNGCLS_MODELS`."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_data_dir("napari-lungcls")) / "models"


class Kept:
    """A model file in that folder, locked against other processes until it is released.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    Claimed
        If another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        claim = Claim(path.with_name(path.name + LOCK))
        self._release = weakref.finalize(self, claim.release)

    @property
    def name(self) -> str:
        """Name of the model: `lung 2026-11-28 16-43`."""
        return self.path.stem

    def remove(self) -> None:
        """Delete the file, once the model is saved elsewhere or not wanted."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leave the file for the next session."""
        self._release()


def keep(model: "Model") -> Kept:
    """Save a model in the folder.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    where = folder()
    scheme = re.sub(r"[^\w -]", "_", model.scheme.name)
    base = f"{scheme} {datetime.now():%Y-%m-%d %H-%M}"
    try:
        where.mkdir(parents=True, exist_ok=True)
        for name in numbered(base):
            path = where / f"{name}{SUFFIX}"
            if path.exists():
                continue
            with contextlib.suppress(Claimed):
                kept = Kept(path)
                break
    except OSError as error:
        raise InputError(
            f"{where}: the model could not be kept here ({error.strerror}); save it yourself"
        ) from error
    try:
        model.save(path)
    except BaseException:
        kept.release()
        raise
    return kept


def left_behind() -> list[Kept]:
    """Claim the models that earlier sessions left."""
    found = []
    # Hidden files are the remains of files whose writer was killed.
    for path in sorted(folder().glob(f"[!.]*{SUFFIX}")):
        with contextlib.suppress(Claimed, OSError):
            kept = Kept(path)
            if path.exists():
                found.append(kept)
            else:  # Saved or deleted in the meantime.
                kept.release()
    return found
