"""Predictions in words."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lungcls.gui.messages import many_predictions, one_prediction, too_many_points
from napari_lungcls.utils.humanize import percent

NAMES = ("alveoli", "septa", "duct")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0001, "<1 %"),
        (0.004999, "<1 %"),
        (0.005001, "1 %"),
        (0.93, "93 %"),
        (0.994, "99 %"),
        (0.9951, ">99 %"),
        (1, "100 %"),
    ],
)
def test_percentages_are_whole_and_round_nothing_away(share, text):
    assert percent(share, 0) == text


def test_one_prediction_names_the_class_and_its_rivals_by_rank():
    probabilities = np.array([0.05, 0.93, 0.02], np.float32)
    assert one_prediction(probabilities, NAMES) == "septa, 93 % (alveoli 5 %, duct 2 %)"


def test_a_threshold_decides_and_the_probability_is_told_as_it_is():
    probabilities = np.array([0.7, 0.3], np.float32)
    assert one_prediction(probabilities, ("air", "tissue"), 0.2) == "tissue, 30 % (air 70 %)"
    assert (
        many_predictions(probabilities[np.newaxis], ("air", "tissue"), 0.2)
        == "1 point: 100 % tissue"
    )


def test_one_class_has_no_rivals():
    assert one_prediction(np.array([1.0], np.float32), ("lung",)) == "lung, 100 %"


def test_of_many_classes_the_likeliest_are_named():
    probabilities = np.array([0.1, 0.4, 0.05, 0.3, 0.15], np.float32)
    assert one_prediction(probabilities, "abcde") == "b, 40 % (d 30 %, e 15 %, a 10 %)"


def test_many_predictions_share_out_and_leave_absent_classes_out():
    probabilities = np.eye(3, dtype=np.float32)[[0] * 122 + [1] * 99]
    assert many_predictions(probabilities, NAMES) == "221 points: 55 % alveoli, 45 % septa"
    assert many_predictions(probabilities[:1], NAMES) == "1 point: 100 % alveoli"
    assert many_predictions(np.eye(6, dtype=np.float32), "abcdef") == (
        "6 points: 17 % a, 17 % b, 17 % c, 17 % d, 2 more classes"
    )


def test_too_many_says_what_to_do():
    assert too_many_points(22_500, 10_000, 24) == (
        "22,500 points are too many for one rectangle (at most 10,000); set the spacing to "
        "24 px or more, or drag a smaller rectangle"
    )
