"""Test lines: every direction alike, within the image, and counts as they were written."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from napari_lungcls.annotation import Points
from napari_lungcls.errors import InputError
from napari_lungcls.stereology.design import SampledImage, make_grid
from napari_lungcls.stereology.lines import crossings, segments


def test_lines_have_their_length_their_middle_and_any_direction():
    points = make_grid([SampledImage("a", (500, 500))], 12, lines=10, repeat_fraction=0)
    start, end = segments(points)
    length = np.linalg.norm(end - start, axis=1)
    middle = points.coordinates
    whole = ((middle >= 5) & (middle <= 494)).all(axis=1)
    np.testing.assert_allclose(length[whole], 10)
    np.testing.assert_allclose((start + end)[whole] / 2, middle[whole])
    for ends in (start, end):
        assert ends.min() >= -0.5
        assert ends.max() <= 499.5
    cut = length < 10 - 1e-9
    assert 0 < np.count_nonzero(cut) < np.count_nonzero(~whole)
    assert not cut[whole].any()
    angle = np.rad2deg(np.arctan2(*(end - start).T))
    assert np.allclose(angle % 180, points.column("line_angle").astype(float), atol=1e-6)
    assert kstest(angle / 180, "uniform").pvalue > 0.01


def test_buffon_s_needles_find_the_surface():
    """Crossings per length are 2/π times the length of walls per area."""
    points = make_grid([SampledImage("a", (900, 900))], 9, lines=20, repeat_fraction=0)
    start, end = segments(points)
    walls = 30.0  # vertical walls at x = 30·k
    hits = np.abs(np.floor(start[:, 1] / walls) - np.floor(end[:, 1] / walls)).sum()
    found = hits / np.linalg.norm(end - start, axis=1).sum()
    assert found == pytest.approx(2 / np.pi / walls, rel=0.03)


def test_repeats_ask_for_the_same_line():
    points = make_grid([SampledImage("a", (90, 90))], 6, lines=20)
    start, _ = segments(points)
    again = np.flatnonzero(points.column("repeat_of") != "")
    assert again.size
    first = points.column("repeat_of")[again].astype(int)
    np.testing.assert_array_equal(start[again], start[first])


def test_lines_along_the_axes():
    columns = {"line_length": 10, "plane_shape": "40 x 40"}
    points = Points.build([[20, 20], [20, 20], [2, 20]], line_angle=[0, 90, 90], **columns)
    start, end = segments(points)
    np.testing.assert_allclose(start, [[20, 15], [15, 20], [-0.5, 20]], atol=1e-9)
    np.testing.assert_allclose(end, [[20, 25], [25, 20], [7, 20]], atol=1e-9)


def test_crossings_are_counts_or_not_yet_there():
    points = Points.build([[1, 2]] * 4, crossings=["2", "", "0", " "])
    np.testing.assert_array_equal(crossings(points), [2, np.nan, 0, np.nan])
    for bad in ("1.5", "-1", "two"):
        with pytest.raises(InputError, match=r"row 0: crossings is .*, not a (whole )?number"):
            crossings(Points.build([[1, 2]], crossings=[bad]))
    with pytest.raises(InputError, match="the points have no test lines; draw them with lines"):
        crossings(Points.build([[1, 2]]))
