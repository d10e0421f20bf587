"""The same pixels and pixel size, whoever wrote the image and whichever way it is opened.

`LUNGCLS_EXAMPLES=2500` runs each of the four properties that often.
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.layers import Layer

import napari_lungcls as lc
from napari_lungcls.gui.readers import image_reader
from napari_lungcls.images.stack import ImageStack

pytestmark = pytest.mark.filterwarnings("ignore:.* is turned upright")

often = settings(
    max_examples=int(os.environ.get("LUNGCLS_EXAMPLES", "125")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SIZES = st.none() | st.floats(0.02, 15).map(lambda v: float(f"{v:.4g}"))
DTYPES = st.sampled_from(["uint8", "uint16", "float32"])


@dataclass
class Written:
    """What was written, as it should come back.

    Attributes
    ----------
    pixels
        `(…, y, x)` or, with `rgb`, `(…, y, x, 3)`.
    rgb
        Whether there are colours.
    pixel_size
        Micrometres, or None.
    path
        The file.
    objects
        The same image as open objects.
    refused
        A part of the line with which it is refused, where it should be.
    """

    pixels: Any = field(repr=False)
    rgb: bool
    pixel_size: float | None
    path: Path
    objects: list[Any] = field(default_factory=list, repr=False)
    refused: str = ""


def noise(draw: Any, shape: tuple[int, ...], dtype: str) -> Any:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = {"uint8": 256, "uint16": 65536, "bool": 2}.get(dtype, 2**20)
    values = rng.integers(0, top, shape)
    return values.astype(dtype) if dtype != "float32" else (values / 977).astype(dtype)


def shapes(draw: Any, *, channels: int | None = None) -> tuple[dict[str, int], str]:
    """Draw lengths of axes and their names in our order."""
    names = draw(st.sampled_from(["yx", "zyx", "tyx", "tzyx"])) + ("c" if channels else "")
    lengths = {axis: draw(st.integers(6, 24)) for axis in "yx"}
    lengths |= {"t": draw(st.integers(2, 3)), "z": draw(st.integers(2, 4)), "c": channels or 1}
    return lengths, names


def check(written: Written) -> None:
    """Open a file and its objects in every way, and compare."""
    ways: list[Any] = [written.path, *written.objects]
    for way in ways:
        if not written.refused:
            same(lc.as_stack(way), written)
            continue
        with pytest.raises(lc.InputError, match=written.refused) as refused:
            lc.as_stack(way)
        assert "\n" not in str(refused.value)
    reader = image_reader(str(written.path))
    assert reader is not None
    layers = [Layer.create(*made) for made in reader(str(written.path))]
    if len(layers) == 1:
        same(lc.as_stack(layers[0]), written)
        return
    # In napari channels are layers of their own, unless they are colours.
    assert len(layers) == written.pixels.shape[-1]
    for channel, layer in enumerate(layers):
        one = replace(written, pixels=written.pixels[..., channel], rgb=False)
        same(lc.as_stack(layer), one)


def same(stack: ImageStack, written: Written) -> None:
    assert stack.rgb == written.rgb
    assert stack.shape == written.pixels.shape[: stack.ndim]
    assert stack.dtype == written.pixels.dtype
    if written.pixel_size is None:
        assert stack.pixel_size is None
    else:
        assert stack.pixel_size == pytest.approx(written.pixel_size, rel=1e-3)
    height, width = stack.plane_shape
    for plane in stack.planes():
        wanted = written.pixels[plane.index]
        found = plane.read(slice(0, height), slice(0, width))
        np.testing.assert_array_equal(found if stack.rgb else found[..., 0], wanted)
        part = plane.read(slice(2, height - 1), slice(1, width - 2))
        np.testing.assert_array_equal(part, found[2 : height - 1, 1 : width - 2])


def check_patches(written: Written) -> None:
    """Open one plane as a patch of a folder per class: the same three colours."""
    folder = written.path.parent
    for name in ("a", "b"):
        (folder / "data" / name).mkdir(parents=True)
        target = folder / "data" / name / written.path.name
        target.write_bytes(written.path.read_bytes() + (b"\0" if name == "b" else b""))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lc.LungclsWarning)
        data = lc.open_patches(folder / "data")
    wanted = written.pixels if written.rgb else np.stack([written.pixels] * 3, -1)
    for part in data.parts:
        assert part.pixels.dtype == written.pixels.dtype
        np.testing.assert_array_equal(part.pixels.read(0, 1)[0], wanted)


@st.composite
def tiffs(draw: Any, folder: Path) -> Written:
    """Draw a TIFF by tifffile: plain, with its shape, ImageJ, OME."""
    kind = draw(st.sampled_from(["plain", "shaped", "imagej", "ome"]))
    dtype = draw(DTYPES)
    rgb = draw(st.booleans()) and not (kind == "imagej" and dtype != "uint8")
    lengths, names = shapes(draw, channels=3 if rgb else None)
    if kind == "plain":
        names = names[-3 if rgb else -2 :]
    pixels = noise(draw, tuple(lengths[axis] for axis in names), dtype)
    pixel_size = draw(SIZES)
    axes = names.upper().replace("C", "S")
    options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"}
    stored = pixels
    if not rgb and dtype != "float32" and draw(st.booleans()) and kind in ("plain", "shaped"):
        options["photometric"] = "miniswhite"
        stored = np.iinfo(dtype).max - pixels
    if rgb and kind != "imagej" and draw(st.booleans()):
        options["planarconfig"] = "separate"
        stored, axes = np.moveaxis(stored, -1, -3), axes[:-3] + "SYX"
    options["compression"] = draw(st.sampled_from([None, "zlib", "lzw", "zstd", "packbits"]))
    if options["compression"] in ("zlib", "lzw", "zstd") and dtype != "float32":
        options["predictor"] = draw(st.booleans())
    options["byteorder"] = draw(st.sampled_from("<>")) if kind != "imagej" else ">"
    if kind != "imagej" and draw(st.booleans()):
        options["tile"] = (16, 32)
    elif draw(st.booleans()):
        options["rowsperstrip"] = draw(st.integers(1, 9))
    writer: dict[str, Any] = {"bigtiff": draw(st.booleans()) and kind != "imagej"}
    metadata: dict[str, Any] | None = {"axes": axes}
    if kind == "plain":
        metadata = None
    if kind == "ome":
        writer["ome"] = True
        if pixel_size is not None:
            nanometres = draw(st.booleans())
            factor, unit = (1000, "nm") if nanometres else (1, "µm")
            metadata = {"axes": axes} | {
                key: value
                for axis in "XY"
                for key, value in (
                    (f"PhysicalSize{axis}", pixel_size * factor),
                    (f"PhysicalSize{axis}Unit", unit),
                )
            }
    elif kind == "imagej":
        writer["imagej"] = True
        # ImageJ has its own order of axes, and colours at the end.
        if pixel_size is not None:
            unit = draw(st.sampled_from(["um", "\\u00b5m", "micron", "micrometers", "microns"]))
            options["resolution"] = (1 / pixel_size, 1 / pixel_size)
            metadata = {"axes": axes, "unit": unit}
    elif pixel_size is not None:
        unit, length = draw(st.sampled_from([("CENTIMETER", 1e4), ("INCH", 25.4e3)]))
        options |= {"resolution": (length / pixel_size,) * 2, "resolutionunit": unit}
    path = folder / ("a.ome.tif" if kind == "ome" else "a.tif")
    with tifffile.TiffWriter(path, byteorder=options.pop("byteorder"), **writer) as tif:
        tif.write(stored, metadata=metadata, **options)
    return Written(pixels, rgb, pixel_size, path)


@st.composite
def zarrs(draw: Any, folder: Path) -> Written:
    """Draw a zarr array that names its axes or not, or an OME-Zarr image of 0.4 or 0.5."""
    version = draw(st.sampled_from([2, 3]))
    dtype, channels = draw(DTYPES), draw(st.sampled_from([None, None, 3, 2, 5]))
    lengths, names = shapes(draw, channels=channels)
    pixels = noise(draw, tuple(lengths[axis] for axis in names), dtype)
    ngff, pixel_size = draw(st.booleans()), draw(SIZES)
    # Where nobody names the axes, two or five channels would be columns.
    named = ngff or channels in (2, 5) or draw(st.booleans())
    order = names
    if ngff:
        order = "".join(axis for axis in "tczyx" if axis in names)
    elif named:
        order = "".join(draw(st.permutations(names)))
    stored = np.einsum(pixels, list(range(pixels.ndim)), [names.index(axis) for axis in order])
    stored = np.ascontiguousarray(stored)
    if version == 2:
        stored = stored.astype(stored.dtype.newbyteorder(draw(st.sampled_from("<>"))))
    chunks = tuple(draw(st.integers(-(-n // 3), n)) for n in stored.shape)
    options: dict[str, Any] = {"chunks": chunks, "zarr_format": version}
    usual = {"c": ["c", "channel", "Channel", "band"], "t": ["t", "time"]}
    called = [draw(st.sampled_from(usual.get(axis, [axis, axis.upper()]))) for axis in order]
    path = folder / "a.zarr"
    if not ngff:
        if named and version == 3:
            options["dimension_names"] = called
        array = zarr.create_array(path, data=stored, **options)
        if named and version == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = called
        objects, pixel_size = [zarr.open(path, mode="r")], None
    else:
        group = zarr.create_group(path, zarr_format=version)
        group.create_array("0", data=stored, chunks=chunks)
        space = draw(st.sampled_from(["micrometer", "micrometers", "nanometer", "millimeter"]))
        factor = {"n": 1000, "m": 1}[space[0]] if space != "millimeter" else 0.001
        axes, scale = [], []
        for axis, name in zip(order, called, strict=True):
            kind = {"t": "time", "c": "channel"}.get(axis, "space")
            unit = {"unit": space} if kind == "space" and pixel_size is not None else {}
            axes.append({"name": name.lower(), "type": kind} | unit)
            scale.append(pixel_size * factor if axis in "yx" and pixel_size is not None else 1.0)
        datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]
        described = {"axes": axes, "datasets": datasets}
        if version == 2:
            group.attrs["multiscales"] = [described | {"version": "0.4"}]
        else:
            group.attrs["ome"] = {"version": "0.5", "multiscales": [described]}
        objects = [zarr.open_group(path, mode="r")]
    refused = f"has {channels} channels" if channels in (2, 5) else ""
    return Written(pixels, channels == 3, pixel_size, path, objects, refused)


@st.composite
def hdf5s(draw: Any, folder: Path) -> Written:
    """Draw a dataset of HDF5 with axes by ilastik, by labels or none, and a voxel size."""
    dtype, channels = draw(DTYPES), draw(st.sampled_from([None, None, 3, 2]))
    lengths, names = shapes(draw, channels=channels)
    pixels = noise(draw, tuple(lengths[axis] for axis in names), dtype)
    by = draw(st.sampled_from(["ilastik", "labels", "none"]))
    if by == "none" and channels == 2:
        by = "labels"
    order = names if by == "none" else "".join(draw(st.permutations(names)))
    stored = np.einsum(pixels, list(range(pixels.ndim)), [names.index(axis) for axis in order])
    stored = stored.astype(stored.dtype.newbyteorder(draw(st.sampled_from("<>"))))
    pixel_size = draw(SIZES)
    path = folder / "a.h5"
    chunks = draw(st.none() | st.tuples(*(st.integers(1, n) for n in stored.shape)))
    compression = draw(st.sampled_from([None, "gzip", "lzf"])) if chunks else None
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("image", data=stored, chunks=chunks, compression=compression)
        if by == "labels":
            for dim, label in zip(dataset.dims, order, strict=True):
                dim.label = label
        stated = draw(st.sampled_from(["element_size_um", "voxel_size"]))
        if by == "ilastik":
            known = pixel_size or 0
            tags = [{"key": a, "resolution": known if a in "yx" else 0} for a in order]
            dataset.attrs["axistags"] = json.dumps({"axes": tags})
            units = {axis: "µm" if axis in "yx" else "" for axis in order}
            dataset.attrs["axis_units"] = json.dumps(units)
        elif pixel_size is not None:
            dataset.attrs[stated] = [2.0, pixel_size, pixel_size]
    refused = "has 2 channels" if channels == 2 else ""
    return Written(pixels, channels == 3, pixel_size, path, [h5py.File(path)["image"]], refused)


PICTURES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "bmp": ("1", "L", "P", "RGB"),
    "webp": ("RGB", "RGBA"),
    "gif": ("L", "P"),
    "ppm": ("RGB",),
    "pgm": ("L",),
    "tif": ("1", "L", "P", "RGB", "I;16", "F"),
}


@st.composite
def pictures(draw: Any, folder: Path) -> Written:
    """Draw a picture by Pillow: its kind, mode, compression and orientation."""
    suffix = draw(st.sampled_from(sorted(PICTURES)))
    mode = draw(st.sampled_from(PICTURES[suffix]))
    shape = (draw(st.integers(6, 24)), draw(st.integers(6, 24)))
    if mode == "P":
        colours = noise(draw, (256, 3), "uint8")
        indices = noise(draw, shape, "uint8")
        picture = PIL.Image.fromarray(indices).convert("P")
        picture.putpalette(colours.tobytes())
        wanted = colours[indices]
    elif mode == "1":
        wanted = noise(draw, shape, "bool")
        picture = PIL.Image.fromarray(wanted)
        wanted = wanted.astype("uint8") * 255
    elif mode in ("LA", "RGBA"):
        bands = noise(draw, (*shape, len(mode)), "uint8")
        # What is wholly transparent has no colour that a format must keep.
        bands[..., -1] |= 1
        picture = PIL.Image.fromarray(bands)
        wanted = bands[..., 0] if mode == "LA" else bands[..., :3]
    else:
        dtype = {"I;16": "uint16", "F": "float32"}.get(mode, "uint8")
        wanted = noise(draw, (*shape, 3) if mode == "RGB" else shape, dtype)
        picture = PIL.Image.fromarray(wanted)
    options: dict[str, Any] = {}
    if suffix == "webp":
        options |= {"lossless": True, "exact": True}
    if suffix == "tif":
        known = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]
        options["compression"] = draw(st.sampled_from([*known, *(["group4"] * (mode == "1"))]))
    if suffix in ("png", "webp") and draw(st.booleans()):
        exif = PIL.Image.Exif()
        exif[274] = orientation = draw(st.integers(1, 8))
        options["exif"] = exif
        turned = {
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: np.rot90(a, -1),
            7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
            8: lambda a: np.rot90(a, 1),
        }.get(orientation, lambda a: a)
        wanted = np.ascontiguousarray(turned(wanted))
    if suffix == "gif" and mode == "L":
        wanted = np.stack([wanted] * 3, -1)  # GIF knows only palettes.
    path = folder / f"a.{suffix}"
    picture.save(path, **options)
    return Written(wanted, wanted.ndim == 3, None, path)


@often
@given(st.data())
def test_tiff(tmp_path_factory: Any, data: Any) -> None:
    written = data.draw(tiffs(tmp_path_factory.mktemp("tiff")))
    check(written)
    if written.pixels.ndim == (3 if written.rgb else 2):
        check_patches(written)


@often
@given(st.data())
def test_zarr(tmp_path_factory: Any, data: Any) -> None:
    check(data.draw(zarrs(tmp_path_factory.mktemp("zarr"))))


@often
@given(st.data())
def test_hdf5(tmp_path_factory: Any, data: Any) -> None:
    written = data.draw(hdf5s(tmp_path_factory.mktemp("hdf5")))
    try:
        check(written)
    finally:
        written.objects[0].file.close()


@often
@given(st.data())
def test_pictures(tmp_path_factory: Any, data: Any) -> None:
    written = data.draw(pictures(tmp_path_factory.mktemp("picture")))
    check(written)
    check_patches(written)
