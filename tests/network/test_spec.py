"""Which networks there are, how their arrays are called, and which images they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari_lungcls.network.readouts import readouts_at
from pydantic import ValidationError

from known_network import BYTES, PLAIN, make_document, make_spec
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.network.fitting import check_image
from napari_lungcls.network.modelfile import parameter_shapes
from napari_lungcls.network.parameters import trunk_shapes
from napari_lungcls.network.spec import NetworkSpec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"zooms": ()}, "positive whole numbers"),
        ({"zooms": (4, 1)}, "ascending"),
        ({"zooms": (1, 1)}, "each once"),
        ({"zooms": (0, 1)}, "positive"),
        ({"zooms": (1.5,)}, "integer"),
        ({"stages": (0, 1)}, "positive"),
        ({"stages": (3, 5)}, "stages are 1, 2, 3 and 4"),
        ({"window": 15}, "16"),
        ({"window": 513}, "512"),
        ({"classes": 1}, "2"),
        ({"classes": 255}, "254"),
        ({"readout": "max"}, "point"),
        ({"padding": "same"}, "reflect"),
        ({"window": 32, "stages": (4,)}, "window of 32 is too small.*layer4; use at least 33"),
        ({"window": 16, "stages": (1, 3)}, "use at least 17"),
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


def test_windows_that_just_fit_are_accepted() -> None:
    assert make_spec(window=33, stages=(4,)).window == 33
    assert make_spec(window=17, stages=(3,)).window == 17
    assert make_spec(window=16, stages=(4,), padding="zeros").stages == (4,)


@given(
    st.sets(st.integers(1, 64), min_size=1, max_size=4),
    st.sets(st.integers(1, 4), min_size=1),
    st.integers(2, 20),
    st.sampled_from(["point", "mean"]),
)
def test_json_gives_the_same_network_and_every_array_has_its_own_name(
    zooms: set[int], stages: set[int], classes: int, readout: str
) -> None:
    spec = make_spec(
        zooms=tuple(sorted(zooms)),
        stages=tuple(sorted(stages)),
        window=64,
        classes=classes,
        readout=readout,
    )
    assert NetworkSpec.model_validate_json(spec.model_dump_json()) == spec
    heads = {spec.head_name(zoom, stage) for zoom in zooms for stage in stages}
    assert len(heads) == len(zooms) * len(stages)
    shapes = parameter_shapes(spec)
    assert {shapes[name][0] for name in heads} == {classes}
    assert shapes[spec.bias_name] == (classes,)
    trunk = shapes.keys() - heads - {spec.bias_name}
    assert trunk <= trunk_shapes().keys()
    # The trunk ends with the deepest stage that is read.
    assert {int(name[5]) for name in trunk if name.startswith("layer")} == set(
        range(1, max(stages) + 1)
    )


def test_torchvision_s_own_classifier_keeps_its_names() -> None:
    spec = make_spec(stages=(4,), readout="mean", padding="zeros", window=224, classes=10)
    assert spec.is_torchvision
    shapes = parameter_shapes(spec)
    assert shapes["fc.weight"] == (10, 512)
    assert shapes["fc.bias"] == (10,)
    assert len(shapes) == 102
    for other in ({"zooms": (2,)}, {"stages": (3, 4)}, {"readout": "point"}):
        changed = make_spec(
            **({"stages": (4,), "readout": "mean", "padding": "zeros", "window": 64} | other)
        )
        assert not changed.is_torchvision
        assert (
            changed.head_name(changed.zooms[0], 4) == f"heads.zoom{changed.zooms[0]}.layer4.weight"
        )


def test_readouts_of_a_mean_do_not_ask_where() -> None:
    spec = make_spec(stages=(1, 3), readout="mean", zooms=(1, 2), window=40)
    places = np.random.default_rng(0).uniform(0, 39, (5, 2, 2))
    found = readouts_at(spec, places)
    assert {stage: weights.shape for stage, weights in found.items()} == {
        1: (5, 2, 100),
        3: (5, 2, 9),
    }
    for weights in found.values():
        assert weights.dtype == np.float32
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
        assert np.ptp(weights) == 0


def test_readouts_of_a_point_are_at_the_point() -> None:
    spec = make_spec(zooms=(1, 4))
    places = np.array([[[8.0, 12.0], [16.0, 4.0]]])
    weights = readouts_at(spec, places)[1].reshape(2, 8, 8)
    assert np.argwhere(weights).tolist() == [[0, 2, 3], [1, 4, 1]]
    factors = np.array([[0.0, 2.0]], np.float32)
    weighed = readouts_at(spec, places, factors)[1].reshape(2, 8, 8)
    np.testing.assert_array_equal(weighed, weights * [[[0]], [[2]]])


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
