"""The main job on real tissue: trained on its points, right on fresh ones, both ways."""

import pytest

import napari_lungcls as lc
from real_section import IMAGE, POINTS, fresh_points

pytestmark = pytest.mark.skipif(
    not IMAGE.exists(), reason="the real section is not here (../shared/data)"
)


@pytest.fixture(scope="module")
def section():
    return lc.open_image(IMAGE)


@pytest.fixture(scope="module")
def model(section):
    settings = lc.TrainingSettings(zooms=(1,), epochs=10, val_fraction=0, seed=1)
    return lc.train(section, POINTS, settings)


def test_is_right_at_fresh_points_through_windows_and_painted(model, section):
    fresh = fresh_points(300)
    windows = model.evaluate(section, fresh)
    painted = model.evaluate(section, fresh, painted=True, stride=2)
    assert windows.accuracy >= 0.965
    assert painted.accuracy >= 0.965
    assert abs(windows.accuracy - painted.accuracy) <= 0.01


def test_paints_a_region_with_all_classes(model, section):
    painted = model.paint(section, 8, region=(slice(1000, 1600), slice(3200, 3800)))
    fractions = painted.fractions()
    assert sum(fractions.values()) == pytest.approx(1)
    assert min(fractions.values()) > 0.01
