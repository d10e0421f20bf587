"""The errors and warnings whose text is meant for the user."""

from napari_lungcls.printing import printable


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line with the remedy.

    The command line prints the message and exits with code 2, windows show it as a
    notification. Everything else that is raised is a defect of this package.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.split())))


class LungclsWarning(UserWarning):
    """Something works, but the user should know about it before trusting the result."""
