"""Settings: one model for command line, windows and files; errors that name the option."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_lungcls.errors import InputError
from napari_lungcls.learning.form_hints import GROUPS
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.settings_network import FEW, KEEPING, WITH_WEIGHTS
from napari_lungcls.learning.settings_run import (
    ENOUGH,
    FINISH,
    LARGE,
    LEAST_STEPS,
    MOST_STEPS,
    PIXELS,
    SMALL,
    STEPS_PER_EPOCH,
)


def test_the_contract_s_defaults() -> None:
    settings = TrainingSettings()
    assert (settings.zooms, settings.tile, settings.stages) == ((), None, ())
    assert (settings.batch_size, settings.hidden, settings.optimizer) == (None, 32, "adam")
    assert (settings.val_fraction, settings.seed) == (0.2, 0)
    assert (settings.engine, settings.device, settings.pretrained) == ("torch", "auto", "auto")
    assert (settings.readout, settings.padding, settings.rotation) == ("point", "reflect", "right")
    assert (settings.prior, settings.freeze) == ("points", "auto")


@pytest.mark.parametrize(
    ("given", "zooms"),
    [
        ("1,4,16", (1, 4, 16)),
        (" 1, 4", (1, 4)),
        ("8", (8,)),
        (8, (8,)),
        ([16, 1], (1, 16)),
        ((1,), (1,)),
        ("auto", ()),
    ],
)
def test_zooms_come_in_any_form(given: Any, zooms: tuple[int, ...]) -> None:
    assert TrainingSettings.check(zooms=given).zooms == zooms


EVERY = (-1, 0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("given", "n", "weights", "freeze", "stages", "zooms"),
    [
        # Random numbers learn, however few points there are.
        ({}, FEW - 1, (), "no", EVERY, (1,)),
        # Few points on weights of a file: heads only, on what the file has.
        ({}, FEW - 1, (0, 1, 2, 3), "yes", (-1, 0, 1, 2, 3), WITH_WEIGHTS),
        ({}, FEW, (0, 1, 2, 3), "no", (-1, 0, 1, 2, 3), WITH_WEIGHTS),
        ({"zooms": (2,)}, FEW - 1, (0, 1), "yes", (-1, 0, 1), (2,)),
        ({"stages": "stem,layer2"}, FEW - 1, (0, 1), "yes", (0, 2), WITH_WEIGHTS),
        ({"freeze": "no"}, FEW - 1, (0, 1), "no", (-1, 0, 1), WITH_WEIGHTS),
        ({"freeze": "yes"}, 9999, (), "yes", EVERY, (1,)),
        ({"readout": "mean"}, 30, (0, 1, 2, 3, 4), "no", EVERY, (1,)),
        # A network needs a layer.
        ({}, FEW, (0,), "no", EVERY, WITH_WEIGHTS),
    ],
)
def test_what_is_left_to_the_program_goes_by_points_and_weights(
    given: dict[str, Any], n: int, weights: Any, freeze: str, stages: Any, zooms: Any
) -> None:
    found = TrainingSettings.check(**given).resolved(n, weights=weights)
    assert (found.freeze, found.stages, found.zooms) == (freeze, stages, zooms)
    assert found.freezes == (freeze == "yes")
    assert found.trunk_rate == (KEEPING if weights else 1.0)
    assert TrainingSettings(trunk_rate=0.5).resolved(n, weights=weights).trunk_rate == 0.5


@given(st.floats(0, 0.05))
def test_the_tile_goes_by_the_density_of_the_points(density: float) -> None:
    found = TrainingSettings().resolved(500, density=density)
    assert found.tile is not None
    held = PIXELS // LARGE**2 * (1 + density * LARGE**2)
    assert found.tile == (LARGE if held >= ENOUGH else SMALL)
    # A step costs the same.
    assert found.batch_size == PIXELS // found.tile**2
    chosen = TrainingSettings(tile=96).resolved(500, density=density)
    assert (chosen.tile, chosen.batch_size) == (96, PIXELS // 96**2)
    assert TrainingSettings(batch_size=3).resolved(500, density=density).batch_size == 3
    assert TrainingSettings(tile=1024).resolved(500).batch_size == 1
    assert TrainingSettings(tile=96, zooms=(1, 2)).resolved(9).batch_size == PIXELS // 96**2 // 2


@pytest.mark.parametrize(
    ("given", "prior"),
    [
        ("points", "points"),
        (" Equal ", "equal"),
        ("0.6,0.2, 0.2", (0.6, 0.2, 0.2)),
        ((3, 1), (3.0, 1.0)),
    ],
)
def test_priors_come_in_any_form(given: Any, prior: Any) -> None:
    assert TrainingSettings.check(prior=given).prior == prior


def test_every_field_says_what_it_is_and_where_a_form_shows_it() -> None:
    titles = [field.title for field in TrainingSettings.model_fields.values()]
    assert len(set(titles)) == len(titles)
    for name, field in TrainingSettings.model_fields.items():
        assert field.description, name
        assert field.title, name
        assert field.title[0].isupper(), name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["group"] in GROUPS, name


def test_what_may_be_chosen_includes_the_default() -> None:
    for name, field in TrainingSettings.model_fields.items():
        assert isinstance(field.json_schema_extra, dict)
        choices = field.json_schema_extra["choices"]
        assert isinstance(choices, list)
        assert not choices or field.default in choices, name


@given(
    st.sets(st.integers(1, 99), min_size=1, max_size=3),
    st.none() | st.integers(1, 500),
    st.floats(1e-6, 10),
    st.sampled_from(["adam", "adamw", "sgd"]),
    st.floats(0, 0.99),
)
def test_a_file_gives_the_same_settings_back(
    zooms: set[int], epochs: int | None, rate: float, optimizer: Any, share: float
) -> None:
    settings = TrainingSettings(
        zooms=tuple(sorted(zooms)),
        epochs=epochs,
        learning_rate=rate,
        optimizer=optimizer,
        val_fraction=share,
    )
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
    assert TrainingSettings.check(**settings.model_dump(mode="json")) == settings


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingSettings().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"zooms": "1,x"}, r"--zooms x: Input should be a valid integer"),
        ({"zooms": "0,4"}, "positive whole numbers, each once, such as 1,4,16"),
        ({"zooms": "4,4"}, "each once"),
        ({"stages": "layer5"}, "--stages"),
        ({"stages": "-2"}, "--stages"),
        ({"tile": 8}, "--tile 8"),
        ({"hidden": -1}, "--hidden -1"),
        ({"prior": "0.5,0"}, "a positive number for each class"),
        ({"prior": "often"}, "--prior"),
        ({"freeze": "maybe"}, "--freeze maybe"),
        ({"epochs": 0}, "--epochs 0"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"learning_rate": 0}, "--learning-rate 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        (
            {"optimizer": "lion"},
            "--optimizer lion: Input should be 'adam', 'adamw', 'sgd' or 'rmsprop'",
        ),
        ({"schedule": "cosinus"}, "--schedule cosinus"),
        ({"val_fraction": 1}, "--val-fraction 1"),
        ({"val_fraction": -0.1}, "--val-fraction -0.1"),
        ({"dropout": 1}, "--dropout 1"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**32}, "--seed"),
        ({"rotation": "some"}, "--rotation some"),
        ({"colours": 1}, "--colours 1"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingSettings.check(**values)


def test_engines_get_what_they_need() -> None:
    settings = TrainingSettings(optimizer="sgd", dropout=0.1, freeze="yes", seed=7, clip_norm=2)
    options = settings.optimizer_options
    assert (options.optimizer, options.dropout, options.freeze) == ("sgd", 0.1, True)
    assert (options.seed, options.clip_norm, options.weight_decay) == (7, 2, 1e-4)


@given(st.integers(1, 100_000), st.integers(1, 512))
def test_a_run_takes_more_steps_for_more_points_within_limits(n: int, batch: int) -> None:
    chosen = TrainingSettings(batch_size=batch)
    epochs, steps = chosen.epochs_for(n), chosen.steps_per_epoch(n)
    assert steps == STEPS_PER_EPOCH
    assert abs(epochs * steps - min(MOST_STEPS, max(LEAST_STEPS, n // 2))) <= steps / 2
    # Epochs that are asked for are no longer than the points make them.
    given = TrainingSettings(batch_size=batch, epochs=3)
    assert given.epochs_for(n) == 3
    assert given.steps_per_epoch(n) == min(STEPS_PER_EPOCH, -(-n // batch))


@given(st.integers(1, 100_000), st.integers(1, 512))
def test_an_epoch_of_patches_sees_each_once(n: int, batch: int) -> None:
    steps = TrainingSettings(batch_size=batch, readout="mean").steps_per_epoch(n)
    assert steps == 1 or abs(steps * batch - n) <= batch / 2


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.one_of(st.none(), st.integers(1, 500)))
def test_the_finish_takes_a_share_of_the_training_s_steps(
    before: int, more: int, epochs: int | None
) -> None:
    settings = TrainingSettings(epochs=epochs, batch_size=4, thaw_after=2)
    now = settings.finishing(before, before + more)
    steps = settings.epochs_for(before) * settings.steps_per_epoch(before)
    taken = now.epochs_for(before + more) * now.steps_per_epoch(before + more)
    per_epoch = now.steps_per_epoch(before + more)
    assert abs(taken - FINISH * steps) <= per_epoch / 2 or taken == per_epoch
    assert now.thaw_after == 0
    assert now.learning_rate < settings.learning_rate
