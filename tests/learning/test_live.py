"""Live maps: what is kept gives what a fresh fit gives, and is bounded."""

import numpy as np
import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.learning.frozen_backbone import open_backbone
from napari_lungcls.learning.live import as_model, live_map, live_region, live_stride
from napari_lungcls.learning.live_features import LiveFeatures
from napari_lungcls.model import Model
from three_tissues import SCHEME, scene

REGION = (slice(64, 160), slice(32, 160))


def last(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def material():
    """Give the scene, its points in one corner, and a backbone of random numbers."""
    stack, points = scene(source="a.tif")
    where, codes = points.coordinates, points.codes(SCHEME)
    near = (where < 230).all(axis=1)
    return stack, where[near], codes[near], open_backbone("none", stack, REGION, device="cpu")


def made(features, where, codes, region=REGION, **options):
    return last(live_map(features, where, codes, SCHEME, (), region, 4, **options))


def test_a_label_more_gives_what_a_fresh_fit_gives_and_looks_at_its_square_only(material):
    stack, where, codes, backbone = material
    live = LiveFeatures(backbone, stack)
    made(live, where[:-1], codes[:-1])
    before = live.passes
    grown = made(live, where, codes)
    assert live.passes == before + 1
    fresh = made(LiveFeatures(backbone, stack), where, codes)
    assert np.array_equal(grown.classes, fresh.classes)
    assert np.array_equal(grown.probabilities, fresh.probabilities)
    made(live, where, codes)
    assert live.passes == before + 1


def test_the_model_that_is_kept_paints_the_live_map(material):
    stack, where, codes, backbone = material
    result = made(LiveFeatures(backbone, stack), where, codes)
    document, state = as_model(result.fit, backbone, rgb=True, pixel_size=None)
    assert document.validation is document.test is None
    painted = Model(document, state, device="cpu").paint(stack, 4, region=REGION, precision="fp32")
    assert np.abs(painted.probabilities - result.probabilities).max() < 0.02
    assert (painted.classes == result.classes).mean() > 0.99


def test_feature_maps_are_dropped_beyond_the_bound(material):
    stack, where, codes, backbone = material
    live = LiveFeatures(backbone, stack)
    made(live, where, codes)
    one = live.nbytes
    assert 0 < one < 4 * 2**20
    small = LiveFeatures(backbone, stack, limit=int(1.5 * one))
    for left in (0, 64, 128):
        made(small, where, codes, (slice(64, 160), slice(left, left + 128)))
        assert small.nbytes <= 1.5 * one
    before = small.passes
    made(small, where, codes, (slice(64, 160), slice(0, 128)))
    assert small.passes == before + 1


def test_what_is_missing_is_said_and_cancelling_gives_nothing(material):
    stack, where, codes, backbone = material
    live = LiveFeatures(backbone, stack)
    with pytest.raises(InputError, match="at least two classes"):
        made(live, where, np.zeros_like(codes))
    assert made(live, where, codes, cancelled=lambda: True) is None
    some = codes != 2
    result = made(live, where[some], codes[some])
    assert not (result.classes == 3).any()
    with pytest.raises(InputError, match="bright has no points"):
        as_model(result.fit, backbone, rgb=True, pixel_size=None)


def test_the_region_is_bounded_and_does_not_move_with_every_pixel():
    shape = (5000, 900)
    region = live_region((slice(1001, 4000), slice(3, 880)), shape, 1.0)
    assert region[1] == slice(0, 896)
    assert region[0].stop - region[0].start == 1024
    assert live_region((slice(1005, 4004), slice(3, 880)), shape, 1.0) == region
    assert [live_stride((slice(0, n), slice(0, 9))) for n in (200, 257, 1024)] == [1, 2, 4]
