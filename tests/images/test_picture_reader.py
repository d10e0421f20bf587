"""Pictures: the same pixels as an image and as a patch, whatever they are stored as."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import PICTURES, open_image
from napari_lungcls.images.readers import picture
from napari_lungcls.images.readers.picture import Picture, decode, describe
from napari_lungcls.patch_datasets.opening import open_patches

pytestmark = pytest.mark.filterwarnings("ignore:.* is turned upright")

RNG = np.random.default_rng(0)
TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def noise(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def upright(pixels, orientation):
    """Turn an array as Pillow turns the picture of its rows' numbers."""
    if orientation not in TRANSPOSED:
        return pixels
    height, width = pixels.shape[:2]
    numbers = Image.fromarray(np.arange(height * width, dtype=np.int32).reshape(height, width))
    moved = np.asarray(numbers.transpose(TRANSPOSED[orientation]))
    return pixels.reshape(height * width, *pixels.shape[2:])[moved]


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def read_alike(path: Path) -> NDArray:
    """Read a picture as an image and as a patch, which must be the same."""
    stack = open_image(path)
    (height, width), said = stack.shape, describe(path, "p")
    image = stack.plane(()).read(slice(0, height), slice(0, width))
    assert said == Picture((height, width), str(image.dtype), stack.rgb, stack.turned)
    data = open_patches(path.parent, labelled=False)
    (part,) = data.parts
    assert (part.pixels.shape, part.pixels.dtype) == ((1, height, width), image.dtype)
    assert part.pixels.rgb is stack.rgb
    np.testing.assert_array_equal(
        part.pixels.read(0, 1)[0], image if stack.rgb else np.repeat(image, 3, 2)
    )
    return image if stack.rgb else image[..., 0]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, bits, colour, *, palette=b"", clear=b"", orientation=0, late=False):
    """Write `(height, width, sample)` as the PNG standard says, without a library."""
    height, width, count = samples.shape
    digits = (samples[..., np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(digits.reshape(height, width * count * bits).astype(np.uint8), axis=1)
    filtered = np.pad(rows, ((0, 0), (1, 0)))
    turned = chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0")) if orientation else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
        + (b"" if late else turned)
        + (chunk(b"PLTE", palette) if palette else b"")
        + (chunk(b"tRNS", clear) if clear else b"")
        + chunk(b"IDAT", zlib.compress(filtered.tobytes()))
        + (turned if late else b"")
        + chunk(b"IEND", b"")
    )


KINDS = [(0, b) for b in (1, 2, 4, 8, 16)] + [(3, b) for b in (1, 2, 4, 8)]
KINDS += [(colour, bits) for colour in (2, 4, 6) for bits in (8, 16)]
SIZES = st.tuples(st.integers(1, 21), st.integers(1, 21))


@settings(max_examples=250, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    size=SIZES,
    orientation=st.integers(0, 9),
    late=st.booleans(),
    clear=st.booleans(),
    seed=st.integers(0, 9),
)
def test_every_png_is_read_alike(tmp_path_factory, kind, size, orientation, late, clear, seed):
    (colour, bits), rng = kind, np.random.default_rng(seed)
    count = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    samples = rng.integers(0, 2**bits, (*size, count))
    table = rng.integers(0, 256, (2**bits, 3), np.uint8) if colour == 3 else None
    transparent = b""
    if clear and colour in (0, 2):
        transparent = np.arange(count, dtype=">u2").tobytes()
    elif clear and colour == 3:
        transparent = bytes(range(2**bits))
    made = png(
        samples, bits, colour, palette=b"" if table is None else table.tobytes(),
        clear=transparent, orientation=orientation, late=late,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(made)
    if table is not None:
        wanted = table[samples[..., 0]]
    else:
        wanted = samples[..., 0] if count < 3 else samples[..., :3]
        wanted = wanted * (1 if bits >= 8 else 255 // (2**bits - 1))
    found = read_alike(path)
    assert found.dtype == ("uint16" if bits == 16 else "uint8")
    np.testing.assert_array_equal(found, upright(wanted, orientation))


LOSSLESS = {
    "a.bmp": ("1", "L", "P", "RGB", "RGBA"),
    "a.gif": ("1", "L", "P", "RGB"),
    "a.webp": ("RGB", "RGBA"),
    "a.ppm": ("RGB",),
    "a.pgm": ("L", "I;16"),
    "a.pbm": ("1",),
    "a.jpg": ("L", "RGB"),
    "a.png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "a.tif": ("1", "L", "P", "RGB", "RGBA", "I;16"),
}


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from([(name, mode) for name, modes in LOSSLESS.items() for mode in modes]),
    SIZES,
    st.integers(0, 8),
    st.integers(0, 9),
)
def test_what_pillow_writes_is_read_alike(tmp_path_factory, kind, size, orientation, seed):
    (name, mode), rng = kind, np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("pillow") / name
    if mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65536, size, np.uint16))
    elif mode == "L":
        picture = Image.fromarray(rng.integers(0, 256, size, np.uint8))
    else:
        bands = 4 if mode in ("RGBA", "LA") else 3
        picture = Image.fromarray(rng.integers(0, 256, (*size, bands), np.uint8)).convert(mode)
    options = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    turned = bool(orientation) and path.suffix in (".jpg", ".webp", ".png")
    if turned:
        options["exif"] = exif(orientation)
    picture.save(path, **options)
    with Image.open(path) as stored:
        shown = stored if mode == "I;16" else stored.convert(
            "L" if mode in ("1", "L", "LA") and stored.mode != "P" else "RGB"
        )  # fmt: skip
        wanted = np.asarray(shown)
    if path.suffix != ".jpg" and mode not in ("1", "P"):
        given = np.asarray(picture)
        given = given[..., 0] if mode == "LA" else given[..., :3] if given.ndim == 3 else given
        if path.suffix == ".gif" and mode == "L":
            given = given if wanted.ndim == 2 else np.repeat(given[..., np.newaxis], 3, 2)
        if path.suffix != ".gif" or mode == "L":
            np.testing.assert_array_equal(wanted, given)
    np.testing.assert_array_equal(read_alike(path), upright(wanted, orientation if turned else 0))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tiff_is_read_alike_by_its_content(tmp_path, dtype, channels, orientation):
    pixels = (RNG.random((9, 12, *channels)) * 3000).astype(dtype)
    photometric = "rgb" if channels else "minisblack"
    tags = [(0x0112, "H", 1, orientation, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric=photometric, extratags=tags, metadata=None
    )
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    found = read_alike(tmp_path / "a.png")
    assert found.dtype == dtype
    wanted = pixels[..., :3] if channels else pixels
    np.testing.assert_array_equal(found, upright(wanted, orientation))


def test_the_content_counts_not_the_suffix(tmp_path):
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    for suffix in (".jpg", ".tif", ".gif"):
        (tmp_path / f"a{suffix}").write_bytes((tmp_path / "a.png").read_bytes())
        assert open_image(tmp_path / f"a{suffix}").shape == (20, 30)


def test_dots_per_inch_are_no_pixel_size(tmp_path):
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.PNG", dpi=(300, 300))
    stack = open_image(tmp_path / "a.PNG")
    assert (stack.shape, stack.pixel_size, stack.name) == ((20, 30), None, "a")


@pytest.mark.parametrize("suffix", PICTURES)
def test_every_suffix_is_a_picture_for_images_and_patches(tmp_path, suffix):
    Image.fromarray(noise(16, 17)).save(tmp_path / f"a{suffix.upper()}", format="PNG")
    assert read_alike(tmp_path / f"a{suffix.upper()}").shape == (16, 17)


def pillow(mode, form, **options):
    stream = io.BytesIO()
    Image.new(mode, (8, 9)).save(stream, form, **options)
    return stream.getvalue()


def moving(form):
    frames = [Image.fromarray(noise(9, 8, 3)) for _ in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, form, save_all=True, append_images=frames[1:], duration=50)
    return stream.getvalue()


REFUSED = {
    "CMYK": ("a.jpg", lambda: pillow("CMYK", "JPEG"), "CMYK colours; save it as RGB or grey"),
    "12 bits": (
        "a.jpg",
        lambda: imagecodecs.jpeg8_encode(noise(9, 8).astype(np.uint16), bitspersample=12),
        "cannot handle 12-bit layers; save it as PNG or TIFF",
    ),
    "GIF that moves": ("a.gif", lambda: moving("GIF"), "animation of 3 pictures; save one"),
    "WebP that moves": ("a.webp", lambda: moving("WEBP"), "animation of 3 pictures; save one"),
    "PNG that moves": ("a.png", lambda: moving("PNG"), "animation of 3 pictures; save one"),
    "12 bits of grey": (
        "a.pgm",
        lambda: b"P5 8 9 4095\n" + bytes(144),
        "intensities up to 4095, .*; save it as PNG or TIFF",
    ),
    "16 bits of colour": (
        "a.ppm",
        lambda: b"P6 8 9 65535\n" + bytes(432),
        "intensities up to 65535, .*; save it as PNG or TIFF",
    ),
    "JPEG 2000": (
        "a.png",
        lambda: imagecodecs.jpeg2k_encode(noise(9, 8)),
        "JPEG 2000 is not read; save it as PNG",
    ),
    "JPEG XL": (
        "a.png",
        lambda: imagecodecs.jpegxl_encode(noise(9, 8)),
        "JPEG XL is not read; save it as PNG",
    ),
    "AVIF": ("a.jpg", lambda: pillow("RGB", "AVIF"), "HEIC or AVIF is not read; save it as PNG"),
    "another RIFF": ("a.webp", lambda: b"RIFF\0\0\0\0WAVE", "is not a PNG, JPEG, .*; export it"),
    "nothing": ("a.png", lambda: b"", "is not a PNG, JPEG, .*; export it"),
    "half a PNG": ("a.png", lambda: png(noise(50, 50, 1), 8, 0)[:900], "damaged .*; copy it again"),
    "half a JPEG": ("a.jpg", lambda: pillow("RGB", "JPEG")[:300], "damaged .*; copy it again"),
    "half a BMP": ("a.bmp", lambda: pillow("RGB", "BMP")[:100], "damaged .*; copy it again"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_grey_or_rgb_plane_is_refused_alike(tmp_path, name):
    file, make, words = REFUSED[name]
    path = tmp_path / file
    path.write_bytes(make())
    with pytest.raises(InputError, match=words) as image:
        open_image(path)
    with pytest.raises(InputError) as patch:
        open_patches(tmp_path, labelled=False).parts[0].pixels.read(0, 1)
    assert str(image.value) == str(patch.value)
    assert str(image.value).startswith(f"{path}: ")


def test_a_tiff_of_several_pages_is_an_image_but_no_patch(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(3, 9, 8), photometric="minisblack")
    assert open_image(tmp_path / "a.tif").shape == (3, 9, 8)
    with pytest.raises(InputError, match=r"a\.tif: holds 3 planes, .*; save each as a file"):
        open_patches(tmp_path, labelled=False)


def test_exif_that_cannot_be_read_turns_nothing(tmp_path):
    Image.fromarray(noise(9, 8)).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff")
    assert open_image(tmp_path / "a.png").shape == (9, 8)


def test_the_limit_of_pictures(tmp_path, monkeypatch):
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(picture, "MAX_PIXELS", 599)
    with pytest.raises(InputError, match=r"30 by 20 pixels.*; convert it to OME-TIFF or OME-Zarr"):
        open_image(tmp_path / "a.png")
    monkeypatch.setattr(picture, "MAX_PIXELS", 600)
    assert open_image(tmp_path / "a.png").shape == (20, 30)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "jpg"])
def test_pillow_does_not_stop_a_large_section(tmp_path, monkeypatch, suffix):
    Image.fromarray(noise(20, 30)).save(tmp_path / f"a.{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert open_image(tmp_path / f"a.{suffix}").shape == (20, 30)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["png", "jpg", "bmp", "gif", "webp", "pgm"]), st.data())
def test_no_damage_leaks_a_foreign_error(tmp_path_factory, suffix, data):
    path = tmp_path_factory.mktemp("fuzz") / f"a.{suffix}"
    Image.fromarray(np.arange(400, dtype="uint8").reshape(20, 20) % 250).save(path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(InputError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = describe(path, "p")
        assert decode(path, "p").shape[:2] == said.size
