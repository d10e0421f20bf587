"""The command line `lungcls`: thin commands over the same functions that scripts call."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the entry point of the package."""
    from napari_lungcls.cli.app import run

    run()
