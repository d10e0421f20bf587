"""Zarr stores as other programs write them."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import tracemalloc
import warnings
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr.format import FormatV04, FormatV05

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of a class of its own, at import
    from ome_zarr.writer import write_image

RNG = np.random.default_rng(0)
FORMATS = {"0.4": FormatV04(), "0.5": FormatV05()}


def noise(*shape: int) -> Any:
    return RNG.integers(0, 255, shape).astype("uint8")


def write(path: Any, image: Any, axes: str, version: str = "0.4", **options: Any) -> None:
    fmt = FORMATS[version]
    group = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    write_image(image, group, axes=axes, fmt=fmt, **options)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_pyramid_of_ome_zarr(tmp_path, version):
    image = noise(2, 3, 64, 96)
    path = tmp_path / "lung.ome.zarr"
    write(
        path,
        image,
        "tcyx",
        version,
        scale={"t": 30.0, "c": 1.0, "y": 500.0, "x": 500.0},
        axes_units={"t": "second", "y": "nanometer", "x": "nanometer"},
        scale_factors=[2, 4],
    )
    stack = open_image(path)
    assert (stack.shape, stack.rgb, stack.name) == ((2, 64, 96), True, "lung")
    assert stack.factors == (1, 2, 4)
    np.testing.assert_array_equal(np.asarray(stack.levels[0]), np.moveaxis(image, 1, -1))
    assert stack.pixel_size == pytest.approx(0.5)
    assert stack.scale == pytest.approx((30, 0.5, 0.5))
    assert stack.unit == "micrometer"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_one_channel_and_no_units(tmp_path, version):
    image = noise(1, 1, 4, 32, 40)
    write(tmp_path / "a.zarr", image, "tczyx", version, scale_factors=[])
    stack = open_image(tmp_path / "a.zarr")
    assert (stack.shape, stack.rgb, len(stack.levels)) == ((1, 4, 32, 40), False, 1)
    assert (stack.unit, stack.pixel_size) == ("pixel", None)
    np.testing.assert_array_equal(stack.levels[0][0, 1], image[0, 0, 1])


def test_transformations_are_composed(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=noise(3, 20, 30), chunks=(1, 8, 8))
    unit = {"type": "space", "unit": "millimeter"}
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name, **unit} for name in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [2, 1, 1]},
                        {"type": "translation", "translation": [1, 2, 3]},
                    ],
                }
            ],
            "coordinateTransformations": [{"type": "scale", "scale": [1e-3, 2e-3, 2e-3]}],
        }
    ]
    stack = open_image(tmp_path / "a.zarr")
    assert stack.scale == pytest.approx((2, 2, 2))
    assert stack.translate == pytest.approx((1, 4, 6))
    assert stack.levels[0].chunks == (1, 8, 8)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("shape", "rgb"), [((20, 30), False), ((20, 30, 3), True), ((4, 20, 30), False)]
)
def test_plain_arrays(tmp_path, zarr_format, shape, rgb):
    image = noise(*shape)
    zarr.create_array(tmp_path / "plain.zarr", data=image, zarr_format=zarr_format)
    stack = open_image(tmp_path / "plain.zarr")
    assert stack.rgb is rgb
    np.testing.assert_array_equal(np.asarray(stack.levels[0]), image)


def test_named_axes_of_plain_arrays(tmp_path):
    image = noise(3, 20, 30)
    zarr.create_array(tmp_path / "a.zarr", data=image, dimension_names=["c", "y", "x"])
    old = zarr.create_array(tmp_path / "b.zarr", data=image, zarr_format=2)
    old.attrs["_ARRAY_DIMENSIONS"] = ["c", "y", "x"]
    for name in ("a.zarr", "b.zarr"):
        stack = open_image(tmp_path / name)
        assert (stack.shape, stack.rgb) == ((20, 30), True)


def test_bioformats2raw_and_plates(tmp_path):
    write(tmp_path / "a.zarr" / "0", noise(20, 30), "yx")
    root = zarr.open_group(tmp_path / "a.zarr", mode="a", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    assert open_image(tmp_path / "a.zarr").shape == (20, 30)
    root.attrs.clear()
    with pytest.raises(InputError, match=r"give the path of an image inside \(it holds 0\)"):
        open_image(tmp_path / "a.zarr")
    assert open_image(tmp_path / "a.zarr" / "0").shape == (20, 30)


def test_the_channels_of_fluorescence_are_refused(tmp_path):
    write(tmp_path / "a.zarr", noise(4, 20, 30), "cyx")
    with pytest.raises(InputError, match="has 4 channels"):
        open_image(tmp_path / "a.zarr")


def _axes_of_wrong_length(attributes):
    attributes["multiscales"][0]["axes"].pop()


def _no_datasets(attributes):
    attributes["multiscales"][0]["datasets"] = []


def _text_as_multiscales(attributes):
    attributes["multiscales"] = "none"


def _missing_level(attributes):
    attributes["multiscales"][0]["datasets"][1]["path"] = "nowhere"


def _level_outside(attributes):
    attributes["multiscales"][0]["datasets"][0]["path"] = "../other.zarr/0"


def _group_as_level(attributes):
    attributes["multiscales"][0]["datasets"][0]["path"] = ""


def _unknown_transformation(attributes):
    first = attributes["multiscales"][0]["datasets"][0]
    first["coordinateTransformations"] = [{"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]}]


def _scale_of_wrong_length(attributes):
    first = attributes["multiscales"][0]["datasets"][0]
    first["coordinateTransformations"] = [{"type": "scale", "scale": [1]}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_axes_of_wrong_length, "do not have the 1 axes it announces"),
        (_no_datasets, r"metadata is not understood \(datasets: "),
        (_text_as_multiscales, "metadata is not understood"),
        (_missing_level, "its part 'nowhere' is missing"),
        (_level_outside, "its part '../other.zarr/0' is missing or damaged"),
        (_group_as_level, "its part '' is"),
        (_unknown_transformation, "metadata is not understood"),
        (_scale_of_wrong_length, "its scale needs 2 numbers"),
    ],
)
def test_bad_metadata(tmp_path, change, message):
    write(tmp_path / "other.zarr", noise(64, 64), "yx")
    shutil.copytree(tmp_path / "other.zarr", tmp_path / "a.zarr")
    file = tmp_path / "a.zarr" / ".zattrs"
    attributes = json.loads(file.read_text())
    change(attributes)
    file.write_text(json.dumps(attributes))
    with pytest.raises(InputError, match=message):
        open_image(tmp_path / "a.zarr")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["axes", "datasets", "path", "name", "unit", "type", "scale"]), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=60)
@given(JSON, st.sampled_from(["axes", "datasets", "coordinateTransformations", "name"]))
def test_no_metadata_leaks_a_foreign_error(tmp_path_factory, value, field):
    path = tmp_path_factory.mktemp("fuzz") / "a.zarr"
    group = zarr.create_group(path, zarr_format=2)
    group.create_array("0", data=noise(5, 6))
    described = {"axes": ["y", "x"], "datasets": [{"path": "0"}], field: value}
    for multiscales in (value, [value], [described]):
        (path / ".zattrs").write_text(json.dumps({"multiscales": multiscales}))
        with contextlib.suppress(InputError):
            assert open_image(path).shape == (5, 6)


@pytest.mark.parametrize("name", [".zgroup", ".zarray", "zarr.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"zarr_format": 7}'])
def test_bad_stores(tmp_path, name, content):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / name).write_text(content)
    with pytest.raises(InputError, match=r"a\.zarr: "):
        open_image(tmp_path / "a.zarr")


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


PICKLE = numcodecs.Pickle().get_config()
SHUFFLE = numcodecs.Shuffle().get_config()


@pytest.mark.parametrize(
    ("filters", "compressor"),
    [([PICKLE], None), ([PICKLE, SHUFFLE], None), ([SHUFFLE, PICKLE], None), (None, PICKLE)],
)
@pytest.mark.parametrize("dtype", ["|u1", "|O"])
def test_nothing_is_unpickled(tmp_path, filters, compressor, dtype):
    zarr.create_array(tmp_path / "a.zarr", data=noise(8, 8), chunks=(8, 8), zarr_format=2)
    file = tmp_path / "a.zarr" / ".zarray"
    described = json.loads(file.read_text())
    described |= {"filters": filters, "compressor": compressor, "dtype": dtype}
    file.write_text(json.dumps(described))
    (tmp_path / "a.zarr" / "0.0").write_bytes(pickle.dumps(_Trap(str(tmp_path / "sprung"))))
    with pytest.raises(InputError, match=r"a\.zarr: "):
        open_image(tmp_path / "a.zarr").levels[0][...]
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_chunk_is_reported_when_it_is_read(tmp_path):
    write(tmp_path / "a.zarr", noise(64, 64), "yx", scale_factors=[])
    stack = open_image(tmp_path / "a.zarr")
    chunk = next(p for p in (tmp_path / "a.zarr").rglob("0") if p.is_file())
    chunk.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"a\.zarr: cannot be read"):
        stack.levels[0][0, 0]


def test_opening_does_not_load(tmp_path):
    shape = (10, 20000, 20000)
    zarr.create_array(tmp_path / "big.zarr", shape=shape, dtype="uint8", chunks=(1, 512, 512))
    tracemalloc.start()
    try:
        level = open_image(tmp_path / "big.zarr").levels[0]
        assert level[3, 10:20, 10:20].sum() == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert level.shape == shape
    assert peak < 16e6
