"""Suggested points of an image: where a model is unsure, on tissue, and in no silence."""

from __future__ import annotations

import numpy as np
import pytest

import napari_lungcls as lc
from napari_lungcls.active_learning.candidates import MOST_FIELDS, draw_fields, with_tissue
from napari_lungcls.active_learning.suggest import APART, suggesting
from three_tissues import QUICK, SCHEME, scene


@pytest.fixture(scope="module")
def taught():
    """A model, its image with a bare plane before it, and its points."""
    stack, points = scene()
    model = lc.train(stack, points, QUICK, classes=SCHEME)
    image = np.full((2, 400, 400, 3), 250, np.uint8)
    image[1] = stack.levels[0]
    lead = np.ones((len(points), 1))
    there = lc.Points.build(np.column_stack([lead, points.coordinates]), points.labels)
    return model, lc.ImageStack(image, rgb=True, source="three.tif"), there


def test_places_lie_on_tissue_off_the_points_where_the_model_is_unsure(taught):
    model, stack, points = taught
    steps = []
    found = lc.suggest_points(model, stack, 15, labelled=points, progress=steps.append)
    assert len(found) == 15
    assert found.labels is None
    assert set(found.column("source")) == {"suggestion"}
    assert (found.coordinates[:, 0] == 1).all(), "the other plane is bare"
    distance = np.linalg.norm(
        np.vstack([found.coordinates, points.coordinates])[None] - found.coordinates[:, None],
        axis=2,
    )
    assert np.sort(distance, axis=1)[:, 1].min() >= APART
    said = model.classify(stack, found.coordinates)
    other = np.random.default_rng(0).uniform(32, 367, (200, 2))
    usual = model.classify(stack, np.column_stack([np.ones(200), other]))
    margins = [np.diff(np.sort(p, axis=1)[:, -2:], axis=1).mean() for p in (said, usual)]
    assert margins[0] < 0.7 * margins[1]
    named = [SCHEME.code(name) for name in found.column("predicted")]
    behind = said.max(1) - said[np.arange(len(said)), named]
    assert np.median(behind) < 0.1, "but for what lies beyond the field, the map says the same"
    assert [steps[0].done, steps[-1].done] == [1, steps[-1].total]
    again = lc.suggest_points(model, stack, 15, labelled=points)
    assert np.array_equal(again.coordinates, found.coordinates)
    other_seed = lc.suggest_points(model, stack, 15, labelled=points, seed=1)
    assert not np.array_equal(other_seed.coordinates, found.coordinates)


def test_with_a_previous_model_they_lie_where_both_differ(taught):
    model, stack, points = taught
    settings = QUICK.model_copy(update={"epochs": 1, "seed": 5})
    turned = lc.ClassScheme.of_names(SCHEME.names[::-1])
    previous = lc.train(stack, points, settings, classes=turned)
    found = lc.suggest_points(model, stack, 10, labelled=points, previous=previous)
    both = [
        m.classify(stack, found.coordinates)[:, [m.scheme.code(name) for name in SCHEME.names]]
        for m in (model, previous)
    ]
    apart = np.abs(both[0] - both[1]).sum(1) / 2
    assert apart == pytest.approx(found.column("worth").astype(float), abs=0.3)
    assert "previously" in found.columns
    assert " now, " in found.column("why")[0]
    strangers = lc.ClassScheme.of_names(["dark", "grey", "white"])
    document = previous.document.model_copy(update={"scheme": strangers})
    other = lc.Model(document, previous.state)
    with pytest.raises(lc.InputError, match="classes of the two models differ"):
        lc.suggest_points(model, stack, 10, previous=other)


def test_what_cannot_be_suggested_is_said(taught):
    model, stack, _ = taught
    for options, words in (
        ({"n": 0}, "n: give at least 1"),
        ({"labelled": lc.Points.build([[0, 0, 900]], ["dark"])}, "outside three.tif"),
        ({"cancelled": lambda: True}, "cancelled"),
    ):
        with pytest.raises(lc.InputError, match=words):
            lc.suggest_points(model, stack, **options)
    bare = lc.ImageStack(np.full((300, 300, 3), 250, np.uint8), rgb=True, source="bare.png")
    with pytest.raises(lc.InputError, match=r"bare\.png: no part"):
        lc.suggest_points(model, bare)
    y, x = np.mgrid[:400:8, :400:8]
    grid = np.column_stack([np.ones(y.size), y.ravel(), x.ravel()])
    with pytest.raises(lc.InputError, match="far enough from the points"):
        lc.suggest_points(model, stack, labelled=lc.Points.build(grid))
    few = grid[(grid[:, 1] > 90) | (grid[:, 2] > 90)]
    with pytest.warns(lc.LungclsWarning, match="places are suggested and not 20"):
        lc.suggest_points(model, stack, labelled=lc.Points.build(few))
    spec = model.document.network.model_copy(update={"pooling": "mean"})
    patches = lc.Model(model.document.model_copy(update={"network": spec}), model.state)
    with pytest.raises(lc.InputError, match="a whole patch"):
        lc.suggest_points(patches, stack)


def test_what_is_no_number_is_not_suggested():
    stack, points = scene()
    image = stack.levels[0].astype(np.float32)
    model = lc.train(lc.ImageStack(image, rgb=True), points, QUICK, classes=SCHEME)
    image = image.copy()
    image[:200] = np.nan
    found = lc.suggest_points(model, lc.ImageStack(image, rgb=True), 10)
    assert (found.coordinates[:, 0] > 200).all()


def test_the_work_does_not_grow_with_the_image(taught):
    """Of an image of 10 gigapixels only the fields are read."""
    model, _, _ = taught
    read: list[int] = []

    class Huge:
        shape, dtype, ndim = (50, 20_000, 20_000, 3), np.dtype(np.uint8), 4

        def __getitem__(self, key):
            rng = np.random.default_rng(0)
            part = [range(*k.indices(s)) for k, s in zip(key[1:], self.shape[1:], strict=False)]
            read.append(len(part[0]) * len(part[1]))
            return rng.integers(0, 255, (len(part[0]), len(part[1]), 3), np.uint8)

    stack = lc.ImageStack(Huge(), rgb=True, source="huge")
    run = suggesting(model, stack, 8)
    steps = []
    while True:
        try:
            steps.append(next(run))
        except StopIteration as end:
            found = end.value
            break
    assert len(found) == 8
    assert len(set(found.coordinates[:, 0])) > 4
    assert sum(read) < 50 * MOST_FIELDS * 256**2


def test_fields_are_spread_over_planes_and_those_without_tissue_are_known():
    stack = lc.ImageStack(np.zeros((10, 300, 900), np.uint8))
    fields = draw_fields(stack, 40, 256, np.random.default_rng(0))
    planes = np.bincount([field.plane[0] for field in fields], minlength=10)
    assert planes.min() >= 2
    centres = np.array([field.centre for field in fields])
    assert (centres - 127.5 >= -0.5).all()
    assert (centres + 127.5 <= np.array([299, 899]) + 0.5).all()
    assert with_tissue(np.array([10.0, 1, np.nan, 9, 0])).tolist() == [0, 3]
    assert not len(with_tissue(np.full(3, np.nan)))
