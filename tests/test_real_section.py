"""The main job on real tissue: trained on its points, right on fresh ones, both ways."""

import json

import numpy as np
import pytest

import napari_lungcls as lc
from napari_lungcls.stereology.masks import read_mask
from real_section import IMAGE, POINTS, TISSUE, WEIGHTS, fresh_points, rule

pytestmark = pytest.mark.skipif(
    not IMAGE.exists(), reason="the real section is not here (../shared/data)"
)


@pytest.fixture(scope="module")
def section():
    return lc.open_image(IMAGE)


@pytest.fixture(scope="module")
def model(section):
    # Heads on a frozen backbone, of a seventh of the points: training it takes minutes.
    settings = lc.TrainingSettings(
        val_fraction=0, seed=1, pretrained=str(WEIGHTS), freeze="yes", zooms=(1,)
    )
    points = lc.read_points(POINTS)
    return lc.train(section, points.select(np.arange(0, len(points), 7)), settings)


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


def test_is_measured_with_answers_by_the_rule(model, section, tmp_path):
    """What the rule leaves open is not answered, and said."""
    rows, columns = slice(2784, 4192), slice(3008, 4592)
    painted = model.paint(section, 8, region=(rows, columns))
    corners = [(x, y) for y in (rows.start, rows.stop) for x in (columns.start, columns.stop)]
    ring = [corners[i] for i in (0, 1, 3, 2, 0)]
    (tmp_path / "part.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    mask = read_mask(tmp_path / "part.geojson", section.shape)
    points = lc.make_grid([lc.SampledImage(section.source, section.shape, mask)], 48, seed=1)
    truth = rule(rows.start, rows.stop)
    at = points.coordinates.astype(int) - [rows.start, TISSUE.start]
    names = np.array(["", *model.scheme.names], object)
    found = lc.measure([painted], [points.with_columns(**{"class": names[truth[*at.T]]})]).measures
    inside = truth[:, columns.start - TISSUE.start : columns.stop - TISSUE.start]
    for code, symbol in enumerate(("alvair", "sep", "ductair"), 1):
        share = (inside == code).sum() / (inside > 0).sum()
        low, high = found.parameters[f"V_V({symbol}/par)"]["manual"].ci
        assert low - 0.03 <= share <= high + 0.03
    assert any("are not answered" in warning for warning in found.warnings)
    assert any("no pixel size" in warning for warning in found.warnings)
