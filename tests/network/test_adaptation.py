"""Adapting to an image: nothing changes for the images trained on, and shifts are undone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_lungcls as lc
from known_network import make_document, make_spec, random_state
from napari_lungcls.errors import InputError
from napari_lungcls.model import Model
from napari_lungcls.network import adaptation
from napari_lungcls.network.adaptation import EPSILON, image_tiles, rebased_on
from napari_lungcls.synthetic import make_section

SPEC = make_spec(zooms=(1, 2), stages=(-1, 0, 1, 2), hidden=8)
IMAGE = make_section((144, 144), pixel_size=2.0, seed=4).image
AT = np.random.default_rng(1).integers(8, 136, (20, 2)).astype(float)


def stack_of(image: np.ndarray, **options: object) -> lc.ImageStack:
    return lc.ImageStack(image, **({"rgb": True, "pixel_size": 2.0, "name": "it"} | options))


def plain_model(seed: int = 0, **fields: object) -> Model:
    document = make_document(
        SPEC, pixel_size=2.0, rgb=True, device="cpu", history=[{"epoch": 1}], **fields
    )
    return Model(document, random_state(SPEC, seed), device="cpu")


def rebased(model: Model) -> Model:
    tiles = image_tiles([(stack_of(IMAGE), (1.0, 2.0))])
    return Model(*rebased_on(model.document, model.state, tiles), device="cpu")


@settings(max_examples=3)
@given(st.integers(0, 1000))
def test_rebasing_changes_no_answer(seed):
    model = plain_model(seed)
    now = rebased(model)
    assert now.document.measured_statistics
    assert any((now.state[n] != model.state[n]).any() for n in model.state if "running" in n)
    np.testing.assert_allclose(
        now.classify(stack_of(IMAGE), AT), model.classify(stack_of(IMAGE), AT), atol=1e-4
    )


def test_the_statistics_are_those_of_the_tiles():
    tiles = list(image_tiles([(stack_of(IMAGE), (1.0, 2.0))]))
    _, state = rebased_on(plain_model().document, plain_model().state, tiles)
    norm = SPEC.normalisation
    pixels = (np.stack(tiles).astype(np.float64) - norm.mean) / norm.std
    flat = torch.from_numpy(pixels.reshape(-1, *pixels.shape[2:]).transpose(0, 3, 1, 2))
    weight = torch.from_numpy(state["conv1.weight"]).double()
    padded = torch.nn.functional.pad(flat, (3, 3, 3, 3), mode="reflect")
    read = torch.nn.functional.conv2d(padded, weight, stride=2)
    np.testing.assert_allclose(
        state["bn1.running_mean"], read.mean((0, 2, 3)), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(
        state["bn1.running_var"], read.var((0, 2, 3), correction=0), rtol=1e-3
    )


def test_the_image_trained_on_changes_nothing_but_a_little(monkeypatch):
    model = rebased(plain_model())
    monkeypatch.setattr(adaptation, "BATCH", 64)  # one batch: deeper layers read the same
    found = model.adapted(stack_of(IMAGE))
    for name in model.state:
        np.testing.assert_allclose(found.state[name], model.state[name], rtol=2e-3, atol=2e-3)
    assert found.document.adapted.image == "it"
    assert 8 < found.document.adapted.tiles <= 64
    assert model.document.adapted is None


def test_a_shift_of_light_is_mostly_undone_and_the_map_says_so(tmp_path):
    model = rebased(plain_model())
    dim = stack_of((IMAGE * 0.6).astype(np.uint8))
    before = {name: array.copy() for name, array in model.state.items()}
    wanted = model.classify(stack_of(IMAGE), AT)
    adapted = model.adapted(dim)
    off = np.abs(model.classify(dim, AT) - wanted).mean()
    assert np.abs(adapted.classify(dim, AT) - wanted).mean() < 0.6 * off
    for name, array in before.items():
        np.testing.assert_array_equal(model.state[name], array)
    again = model.adapted(dim)
    for name, array in adapted.state.items():
        np.testing.assert_array_equal(again.state[name], array)
    path = tmp_path / "map.ome.zarr"
    painted = adapted.paint(dim, 16, out=path)
    assert painted.header.provenance["adapted"] == adapted.document.adapted.model_dump()
    assert "adapted" not in model.paint(dim, 16).header.provenance
    saved = lc.load(adapted.save(tmp_path / "a.safetensors"), device="cpu")
    assert saved.document.adapted == adapted.document.adapted
    assert "adapted to: it" in saved.card().text()


def test_variances_stay_usable_on_an_image_without_any():
    found = rebased(plain_model()).adapted(stack_of(np.full((64, 64, 3), 200, np.uint8)))
    for name, array in found.state.items():
        assert np.isfinite(array).all()
        assert not name.endswith("running_var") or (array + EPSILON > 0).all()


def test_what_cannot_be_adapted_is_refused_with_a_remedy():
    old = plain_model(pretrained="weights of a file")
    with pytest.raises(InputError, match="train it anew with this version and use freeze"):
        old.adapted(stack_of(IMAGE))
    assert plain_model().adapted(stack_of(IMAGE)).document.adapted is not None
    other = Model(old.document, old.state, engine="mxnet")
    with pytest.raises(InputError, match=r"needs PyTorch.*use engine='torch'"):
        other.adapted(stack_of(IMAGE))
    with pytest.raises(InputError, match="uint16"):
        rebased(plain_model()).adapted(stack_of(IMAGE.astype(np.uint16)))
