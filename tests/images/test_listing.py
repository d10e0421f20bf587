"""The images of a file, and its channels, for windows that let people choose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import list_images, open_image
from napari_lungcls.images.readers.selection import Listed

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 60_000, (3, 20, 30)).astype(np.uint16)


def several(path: Path) -> Path:
    with tifffile.TiffWriter(path, ome=True) as tif:
        for name, rows in (("left", 12), ("macro", 20), ("right", 16)):
            tif.write(IMAGE[0, :rows], metadata={"axes": "YX", "Name": name})
    return path


def test_images_are_listed_as_they_are_opened(tmp_path):
    path = several(tmp_path / "a.ome.tif")
    found = list_images(path)
    assert found == [
        Listed("#1", "left", (12, 30), "uint16"),
        Listed("#3", "right", (16, 30), "uint16", taken=True),
    ]
    for image in found:
        assert open_image(f"{path}{image.choice}").shape == image.shape
    with pytest.warns(UserWarning, match="right"):
        assert open_image(path).shape == found[1].shape


def test_images_of_a_converted_store_are_listed(tmp_path):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    for i, rows in enumerate((20, 12)):
        group = root.create_group(str(i))
        group.create_array("0", data=IMAGE[0, :rows])
        group.attrs["multiscales"] = [
            {"version": "0.4", "axes": ["y", "x"], "datasets": [{"path": "0"}], "name": f"n{i}"}
        ]
    found = list_images(tmp_path / "a.zarr")
    assert [(i.choice, i.shape, i.taken) for i in found] == [
        ("#1", (20, 30), True),
        ("#2", (12, 30), False),
    ]
    assert list_images(tmp_path / "a.zarr" / "0") == []


def test_what_holds_one_image_or_none_is_not_listed(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE[0])
    assert len(list_images(tmp_path / "a.tif")) == 1
    assert list_images(tmp_path / "a.png") == []
    (tmp_path / "b.tif").write_bytes(b"nothing")
    for name in ("b.tif", "absent.h5"):
        with pytest.raises(InputError, match=name):
            list_images(tmp_path / name)


def test_channels_bring_names_and_colours_along(tmp_path):
    channel = {"Name": ["DAPI", "CD31", ""], "Color": [0x0000FFFF, -16776961, 0x00FF00FF]}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, IMAGE, metadata={"axes": "CYX", "Channel": channel})
    for stack in (open_image(path), open_image(path, "1"), open_image(path, "2,0")):
        assert stack.channel_names == ("DAPI", "CD31", "")
        assert stack.channel_colours == ("#0000ff", "#ff0000", "#00ff00")
        assert stack.axis_names == ("y", "x")
        for number, one in enumerate(stack.each_channel()):
            assert (one.rgb, one.channels, one.path) == (False, str(number), stack.path)
            np.testing.assert_array_equal(np.asarray(one.levels[0]), IMAGE[number])


def imagej(path: Path, tables: Any) -> Path:
    metadata = {"axes": "CYX", "LUTs": tables}
    tifffile.imwrite(path, IMAGE, imagej=True, metadata=metadata)
    return path


def test_colours_of_imagej(tmp_path):
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.outer(on, ramp).astype(np.uint8) for on in ([1, 0, 0], [0, 1, 1], [1, 1, 1])]
    stack = open_image(imagej(tmp_path / "a.tif", tables))
    assert stack.channel_colours == ("#ff0000", "#00ffff", "#ffffff")
    assert stack.channel_names == ("", "", "")


@pytest.mark.parametrize("omero", [None, 3, {"channels": 3}, {"channels": [{"color": 5}]}])
def test_odd_descriptions_of_channels_say_nothing(tmp_path, omero):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=IMAGE)
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": ["c", "y", "x"], "datasets": [{"path": "0"}]}
    ]
    document = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text()) | {"omero": omero}
    (tmp_path / "a.zarr" / ".zattrs").write_text(json.dumps(document))
    stack = open_image(tmp_path / "a.zarr")
    assert (stack.channel_names, stack.channel_colours) == (("",) * 3, ("",) * 3)


def test_colours_of_pixels_are_no_channels(tmp_path):
    image = np.moveaxis(IMAGE, 0, -1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", image, photometric="rgb")
    stack = open_image(tmp_path / "a.ome.tif")
    assert stack.rgb
    assert stack.channel_names == ()
    assert stack.each_channel() == []
