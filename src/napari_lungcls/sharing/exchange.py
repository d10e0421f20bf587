"""Fetching a model from others, and publishing one."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.model_card import ModelCard
from napari_lungcls.network.model_file import ModelDocument, check_model_name, read_model
from napari_lungcls.sharing.addresses import (
    FileAddress,
    HubAddress,
    file_name,
    read_address,
)
from napari_lungcls.sharing.download import Progress, download
from napari_lungcls.sharing.hub import Hub
from napari_lungcls.utils.atomic_write import atomic_write, check_writable, writing
from napari_lungcls.utils.downloads import OFFLINE_VARIABLE

logger = logging.getLogger(__name__)

MAX_MB = 1000.0
"""Megabytes of a model; those of the defaults have 45."""


@dataclass(frozen=True)
class PulledModel:
    """A model that was fetched.

    Attributes
    ----------
    path
        Its file.
    address
        By which anybody gets the same file: with the commit, if there is one, and the checksum.
    document
        What it says about itself.
    card
        The same for people.
    checked
        Whether it has a checksum that was told, by the address or the hub.
    """

    path: Path
    address: HubAddress | FileAddress
    document: ModelDocument
    card: ModelCard
    checked: bool


@dataclass(frozen=True)
class PushedModel:
    """A model that was published.

    Attributes
    ----------
    address
        By which anybody gets it, with the commit and the checksum.
    card_written
        Whether its card went along; not where another one lies there.
    """

    address: HubAddress
    card_written: bool


def pull(
    address: str,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    max_mb: float = MAX_MB,
    progress: Progress | None = None,
) -> PulledModel:
    """Fetch a model; the file gets its name when all of it is here and is a model.

    Parameters
    ----------
    address
        `hf://owner/name@revision/file`, or `https://…`, either with `#sha256=…` behind. Of the
        hub a revision may be left out, and the file if there is one only.
    out
        Where it goes; a file of its own name in the current folder if not given.
    overwrite
        Whether a file that is there is replaced.
    max_mb
        Megabytes that it may have.
    progress
        Called with the bytes that are here and in all.

    Raises
    ------
    InputError
        When it cannot be had, has another checksum, is too large, or is no model.
    """
    found = read_address(address)
    if out is None and found.file is not None:
        _check_target(Path(file_name(found.file)), overwrite=overwrite)
    if os.environ.get(OFFLINE_VARIABLE):
        raise InputError(f"{found}: cannot be fetched, {OFFLINE_VARIABLE} is set")
    headers: dict[str, str] = {}
    if isinstance(found, HubAddress):
        place = Hub().find(found)
        found, url, headers = place.address, place.url, place.headers
    else:
        url = found.url
    target = Path(out) if out is not None else Path(file_name(found.file or ""))
    _check_target(target, overwrite=overwrite)
    with writing(target), atomic_write(target) as aside:
        sha256 = download(url, aside, int(max_mb * 1e6), headers, progress)
        if found.sha256 not in (None, sha256):
            raise InputError(
                f"{replace(found, sha256=None)}: what came has the SHA-256 {sha256}, and not the "
                "one that was told; do not use it, and tell who publishes it"
            )
        try:
            document, _ = read_model(aside)
            card = ModelCard(document, target.stem, sha256)
        except InputError as error:
            raise InputError(str(error).replace(str(aside), str(found))) from error
    logger.info("fetched %s: %s", found, target)
    checked = found.sha256 is not None
    return PulledModel(target, replace(found, sha256=sha256), document, card, checked)


def push(
    model: str | os.PathLike[str],
    address: str,
    *,
    public: bool = False,
    message: str = "",
) -> PushedModel:
    """Publish a model with its card on the hub.

    Parameters
    ----------
    model
        The model file.
    address
        `hf://owner/name`, with `@branch` and `/file` if they are others than the main branch and
        the file's own name. The repository is made if there is none.
    public
        Whether a repository that is made is open to everybody.
    message
        Of the commit.

    Raises
    ------
    InputError
        When it is no model, or the hub refuses.
    """
    path, found = check_model_name(model), read_address(address)
    if not isinstance(found, HubAddress) or found.sha256 is not None:
        raise InputError(f"{address}: is no place to publish at; write hf://owner/name")
    file_name(found.file or path.name)
    document, _ = read_model(path)
    card = ModelCard.of_file(path, document)
    where, written = Hub().send(
        path,
        front_matter() + card.markdown(),
        found,
        private=not public,
        message=message or f"Model {card.name}",
    )
    logger.info("published %s: %s", path, where)
    return PushedModel(replace(where, sha256=card.sha256), written)


def front_matter() -> str:
    """Write what the hub reads at the beginning of a card."""
    tags = ["histology", "lung", "semantic-segmentation", "safetensors"]
    lines = ["library_name: napari-lungcls", "pipeline_tag: image-segmentation", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---", "", ""])


def _check_target(target: Path, *, overwrite: bool) -> None:
    check_model_name(target)
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists already", suggestion={"overwrite": True})
    check_writable(target)
