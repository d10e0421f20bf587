"""The Hugging Face hub, or another at `$HF_ENDPOINT`, through its library."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lungcls.errors import InputError
from napari_lungcls.network.model_file import SUFFIX
from napari_lungcls.sharing.addresses import HubAddress, check_encrypted
from napari_lungcls.utils.addresses import web_address

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ENDPOINT_VARIABLE = "HF_ENDPOINT"
CARD = "README.md"
MARK = "<!-- made by napari-lungcls: the next push replaces this file -->"
"""In a card that we wrote; others are left alone."""

LARGEST_CARD = 2_000_000
"""Bytes of a card that is looked through."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file on the hub.

    Attributes
    ----------
    address
        With the commit, and the checksum where the hub tells it.
    url
        Where its bytes are.
    headers
        With the token, for the host of the hub.
    """

    address: HubAddress
    url: str
    headers: dict[str, str]


class Hub:
    """The hub; its token is what `hf auth login` or `HF_TOKEN` gives its library.

    Raises
    ------
    InputError
        When the library is not installed, or the hub's address is not encrypted.
    """

    def __init__(self) -> None:
        try:
            from huggingface_hub import HfApi
        except ModuleNotFoundError as error:
            raise InputError(
                f"the hub needs {error.name}; pip install 'napari-lungcls[share]'"
            ) from error
        self.endpoint = os.environ.get(ENDPOINT_VARIABLE, "https://huggingface.co").rstrip("/")
        check_encrypted(self.endpoint)
        self.api: HfApi = HfApi(
            endpoint=self.endpoint,
            library_name="napari-lungcls",
            library_version=version("napari-lungcls"),
        )

    def find(self, address: HubAddress) -> HubFile:
        """Find a file; where none is named, the only model of the repository.

        Raises
        ------
        InputError
            When there is none, or it is not to be had.
        """
        from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url

        if address.file is None:
            address = replace(address, file=self._only_model(address))
        with _told(address):
            url = hf_hub_url(
                address.repository,
                address.file or "",
                revision=address.revision,
                endpoint=self.endpoint,
            )
            found = get_hf_file_metadata(url, endpoint=self.endpoint)
        own = web_address(found.location).netloc == web_address(self.endpoint).netloc
        token = get_token() if own else None
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        told = (found.etag or "").lower()
        known = told if _SHA256.fullmatch(told) else None
        if known and address.sha256 and known != address.sha256:
            raise InputError(
                f"{replace(address, sha256=None)}: the hub has another file, of SHA-256 {known}; "
                "compare with who named the checksum"
            )
        pinned = replace(
            address,
            revision=found.commit_hash or address.revision,
            sha256=address.sha256 or known,
        )
        return HubFile(pinned, found.location, headers)

    def send(
        self, model: Path, card: str, address: HubAddress, *, private: bool, message: str
    ) -> tuple[HubAddress, bool]:
        """Write a model and its card into a repository, which is made if there is none.

        Returns
        -------
        address, card_written
            Where the model is now, with its commit; whether the card went along.

        Raises
        ------
        InputError
            When the hub refuses.
        """
        from huggingface_hub import CommitOperationAdd

        file = address.file or model.name
        with _told(address):
            self.api.create_repo(address.repository, private=private, exist_ok=True)
            add = [CommitOperationAdd(file, str(model))]
            if ours := self._may_write_card(address):
                add.append(CommitOperationAdd(CARD, f"{card}\n{MARK}\n".encode()))
            made = self.api.create_commit(
                address.repository, add, commit_message=message, revision=address.revision
            )
        return replace(address, revision=str(made.oid), file=file), ours

    def _may_write_card(self, address: HubAddress) -> bool:
        """Tell whether there is no card, or one of ours."""
        where: dict[str, Any] = {"revision": address.revision}
        if not self.api.file_exists(address.repository, CARD, **where):
            return True
        with tempfile.TemporaryDirectory(prefix="lungcls-card-") as folder:
            got = self.api.hf_hub_download(address.repository, CARD, local_dir=folder, **where)
            with open(got, "rb") as file:
                return MARK.encode() in file.read(LARGEST_CARD)

    def _only_model(self, address: HubAddress) -> str:
        with _told(address):
            files = self.api.list_repo_files(address.repository, revision=address.revision)
        models = sorted(file for file in files if file.endswith(SUFFIX))
        if len(models) != 1:
            has = f"has the models {', '.join(models[:10])}" if models else "has no model"
            raise InputError(f"{address}: {has}; name the file, as hf://owner/name/model{SUFFIX}")
        return models[0]


@contextlib.contextmanager
def _told(address: HubAddress) -> Iterator[None]:
    """Turn what the hub's library raises into one line."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # Its own errors are those of its HTTP library, which differs from version to version.
    expected: tuple[Any, ...] = (*HfHubHTTPError.__bases__, OSError, ValueError, RuntimeError)
    try:
        yield
    except InputError:
        raise
    except GatedRepoError as error:
        raise InputError(
            f"{address}: asks who you are; accept its terms on the hub, and log in with "
            "hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{address}: there is no such repository, or it is not open to you; check the name, or "
            "log in with hf auth login"
        ) from error
    except (RevisionNotFoundError, EntryNotFoundError) as error:
        what = "revision" if isinstance(error, RevisionNotFoundError) else "file"
        raise InputError(f"{address}: the repository has no such {what}; check it") from error
    except expected as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise InputError(
                f"{address}: the hub does not let you; log in with hf auth login, with a token "
                "that may write there"
            ) from error
        first = str(error.__cause__ or error).strip().splitlines()[:1]
        raise InputError(
            f"{address}: the hub does not do it ({first[0] if first else type(error).__name__})"
        ) from error
