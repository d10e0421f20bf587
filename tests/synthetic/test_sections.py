"""Synthetic sections: the truth is plausible, and the same from every side."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.synthetic import LungParameters, make_section


def shares(truth: np.ndarray) -> dict[str, float]:
    names = ("none", "alveoli", "septa", "duct", "non-parenchyma", "outside")
    return {name: float((truth == code).mean()) for code, name in enumerate(names)}


def test_same_seed_gives_the_same_bytes():
    one, two, other = (make_section((96, 80), seed=seed) for seed in (3, 3, 4))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.truth.tobytes() == two.truth.tobytes()
    assert (one.truth != other.truth).mean() > 0.2
    assert one.image.shape == (96, 80, 3)
    assert one.image.dtype == one.truth.dtype == np.uint8


def test_fractions_are_those_of_a_lung():
    truth = np.concatenate(
        [make_section((300, 300), pixel_size=3.6, seed=seed).truth for seed in range(3)]
    )
    share = shares(truth)
    assert 0.10 < share["septa"] < 0.25
    assert 0.10 < share["duct"] < 0.30
    assert share["alveoli"] > 0.4
    assert share["none"] < 0.01
    assert share["outside"] == 0


@pytest.mark.parametrize("bad", [{"pixel_size": 0.0}, {"seed": -1}, {"shape": (0, 5)}])
def test_bad_sizes_are_refused(bad):
    with pytest.raises(InputError):
        make_section(**{"shape": (8, 8), **bad})


def test_parameters_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="greater than 0"):
        LungParameters(alveolar_diameter=0)
