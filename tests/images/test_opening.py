"""Opening images: kinds of files, pictures, and what users get when something is wrong."""

from __future__ import annotations

import errno
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import SUPPORTED, open_image
from napari_lungcls.images.readers import picture


def test_missing(tmp_path):
    with pytest.raises(InputError, match=r"no\.tif: there is no such file; check the path"):
        open_image(tmp_path / "no.tif")
    with pytest.raises(InputError, match=r"no\.h5:/a: there is no such file"):
        open_image(f"{tmp_path}/no.h5:/a")


@pytest.mark.parametrize("ending", ["", ".tif", ".h5", ".h5:/a"])
def test_a_name_that_no_file_can_have_is_one_line_too(ending):
    with pytest.raises(InputError, match=r"there is no such file"):
        open_image("x" * 5000 + ending)


def test_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder without zarr metadata; give an image file"):
        open_image(tmp_path)


@pytest.mark.parametrize("name", ["a.txt", "a.lif", "a", "a.jp2"])
def test_unknown_kinds(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"convert it to one of \.tif, .*\.zarr, \.h5") as error:
        open_image(tmp_path / name)
    assert all(suffix in str(error.value) for suffix in SUPPORTED)


@pytest.mark.parametrize("suffix", SUPPORTED)
@pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 20, b"\x89PNG\r\n\x1a\n"])
def test_not_an_image(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        open_image(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert ";" in message


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.h5", "a.zarr"])
def test_a_file_that_another_program_holds_is_not_called_damaged(tmp_path, monkeypatch, name):
    path = tmp_path / name
    if name == "a.zarr":
        zarr.create_array(path, data=np.zeros((8, 9), np.uint8))
    else:
        path.write_bytes(b"\x89PNG\r\n\x1a\n" if name == "a.png" else b"II*\0")

    def held(*_: Any, **__: Any) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    for owner, what in (
        (tifffile, "TiffFile"),
        (h5py, "File"),
        (zarr, "open"),
        (picture, "_opened"),
    ):
        monkeypatch.setattr(owner, what, held)
    with pytest.raises(InputError, match=r"is open in another program; close the other program"):
        open_image(path)
