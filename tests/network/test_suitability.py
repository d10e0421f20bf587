"""Does an image suit a model? Statistics of tiles, their distance, and what is said of a misfit."""

from __future__ import annotations

import functools
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

import napari_lungcls as lc
from known_network import BYTES, make_document, make_spec
from napari_lungcls.errors import LungclsWarning
from napari_lungcls.images.sampling import sampled_tiles, tissue_places
from napari_lungcls.network.appearance import TILES, Appearance, describe_images, describe_tiles
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.suitability import LIMIT, assess_image, warn_of_misfits
from napari_lungcls.synthetic import make_section


@functools.cache
def section(seed: int) -> NDArray[np.uint8]:
    return make_section((256, 256), pixel_size=2.0, seed=seed).image


def stack_of(image: NDArray[np.generic], **options: object) -> lc.ImageStack:
    return lc.ImageStack(image, **({"pixel_size": 2.0, "name": "other"} | options))


@functools.cache
def document() -> ModelDocument:
    looks = describe_images([(stack_of(section(1)), 1.0)], BYTES)
    return make_document(make_spec(), pixel_size=2.0, rgb=True, appearance=looks)


def dimmed(image: NDArray[np.uint8], share: float = 0.7) -> NDArray[np.uint8]:
    return (image * share).astype(np.uint8)


def test_another_section_of_the_same_kind_suits():
    for image in (section(1), section(2)):
        fit = assess_image(stack_of(image), document())
        assert fit.suits
        assert fit.distance < LIMIT
        assert fit.remarks == ()


def test_a_misfit_is_said_with_its_kind_and_a_remedy():
    fit = assess_image(stack_of(dimmed(section(2))), document())
    assert not fit.suits
    said = str(fit.misfits[0])
    assert "other does not look like the images that the model was trained on: its colours" in said
    assert "train on points of such images" in said
    soft = gaussian_filter(section(2).astype(float), (2, 2, 0))
    assert "its texture" in str(assess_image(stack_of(soft.astype(np.uint8)), document()).misfits)


def test_it_is_measured_at_the_pixel_size_of_the_model():
    finer = section(2).repeat(2, 0).repeat(2, 1)
    there = assess_image(stack_of(finer, pixel_size=1.0), document())
    assert there.suits
    assert "shrunk 2 times" in there.remarks[0]
    unknown = assess_image(stack_of(finer, pixel_size=None), document())
    assert unknown.distance > 2 * there.distance


def test_a_model_without_statistics_says_nothing():
    old = make_document(make_spec(), pixel_size=2.0, rgb=True)
    assert assess_image(stack_of(dimmed(section(2))), old) == type(assess_image(
        stack_of(section(1)), old))(None)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_misfits(stack_of(dimmed(section(2))), old)
    with pytest.warns(LungclsWarning, match="does not look like"):
        warn_of_misfits(stack_of(dimmed(section(2))), document())


def test_another_range_of_16_bits_is_said():
    spec = make_spec(normalisation=BYTES.model_copy(update={"dtype": "uint16"}))
    wide = section(1).astype(np.uint16) * 257
    looks = describe_images([(stack_of(wide), 1.0)], spec.normalisation)
    known = make_document(spec, pixel_size=2.0, rgb=True, appearance=looks)
    assert assess_image(stack_of(wide), known).suits
    twelve = assess_image(stack_of(wide // 16), known)
    assert "if its bit depth is another" in str(twelve.misfits[0])


def test_grey_stacks_and_floats_are_compared_too():
    planes = np.stack([section(k).mean(-1) for k in (1, 2, 3)]).astype(np.float32)
    spec = make_spec(normalisation=BYTES.model_copy(update={"dtype": "float32"}))
    looks = describe_images([(stack_of(planes), 1.0)], spec.normalisation)
    assert looks.names[0] == "grey 10 %"
    known = make_document(spec, pixel_size=2.0, rgb=False, appearance=looks)
    assert assess_image(stack_of(planes[1:]), known).suits
    assert not assess_image(stack_of(planes * 0.5), known).suits
    holed = planes.copy()
    holed[0, :100] = np.nan
    assert assess_image(stack_of(holed), known).suits
    assert assess_image(stack_of(planes * np.nan), known).distance is None


def test_places_lie_in_the_tissue_and_are_always_the_same():
    image = np.full((200, 300), 240, np.uint8)
    rng = np.random.default_rng(3)
    image[60:120, 150:260] = rng.integers(60, 140, (60, 110))
    stack = lc.ImageStack(np.stack([image] * 6))
    places = tissue_places(stack, 50)
    assert places.shape == (50, 3)
    assert len(np.unique(places[:, 0])) == 4
    assert (image[tuple(places[:, 1:].astype(int).T)] < 200).all()
    np.testing.assert_array_equal(places, tissue_places(stack, 50))
    assert (places != tissue_places(stack, 50, seed=1)).any()


@settings(max_examples=25)
@given(
    arrays(np.uint8, st.tuples(st.integers(16, 60), st.integers(16, 60), st.just(3))),
    st.integers(1, 20),
)
def test_any_image_gives_tiles_and_finite_statistics(image, count):
    stack = lc.ImageStack(image, rgb=True)
    tiles = list(sampled_tiles(stack, (1.0, 2.0), 32, count))
    assert len(tiles) == count
    assert {tile.shape for tile in tiles} == {(2, 32, 32, 3)}
    looks = describe_tiles((tile[0] for tile in tiles), BYTES, rgb=True)
    assert (looks is None) == (count < 8)
    if looks is not None:
        again = Appearance.model_validate_json(looks.model_dump_json())
        assert again == looks
        assert again.distance(looks) == 0


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=9, max_size=9), st.integers(0, 2**31))
def test_whatever_a_stranger_wrote_the_distance_is_a_number(mean, seed):
    known = document().appearance
    rng = np.random.default_rng(seed)
    strange = known.model_copy(
        update={"mean": mean, "correlation": rng.uniform(-1, 1, (9, 9)).tolist()}
    )
    strange = Appearance.model_validate(strange.model_dump())
    for distance in (strange.distance(known), known.distance(strange)):
        assert np.isfinite(distance)
        assert distance >= 0


@pytest.mark.parametrize(
    "broken",
    [
        {"mean": [1.0]}, {"spread": [0.0] * 9}, {"correlation": [[2.0] * 9] * 9},
        {"correlation": [[1.0]]}, {"edge": 10**9}, {"tiles": 1}, {"names": ["a"] * 17},
        {"mean": [1e300] * 9}, {"low": float("nan")}, {"names": []},
    ],
)  # fmt: skip
def test_statistics_that_cannot_be_are_refused(broken):
    with pytest.raises(ValidationError):
        Appearance.model_validate(document().appearance.model_dump() | broken)


@pytest.fixture(scope="module")
def trained() -> lc.Model:
    settings = lc.TrainingSettings(
        epochs=1, final="none", zooms=(1, 2), stages=(-1, 1, 2), tile=32, batch_size=2, hidden=0,
        pretrained="none", device="cpu",
    )  # fmt: skip
    made = make_section((256, 256), pixel_size=2.0, seed=1)
    where = np.argwhere(np.isin(made.truth, (1, 2)))
    where = where[np.random.default_rng(0).permutation(len(where))[:60]]
    names = np.array(made.scheme.names, object)[made.truth[tuple(where.T)] - 1]
    scheme = lc.ClassScheme.of_names(sorted(set(names)))
    return lc.train(stack_of(made.image), lc.Points.build(where, names), settings, classes=scheme)


def test_training_writes_them_down(trained, tmp_path):
    looks = trained.document.appearance
    assert 8 < looks.tiles <= TILES
    assert len(json.dumps(looks.model_dump())) < 2000
    found = lc.load(trained.save(tmp_path / "m.safetensors"), device="cpu")
    assert found.suitability(stack_of(section(2))).suits
    with pytest.warns(LungclsWarning, match="does not look like"):
        found.paint(stack_of(dimmed(section(2))), 32)
