"""The errors and warnings whose text is meant for the user."""

from collections.abc import Mapping
from typing import Any

from napari_lungcls.utils.printable import printable


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line with the remedy.

    The command line prints the message and exits with code 2, windows show it as a
    notification. Everything else that is raised is a defect of this package.

    Parameters
    ----------
    message
        What is wrong, and the remedy.
    remedies
        Settings, by their names, each of which would help by itself; windows offer them.

    Examples
    --------
    >>> try:
    ...     lc.load("missing.safetensors")
    ... except lc.InputError as error:
    ...     print(error)
    missing.safetensors: there is no such model file
    """

    def __init__(self, message: str, remedies: Mapping[str, Any] | None = None) -> None:
        super().__init__(printable(" ".join(message.split())))
        self.remedies = dict(remedies or {})


class LungclsWarning(UserWarning):
    """Something works, but the user should know about it before trusting the result.

    Examples
    --------
    To stop at the first one instead:

    >>> import warnings
    >>> warnings.simplefilter("error", lc.LungclsWarning)
    """
