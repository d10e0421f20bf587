"""What the training window says of results and refusals."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from known_network import make_document, make_spec
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.metrics import score
from napari_lungcls.gui.train import words

SPLIT = InputError("no split keeps every class", suggestion={"zooms": (1, 4), "val_fraction": 0.0})


def epoch(number: int, accuracy: float | None, loss: float | None = 0.5) -> dict[str, Any]:
    return {
        "epoch": number,
        "learning_rate": 0.001,
        "train_loss": 0.4,
        "train_accuracy": 0.9,
        "val_loss": None if accuracy is None else loss,
        "val_accuracy": accuracy,
        "seconds": 4.2,
    }


def document(history: list[dict[str, Any]], right: int = 173, of: int = 181, lost: int = 32) -> Any:
    codes = np.arange(of) % 3
    probabilities = np.eye(3)[np.where(np.arange(of) < right, codes, (codes + 1) % 3)]
    names = [f"class {i}" for i in range(3)]
    validation = score(codes, probabilities, names).model_dump() if of else None
    split = {"train": 687, "validation": of, "n_buffered": lost}
    return make_document(make_spec(), history=history, validation=validation, split=split)


def test_a_result_is_said_in_plain_words():
    history = [epoch(n, 0.5 + n / 100) for n in range(1, 10)] + [epoch(10, 0.2)]
    said = words.card(document(history, right=49, of=52, lost=1), planned=40)
    assert said.headline == "49 of 52 held-out points right."
    assert said.lines == (
        "With so few points, the true accuracy could be anywhere between 84 and 98 %.",
        "Weakest: class 1, 1 of 17 points called class 2.",
        words.FLATTERS,
        "1 point not used: too near the border to held-out tissue.",
        "Looks at zoom 1; the pixel size is unknown.",
        "10 epochs, 42 s; epoch 9 is kept. Stopped early: it did not get better.",
    )
    every = words.card(document(history, right=1200, of=1200, lost=0), planned=10)
    assert every.lines[0] == "The true accuracy is probably between 99.7 and 100.0 %."
    assert "Weakest" not in every.text
    # All epochs that were planned have run: that is no early stop.
    assert every.lines[-1] == "10 epochs, 42 s; epoch 9 is kept."


def test_zooms_are_said_in_micrometres():
    known = document([epoch(1, 0.9)]).model_copy(
        update={"pixel_size": 1.8, "network": make_spec(zooms=(1, 4))}
    )
    assert "Looks at zooms 1, 4: 1.8, 7.2 µm per pixel." in words.card(known).lines


@pytest.mark.parametrize(
    ("confusion", "said"),
    [
        ([[3, 0], [0, 5]], ""),
        ([[3, 0], [1, 4]], "Weakest: b, 1 of 5 points called a."),
        ([[0, 0, 0], [2, 5, 1], [0, 1, 9]],
         "Weakest: b, 3 of 8 points wrong, 2 of them called a."),
    ],
)  # fmt: skip
def test_the_weakest_class_is_named_with_what_it_is_taken_for(confusion, said):
    truth, called = np.nonzero(confusion)
    often = np.array(confusion)[truth, called]
    n = len(confusion)
    metrics = score(truth.repeat(often), np.eye(n)[called.repeat(often)], list("abc")[:n])
    assert words.weakest(metrics) == said


def test_the_epoch_that_is_kept_depends_on_how_sure_its_accuracy_is():
    history = [epoch(1, 0.8), epoch(2, 0.9), epoch(3, 0.88), epoch(4, 0.7)]
    assert words.kept_epoch(history, 100) == 3
    assert words.kept_epoch(history, 1000) == 2
    assert words.kept_epoch(history, 0) is words.kept_epoch([], 9) is None
    assert words.kept_epoch([epoch(1, None)], 0) is None


def test_without_validation_it_says_how_to_get_a_figure():
    said = words.result(document([epoch(1, None), epoch(2, None)], of=0, lost=0))
    assert said.startswith("The accuracy is unknown, because every point was trained on.")
    assert "Set the validation share to 0.2" in said
    assert said.endswith("2 epochs, 8 s; the last epoch is kept.")


def test_a_cancelled_run_says_what_it_offers():
    said = words.result(document([epoch(1, 0.8), epoch(2, 0.7)]), 10, cancelled=True)
    assert said.endswith("Cancelled after epoch 2 of 10, 8 s. Keep the network of epoch 1?")


def test_proposed_values_become_remedies():
    first, second = words.remedies(SPLIT)
    assert (first.field, first.value, first.label) == ("zooms", (1, 4), "Use zooms 1, 4")
    assert (second.field, second.value) == ("val_fraction", 0.0)
    assert second.label == "Use validation share 0"
    (stain,) = words.remedies(InputError("stains", suggestion=({"stain": 0.0}, "or")))
    assert (stain.field, stain.value, stain.label) == ("stain", 0.0, "Use stain changes 0")
    assert words.remedies(InputError("large", suggestion=({"tile": None}, {"hidden": ...}))) == ()
    assert words.remedies(InputError("foreign", suggestion={"classes": "x"})) == ()


def test_names_of_models_are_new():
    now = datetime(2026, 11, 20, 14, 5)
    assert words.model_name("lung", [], now) == "lung 14:05"
    assert words.model_name("lung", ["lung 14:05"], now) == "lung 14:05 (2)"
    assert words.model_name("lung", ["lung 14:05", "lung 14:05 (2)"], now) == "lung 14:05 (3)"
