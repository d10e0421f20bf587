"""Opening images: kinds of files, pictures, and what users get when something is wrong."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_lungcls.errors import InputError
from napari_lungcls.imaging import source_picture
from napari_lungcls.imaging.sources import SUPPORTED, open_image

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.integers(0, 255, shape).astype("uint8")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16"])
def test_png(tmp_path, mode):
    picture = Image.fromarray(noise(20, 30, 3))
    if mode == "I;16":
        picture = Image.fromarray(noise(20, 30).astype("uint16") * 200)
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "a.PNG", dpi=(300, 300))
    stack = open_image(tmp_path / "a.PNG")
    wanted = {"LA": "L", "RGBA": "RGB", "P": "RGB", "1": "L"}.get(mode)
    np.testing.assert_array_equal(
        stack.levels[0], np.asarray(picture.convert(wanted) if wanted else picture)
    )
    assert stack.rgb is (mode in ("RGB", "RGBA", "P"))
    assert (stack.shape, stack.pixel_size, stack.name) == ((20, 30), None, "a")
    assert stack.dtype == ("uint16" if mode == "I;16" else "uint8")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(tmp_path, mode):
    image = np.broadcast_to(np.arange(64, dtype="uint8")[:, None, None] * 4, (64, 48, 3))
    Image.fromarray(np.ascontiguousarray(image)).convert(mode).save(tmp_path / "a.jpg", quality=95)
    stack = open_image(str(tmp_path / "a.jpg"))
    assert (stack.shape, stack.rgb) == ((64, 48), mode != "L")
    wanted = image if stack.rgb else image[..., 0]
    assert np.abs(stack.levels[0].astype(float) - wanted).max() < 12


def test_the_content_counts_not_the_suffix(tmp_path):
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert open_image(tmp_path / "a.jpg").shape == (20, 30)


def test_the_limit_of_pictures(tmp_path, monkeypatch):
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(source_picture, "MAX_PIXELS", 599)
    with pytest.raises(InputError, match=r"30 by 20 pixels.*; convert it to OME-TIFF or OME-Zarr"):
        open_image(tmp_path / "a.png")
    monkeypatch.setattr(source_picture, "MAX_PIXELS", 600)
    assert open_image(tmp_path / "a.png").shape == (20, 30)


def test_pillow_does_not_stop_a_large_section(tmp_path, monkeypatch):
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert open_image(tmp_path / "a.png").shape == (20, 30)


def test_missing(tmp_path):
    with pytest.raises(InputError, match=r"no\.tif: there is no such file; check the path"):
        open_image(tmp_path / "no.tif")
    with pytest.raises(InputError, match=r"no\.h5:/a: there is no such file"):
        open_image(f"{tmp_path}/no.h5:/a")


def test_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder without zarr metadata; give an image file"):
        open_image(tmp_path)


@pytest.mark.parametrize("name", ["a.txt", "a.lif", "a", "a.gif"])
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


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["png", "jpg"]), st.data())
@pytest.mark.filterwarnings("ignore")
def test_no_damage_leaks_a_foreign_error(tmp_path_factory, suffix, data):
    path = tmp_path_factory.mktemp("fuzz") / f"a.{suffix}"
    Image.fromarray(np.arange(400, dtype="uint8").reshape(20, 20) % 250).save(path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(InputError):
        assert open_image(path).ndim == 2
