"""Addresses of models: `hf://owner/name@revision/file`, `https://…#sha256=…`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from napari_lungcls.errors import InputError
from napari_lungcls.network.model_file import SUFFIX
from napari_lungcls.utils.addresses import is_loopback, web_address

HUB = "hf://"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubAddress:
    """A place on the hub.

    Attributes
    ----------
    repository
        `owner/name`.
    revision
        Branch, tag or commit; None for the main branch.
    file
        Path of a file in it; None where none is named.
    sha256
        Checksum that the file must have, if one is given.
    """

    repository: str
    revision: str | None = None
    file: str | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        """Write it as it is read."""
        revision = f"@{self.revision}" if self.revision else ""
        file = f"/{self.file}" if self.file else ""
        checksum = f"#sha256={self.sha256}" if self.sha256 else ""
        return f"{HUB}{self.repository}{revision}{file}{checksum}"


@dataclass(frozen=True)
class FileAddress:
    """A file on the web; attributes as of `HubAddress`."""

    url: str
    sha256: str | None = None

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{self.url}#sha256={self.sha256}" if self.sha256 else self.url

    @property
    def file(self) -> str:
        """The last part of its path."""
        return unquote(urlsplit(self.url).path)


def read_address(text: str) -> HubAddress | FileAddress:
    """Tell what an address means.

    Raises
    ------
    InputError
        When it is none, or is not encrypted.
    """
    whole, _, fragment = text.strip().partition("#")
    sha256 = _checksum(fragment, text) if fragment else None
    if whole.startswith(HUB):
        return _hub_address(whole.removeprefix(HUB), sha256, text)
    if not whole.startswith(("http://", "https://")):
        raise InputError(
            f"{text}: is no address of a model; write hf://owner/name/model{SUFFIX} or "
            f"https://lab.example/model{SUFFIX}#sha256=…"
        )
    check_encrypted(whole)
    return FileAddress(urlunsplit(urlsplit(whole)), sha256)


def check_encrypted(url: str) -> None:
    """Refuse an address by which others could change what arrives.

    Raises
    ------
    InputError
        When it is no address, or plain http to another computer.
    """
    parts = web_address(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InputError(f"{url}: is not encrypted, so others could change the file; use https")


def file_name(path: str) -> str:
    """Give the name that a file is to have here.

    Raises
    ------
    InputError
        When it is not called like a model.
    """
    name = PurePosixPath(path.replace("\\", "/")).name
    if not name.endswith(SUFFIX) or not name.isprintable() or name == SUFFIX or ":" in name:
        raise InputError(f"{path or 'the address'}: a model is a file whose name ends in {SUFFIX}")
    return name


def _hub_address(rest: str, sha256: str | None, text: str) -> HubAddress:
    owner, _, rest = rest.partition("/")
    head, _, file = rest.partition("/")
    name, _, revision = head.partition("@")
    parts = file.split("/") if file else []
    revision = unquote(revision)
    if not (_PART.fullmatch(owner) and _PART.fullmatch(name)) or not revision.isprintable():
        raise InputError(
            f"{text}: is no address on the hub; write hf://owner/name@revision/model{SUFFIX}"
        )
    if any(part in ("", ".", "..") for part in parts) or not file.isprintable():
        raise InputError(f"{text}: {file} is no path in a repository")
    return HubAddress(f"{owner}/{name}", revision or None, file or None, sha256)


def _checksum(fragment: str, text: str) -> str:
    kind, _, value = fragment.partition("=")
    value = value.strip().lower()
    if kind.strip().lower() != "sha256" or not _SHA256.fullmatch(value):
        raise InputError(
            f"{text}: after # stands the checksum, as sha256= and 64 digits from 0 to f"
        )
    return value
