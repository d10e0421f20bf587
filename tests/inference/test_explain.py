"""Why a point is what it is: shares that add up, and patches that matter."""

import numpy as np
import pytest

from known_maps import RAMP, bright_model
from known_network import make_document, make_spec, random_engine
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.at_points import predictions_at
from napari_lungcls.inference.explain import explain, fields_seen
from napari_lungcls.inference.occlusion import occlusion
from napari_lungcls.network.engines.host_painting import HostPainting
from napari_lungcls.network.predictor import Predictor

IMAGE = np.random.default_rng(5).integers(0, 255, (2, 300, 260, 3)).astype(np.uint8)
STACK = ImageStack(IMAGE, rgb=True)
POINT = (1, 140.3, 90.0)


def last(steps):
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return end.value, said


def predictor_of(temperature=1.7, **fields):
    spec = make_spec(zooms=(1, 2), stages=(-1, 0, 1, 2, 3), **fields)
    return Predictor(random_engine(spec), make_document(spec, temperature=temperature))


def probabilities(predictor):
    ((_, found),) = predictions_at(predictor, STACK, np.array([POINT]))
    return found[0]


@pytest.mark.parametrize(("pooling", "host"), [("point", False), ("mean", False), ("point", True)])
def test_shares_of_linear_heads_add_up_to_the_difference_of_the_logits(pooling, host):
    predictor = predictor_of(pooling=pooling)
    if host:  # as engines paint that, like MXNet's, hand numpy arrays over
        engine = predictor.engine
        engine.painting = lambda precision="fp32": HostPainting(engine, "fp32", engine.head_maps)
    found, said = last(explain(predictor, STACK, POINT))
    assert found.exact
    assert len(said) == 1
    assert len(found.shares) == len(predictor.engine.spec.reads)
    asked = probabilities(predictor)
    assert np.allclose(found.probabilities, asked, atol=1e-5)
    order = np.argsort(asked)
    assert (found.first, found.second) == (order[-1], order[-2])
    difference = np.log(asked[found.first] / asked[found.second])
    assert sum(share.value for share in found.shares) + found.rest == pytest.approx(
        difference, abs=1e-4
    )


def test_a_hidden_layer_is_explained_by_leaving_blocks_out():
    predictor = predictor_of(hidden=8)
    found, said = last(explain(predictor, STACK, POINT, np.array([POINT, (0, 50, 60), (0, 9, 9)])))
    assert not found.exact
    assert len(said) == 4
    assert np.allclose(found.probabilities, probabilities(predictor), atol=1e-5)
    # Left out for itself a block changes nothing.
    same, _ = last(explain(predictor, STACK, POINT, np.array([POINT])))
    assert max(abs(share.value) for share in same.shares) < 1e-6
    assert last(explain(predictor, STACK, POINT, cancelled=lambda: True))[0] is None


def test_covering_the_point_matters_and_what_is_far_away_does_not():
    image = np.full((200, 200), 100, np.float32)
    image[96:112, 96:112] = 200
    predictor, stack = bright_model().predictor, ImageStack(image)
    found, said = last(occlusion(predictor, stack, (103.5, 103.5), patches=5, edge=16))
    assert len(said) == 25
    assert found.code == 0
    assert found.origin == (71.5, 71.5)
    assert found.change[2, 2] == found.change.max() > 0.5
    assert abs(found.change[0, 0]) < 1e-6
    part, _ = last(occlusion(predictor, stack, (103.5, 103.5), cancelled=iter([0, 1]).__next__))
    assert np.isfinite(part.change).sum() == 1
    assert [field.zoom for field in fields_seen(predictor, stack)] == list(map(float, RAMP.zooms))
