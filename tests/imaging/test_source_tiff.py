"""TIFF files as other programs write them."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.source_recent import RecentChunks
from napari_lungcls.imaging.sources import open_image
from napari_lungcls.imaging.stack import ImageStack

RNG = np.random.default_rng(0)


def noise(*shape: int, dtype: str = "uint8") -> Any:
    return RNG.integers(0, 255, shape).astype(dtype)


def content(stack: ImageStack, level: int = 0) -> Any:
    return np.asarray(stack.levels[level])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_grey_planes(tmp_path, compression, tile, byteorder, dtype):
    image = noise(33, 47, dtype=dtype)
    options = {"compression": compression, "tile": tile, "byteorder": byteorder}
    tifffile.imwrite(tmp_path / "a.b.tif", image, photometric="minisblack", **options)
    stack = open_image(tmp_path / "a.b.tif")
    assert (stack.shape, stack.rgb, stack.dtype, stack.name) == ((33, 47), False, dtype, "a")
    assert stack.dtype.isnative
    np.testing.assert_array_equal(content(stack), image)
    np.testing.assert_array_equal(stack.levels[0][3:20:2, -5:], image[3:20:2, -5:])
    assert (stack.pixel_size, stack.unit) == (None, "pixel")


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_colours_come_last(tmp_path, planarconfig, compression):
    image = noise(20, 31, 3)
    stored = image if planarconfig == "contig" else np.moveaxis(image, -1, 0)
    tifffile.imwrite(
        tmp_path / "rgb.tiff",
        stored,
        photometric="rgb",
        planarconfig=planarconfig,
        compression=compression,
    )
    stack = open_image(tmp_path / "rgb.tiff")
    assert (stack.shape, stack.rgb) == ((20, 31), True)
    np.testing.assert_array_equal(stack.levels[0][2:9, 5:7], image[2:9, 5:7])
    np.testing.assert_array_equal(content(stack), image)


def test_alpha_does_not_count(tmp_path):
    image = noise(20, 31, 4)
    tifffile.imwrite(tmp_path / "rgba.tif", image, photometric="rgb", extrasamples=["unassalpha"])
    grey = noise(20, 31, 2)
    tifffile.imwrite(
        tmp_path / "grey.tif", grey, photometric="minisblack", planarconfig="contig",
        extrasamples=["unassalpha"],
    )  # fmt: skip
    region = open_image(tmp_path / "rgba.tif").plane().read(slice(0, 20), slice(0, 31))
    np.testing.assert_array_equal(region, image[..., :3])
    np.testing.assert_array_equal(content(open_image(tmp_path / "grey.tif")), grey[..., 0])


@settings(max_examples=25, deadline=None)
@given(st.permutations("TZCYX"), st.tuples(*[st.integers(1, 3)] * 2), st.sampled_from([1, 3]))
def test_ome_axes_in_any_order(tmp_path_factory, axes, leading, channels):
    lengths = dict(zip("TZCYX", (*leading, channels, 12, 10), strict=True))
    # OME allows the plane last and the others in any order before it.
    axes = "".join(a for a in axes if a not in "YX") + "YX"
    image = noise(*(lengths[a] for a in axes))
    path = tmp_path_factory.mktemp("ome") / "a.ome.tif"
    tifffile.imwrite(path, image, photometric="minisblack", metadata={"axes": axes})
    stack = open_image(path)
    wanted = np.moveaxis(image, [axes.index(a) for a in "TZYXC"], range(5))
    squeezed = tuple(n for n in leading if n > 1)
    assert stack.shape == (*squeezed, 12, 10)
    np.testing.assert_array_equal(content(stack).ravel(), wanted.ravel())


def test_pyramid_and_sizes_of_ome(tmp_path):
    image = noise(3, 64, 96, 3)
    path = tmp_path / "slide.ome.tif"
    metadata = {
        "axes": "ZYXS",
        "PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 0.003, "PhysicalSizeZUnit": "mm",
    }  # fmt: skip
    with tifffile.TiffWriter(path) as tif:
        options = {"photometric": "rgb", "tile": (32, 32), "compression": "zlib"}
        tif.write(image, subifds=2, metadata=metadata, **options)
        tif.write(image[:, ::2, ::2], subfiletype=1, **options)
        tif.write(image[:, ::4, ::4], subfiletype=1, **options)
    stack = open_image(path)
    assert [level.shape[1:3] for level in stack.levels] == [(64, 96), (32, 48), (16, 24)]
    assert stack.factors == (1, 2, 4)
    assert stack.levels[0].chunks == (1, 32, 32, 3)
    for level, step in enumerate((1, 2, 4)):
        np.testing.assert_array_equal(content(stack, level), image[:, ::step, ::step])
    assert stack.pixel_size == pytest.approx(0.25)
    assert stack.scale == pytest.approx((3, 0.25, 0.25))
    assert stack.unit == "micrometer"


@pytest.mark.parametrize(
    ("text", "pixel_size"), [("0.5", 0.5), ("half", None), ("-1", None), ("nan", None), ("0", None)]
)
def test_sizes_of_ome_that_are_no_numbers(tmp_path, text, pixel_size):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise(8, 9), metadata={"axes": "YX", "PhysicalSizeX": "SIZE"})
    tifffile.tiffcomment(path, tifffile.tiffcomment(path).replace("SIZE", text))
    assert open_image(path).pixel_size == pixel_size


def test_imagej_hyperstack(tmp_path):
    image = noise(2, 4, 30, 20, dtype="uint16")
    path = tmp_path / "ij.tif"
    tifffile.imwrite(
        path,
        image,
        imagej=True,
        resolution=(4.0, 4.0),
        metadata={"axes": "TZYX", "unit": "\\u00B5m", "spacing": 1.5},
    )
    stack = open_image(path)
    np.testing.assert_array_equal(content(stack), image)
    assert stack.pixel_size == pytest.approx(0.25)
    assert stack.scale == pytest.approx((1, 1.5, 0.25, 0.25))


def test_imagej_without_calibration_says_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "ij.tif", noise(30, 20), imagej=True, resolution=(40000, 40000))
    assert open_image(tmp_path / "ij.tif").pixel_size is None


@pytest.mark.parametrize(
    ("unit", "per_unit", "pixel_size"),
    [
        ("CENTIMETER", 20000, 0.5),
        ("INCH", 50800, 0.5),
        ("INCH", 72, None),
        ("INCH", 96, None),
        ("INCH", 300, None),
        ("CENTIMETER", 28.346, None),
        ("NONE", 20000, None),
        ("CENTIMETER", 0, None),
    ],
)
def test_resolution_tags(tmp_path, unit, per_unit, pixel_size):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(8, 9), resolution=(per_unit, per_unit), resolutionunit=unit)
    assert open_image(path).pixel_size == pytest.approx(pixel_size)


def test_aperio_description(tmp_path):
    path = tmp_path / "a.svs"
    text = "Aperio Image Library v11.2.1 \r\n64x64 [0,0 64x64] |AppMag = 20|MPP = 0.4990|Left = 2"
    tifffile.imwrite(path, noise(64, 64, 3), photometric="rgb", description=text, metadata=None)
    assert open_image(path).pixel_size == 0.499


def test_other_colours_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "cmyk.tif", noise(8, 9, 4), photometric="separated")
    with pytest.raises(InputError, match=r"cmyk\.tif: has separated colours; save it as RGB"):
        open_image(tmp_path / "cmyk.tif")
    colormap = np.zeros((3, 256), "uint16")
    tifffile.imwrite(tmp_path / "map.tif", noise(8, 9), photometric="palette", colormap=colormap)
    with pytest.raises(InputError, match="has palette colours"):
        open_image(tmp_path / "map.tif")
    tifffile.imwrite(
        tmp_path / "lut.tif", noise(8, 9), imagej=True, photometric="palette", colormap=colormap
    )
    assert open_image(tmp_path / "lut.tif").shape == (8, 9)


def test_two_channels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(2, 8, 9), metadata={"axes": "CYX"})
    with pytest.raises(InputError, match="has 2 channels, but an image is grey or has three"):
        open_image(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_files(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(300, 300), compression=compression)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.tif: is truncated, \d+ bytes are missing"):
        open_image(path)


def test_a_damaged_tile_is_reported_when_it_is_read(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(64, 64), tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[0].dataoffsets[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = b"\xff" * 40
    path.write_bytes(content)
    level = open_image(path).levels[0]
    assert level[:32].shape == (32, 64)
    with pytest.raises(InputError, match=r"a\.tif: cannot be read"):
        level[40, 40]


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_no_damage_leaks_a_foreign_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "a.ome.tif"
    tifffile.imwrite(path, np.zeros((2, 20, 20), "u1"), tile=(16, 16), metadata={"axes": "ZYX"})
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(InputError):
        level = open_image(path).levels[0]
        # The damaged size of a plane may be enormous: read a corner.
        assert level[(*(0,) * (level.ndim - 2), slice(8), slice(8))].ndim == 2


def test_opening_does_not_load(tmp_path):
    path = tmp_path / "big.tif"
    shape = (40, 2000, 2000)
    tifffile.memmap(path, shape=shape, dtype="uint8", photometric="minisblack").flush()
    tracemalloc.start()
    try:
        level = open_image(path).levels[0]
        assert level[3, 10:20, 10:20].sum() == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert level.shape == shape
    assert peak < 16e6


def test_strips_are_decoded_once_for_a_row_of_tiles(tmp_path, monkeypatch):
    image = noise(64, 256)
    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, image, rowsperstrip=16, compression="zlib")
    reads: list[str] = []
    plain = tifffile.zarr.ZarrTiffStore.get

    async def counted(self, key, *args, **options):
        reads.append(key)
        return await plain(self, key, *args, **options)

    monkeypatch.setattr(tifffile.zarr.ZarrTiffStore, "get", counted)
    level = open_image(path).levels[0]
    reads.clear()
    parts = [level[:32, left : left + 64] for left in range(0, 256, 64)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), image[:32])
    assert sorted(reads) == ["0.0", "1.0"]


def test_kept_strips_are_limited():
    source = zarr.storage.MemoryStore()
    image = noise(64, 64)
    stored = zarr.create_array(source, data=image, chunks=(8, 64), zarr_format=2, compressors=None)
    store = RecentChunks(source, limit=2 * 8 * 64)
    array = zarr.open_array(store, mode="r")
    np.testing.assert_array_equal(array[...], image)
    np.testing.assert_array_equal(array[...], stored[...])
    assert store._bytes <= 2 * 8 * 64
    assert len(store._kept) <= 2
