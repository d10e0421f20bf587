"""HDF5 datasets as images."""

from __future__ import annotations

import json
from pathlib import PureWindowsPath

import h5py
import numpy as np
import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.readers.hdf5 import list_hdf5, split_dataset
from napari_lungcls.images.readers.selection import Listed

RNG = np.random.default_rng(0)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "lung.h5", "w") as h5:
        yield h5


@pytest.mark.parametrize(
    ("given", "file", "inside"),
    [
        ("a.h5", "a.h5", None),
        ("a.h5:/x/y", "a.h5", "/x/y"),
        ("a.h5:x", "a.h5", "x"),
        ("a.h5:", "a.h5", None),
        ("A.HDF5:/x", "A.HDF5", "/x"),
        ("C:\\d\\x.h5", "C:\\d\\x.h5", None),
        ("C:\\d\\x.h5:/g/d", "C:\\d\\x.h5", "/g/d"),
        (str(PureWindowsPath("C:\\d\\x.h5:/g/d")), "C:\\d\\x.h5", "/g/d"),
        ("C:\\d\\x.tif", "C:\\d\\x.tif", None),
    ],
)
def test_the_colon_before_a_dataset(given, file, inside):
    assert split_dataset(given) == (file, inside)


def test_a_file_may_have_a_colon_in_its_name(tmp_path):
    path = tmp_path / "a.h5:b.h5"
    with h5py.File(path, "w") as h5:
        h5["x"] = np.zeros((5, 6))
    assert open_image(path).shape == (5, 6)


@pytest.mark.parametrize(
    ("shape", "stack_shape", "rgb"),
    [
        ((20, 30), (20, 30), False),
        ((20, 30, 3), (20, 30), True),
        ((4, 20, 30), (4, 20, 30), False),
        ((4, 20, 30, 1), (4, 20, 30), False),
        ((2, 4, 20, 30, 3), (2, 4, 20, 30), True),
    ],
)
def test_the_only_image_is_taken(file, shape, stack_shape, rgb):
    image = RNG.integers(0, 2**16, shape).astype("uint16")
    file["group/data"] = image
    file["vector"] = np.zeros(5)
    file["names"] = np.array([[b"a", b"b"]])
    file.flush()
    stack = open_image(file.filename)
    assert (stack.shape, stack.rgb, stack.name) == (stack_shape, rgb, "lung group/data")
    found = np.asarray(stack.levels[0])
    np.testing.assert_array_equal(found.reshape(shape), image)
    np.testing.assert_array_equal(stack.levels[0][0, 1:3], image.reshape(found.shape)[0, 1:3])


def test_axistags_of_ilastik(file):
    image = RNG.integers(0, 255, (3, 20, 30, 4)).astype("uint8")
    data = file.create_dataset("volume/data", data=image, chunks=True)
    data.attrs["axistags"] = json.dumps({"axes": [{"key": k, "typeFlags": 2} for k in "cxyz"]})
    data.attrs["element_size_um"] = [2.0, 0.5, 0.5]
    file.flush()
    stack = open_image(f"{file.filename}:/volume/data")
    np.testing.assert_array_equal(np.asarray(stack.levels[0]), image.transpose(3, 2, 1, 0))
    assert stack.scale == (2.0, 0.5, 0.5)
    assert (stack.pixel_size, stack.unit) == (0.5, "micrometer")


def test_dimension_labels(file):
    data = file.create_dataset("d", data=np.zeros((20, 30, 4)))
    for dim, label in zip(data.dims, "XYZ", strict=True):
        dim.label = label
    data.attrs["element_size_um"] = "unknown"
    data.attrs["axistags"] = "not json"
    file.flush()
    stack = open_image(file.filename)
    assert (stack.shape, stack.pixel_size) == ((4, 30, 20), None)


def test_plane_sizes(file):
    file["d"] = np.zeros((20, 30))
    file["d"].attrs["element_size_um"] = np.array([0.5, 0.5], "f4")
    file.flush()
    assert open_image(file.filename).scale == (0.5, 0.5)


def test_the_file_stays_open_while_it_is_needed(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as h5:
        h5.create_dataset("d", data=np.arange(12).reshape(3, 4), chunks=(1, 4), compression="gzip")
    stack = open_image(path)
    np.testing.assert_array_equal(stack.levels[0][1:, 2], [6, 10])
    del stack
    with h5py.File(path, "r+") as h5:
        h5["d"][0, 0] = 7


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        ("", r"holds several images; name one as lung\.h5:PATH \(/a, /b/c\)"),
        (":/nowhere", r"no dataset '/nowhere' in lung\.h5; the images in it are: /a, /b/c"),
        (":/b", "no dataset '/b' in"),
    ],
)
def test_the_datasets_are_listed(file, suffix, message):
    file["a"], file["b/c"] = np.zeros((5, 6)), np.ones((7, 8))
    file.flush()
    assert open_image(f"{file.filename}:/b/c").shape == (7, 8)
    assert open_image(f"{file.filename}:a").shape == (5, 6)
    with pytest.raises(InputError, match=message):
        open_image(f"{file.filename}{suffix}")


def test_many_datasets_make_a_short_message(file):
    for i in range(300):
        file[f"image{i:03}"] = np.zeros((2, 2))
    file.flush()
    with pytest.raises(InputError, match=r"/image009 and 29\d more\)$"):
        open_image(file.filename)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(5), "one y and one x axis"),
        (np.zeros((0, 5)), "is empty"),
        (np.array([[b"a"]]), "must be numbers"),
        (np.zeros((5, 6), "c8"), "must be numbers"),
        (np.float64(3), "one y and one x axis"),
    ],
)
def test_datasets_that_are_no_image(file, value, message):
    file["d"] = value
    file.flush()
    with pytest.raises(InputError, match=message):
        open_image(f"{file.filename}:d")


def test_no_image_at_all(file):
    file["d"] = np.zeros(5)
    file.flush()
    with pytest.raises(InputError, match="holds no dataset with two or more axes"):
        open_image(file.filename)


@pytest.mark.parametrize("keep", [0, 10, 100, 700])
def test_damaged_files(tmp_path, keep):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as h5:
        h5["d"] = np.zeros((50, 60))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.h5: is not an HDF5 file that can be read"):
        open_image(path)


def test_what_may_be_an_image_is_listed(file, tmp_path):
    file["raw/a"] = np.zeros((2, 5, 6), np.uint16)
    file["mask"] = np.zeros((5, 6), bool)
    file["curve"] = np.zeros(5)
    file["names"] = np.full((2, 2), b"x")
    file.flush()
    found = list_hdf5(tmp_path / "lung.h5", "lung.h5")
    assert found == [
        Listed(":/mask", "/mask", (5, 6), "bool"),
        Listed(":/raw/a", "/raw/a", (2, 5, 6), "uint16"),
    ]
    with pytest.raises(InputError, match="is not an HDF5 file"):
        list_hdf5(tmp_path / "absent.h5", "absent.h5")
