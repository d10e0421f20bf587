"""What a form reads from a settings model."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from napari_lungcls.gui.fields import as_text, digits, form_fields, problem
from napari_lungcls.learning.form_hints import GROUPS
from napari_lungcls.learning.settings import TrainingSettings


class Made(BaseModel):
    size: int | None = Field(None, ge=2, lt=9, title="Size", description="how large it is")
    kind: Literal["a", "b"] = "a"
    only: str = Field("x", json_schema_extra={"choices": ["x"], "in_sight": True})


def test_fields_are_read_from_the_model():
    size, kind, only = form_fields(Made)
    assert (size.kind, size.optional, size.low, size.high) == ("whole", True, 2, 9)
    assert (size.title, size.tooltip) == ("Size", "How large it is. Default: auto.")
    assert (kind.kind, kind.choices, kind.title, kind.group) == (
        "choice",
        ("a", "b"),
        "Kind",
        "Other",
    )
    assert not only.in_sight, "where there is no choice, there is nothing to look at"


def test_the_settings_that_matter_are_in_sight():
    fields = {field.name: field for field in form_fields(TrainingSettings)}
    shown = {name for name, field in fields.items() if field.in_sight}
    assert shown - {"engine"} == {
        "zooms", "tile", "device", "pretrained", "epochs", "val_fraction", "final",
    }  # fmt: skip
    assert {field.group for field in fields.values()} == set(GROUPS)
    assert fields["tile"].label == "Tile (px)"
    assert fields["zooms"].kind == "list"
    assert (fields["learning_rate"].low, fields["learning_rate"].high) == (0, 10)
    assert (fields["pretrained"].choices, fields["pretrained"].other) == (
        ("auto", "none", "imagenet"),
        "file",
    )


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"zooms": "4,4"}, "Zooms: must be positive whole numbers, each once, such as 1,4,16"),
        ({"zooms": "one, 4"}, "Zooms: whole numbers such as 1, 2, 4, or auto"),
        ({"learning_rate": 0}, "Learning rate: should be greater than 0"),
        ({"val_fraction": 1}, "Validation share: should be less than 1"),
        ({"colours": 1}, "colours: Extra inputs are not permitted"),
    ],
)
def test_a_problem_is_one_line_that_names_the_field(values, line):
    with pytest.raises(ValidationError) as caught:
        TrainingSettings(**values)
    assert problem(caught.value, TrainingSettings) == line


def test_values_are_written_as_people_write_them():
    assert as_text((1, 4, 16)) == "1, 4, 16"
    fields = {field.name: field for field in form_fields(TrainingSettings)}
    assert fields["stages"].shown((-1, 0, 3)) == "detail, stem, layer3"
    assert fields["prior"].shown((0.5, 0.25)) == "0.5, 0.25"
    assert fields["prior"].shown("equal") == "all equal"
    assert as_text(()) == "auto"
    assert as_text(1e-4) == "0.0001"
    assert as_text(False) == "off"
    assert [digits(v) for v in (0.2, 0.05, 1e-3, 0.00125, 3.0)] == [2, 2, 3, 5, 2]
