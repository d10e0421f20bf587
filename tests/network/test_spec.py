"""Which networks there are, how their arrays are called, and which images they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine_examples import examples
from known_network import (
    BYTES,
    PLAIN,
    hidden_logits,
    make_document,
    make_spec,
    random_state,
)
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.compatibility import check_image
from napari_lungcls.network.parameters import backbone_shapes, detail_shapes, hidden_shapes
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import Heads
from napari_lungcls.network.tiles import Tiles


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"zooms": ()}, "whole numbers, each once, in ascending order"),
        ({"zooms": (4, 1)}, "ascending"),
        ({"zooms": (1, 1)}, "each once"),
        ({"zooms": (0, 1)}, "positive"),
        ({"zooms": (1.5,)}, "integer"),
        ({"stages": ()}, "whole numbers"),
        ({"stages": (2, 1)}, "ascending"),
        ({"stages": (-2, 1)}, "stages are detail, stem, layer1"),
        ({"stages": (3, 5)}, "stages are detail, stem, layer1"),
        ({"stages": (-1, 0)}, "one layer at least"),
        ({"tile": 15}, "16"),
        ({"tile": 1025}, "1024"),
        ({"hidden": -1}, "0"),
        ({"hidden": 1025}, "1024"),
        ({"window": 64}, "Extra inputs"),
        ({"classes": 1}, "2"),
        ({"classes": 255}, "254"),
        ({"pooling": "max"}, "point"),
        ({"padding": "same"}, "reflect"),
        ({"tile": 32, "stages": (4,)}, "tile of 32 is too small.*layer4; use at least 33"),
        ({"tile": 16, "stages": (1, 3)}, "use at least 17"),
        ({"colour": "red"}, "Extra inputs"),
        ({"normalisation": {"mean": (0, 0, 0), "std": (1, 0, 1)}}, "must be positive"),
        ({"normalisation": {"mean": (0, 0, np.nan), "std": (1, 1, 1)}}, "finite"),
        ({"normalisation": {"mean": (0, 0, 0), "std": (1, np.inf, 1)}}, "finite"),
        ({"normalisation": {"mean": (0, 0), "std": (1, 1, 1)}}, "mean"),
    ],
)
def test_what_is_no_network_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make_spec(**fields)


def test_tiles_that_just_fit_are_accepted() -> None:
    assert make_spec(tile=33, stages=(4,)).tile == 33
    assert make_spec(tile=17, stages=(3,)).tile == 17
    assert make_spec(tile=16, stages=(4,), padding="zeros").stages == (4,)


def test_the_network_of_the_settings_reads_all_and_has_a_hidden_layer() -> None:
    spec = NetworkSpec(classes=3, normalisation=BYTES)
    assert spec.stages == (-1, 0, 1, 2, 3, 4)
    assert (spec.zooms, spec.hidden, spec.tile) == ((1,), 32, 256)


@given(
    st.sets(st.integers(1, 64), min_size=1, max_size=4),
    st.sets(st.integers(-1, 4), min_size=1).filter(lambda stages: max(stages) > 0),
    st.integers(2, 20),
    st.sampled_from([0, 1, 32]),
    st.sampled_from(["point", "mean"]),
)
def test_json_gives_the_same_network_and_every_array_has_its_own_name(
    zooms: set[int], stages: set[int], classes: int, hidden: int, pooling: str
) -> None:
    spec = make_spec(
        zooms=tuple(sorted(zooms)),
        stages=tuple(sorted(stages)),
        tile=64,
        hidden=hidden,
        classes=classes,
        pooling=pooling,
    )
    assert NetworkSpec.model_validate_json(spec.model_dump_json()) == spec
    # Detail is read at the finest zoom only.
    assert set(spec.reads) == {
        (zoom, stage) for zoom in zooms for stage in stages if stage >= 0 or zoom == min(zooms)
    }
    heads = {spec.head_name(zoom, stage) for zoom, stage in spec.reads}
    assert len(heads) == len(spec.reads)
    shapes = spec.shapes()
    assert {shapes[name][0] for name in heads} == {hidden or classes}
    assert shapes[spec.bias_name] == (hidden or classes,)
    rest = shapes.keys() - heads - {spec.bias_name}
    behind = hidden_shapes(hidden, classes).keys() if hidden else set()
    detail = detail_shapes().keys() if -1 in stages else set()
    assert rest & (behind | detail) == behind | detail
    backbone = rest - behind - detail
    assert backbone <= backbone_shapes().keys()
    # The backbone ends with the deepest stage that is read.
    assert {int(name[5]) for name in backbone if name.startswith("layer")} == set(
        range(1, max(stages) + 1)
    )


def test_torchvision_s_own_classifier_keeps_its_names() -> None:
    spec = make_spec(stages=(4,), pooling="mean", padding="zeros", tile=224, classes=10)
    assert spec.is_torchvision
    shapes = spec.shapes()
    assert shapes["fc.weight"] == (10, 512)
    assert shapes["fc.bias"] == (10,)
    assert len(shapes) == 102
    for other in ({"zooms": (2,)}, {"stages": (3, 4)}, {"pooling": "point"}, {"hidden": 8}):
        changed = make_spec(
            **({"stages": (4,), "pooling": "mean", "padding": "zeros", "tile": 64} | other)
        )
        assert not changed.is_torchvision
        assert (
            changed.head_name(changed.zooms[0], 4) == f"heads.zoom{changed.zooms[0]}.layer4.weight"
        )


@pytest.mark.parametrize("hidden", [0, 6])
def test_heads_in_numpy_say_the_same(hidden: int) -> None:
    spec = make_spec(zooms=(1, 2), stages=(-1, 0, 2), hidden=hidden)
    state = random_state(spec, 1)
    rng = np.random.default_rng(0)
    features = {read: rng.normal(0, 1, (5, state[spec.head_name(*read)].shape[1]))
                for read in spec.reads}  # fmt: skip
    summed = state[spec.bias_name] + sum(
        vectors @ state[spec.head_name(*read)].T for read, vectors in features.items()
    )
    heads = Heads.of(spec, state)
    folded = heads.bias + sum(vectors @ heads.weights[read].T for read, vectors in features.items())
    found = heads.logits(folded.T.reshape(spec.summed, 5, 1))
    assert found.shape == (spec.classes, 5, 1)
    np.testing.assert_allclose(found[..., 0].T, hidden_logits(spec, state, summed), atol=1e-4)


def test_tiles_are_joined_with_their_points() -> None:
    spec = make_spec(zooms=(1, 2))
    parts = [examples(spec, n, n) for n in (3, 1, 4)]
    joined = Tiles.joined(parts)
    assert len(joined) == 8
    assert len(joined.pixels) == 2 + 1 + 2
    assert joined.factors is None
    first = 0
    for part, tiles in zip(parts, (0, 2, 3), strict=True):
        rows = slice(first, first + len(part))
        np.testing.assert_array_equal(joined.places[rows], part.places)
        np.testing.assert_array_equal(joined.pixels[joined.owner[rows]], part.pixels[part.owner])
        np.testing.assert_array_equal(joined.owner[rows], part.owner + tiles)
        first += len(part)


def image(dtype: str = "uint8", size: int = 300, pixel_size: float | None = None) -> ImageStack:
    return ImageStack(np.zeros((size, size), dtype), pixel_size=pixel_size, source="a.tif")


def test_an_image_that_fits_gives_the_zooms_to_look_at() -> None:
    document = make_document(make_spec(zooms=(1, 4)), pixel_size=0.5)
    assert check_image(image(pixel_size=0.5), document) == (1, 4)
    with pytest.warns(LungclsWarning, match="0.25 µm per pixel and the model sees 0.5"):
        assert check_image(image(pixel_size=0.25), document) == (2, 8)
    with pytest.warns(LungclsWarning, match="does not tell its pixel size"):
        assert check_image(image(), document) == (1, 4)


@pytest.mark.parametrize(("trained", "shape"), [(True, (300, 300)), (False, (300, 300, 3))])
def test_grey_for_a_colour_model_and_the_reverse_are_said(trained, shape) -> None:
    document = make_document(make_spec(), rgb=trained)
    stack = ImageStack(np.zeros(shape, np.uint8), source="a.tif")
    words = "RGB images and a.tif is grey" if trained else "grey images and a.tif is RGB"
    with pytest.warns(LungclsWarning, match=words):
        assert check_image(stack, document) == (1,)
    for silent in (None, not trained):
        check_image(stack, document.model_copy(update={"rgb": silent}))


def test_an_image_of_another_type_is_refused() -> None:
    for norm, dtype in ((BYTES, "uint16"), (PLAIN, "uint8"), (PLAIN, "float64")):
        document = make_document(make_spec(normalisation=norm))
        with pytest.raises(InputError, match=f"a.tif holds {dtype} and the model was trained on"):
            check_image(image(dtype), document)
    # The order of bytes in a file is not a matter of intensities.
    document = make_document(make_spec(normalisation=PLAIN.model_copy(update={"dtype": "uint16"})))
    assert check_image(image(">u2"), document) == (1,)


def test_an_image_too_small_for_a_zoom_is_refused() -> None:
    document = make_document(make_spec(zooms=(1, 64)))
    with pytest.raises(InputError, match="zoom 64 is larger than the image allows"):
        check_image(image(), document)
