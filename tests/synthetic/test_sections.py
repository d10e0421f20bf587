"""Synthetic sections: plausible truth, the same through every window, air that tells nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from napari_lungcls.errors import InputError
from napari_lungcls.synthetic import LungParameters, LungSection, make_section

ALVEOLI, SEPTA, DUCT, OTHER, OUTSIDE = range(1, 6)


@pytest.fixture(scope="module")
def section() -> LungSection:
    return make_section((540, 530), seed=2)


def test_same_seed_gives_the_same_bytes():
    one, two, other = (make_section((96, 80), seed=seed) for seed in (3, 3, 4))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.truth.tobytes() == two.truth.tobytes()
    assert (one.truth != other.truth).mean() > 0.2
    assert one.image.shape == (96, 80, 3)
    assert one.image.dtype == one.truth.dtype == np.uint8


def test_fractions_are_those_of_a_lung():
    truth = np.stack(
        [make_section((300, 300), pixel_size=3.6, seed=seed).truth for seed in range(3)]
    )
    share = np.bincount(truth.ravel(), minlength=6) / truth.size
    assert 0.10 < share[SEPTA] < 0.25
    assert 0.10 < share[DUCT] < 0.30
    assert share[ALVEOLI] > 0.45
    assert 0 < share[OTHER] < 0.2
    assert share[0] < 0.01
    assert share[OUTSIDE] == 0


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 480), st.integers(0, 480), st.integers(1, 50), st.integers(1, 40))
def test_a_part_made_by_itself_is_the_part_of_the_whole(section, y, x, height, width):
    # The whole is made of several tiles, so this crosses their borders too.
    origin = (y * section.pixel_size, x * section.pixel_size)
    part = make_section((height, width), seed=2, origin=origin)
    window = np.s_[y : y + height, x : x + width]
    assert (part.truth == section.truth[window]).mean() > 0.999
    difference = np.abs(part.image.astype(int) - section.image[window])
    assert (difference > 1).mean() < 0.001


def test_magnification_changes_no_anatomy():
    fine = make_section((240, 240), pixel_size=0.8, seed=2).truth
    coarse = make_section((80, 80), pixel_size=2.4, seed=2).truth
    # A coarse pixel has the centre of the middle one of its 3 × 3 fine pixels.
    assert (fine[1::3, 1::3] == coarse).mean() > 0.99


def test_neighbouring_planes_look_alike_and_distant_ones_do_not():
    truth = [make_section((150, 150), seed=2, z=z).truth for z in (0.0, 0.5, 4.0, 150.0)]
    changed = [float((plane != truth[0]).mean()) for plane in truth[1:]]
    assert changed[0] < 0.03
    assert changed[0] < changed[1] < 0.2
    assert changed[2] > 0.3


def test_air_looks_the_same_in_alveoli_and_ducts():
    # Even light, so that only what belongs to the airspace could make a difference.
    parameters = LungParameters(illumination=0)
    section = make_section((500, 500), pixel_size=1.2, seed=7, parameters=parameters)
    deep = {}
    for code in (ALVEOLI, DUCT):
        air = section.image[distance_transform_edt(section.truth == code) > 5].astype(float)
        # Septa just above or below the middle of the cut tint a few pixels.
        clear = (air > 232).all(axis=1)
        assert clear.mean() > 0.997
        assert clear.sum() > 10_000
        deep[code] = air[clear]
    for statistic in (np.mean, np.std):
        difference = statistic(deep[ALVEOLI], axis=0) - statistic(deep[DUCT], axis=0)
        assert np.abs(difference).max() < 0.08


def test_air_is_white_and_tissue_is_stained(section):
    brightness = section.image.astype(float).mean(axis=-1)
    inner = {code: distance_transform_edt(section.truth == code) > 1 for code in (1, 2, 3)}
    assert np.median(brightness[inner[ALVEOLI]]) > 235
    assert np.median(brightness[inner[DUCT]]) > 235
    septa = section.image[inner[SEPTA]].astype(float).mean(axis=0)
    assert septa[1] < septa[0] - 30  # eosin takes green away ...
    assert septa[1] < septa[2] - 30  # ... and leaves red and blue
    dark = (brightness < 120)[inner[SEPTA]].mean()
    assert 0.1 < dark < 0.6  # nuclei


def test_septa_and_ducts_are_as_wide_as_the_parameters_say():
    # In a random section through a wall of thickness t, the area of the wall per length of
    # its middle line is t · 4/π; rims and fillets add to it.
    parameters = LungParameters(
        airway_spacing=None, vessel_spacing=None, septal_spread=0, septal_patchiness=0
    )
    thin = make_section((300, 300), pixel_size=1.5, seed=1, parameters=parameters)
    thick = make_section(
        (300, 300),
        pixel_size=1.5,
        seed=1,
        parameters=parameters.model_copy(update={"septal_thickness": 11.2}),
    )
    ratio = (thick.truth == SEPTA).mean() / (thin.truth == SEPTA).mean()
    assert 1.5 < ratio < 2.2
    widest = distance_transform_edt(thin.truth != ALVEOLI)[thin.truth == DUCT].max() * 1.5
    assert 0.35 * parameters.duct_diameter < widest < 0.8 * parameters.duct_diameter


def test_without_airways_and_vessels_all_is_parenchyma():
    parameters = LungParameters(airway_spacing=None, vessel_spacing=None)
    truth = make_section((200, 200), pixel_size=6, seed=1, parameters=parameters).truth
    assert set(np.unique(truth)) <= {0, ALVEOLI, SEPTA, DUCT}


def test_beyond_the_pleura_lies_glass():
    section = make_section((60, 400), seed=1, parameters=LungParameters(pleura=360.0))
    assert (section.truth[:, 260:] == OUTSIDE).all()
    assert (section.truth[:, :140] != OUTSIDE).all()
    for row in section.truth:
        surface = int(np.argmax(row == OUTSIDE))
        assert (row[surface - 3 : surface] == OTHER).all()
    assert abs(np.median(section.image[:, 300:]) - 243) < 5


def test_debris_has_no_class_and_can_be_left_out():
    kept, none = (
        make_section((150, 150), pixel_size=2, seed=1, parameters=LungParameters(debris=debris))
        for debris in (300, 0)
    )
    assert (kept.truth == 0).mean() > 0.005
    assert (none.truth == 0).sum() == 0
    assert kept.image[kept.truth == 0].mean() < none.image[kept.truth == 0].mean() - 30


def test_a_human_lung_is_coarser():
    human = make_section((150, 150), pixel_size=6, seed=1, parameters=LungParameters.human())
    mouse = make_section((150, 150), pixel_size=6, seed=1)
    edges = [(section.truth[:, 1:] != section.truth[:, :-1]).mean() for section in (human, mouse)]
    assert edges[0] < 0.6 * edges[1]


@pytest.mark.parametrize(
    "bad", [{"pixel_size": 0.0}, {"pixel_size": np.nan}, {"seed": -1}, {"shape": (0, 5)}]
)
def test_bad_sizes_are_refused(bad):
    with pytest.raises(InputError, match=r"shape|seed|pixel size"):
        make_section(**{"shape": (8, 8), **bad})


def test_parameters_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="greater than 0"):
        LungParameters(alveolar_diameter=0)
    with pytest.raises(ValueError, match="Extra inputs"):
        LungParameters(alveolar_diametre=50)
