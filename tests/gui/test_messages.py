"""Messages of the core as the windows say them."""

import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.gui.titles import in_window


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            InputError(
                "no split keeps every class",
                suggestion=({"zooms": (1, 4)}, "or", {"val_fraction": 0.0}, "to train on all"),
            ),
            "No split keeps every class; set Zooms to 1, 4 or set Validation share to 0 to train "
            "on all",
        ),
        (
            InputError(
                "a.tif: no point is labelled duct",
                suggestion=("label some, or", {"classes": ...}, "for a scheme without it"),
            ),
            "a.tif: no point is labelled duct; label some, or use Edit classes for a scheme "
            "without it",
        ),
        (
            InputError("one of 2 and 9 is wrong", setting="pixel_size"),
            "Pixel size: one of 2 and 9 is wrong",
        ),
        (InputError("no folder", setting="storage"), "No folder"),
        (
            InputError("it is one plane", suggestion={"stride": None}),
            "It is one plane; leave Stride out",
        ),
        ("the image is grey", "The image is grey"),
    ],
)
def test_settings_become_titles(told, said):
    assert in_window(told) == said
