"""The space of a search: every point of it is settings, and the widest crops are known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.cli.tune import parse_search
from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search.space import (
    STRENGTHS,
    Choices,
    Range,
    Space,
    default_space,
    is_whole,
    read_space,
)
from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.settings import TrainingSettings

BASE = TrainingSettings(zooms=(1, 4), colour=0.1, noise=0.4).resolved(500)
MORE = Space.build(
    {
        "rotation": ["any", "right", "none"],
        "pooling": ["point", "mean"],
        "scale": {"low": 0.0, "high": 0.3},
        "epochs": {"low": 5, "high": 50, "log": True},
    },
    "test",
)


def drawn(space: Space) -> st.SearchStrategy[dict[str, Any]]:
    """Draw values as Optuna would."""
    kinds: dict[str, st.SearchStrategy[Any]] = {}
    for name, dimension in space.dimensions.items():
        if isinstance(dimension, Choices):
            kinds[name] = st.sampled_from(dimension.values)
        elif is_whole(name):
            kinds[name] = st.integers(int(dimension.low), int(dimension.high))
        else:
            kinds[name] = st.floats(dimension.low, dimension.high)
    return st.fixed_dictionaries(kinds)


SPACE = default_space(BASE).replaced(MORE)
CORNERS = list(SPACE.corners(BASE))


@given(drawn(SPACE))
def test_every_point_is_settings_and_none_sees_farther_than_a_corner(values: Any) -> None:
    settings = SPACE.settings(BASE, values)
    for name in SPACE.dimensions.keys() - {"zooms", "augmentation", *STRENGTHS}:
        assert getattr(settings, name) == values[name]
    assert ",".join(map(str, settings.zooms)) == values["zooms"]
    assert settings.colour == pytest.approx(0.1 * values["augmentation"])
    assert settings.noise == pytest.approx(min(1, 0.4 * values["augmentation"]))
    assert settings.scale == values["scale"], "a strength that is searched itself is not scaled"
    assert reach(settings) <= max(map(reach, CORNERS))
    assert max(settings.zooms) <= max(max(corner.zooms) for corner in CORNERS)


def test_what_is_not_searched_stays() -> None:
    settings = SPACE.settings(BASE, {"dropout": 0.5})
    assert settings == BASE.model_copy(update={"dropout": 0.5})
    assert "tile" not in SPACE.without(["tile"]).dimensions


def test_the_settings_as_given_lie_in_the_usual_space() -> None:
    usual = default_space(BASE)
    values = usual.values(BASE)
    assert values.keys() == usual.dimensions.keys()
    assert usual.settings(BASE, values) == BASE


def test_the_usual_space_holds_the_tile_and_the_zooms_that_were_asked_for() -> None:
    asked = TrainingSettings(zooms=(1, 2, 4), tile=96, hidden=0).resolved(500)
    usual = default_space(asked).dimensions
    assert usual["tile"] == Choices(values=(96, 128, 256))
    assert usual["hidden"] == Choices(values=(0, 16, 32, 64))
    # None beyond the coarsest, for which regions have to be wide enough in all trials.
    assert usual["zooms"] == Choices(values=("1", "1,2", "1,2,4"))
    assert "freeze" not in usual
    assert "zooms" not in default_space(TrainingSettings().resolved(500)).dimensions
    frozen = TrainingSettings().resolved(50, weights=(0, 1, 2))
    assert default_space(frozen).dimensions["freeze"] == Choices(values=("yes", "no"))


def test_options_and_files_say_the_same(tmp_path: Any) -> None:
    words = ["learning-rate=1e-4:1e-2:log", "zooms=1/1,4", "batch-size=8/16", "tile=48:64",
             "flip=true/false", "augmentation=0:2"]  # fmt: skip
    file = tmp_path / "space.yaml"
    file.write_text(
        "learning_rate: {low: 1e-4, high: 1e-2, log: true}\nzooms: [1, '1,4']\n"
        "batch-size: [8, 16]\ntile: {low: 48, high: 64}\nflip: [true, false]\n"
        "augmentation: {low: 0, high: 2}\n"
    )
    space = parse_search(words)
    assert space == read_space(file)
    assert space.dimensions["learning_rate"] == Range(low=1e-4, high=1e-2, log=True)
    assert space.dimensions["zooms"] == Choices(values=("1", "1,4"))
    assert space.dimensions["flip"] == Choices(values=(True, False))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("dropout", "write NAME=LOW:HIGH"),
        ("dropout=", "write NAME=LOW:HIGH"),
        ("dropout=0:1:lin", "write NAME=LOW:HIGH"),
        ("dropout=a:b", "dropout: Input should be a valid number"),
        ("dropout=nan:0.5", "finite number"),
        ("dropout=0.5:0.1", "0.5 is not below 0.1"),
        ("dropout=0:1", "less than 1"),
        ("weight-decay=0:1:log", "begins above 0"),
        ("tile=48.5:64", "whole numbers"),
        ("tile=8/48", "greater than or equal to 16"),
        ("optimizer=1:2", "no number"),
        ("optimizer=adam/lion", "optimizer: should be 'adam'"),
        ("optimizer=adam/adam", "only once"),
        ("augmentation=0:9", "not from 0 to 4"),
        ("zooms=1/0,4", "such as 1,4,16"),
        ("test-fraction=0.1/0.2", "the same for all trials"),
        ("seed=1/2", "the same for all trials"),
        ("lr=1:2", "lr is no setting"),
    ],
)
def test_bad_words_name_the_option(word: str, reason: str) -> None:
    with pytest.raises(InputError, match=r"^--search") as caught:
        parse_search([word])
    assert reason in str(caught.value)
