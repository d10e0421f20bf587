"""Two models at the same points: counts, chance, and what is a fair test."""

import numpy as np
import pytest
from scipy.stats import binomtest

from known_network import make_document, make_spec
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.compare import comparing, mcnemar
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.compare_maps import compare_maps
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.network.known_points import ImageKey, ImagePoints, KnownPoints
from napari_lungcls.utils.progress import exhaust

NAMES = ["air", "septa", "duct"]
WHERE = np.column_stack([np.arange(20.0), np.full(20, 3.25)])
TRUTH = np.arange(20) % 3
STACK = ImageStack(np.arange(1024, dtype=np.uint16).reshape(32, 32), source="a.tif", name="a")


class Fixed:
    """A model whose predictions at `(row, 3.25)` are given."""

    def __init__(self, said, points=None, names=NAMES):
        self.said, self.asked = np.asarray(said), []
        scheme = ClassScheme.of_names(list(names))
        self.document = make_document(make_spec(), scheme=scheme, points=points)

    def classify(self, image, coordinates):
        rows = np.asarray(coordinates)[:, 0].astype(int)
        self.asked += rows.tolist()
        return np.eye(3, dtype=np.float32)[self.said[rows]]


def known(trained=(), held=(), said=(), complete=True):
    return KnownPoints(
        images=[
            ImagePoints(
                name="renamed since",
                shape=(32, 32),
                pixels=ImageKey.of(STACK).pixels,
                trained=WHERE[list(trained)].tolist(),
                held_out=WHERE[list(held)].tolist(),
                parts=["validation"] * len(held),
                truth=TRUTH[list(held)].tolist(),
                probabilities=np.eye(3)[list(said)].tolist(),
            )
        ],
        complete=complete,
    )


def pairs():
    return [(STACK, Points.build(WHERE, np.array(NAMES, object)[TRUTH]))]


def wrong_at(*rows):
    said = TRUTH.copy()
    said[list(rows)] = (said[list(rows)] + 1) % 3
    return said


def compared(a, b):
    return exhaust(comparing(("A", a), ("B", b), pairs()))


def test_errors_that_are_shared_and_not_are_counted():
    unknowing = Fixed(wrong_at(0, 1, 2, 3), known())
    found = compared(unknowing, Fixed(wrong_at(3, 4), known()))
    said = found.summary
    assert (said.n, said.both_right, said.both_wrong) == (20, 15, 1)
    assert (said.only_a, said.only_b, said.same_error) == (1, 3, 1)
    assert said.p == binomtest(1, 4).pvalue
    assert said.per_class["air"] == (7, 5, 6)
    assert found.rows(a=False, b=True).tolist() == [0, 1, 2]
    assert said.verdict() == (
        "B is right at 3 points where A is wrong, A at 1 where B is wrong: too few to tell them "
        "apart (p = 0.62, exact McNemar)."
    )


def test_points_that_a_model_learned_from_are_no_test():
    # A learned from 0 to 4 and from 5 to 7 after these had been held out; B from 3.
    a = Fixed(TRUTH, known(range(8), held=[5, 6, 7], said=wrong_at(5)[[5, 6, 7]]))
    b = Fixed(TRUTH, known([3]))
    found = compared(a, b)
    said = found.summary
    assert said.n == 15
    assert (said.recorded_a, said.recorded_b, said.learned_a, said.learned_b) == (3, 0, 5, 1)
    # What was said before counts, though the network would be right by now.
    assert (said.only_b, found.places[found.rows(a=False, b=True)[0]].where) == (1, (5.0, 3.25))
    assert a.asked == list(range(8, 20))
    assert b.asked == [*range(5, 20)]
    assert any("5 points not counted: A learned from them." in line for line in said.lines())
    with pytest.raises(InputError, match="label points that neither has seen"):
        compared(Fixed(TRUTH, known(range(20))), b)


def test_another_image_with_points_at_the_same_pixels_is_a_test():
    other = ImageStack(np.zeros((32, 32), np.uint16), source="b.tif", name="b")
    (_, points) = pairs()[0]
    a, b = Fixed(TRUTH, known(range(20))), Fixed(TRUTH, known())
    assert exhaust(comparing(("A", a), ("B", b), [(other, points)])).summary.n == 20


def test_a_model_that_does_not_know_its_points_is_said():
    said = compared(Fixed(TRUTH), Fixed(TRUTH, known(complete=False))).summary
    assert not said.knows_a
    assert not said.knows_b
    assert sum("does not tell all points" in line for line in said.lines()) == 2
    assert said.verdict() == "They are right and wrong at the same points."


def test_classes_in_another_order_are_the_same_classes():
    order = ["duct", "air", "septa"]
    other = Fixed([order.index(NAMES[code]) for code in TRUTH], known(), order)
    assert compared(Fixed(TRUTH, known()), other).summary.both_right == 20
    with pytest.raises(InputError, match="compare models of the same classes"):
        compared(Fixed(TRUTH, known()), Fixed(TRUTH, known(), ["air", "septa", "wall"]))


def test_cancelling_leaves_nothing():
    run = comparing(("A", Fixed(TRUTH)), ("B", Fixed(TRUTH)), pairs(), cancelled=lambda: True)
    assert exhaust(run) is None


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    # The exact two-sided test by hand: twice the tail of the binomial distribution.
    [(0, 0, 1.0), (0, 5, 0.0625), (0, 6, 0.03125), (1, 7, 0.0703125), (4, 4, 1.0)],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    assert mcnemar(only_a, only_b) == pytest.approx(p)
    assert mcnemar(only_b, only_a) == pytest.approx(p)


def painted(classes, names=NAMES):
    cells = np.array(classes, np.uint8)
    header = MapHeader(
        shape=cells.shape, scale=(1.0, 1.0), translate=(0.0, 0.0), unit="pixel",
        scheme=ClassScheme.of_names(list(names)), stride=1, origin=(0, 0),
        probabilities=False, provenance={},
    )  # fmt: skip
    return PaintedMap(cells, None, header)


def test_cells_that_differ_are_counted_among_those_that_both_painted():
    found = compare_maps(painted([[1, 2, 3, 0]]), painted([[2, 3, 2, 1]], ["duct", "air", "septa"]))
    assert found.differ.tolist() == [[1, 1, 2, 0]]
    assert found.share == pytest.approx(1 / 3)
