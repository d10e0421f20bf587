"""The main job on real tissue: trained on its points, right on fresh ones, both ways."""

import os

import numpy as np
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
    import torch

    settings = lc.TrainingSettings(
        tile=128, batch_size=4, epochs=5, val_fraction=0, seed=1, pretrained="none"
    )
    # Other tests have one thread, for networks so small that several would wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return lc.train(section, POINTS, settings)
    finally:
        torch.set_num_threads(threads)


def test_is_right_at_fresh_points_exactly_and_at_the_cells_under_them(model, section):
    fresh = fresh_points(300)
    exact = model.evaluate(section, fresh)
    painted = model.evaluate(section, fresh, painted=True, stride=2)
    assert exact.accuracy >= 0.95
    assert painted.accuracy >= 0.95
    assert abs(exact.accuracy - painted.accuracy) <= 0.01


def test_paints_a_region_with_all_classes(model, section):
    painted = model.paint(section, 8, region=(slice(1000, 1600), slice(3200, 3800)))
    fractions = painted.fractions()
    assert sum(fractions.values()) == pytest.approx(1)
    assert min(fractions.values()) > 0.01


def test_the_answer_at_the_middle_of_a_cell_is_the_map_there(model, section):
    """At cells whose middles are pixels, farther from the edge than the network sees."""
    painted = model.paint(section, 5, region=(slice(1000, 1600), slice(3100, 3700)))
    cells = np.random.default_rng(0).integers(40, 80, (200, 2))
    probabilities = model.classify(section, np.array([1000, 3100]) + cells * 5 + 2.0)
    np.testing.assert_allclose(painted.probabilities[:, *cells.T].T, probabilities, atol=0.002)
    assert (painted.classes[tuple(cells.T)] == probabilities.argmax(1) + 1).mean() >= 0.99
