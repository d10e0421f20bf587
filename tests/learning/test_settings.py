"""Settings: one model for command line, windows and files; errors that name the option."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_lungcls.errors import InputError
from napari_lungcls.learning.form_hints import GROUPS
from napari_lungcls.learning.settings import FINISH, LEAST_PER_EPOCH, LEAST_STEPS, TrainingSettings
from napari_lungcls.learning.settings_network import FEW


def test_the_contract_s_defaults() -> None:
    settings = TrainingSettings()
    assert (settings.zooms, settings.window, settings.stages) == ((), 64, ())
    assert (settings.batch_size, settings.optimizer) == (32, "adam")
    assert (settings.val_fraction, settings.seed) == (0.2, 0)
    assert (settings.engine, settings.device, settings.pretrained) == ("torch", "auto", "none")
    assert (settings.readout, settings.padding, settings.rotation) == ("point", "reflect", "any")


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


@pytest.mark.parametrize(
    ("pixel_size", "zooms"),
    [(None, (1,)), (1.8, (1,)), (0.8, (1, 4)), (0.3, (1, 4, 16)), (0.05, (1, 4, 16, 64))],
)
def test_zooms_left_to_the_program_span_the_context(
    pixel_size: float | None, zooms: tuple[int, ...]
) -> None:
    assert TrainingSettings().resolved(pixel_size).zooms == zooms
    assert TrainingSettings(zooms=(2,)).resolved(pixel_size).zooms == (2,)


@pytest.mark.parametrize(
    ("given", "n", "stages"),
    [
        ({}, FEW - 1, (1, 2)),
        ({}, FEW, (1, 2, 3, 4)),
        ({}, None, (1, 2, 3, 4)),
        ({"stages": (2, 4)}, 30, (2, 4)),
        ({"stages": "auto"}, 30, (1, 2)),
        # Trained before, or by others: what is there is read.
        ({"pretrained": "imagenet"}, 30, (1, 2, 3, 4)),
        ({"freeze": True}, 30, (1, 2, 3, 4)),
        ({"readout": "mean"}, 30, (1, 2, 3, 4)),
    ],
)
def test_stages_left_to_the_program_go_by_the_number_of_points(
    given: dict[str, Any], n: int | None, stages: tuple[int, ...]
) -> None:
    assert TrainingSettings.check(**given).resolved(None, n).stages == stages


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
        ({"stages": "0"}, "--stages"),
        ({"window": 8}, "--window 8"),
        ({"epochs": 0}, "--epochs 0"),
        ({"batch_size": 1}, "--batch-size 1"),
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
    settings = TrainingSettings(optimizer="sgd", dropout=0.1, freeze=True, seed=7, clip_norm=2)
    options = settings.optimizer_options
    assert (options.optimizer, options.dropout, options.freeze) == ("sgd", 0.1, True)
    assert (options.seed, options.clip_norm, options.weight_decay) == (7, 2, 1e-4)


@given(st.integers(1, 100_000), st.integers(2, 512))
def test_a_run_has_enough_steps_and_at_least_10_epochs(n: int, batch: int) -> None:
    settings = TrainingSettings(batch_size=batch)
    epochs, steps = settings.epochs_for(n), settings.steps_per_epoch(n)
    assert epochs >= 10
    assert epochs * steps >= LEAST_STEPS
    assert epochs == 10 or (epochs - 1) * steps < LEAST_STEPS
    # Batches cover the points to within half a batch.
    assert steps == LEAST_PER_EPOCH or abs(steps * batch - n) <= batch / 2
    given = TrainingSettings(batch_size=batch, epochs=3)
    assert given.epochs_for(n) == 3
    assert given.steps_per_epoch(n) == 1 or abs(given.steps_per_epoch(n) * batch - n) <= batch / 2


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.one_of(st.none(), st.integers(1, 500)))
def test_the_finish_takes_a_share_of_the_training_s_steps(
    before: int, more: int, epochs: int | None
) -> None:
    settings = TrainingSettings(epochs=epochs, thaw_after=2)
    now = settings.finishing(before, before + more)
    steps = settings.epochs_for(before) * settings.steps_per_epoch(before)
    taken = now.epochs_for(before + more) * now.steps_per_epoch(before + more)
    per_epoch = now.steps_per_epoch(before + more)
    assert abs(taken - FINISH * steps) <= per_epoch / 2 or taken == per_epoch
    assert now.thaw_after == 0
    assert now.learning_rate < settings.learning_rate
