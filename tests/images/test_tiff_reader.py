"""TIFF files as other programs write them."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from typing import Any

import imagecodecs
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.damage import DamagedInput
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.readers import tiff_pixels
from napari_lungcls.images.readers.tiff_pixels import StrictChunks
from napari_lungcls.images.stack import ImageStack

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
    tifffile.imwrite(tmp_path / "ycc.tif", noise(8, 9, 3), photometric="ycbcr")
    with pytest.raises(InputError, match="has YCbCr colours as they are"):
        open_image(tmp_path / "ycc.tif")
    tifffile.imwrite(tmp_path / "f.tif", noise(8, 9, dtype="float32"), photometric="miniswhite")
    with pytest.raises(InputError, match="its least value is white, but holds float32"):
        open_image(tmp_path / "f.tif")
    colormap = np.zeros((3, 256), "uint16")
    tifffile.imwrite(
        tmp_path / "lut.tif", noise(8, 9), imagej=True, photometric="palette", colormap=colormap
    )
    assert open_image(tmp_path / "lut.tif").shape == (8, 9)


def test_two_channels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(2, 8, 9), metadata={"axes": "CYX"})
    with pytest.raises(InputError, match="has 2 channels, but an image is grey or has three"):
        open_image(tmp_path / "a.ome.tif")


def page(stack: ImageStack, index: tuple[int, ...] = ()) -> Any:
    height, width = stack.plane_shape
    return stack.plane(index).read(slice(0, height), slice(0, width))


def cut(path: Any, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("kind", ["shaped", "imagej", "ome", "plain"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (32, 32)}], ids=str)
@pytest.mark.parametrize("share", [0.5, 0.7, 0.95])
def test_what_is_cut_off_is_damage_or_refused(tmp_path, kind, options, share):
    path, image = tmp_path / "a.tif", noise(4, 128, 96)
    options = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}} | options
    options |= {"imagej": {"imagej": True, "tile": None}, "ome": {"ome": True}}.get(kind, {})
    if not options.get("tile"):
        options |= {"rowsperstrip": 16}
    if kind == "plain":
        options |= {"metadata": None}
    tifffile.imwrite(path, image, **options)
    cut(path, share)
    refused = ""
    try:
        stack = open_image(path)
    except InputError as error:
        refused = str(error)
    if refused:
        assert "is truncated" in refused
        return
    last = (3,) if stack.leading else ()
    with pytest.raises(DamagedInput, match=r"is truncated|pixels are missing") as damage:
        page(stack, last)
    assert {place.plane for place in damage.value.places} == {last}
    if last:
        assert stack.shape == image.shape
        np.testing.assert_array_equal(page(stack, (0,))[..., 0], image[0])


def test_the_planes_before_a_cut_are_read(tmp_path):
    path, image = tmp_path / "a.tif", noise(4, 128, 96)
    options = {"imagej": True, "compression": "zlib", "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(path, image, **options)
    cut(path, 0.7)
    stack = open_image(path)
    np.testing.assert_array_equal(page(stack, (1,))[..., 0], image[1])
    with pytest.raises(DamagedInput, match=r"pixels are missing"):
        page(stack, (3,))


@pytest.mark.parametrize("lost", [0.35, 0.6])
def test_a_list_of_pages_that_breaks_off_is_refused(tmp_path, lost):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for plane in noise(4, 64, 80):
            tif.write(plane, metadata=None, compression="zlib", contiguous=False)
    cut(path, lost)
    with pytest.raises(InputError, match=r"is truncated, it breaks off after \d pages?; copy it"):
        open_image(path)


OME = """<?xml version="1.0" encoding="UTF-8"?><OME UUID="{own}"
 xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="set"><Pixels
 ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="48" SizeY="32" SizeC="{c}" SizeZ="{z}"
 SizeT="{t}" PhysicalSizeX="0.5" PhysicalSizeY="0.5">{channels}{data}</Pixels></Image></OME>"""


@pytest.mark.parametrize("axis", "zct")
def test_a_file_of_a_set_that_is_missing_is_damage(tmp_path, axis, caplog):
    planes = noise(3, 32, 48)
    ids = [f"urn:uuid:0000000{i}-0000-4000-8000-000000000000" for i in range(3)]
    data = "".join(
        f'<TiffData First{axis.upper()}="{i}" IFD="0" PlaneCount="1"><UUID FileName="p{i}.ome.tif">'
        f"{own}</UUID></TiffData>"
        for i, own in enumerate(ids)
    )
    sizes = {"z": 1, "c": 1, "t": 1} | {axis: 3}
    channels = "".join(
        f'<Channel ID="Channel:0:{i}" SamplesPerPixel="1"/>' for i in range(sizes["c"])
    )
    for i in (0, 2):
        text = OME.format(own=ids[i], data=data, channels=channels, **sizes)
        tifffile.imwrite(
            tmp_path / f"p{i}.ome.tif", planes[i], description=text.encode(), metadata=None
        )
    if axis == "c":
        stack = open_image(tmp_path / "p0.ome.tif", channels=0)
        np.testing.assert_array_equal(page(stack)[..., 0], planes[0])
        missing: Any = (open_image(tmp_path / "p0.ome.tif"), ())
    else:
        missing = (open_image(tmp_path / "p0.ome.tif"), (1,))
        np.testing.assert_array_equal(page(missing[0], (2,))[..., 0], planes[2])
    with pytest.raises(DamagedInput, match=r"in a file that is missing \(p1\.ome\.tif\); copy it"):
        page(*missing)
    assert not caplog.records


def test_tiles_that_were_never_written_are_damage(tmp_path):
    path, image = tmp_path / "a.tif", noise(64, 64)
    tifffile.imwrite(path, image, tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path) as tif:
        entry = tif.pages[0].tags["TileByteCounts"]
        counts = list(entry.value)
        counts[3] = 0
        where, code = entry.valueoffset, {3: "<H", 4: "<I"}[entry.dtype]
    with path.open("r+b") as stream:
        stream.seek(where)
        stream.write(b"".join(struct.pack(code, n) for n in counts))
    stack = open_image(path)
    np.testing.assert_array_equal(
        stack.plane().read(slice(0, 32), slice(0, 64))[..., 0], image[:32]
    )
    with pytest.raises(DamagedInput, match="its pixels are missing; copy") as damage:
        page(stack)
    assert [str(place) for place in damage.value.places] == ["rows 32:64, columns 32:64"]


def test_the_log_of_other_users_of_tifffile_is_left_alone(tmp_path, caplog):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for plane in noise(2, 64, 80):
            tif.write(plane, metadata=None, contiguous=False)
    cut(path, 0.5)
    with pytest.raises(InputError):
        open_image(path)
    assert not caplog.records
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 1
    assert caplog.records


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("white", [False, True])
def test_bits_and_white(tmp_path, bits, white):
    path, top = tmp_path / "a.tif", 2**bits - 1
    stored = RNG.integers(0, top + 1, (32, 48)).astype("uint8" if bits <= 8 else "uint16")
    packed = stored if bits in (8, 16) else imagecodecs.packints_encode(stored, bits)
    write_grey(path, packed, stored.shape, bits, white)
    stack = open_image(path)
    wanted = top - stored.astype(int) if white else stored.astype(int)
    if bits < 8:
        wanted = wanted * 255 // top
    np.testing.assert_array_equal(page(stack)[..., 0], wanted)
    assert stack.dtype == ("uint8" if bits <= 8 else "uint16")


def write_grey(path: Any, packed: Any, shape: tuple[int, int], bits: int, white: bool) -> None:
    """Write a TIFF of one strip whose pixels are packed as no writer here packs them."""
    body = np.asarray(packed).tobytes() if not isinstance(packed, bytes) else packed
    entries = [(256, 3, shape[1]), (257, 3, shape[0]), (258, 3, bits), (259, 3, 1)]
    entries += [(262, 3, 0 if white else 1), (273, 4, 8), (277, 3, 1), (278, 3, shape[0])]
    entries += [(279, 4, len(body))]
    ifd = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        ifd += struct.pack("<HHII", tag, kind, 1, value)
    content = b"II*\0" + struct.pack("<I", 8 + len(body)) + body + ifd + struct.pack("<I", 0)
    path.write_bytes(content)


def test_a_palette_becomes_colours(tmp_path):
    indices = RNG.integers(0, 256, (2, 32, 48)).astype("uint8")
    colours = RNG.integers(0, 256, (256, 3)).astype("uint8")
    tifffile.imwrite(
        tmp_path / "a.tif",
        indices,
        photometric="palette",
        colormap=colours.T.astype("uint16") * 257,
        tile=(16, 16),
        metadata={"axes": "ZYX"},
    )
    stack = open_image(tmp_path / "a.tif")
    assert (stack.shape, stack.rgb, stack.dtype) == ((2, 32, 48), True, "uint8")
    np.testing.assert_array_equal(page(stack, (1,)), colours[indices[1]])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("colours", [False, True])
def test_the_orientation_of_a_picture(tmp_path, orientation, colours):
    image = noise(20, 30, 3) if colours else noise(20, 30)
    path = tmp_path / "a.tif"
    tag = [(274, "H", 1, orientation, True)]
    photometric = "rgb" if colours else "minisblack"
    tifffile.imwrite(path, image, photometric=photometric, extratags=tag, metadata=None)
    picture = PIL.Image.fromarray(image)
    picture.getexif()[274] = orientation
    wanted = np.asarray(PIL.ImageOps.exif_transpose(picture))
    said: Any = contextlib.nullcontext()
    if orientation > 1:
        said = pytest.warns(LungclsWarning, match="turned upright")
    with said:
        stack = open_image(path)
    assert stack.plane_shape == wanted.shape[:2]
    found = page(stack)
    np.testing.assert_array_equal(found if colours else found[..., 0], wanted)
    part = stack.plane().read(slice(3, 17), slice(5, 16))
    np.testing.assert_array_equal(part, found[3:17, 5:16])
    np.testing.assert_array_equal(stack.levels[0][4, 2::3], np.asarray(stack.levels[0])[4, 2::3])


def slide(path: Any, *images: tuple[str, int, float]) -> list[Any]:
    """Write an OME-TIFF of square colour pictures by name, edge and pixel size."""
    made = [noise(edge, edge, 3) for _, edge, _ in images]
    with tifffile.TiffWriter(path, ome=True) as tif:
        for (name, _, size), image in zip(images, made, strict=True):
            metadata = {"Name": name, "PhysicalSizeX": size, "PhysicalSizeY": size}
            tif.write(image, photometric="rgb", metadata=metadata)
    return made


def test_the_largest_image_is_meant(tmp_path):
    path = tmp_path / "a.ome.tif"
    made = slide(path, ("macro", 90, 16.0), ("scan", 80, 0.5), ("label", 20, 9.0), ("b", 40, 2.0))
    with pytest.warns(LungclsWarning, match=r"4 images; 2 scan \(80 × 80\) is taken and 3 left"):
        stack = open_image(path)
    assert stack.pixel_size == 0.5
    np.testing.assert_array_equal(page(stack), made[1])
    for chosen, number in (("#1", 0), ("#2", 1), ("#label", 2), ("#4", 3)):
        other = open_image(f"{path}{chosen}")
        np.testing.assert_array_equal(page(other), made[number])
        assert other.pixel_size == (16.0, 0.5, 9.0, 2.0)[number]
        assert str(other.path).endswith(f"a.ome.tif{chosen}")
    for chosen in ("#0", "#5", "#scam"):
        with pytest.raises(InputError, match=f"there is no image '{chosen[1:]}'.* 2 scan"):
            open_image(f"{path}{chosen}")


def test_a_sharp_may_be_part_of_a_name(tmp_path):
    image = noise(20, 30)
    tifffile.imwrite(tmp_path / "a.tif#2", noise(4, 5))
    tifffile.imwrite(tmp_path / "a#2.tif", image)
    np.testing.assert_array_equal(page(open_image(tmp_path / "a#2.tif"))[..., 0], image)
    with pytest.raises(InputError, match="images of this kind cannot be read"):
        open_image(tmp_path / "a.tif#2")


def test_reductions_are_no_images(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for edge, kind in ((16, 1), (64, 0), (32, 1)):
            tif.write(noise(edge, edge), subfiletype=kind, metadata=None)
    assert open_image(path).shape == (64, 64)


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
    monkeypatch.setattr(tiff_pixels, "WHOLE", 0)
    level = open_image(path).levels[0]
    reads.clear()
    parts = [level[:32, left : left + 64] for left in range(0, 256, 64)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), image[:32])
    assert sorted(reads) == ["0.0", "1.0"]


def test_kept_strips_are_limited():
    source = zarr.storage.MemoryStore()
    image = noise(64, 64)
    stored = zarr.create_array(source, data=image, chunks=(8, 64), zarr_format=2, compressors=None)
    store = StrictChunks(source, remember=2 * 8 * 64)
    array = zarr.open_array(store, mode="r")
    np.testing.assert_array_equal(array[...], image)
    np.testing.assert_array_equal(array[...], stored[...])
    assert store._kept.currsize <= 2 * 8 * 64
    assert len(store._kept) <= 2
