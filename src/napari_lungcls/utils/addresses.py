"""Addresses on the network: which are this computer, and which may see a secret."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from napari_lungcls.errors import InputError


def is_loopback(host: str) -> bool:
    """Tell whether a host is this computer, without asking any name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def web_address(text: str, setting: str | None = None) -> SplitResult:
    """Take an address of the web apart.

    Raises
    ------
    InputError
        When it is none, or holds a password, which would be seen in lists of processes.
    """
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError as error:
        raise InputError(f"{text}: is no address ({error})", setting=setting) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"{text}: is no address; write it as http://127.0.0.1:8080 or https://lab.example",
            setting=setting,
        )
    if parts.username is not None or parts.password is not None:
        raise InputError(
            f"the address of {parts.hostname} holds a name or password; leave it out",
            setting=setting,
        )
    return parts
