"""Settings: one model for command line, windows and files; errors that name the option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.learning.form_hints import GROUPS
from napari_lungcls.learning.settings import (
    FAST,
    FEW,
    FINISH,
    FINISH_RATE,
    FROZEN,
    LEAST_STEPS,
    MOST_STEPS,
    PIXELS,
    RARE,
    SLOW,
    SMALL,
    STEPS_PER_EPOCH,
    STEPS_PER_POINT,
    TILE,
    TWO,
    TrainingSettings,
)
from napari_lungcls.learning.settings_file import read_settings
from napari_lungcls.network.parameters import STAGE_NAMES
from napari_lungcls.run_identity import difference
from napari_lungcls.utils.renamed import RENAMED

ALL = tuple(STAGE_NAMES)
TO_LAYER3 = (0, 1, 2, 3)


def test_the_contract_s_defaults() -> None:
    settings = TrainingSettings()
    assert (settings.zooms, settings.tile, settings.stages, settings.hidden) == ((), None, (), 32)
    assert (settings.batch_size, settings.optimizer, settings.prior) == (None, "adam", "points")
    assert (settings.val_fraction, settings.seed) == (0.2, 0)
    assert (settings.engine, settings.device, settings.pretrained) == ("torch", "auto", "auto")
    assert (settings.pooling, settings.padding, settings.rotation) == ("point", "reflect", "right")
    assert (settings.freeze, settings.backbone_lr_factor) == ("auto", None)


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
    ("given", "n", "weights", "chosen"),
    [
        # Random numbers are worth nothing before they have learned, however few the points.
        ({}, 30, (), ("no", (1,), ALL, 1.0)),
        ({}, 5000, (), ("no", (1,), ALL, 1.0)),
        # What has weights stays as it is for few points, and only that is read, with the detail.
        ({}, FEW - 1, TO_LAYER3, ("yes", FROZEN, (-1, *TO_LAYER3), SLOW)),
        ({}, FEW - 1, (0, 1, 2, 3, 4), ("yes", FROZEN, ALL, SLOW)),
        # With more points they learn, slowly.
        ({}, FEW, TO_LAYER3, ("no", TWO, (-1, *TO_LAYER3), SLOW)),
        # What was asked for stays.
        ({"freeze": "no"}, 30, TO_LAYER3, ("no", TWO, (-1, *TO_LAYER3), SLOW)),
        ({"freeze": "yes"}, 5000, TO_LAYER3, ("yes", FROZEN, (-1, *TO_LAYER3), SLOW)),
        ({"freeze": "yes"}, 30, (), ("yes", (1,), ALL, 1.0)),
        ({"zooms": (2,), "stages": (2, 4)}, 30, TO_LAYER3, ("yes", (2,), (2, 4), SLOW)),
        ({"stages": "auto", "zooms": "auto"}, 900, (), ("no", (1,), ALL, 1.0)),
        ({"backbone_lr_factor": 0.5}, 900, TO_LAYER3, ("no", TWO, (-1, *TO_LAYER3), 0.5)),
        # Patches that are read as a whole are not points.
        ({"pooling": "mean"}, 30, TO_LAYER3, ("no", (1,), (-1, *TO_LAYER3), SLOW)),
    ],
)
def test_what_is_left_to_the_program_goes_by_points_and_weights(
    given: dict[str, Any], n: int, weights: tuple[int, ...], chosen: tuple[Any, ...]
) -> None:
    found = TrainingSettings.check(**given).resolved(n, weights=weights)
    assert (found.freeze, found.zooms, found.stages, found.backbone_lr_factor) == chosen
    # Chosen once, nothing is chosen again.
    assert found.resolved(100_000, extent=64, weights=()) == found


def test_a_backbone_learns_faster_where_no_class_is_rare() -> None:
    for rarest, rate in ((0, SLOW), (RARE - 1, SLOW), (RARE, FAST)):
        found = TrainingSettings().resolved(900, rarest=rarest, weights=TO_LAYER3)
        assert found.backbone_lr_factor == rate


@pytest.mark.parametrize(
    ("size", "given", "zooms"),
    [
        (None, {}, (1,)),
        (SMALL, {}, (1,)),
        (0.5, {}, TWO),
        (0.5, {"zooms": (1,)}, (1,)),
        # A patch is seen whole, and at one zoom.
        (0.5, {"pooling": "mean"}, (1,)),
    ],
)
def test_small_pixels_are_seen_at_two_zooms(
    size: float | None, given: dict[str, Any], zooms: tuple[int, ...]
) -> None:
    assert TrainingSettings.check(**given).resolved(900, pixel_size=size).zooms == zooms


@pytest.mark.parametrize(
    ("given", "extent", "tile", "tiles"),
    [
        ({}, 2048, TILE, PIXELS // TILE**2),
        # No larger than the image.
        ({}, 100, 128, 16),
        ({"zooms": (4,)}, 512, 128, 16),
        ({}, 20, 32, 256),
        ({"tile": 64}, 2048, 64, 64),
        ({"tile": 1024}, 100, 1024, 1),
        ({"tile": 64, "batch_size": 3}, 2048, 64, 3),
        ({"batch_size": 3}, 2048, TILE, 3),
    ],
)
def test_tiles_and_their_number_make_a_step_of_one_size(
    given: dict[str, Any], extent: int, tile: int, tiles: int
) -> None:
    found = TrainingSettings.check(**given).resolved(900, extent=extent)
    assert (found.tile, found.batch_size) == (tile, tiles)


@pytest.mark.parametrize(
    ("given", "prior"),
    [
        ("points", "points"),
        (" Equal ", "equal"),
        ("0.6, 0.2,0.2", (0.6, 0.2, 0.2)),
        ((3, 1), (3.0, 1.0)),
        ([59.3, 20.5, 20.2], (59.3, 20.5, 20.2)),
    ],
)
def test_class_frequencies_come_in_any_form(given: Any, prior: Any) -> None:
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


def test_former_names_work_and_warn(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("thaw-after: 3\n")
    with pytest.warns(LungclsWarning, match="unfreeze_after: thaw_after is called unfreeze_after"):
        assert read_settings(path) == {"unfreeze_after": 3}
    with pytest.warns(LungclsWarning, match="trunk_rate"):
        settings = TrainingSettings(trunk_rate=0.5)  # type: ignore[call-arg]
    with pytest.warns(LungclsWarning, match="readout"):
        settings = settings.model_copy(update={"readout": "mean"})
    assert settings.model_fields_set == {"backbone_lr_factor", "pooling"}
    with pytest.warns(LungclsWarning, match="tolerance"):
        assert settings.tolerance == settings.min_delta  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="pooling: readout is its former name"):
        TrainingSettings.check(readout="mean", pooling="mean")
    assert set(RENAMED.values()) <= TrainingSettings.model_fields.keys()
    # An unfinished run of an earlier version goes on.
    before = {"setting tolerance": 0.1, "pixels": []}
    assert difference(before, {"setting min_delta": 0.1, "pixels": []}) is None


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingSettings().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"zooms": "1,x"}, r"^zooms: should be a valid integer.* \(got x\)"),
        ({"zooms": "0,4"}, "positive whole numbers, each once, such as 1,4,16"),
        ({"zooms": "4,4"}, "each once"),
        ({"stages": "5"}, "^stages: .*detail, stem, layer1, layer2, layer3, layer4, each once"),
        ({"stages": "stem,stem"}, "each once"),
        ({"tile": 8}, r"^tile: .* \(got 8\)"),
        ({"hidden": -1}, r"^hidden: .* \(got -1\)"),
        ({"prior": "0.5,0"}, "a positive number for each class"),
        ({"prior": "0.5,nan"}, "a positive number for each class"),
        ({"freeze": "often"}, r"^freeze: should be 'auto', 'yes' or 'no' \(got often\)"),
        ({"epochs": 0}, r"^epochs: .* \(got 0\)"),
        ({"batch_size": 0}, r"^batch_size: .* \(got 0\)"),
        ({"learning_rate": 0}, r"^learning_rate: .* \(got 0\)"),
        ({"learning_rate": float("nan")}, r"^learning_rate: .* \(got nan\)"),
        (
            {"optimizer": "lion"},
            r"^optimizer: should be 'adam', 'adamw', 'sgd' or 'rmsprop' \(got lion\)",
        ),
        ({"schedule": "cosinus"}, r"^schedule: .* \(got cosinus\)"),
        ({"val_fraction": 1}, r"^val_fraction: .* \(got 1\)"),
        ({"val_fraction": -0.1}, r"^val_fraction: .* \(got -0.1\)"),
        ({"dropout": 1}, r"^dropout: .* \(got 1\)"),
        ({"seed": -1}, r"^seed: .* \(got -1\)"),
        ({"seed": 2**32}, "^seed: "),
        ({"rotation": "some"}, r"^rotation: .* \(got some\)"),
        ({"colours": 1}, r"^colours: .* \(got 1\)"),
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
def test_a_run_has_a_step_for_every_other_point_within_limits(n: int, batch: int) -> None:
    settings = TrainingSettings(batch_size=batch)
    epochs, steps = settings.epochs_for(n), settings.steps_per_epoch(n)
    assert steps == STEPS_PER_EPOCH
    wanted = min(MOST_STEPS, max(LEAST_STEPS, STEPS_PER_POINT * n))
    assert abs(epochs * steps - wanted) <= STEPS_PER_EPOCH / 2 + 1
    # Epochs that were asked for end when each point was drawn once, or after so many steps.
    given = TrainingSettings(batch_size=batch, epochs=3)
    assert given.epochs_for(n) == 3
    assert given.steps_per_epoch(n) == min(STEPS_PER_EPOCH, -(-n // batch))


@given(st.integers(1, 100_000), st.integers(2, 512))
def test_patches_have_enough_steps_and_at_least_10_epochs(n: int, batch: int) -> None:
    settings = TrainingSettings(batch_size=batch, pooling="mean")
    epochs, steps = settings.epochs_for(n), settings.steps_per_epoch(n)
    # Batches cover the patches to within half a batch.
    assert steps == 1 or abs(steps * batch - n) <= batch / 2
    assert epochs >= 10
    assert epochs * steps >= LEAST_STEPS
    assert epochs == 10 or (epochs - 1) * steps < LEAST_STEPS


@given(
    st.integers(1, 10_000),
    st.integers(0, 10_000),
    st.one_of(st.none(), st.integers(1, 500)),
    st.sampled_from(["point", "mean"]),
)
def test_the_finish_takes_a_share_of_the_training_s_steps(
    before: int, more: int, epochs: int | None, pooling: Any
) -> None:
    settings = TrainingSettings(epochs=epochs, unfreeze_after=2, batch_size=8, pooling=pooling)
    now = settings.finishing(before, before + more)
    steps = settings.epochs_for(before) * settings.steps_per_epoch(before)
    taken = now.epochs_for(before + more) * now.steps_per_epoch(before + more)
    per_epoch = now.steps_per_epoch(before + more)
    assert abs(taken - FINISH * steps) <= per_epoch / 2 or taken == per_epoch
    assert now.unfreeze_after == 0
    assert now.learning_rate == FINISH_RATE * settings.learning_rate
