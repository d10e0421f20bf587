"""Messages of the core as the windows say them."""

import re

import pytest

from napari_lungcls.gui.wording import in_window


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            "no split keeps every class; use --zooms 1,4, or train with --val-fraction 0",
            "No split keeps every class; use zooms 1, 4, or train with validation share 0",
        ),
        ("use a smaller --learning-rate", "Use a smaller learning rate"),
        (
            "a.tif: no point is labelled duct; label some, or give --classes a scheme without it",
            "a.tif: no point is labelled duct; label some, or remove the class from the scheme "
            "(Edit classes)",
        ),
        (
            "the pixel sizes are 2 and 9; one must be wrong: give --pixel-size",
            "The pixel sizes are 2 and 9; one must be wrong: correct the image's scale",
        ),
        ("--stride 99: give a whole number", "Stride 99: give a whole number"),
    ],
)
def test_options_become_titles(told, said):
    assert in_window(told) == said
    assert not re.search("--[a-z]", in_window(told))
