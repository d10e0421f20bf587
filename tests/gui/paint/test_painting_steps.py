"""What is counted while a map is painted, and the words for it."""

import numpy as np
import pytest

from known_maps import BRIGHTNESS
from known_network import make_document
from napari_lungcls.gui.messages import cells, painting_result
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.watching import painting_steps
from napari_lungcls.model import Model
from napari_lungcls.utils.humanize import percent, size


def stack(blind=False):
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.uniform(100, 200, (3, 4, 4)), 8, 1), 8, 2).astype(np.float32)
    if blind:
        image[1] = np.nan
    return ImageStack(image)


def steps_of(image, confidence=True, cancelled=lambda: False, **options):
    model = Model(make_document(BRIGHTNESS.spec), BRIGHTNESS.state(), device="cpu")
    run = model.painting(image, 4, cancelled=cancelled, **options)
    found, watched = [], painting_steps(run, confidence=confidence)
    while True:
        try:
            found.append(next(watched))
        except StopIteration as end:
            return found, end.value


def test_shares_and_confidence_are_those_of_the_finished_map():
    found, last = steps_of(stack())
    assert [step.done for step in found] == [0, 1, 2, 3]
    assert [round(step.visited, 3) for step in found] == [0, 0.333, 0.667, 1]
    assert set(found[0].shares.values()) == {0}
    assert last.shares == pytest.approx(last.map.fractions())
    np.testing.assert_array_equal(last.confidence, last.map.probabilities.max(axis=0))
    assert found[0].map is last.map


def test_without_confidence_none_is_kept():
    _, last = steps_of(stack(), confidence=False, probabilities=False)
    assert last.confidence is None
    assert last.shares == pytest.approx(last.map.fractions())


def test_words_say_how_it_ended():
    _, last = steps_of(stack())
    assert (
        painting_result(last, 1.25) == "Painted 8 × 8 cells in 3 planes in 1.2\N{NO-BREAK SPACE}s."
    )
    asked = iter([False, True])
    _, last = steps_of(stack(), cancelled=lambda: next(asked))
    assert painting_result(last, 1) == "Cancelled: 33 % painted; the layer keeps this part."
    with pytest.warns(UserWarning, match="NaN"):
        _, last = steps_of(stack(blind=True))
    assert painting_result(last, 1).endswith("64 cells without valid pixels were left empty.")
    assert sum(last.shares.values()) == pytest.approx(1)


def test_numbers_read_well():
    assert [percent(v, 0) for v in (0, 0.001, 0.37, 0.999, 1)] == [
        "0 %",
        "<1 %",
        "37 %",
        ">99 %",
        "100 %",
    ]
    assert cells((1, 512, 1024)) == "512 × 1,024 cells"
    assert cells((2, 10, 5, 6)) == "5 × 6 cells in 20 planes"
    assert [size(n) for n in (12, 3400, 5_310_000, 12_345_000_000, 10**13)] == [
        "12 bytes",
        "3.4 kB",
        "5.31 MB",
        "12.3 GB",
        "10,000 GB",
    ]
