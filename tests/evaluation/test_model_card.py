"""Model cards: figures with intervals that hold, and texts of strangers that stay texts."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from scipy.stats import binomtest

from known_network import make_document, make_spec
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.calibration import fit_calibration
from napari_lungcls.evaluation.metrics import score
from napari_lungcls.evaluation.model_card import ModelCard
from napari_lungcls.network.training_data import (
    LONGEST,
    DataSummary,
    ImageSummary,
    ModelNotes,
    count_groups,
)

NAMES = ["class 0", "class 1", "class 2"]
RNG = np.random.default_rng(4)
CODES = RNG.integers(0, 3, 80)
LOGITS = RNG.normal(0, 1, (80, 3)) + 2 * np.eye(3)[CODES]


def validation() -> dict[str, object]:
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    return score(CODES, shares, NAMES).model_dump(mode="json")


@functools.cache
def full_card() -> ModelCard:
    image = {"shape": (20, 30), "dtype": "uint8", "rgb": True}
    images = [
        ImageSummary(name="a.tif", pixel_size=0.5, counts=[3, 4, 5], **image),
        ImageSummary(name="b.tif", counts=[1, 0, 0], **image),
    ]
    document = make_document(
        make_spec(),
        data=DataSummary(images=images, groups={"mouse 1": [3, 4, 5], "": [1, 0, 0]}),
        notes=ModelNotes(intended_use="mice only", limitations="no emphysema", staining="H&E"),
        split={"by": "group", "train": 60, "validation": 80, "test": 0, "folds": [{}, {}]},
        validation=validation(),
        calibration=fit_calibration(LOGITS, CODES).model_dump(mode="json"),
    )
    return ModelCard(document, "lung", "ab12")


def test_it_tells_all_that_the_issue_asks_for():
    found = json.loads(json.dumps(full_card().to_json()))
    assert found["data"]["counts"] == {"class 0": 4, "class 1": 4, "class 2": 5}
    assert found["data"]["images"][1]["counts"] == {"class 0": 1, "class 1": 0, "class 2": 0}
    assert found["data"]["groups"]["mouse 1"] == {"class 0": 3, "class 1": 4, "class 2": 5}
    assert found["notes"]["intended_use"] == "mice only"
    assert found["sha256"] == "ab12"
    assert found["calibration"]["n"] == 80
    right = int((LOGITS.argmax(1) == CODES).sum())
    accuracy = found["metrics"]["validation"]["accuracy"]
    known = binomtest(right, 80).proportion_ci(method="wilson")
    assert accuracy == {
        "value": right / 80,
        "low": pytest.approx(known.low),
        "high": pytest.approx(known.high),
        "n": 80,
    }
    text = full_card().text()
    for words in (
        "mice only", "no emphysema", "H&E", "mouse 1", "no group", "b.tif", "ab12", "folds: 2",
        f"{100 * known.low:.1f} to {100 * known.high:.1f}", "groups (animals, slides) kept",
    ):  # fmt: skip
        assert words in text


def test_an_old_model_says_what_it_does_not_know():
    text = ModelCard(make_document(make_spec())).text()
    assert "images: not recorded" in text
    assert "the accuracy is unknown" in text
    assert "sha256: not saved yet" in text


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=9, max_size=9).filter(any))
def test_every_interval_holds_its_figure(counts):
    confusion = np.reshape(counts, (3, 3))
    truth, said = (np.repeat(a.ravel(), confusion.ravel()) for a in np.indices((3, 3)))
    metrics = score(truth, np.eye(3)[said], NAMES).model_dump(mode="json")
    card = ModelCard(make_document(make_spec(), validation=metrics))
    figures = card.figures("validation")
    assert figures["accuracy"].n == confusion.sum()
    for figure in figures.values():
        low, high = figure.interval
        assert 0 <= low <= figure.value <= high <= 1
        assert low < high
    for code, name in enumerate(NAMES):
        assert (f"recall {name}" in figures) == (confusion[code].sum() > 0)
        assert (f"precision {name}" in figures) == (confusion[:, code].sum() > 0)


anything = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["<script>alert(1)</script>", "![x](file:///etc/passwd)", "[a](http://b)", "| a | b |", "# a",
     "- a\n\n---\n```\nx", "&lt;b&gt;", "http://example.org", "1. a", "+ a", "a\\", "    code"]
)  # fmt: skip


@settings(max_examples=60)
@given(anything, anything)
def test_what_a_stranger_wrote_is_no_markup(text, name):
    plain = full_card().document
    image = plain.data.images[0].model_copy(update={"name": name})
    document = plain.model_copy(
        update={
            "notes": ModelNotes(description=text or "x", limitations=text),
            "data": plain.data.model_copy(update={"images": [image]}),
            "pretrained": text,
        }
    )
    renderer = MarkdownIt("commonmark").enable("table")
    shown = [
        token.type
        for block in renderer.parse(ModelCard(document, name).markdown())
        for token in (block, *(block.children or ()))
    ]
    usual = MarkdownIt("commonmark").enable("table").parse(full_card().markdown())
    known = {token.type for block in usual for token in (block, *(block.children or ()))}
    assert set(shown) <= known | {"softbreak"}
    assert shown.count("heading_open") == 9
    assert shown.count("table_open") == 2


@pytest.mark.parametrize(
    "broken",
    [
        {"validation": {}},
        {"validation": {"accuracy": 2.0}},
        {"validation": {"confusion": [[1]]}},
        {"validation": {"confusion": [[-80, 80, 80], [0, 0, 0], [0, 0, 0]]}},
        {"validation": {"classes": ["a", "b", "c"]}},
        {"test": {"n": 3}},
        {"calibration": {"n": 1}},
    ],
)
def test_damaged_figures_are_refused(broken):
    ((part, change),) = broken.items()
    found = (validation() | change) if change else {"n": "many"}
    document = make_document(make_spec(), **{part: found})
    with pytest.raises(InputError, match=r"are damaged .* train and save the model anew"):
        ModelCard(document).to_json()


def test_groups_are_counted_by_the_names_that_are_alike():
    names = np.array(["mouse 1", " mouse 1 ", "", "mouse 2"], object)
    found = count_groups([(names, np.array([0, 1, 1, 0])), (None, np.array([1]))], 2)
    assert found == {"mouse 1": [1, 1], "": [0, 2], "mouse 2": [1, 0]}
    assert count_groups([(None, np.array([1]))], 2) == {}


def test_words_that_are_too_many_are_refused_by_name():
    with pytest.raises(InputError) as error:
        ModelNotes.check(limitations="x" * (LONGEST + 1))
    assert error.value.setting == "limitations"
