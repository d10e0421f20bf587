"""The main job on real tissue: trained on its points, right on fresh ones, both ways."""

import os

import numpy as np
import pytest
from napari_lungcls.network.readouts import readouts_at

import napari_lungcls as lc
from napari_lungcls.imaging.windows import read_windows
from real_section import IMAGE, POINTS, fresh_points

pytestmark = pytest.mark.skipif(
    not IMAGE.exists(), reason="the real section is not here (../shared/data)"
)


@pytest.fixture(scope="module")
def section():
    return lc.open_image(IMAGE)


@pytest.fixture(scope="module")
def model(section):
    import torch

    settings = lc.TrainingSettings(zooms=(1,), epochs=10, val_fraction=0, seed=1)
    # Other tests have one thread, for networks so small that several would wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return lc.train(section, POINTS, settings)
    finally:
        torch.set_num_threads(threads)


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


def test_a_map_says_what_windows_around_its_cells_say(model, section):
    """At cells whose centres are pixels, through windows twice as wide as in training."""
    painted = model.paint(section, 5, region=(slice(1200, 1400), slice(3300, 3500)))
    cells = np.random.default_rng(0).integers(0, 40, (200, 2))
    points = np.array([1200, 3300]) + cells * 5 + 2.0
    logits = []
    for some in np.array_split(points, 5):
        windows, places = read_windows(section, some, (1,), 192)
        logits.append(
            model.engine.logits(windows, readouts_at(model.engine.spec, places, size=192))
        )
    same = painted.classes[tuple(cells.T)] == np.concatenate(logits).argmax(1) + 1
    # By 400 cells of this and a larger region it is 0.945 to 0.958, with smoothed labels or not.
    assert same.mean() >= 0.92
    sure = painted.probabilities[:, *cells.T].max(0) > 0.9
    assert sure.mean() > 0.3
    assert same[sure].mean() >= 0.98
