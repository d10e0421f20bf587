"""Channels chosen and mixed: what comes out, what is read for it, what is refused."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.channels import Channels
from napari_lungcls.images.opening import as_stack, open_image
from napari_lungcls.images.pyramid import ZoomedPlane
from napari_lungcls.images.stack import ImageStack

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


def noise(*shape: int, dtype: str = "uint8") -> NDArray[Any]:
    return np.random.default_rng(len(shape)).integers(0, 255, shape).astype(dtype)


def expected(image: NDArray[Any], colours: Any) -> NDArray[Any]:
    """Mix `(…, channel)` with numpy."""
    made = []
    for colour in colours:
        mean = image[..., list(colour)].mean(axis=-1, dtype=np.float64)
        made.append((mean if image.dtype.kind == "f" else np.rint(mean)).astype(image.dtype))
    if len(made) == 1:
        return made[0]
    black = np.zeros_like(made[0])
    return np.stack([*made, black][:3], axis=-1)


def written(colours: Any) -> str:
    return ",".join("+".join(map(str, colour)) for colour in colours)


@st.composite
def choices(draw: Any, count: int) -> Any:
    colour = st.lists(st.integers(0, count - 1), min_size=1, max_size=3).map(tuple)
    return tuple(draw(st.lists(colour, min_size=1, max_size=3)))


@st.composite
def images(draw: Any) -> tuple[NDArray[Any], str, Any]:
    """Give an image, its axes, and a choice of its channels."""
    others = draw(st.sampled_from(["", "z", "t", "tz"]))
    axes = draw(st.sampled_from([f"{others}cyx", f"{others}yxc", f"c{others}yx"]))
    count = draw(st.integers(2, 6))
    shape = [{"y": 17, "x": 13, "c": count}.get(axis, 2) for axis in axes]
    return noise(*shape, dtype=draw(st.sampled_from(DTYPES))), axes, draw(choices(count))


def check(stack: ImageStack, image: NDArray[Any], axes: str, colours: Any) -> None:
    """Compare a stack, and a region of it, with what numpy makes of the image."""
    wanted = expected(np.moveaxis(image, axes.index("c"), -1), colours)
    level = stack.levels[0]
    assert stack.rgb is (len(colours) > 1)
    assert stack.channels == written(colours)
    assert (level.shape, level.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_array_equal(np.asarray(level), wanted)
    region = (*(0 for _ in stack.leading), slice(3, 9), slice(1, 8))
    np.testing.assert_array_equal(level[region], wanted[region])
    assert level[region].dtype == image.dtype
    if stack.rgb:
        np.testing.assert_array_equal(level[..., 1], wanted[..., 1])
        np.testing.assert_array_equal(level[..., ::2], wanted[..., ::2])


@settings(max_examples=20)
@given(images(), st.sampled_from([".tif", ".ome.tif", "tiled.ome.tif"]))
def test_tiff(tmp_path_factory: Any, made: Any, suffix: str) -> None:
    image, axes, colours = made
    if suffix.endswith(".ome.tif"):
        # OME has the plane last.
        image = np.moveaxis(image, axes.index("c"), -3)
        axes = axes.replace("c", "")[:-2] + "cyx"
    path = tmp_path_factory.mktemp("c") / f"a{suffix}"
    tile = {"tile": (16, 16), "compression": "zlib"} if suffix.startswith("tiled") else {}
    metadata = {"axes": axes.upper()}
    tifffile.imwrite(path, image, photometric="minisblack", metadata=metadata, **tile)
    check(open_image(path, written(colours)), image, axes, colours)


@settings(max_examples=20)
@given(images(), st.booleans(), st.booleans())
def test_ome_zarr(tmp_path_factory: Any, made: Any, together: bool, named: bool) -> None:
    image, axes, colours = made
    path = tmp_path_factory.mktemp("c") / "a.zarr"
    group = zarr.create_group(path, zarr_format=2)
    at = axes.index("c")
    chunks = tuple(n if i == at and together else min(n, 8) for i, n in enumerate(image.shape))
    chunks = tuple(1 if i == at and not together else n for i, n in enumerate(chunks))
    group.create_array("0", data=image, chunks=chunks)
    described = [{"name": axis, "type": "channel" if axis == "c" else "space"} for axis in axes]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": described, "datasets": [{"path": "0"}]}
    ]
    names = [f"stain {i}" for i in range(image.shape[at])]
    group.attrs["omero"] = {"channels": [{"label": name} for name in names]}
    given_as = [[names[c] for c in colour] for colour in colours] if named else colours
    check(open_image(path, given_as), image, axes, colours)


@settings(max_examples=20)
@given(images(), st.booleans())
def test_hdf5(tmp_path_factory: Any, made: Any, chunked: bool) -> None:
    image, axes, colours = made
    path = tmp_path_factory.mktemp("c") / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", data=image, chunks=chunked or None)
        for name, dim in zip(axes, dataset.dims, strict=True):
            dim.label = name
    check(open_image(f"{path}:/x", written(colours)), image, axes, colours)


@given(images(), st.sampled_from(["numpy", "dask"]))
def test_arrays_in_memory(made: Any, kind: str) -> None:
    image, axes, colours = made
    array = image if kind == "numpy" else da.from_array(image, chunks=2)
    stack = as_stack(array, channels=colours, channel_axis=axes.index("c"), name="made")
    check(stack, image, axes, colours)


@pytest.mark.parametrize("shape", [(5, 40, 50), (40, 50, 5), (3, 40, 50), (2, 6, 40, 50)])
def test_axes_that_nobody_names_are_told_by_their_lengths(tmp_path: Path, shape: Any) -> None:
    image, colours = noise(*shape), ((2,), (0, 1))
    axis = len(shape) - (1 if shape[-1] < 10 else 3)
    axes = "z"[: len(shape) - 3] + ("yxc" if axis == len(shape) - 1 else "cyx")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = image
    zarr.create_array(tmp_path / "a.zarr", data=image)
    for opened in (
        open_image(tmp_path / "a.h5", "2,0+1"),
        open_image(tmp_path / "a.zarr", "2,0+1"),
        as_stack(image, channels="2,0+1"),
    ):
        check(opened, image, axes, colours)


def test_pages_without_a_name_are_channels(tmp_path: Path) -> None:
    image = noise(5, 40, 50)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    assert open_image(tmp_path / "a.tif").shape == (5, 40, 50)
    check(open_image(tmp_path / "a.tif", "4,0"), image, "cyx", ((4,), (0,)))


def test_colours_can_be_chosen_of_rgb() -> None:
    image = noise(40, 50, 3)
    check(as_stack(image, channels="2,1,0"), image, "yxc", ((2,), (1,), (0,)))
    check(as_stack(image, channels=1), image, "yxc", ((1,),))
    with pytest.raises(InputError, match=r"^channels: .* has no channel 3, but 3"):
        as_stack(image, channels="3")


def test_the_names_of_ome_xml(tmp_path: Path) -> None:
    image, path = noise(4, 40, 50), tmp_path / "a.ome.tif"
    names = ["DAPI", "CD31", "α-SMA", "CD31"]
    metadata: dict[str, Any] = {"axes": "CYX", "Channel": {"Name": [*names[:3], "5"]}}
    tifffile.imwrite(path, image, photometric="minisblack", metadata=metadata)
    check(open_image(path, "α-SMA, DAPI+CD31"), image, "cyx", ((2,), (0, 1)))
    with pytest.raises(InputError, match=r"no channel CD4, but 4, 0 to 3: DAPI, CD31, α"):
        open_image(path, "CD4")
    # A name that two channels have names none.
    metadata["Channel"] = {"Name": names}
    tifffile.imwrite(path, image, photometric="minisblack", metadata=metadata)
    with pytest.raises(InputError, match=r"has no channel CD31, but 4, 0 to 3$"):
        open_image(path, "CD31")


def test_every_level_of_a_pyramid_and_its_place(tmp_path: Path) -> None:
    image = noise(5, 64, 96, dtype="uint16")
    path = tmp_path / "a.ome.tif"
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path) as tif:
        options: dict[str, Any] = {"photometric": "minisblack", "tile": (32, 32)}
        tif.write(image, subifds=2, metadata={"axes": "CYX", **size}, **options)
        tif.write(image[:, ::2, ::2], subfiletype=1, **options)
        tif.write(image[:, ::4, ::4], subfiletype=1, **options)
    stack = open_image(path, "0+3,1,2").with_pixel_size(0.25)
    assert (stack.factors, stack.scale, stack.channels) == ((1, 2, 4), (0.5, 0.5), "0+3,1,2")
    wanted = expected(np.moveaxis(image, 0, -1), ((0, 3), (1,), (2,)))
    for level, step in zip(stack.levels, (1, 2, 4), strict=True):
        np.testing.assert_array_equal(np.asarray(level), wanted[::step, ::step])
    found = ZoomedPlane(stack.plane(), 4).read(2, 3, 5, 6)
    np.testing.assert_array_equal(found, wanted[8:28:4, 12:36:4])


class Watched:
    """An array that notes what is read of it."""

    def __init__(self, array: NDArray[Any], chunks: tuple[int, ...]) -> None:
        self.array, self.shape, self.dtype, self.chunks = array, array.shape, array.dtype, chunks
        self.read: list[Any] = []

    def __getitem__(self, key: Any) -> NDArray[Any]:
        self.read.append(key)
        return np.asarray(self.array[key])


@pytest.mark.parametrize(
    ("edge", "read"),
    [(1, [(0, 1), (4, 5), (5, 6)]), (4, [(0, 1), (4, 6)]), (8, [(0, 6)])],
)
def test_only_what_is_needed_is_read_and_no_chunk_twice(edge: int, read: Any) -> None:
    array = Watched(noise(8, 40, 50), (edge, 16, 16))
    stack = ImageStack(array, channels="4,0+5", channel_axis=0)
    assert array.read == []
    assert stack.levels[0].chunks == (16, 16, 3)
    stack.plane().read(slice(3, 9), slice(1, 8))
    assert [(c.start, c.stop) for c, *_ in array.read] == read
    assert {(y.start, y.stop, x.start, x.stop) for _, y, x in array.read} == {(3, 9, 1, 8)}
    array.read.clear()
    # Black needs nothing, nor does green need what red is made of.
    assert not stack.levels[0][:4, 5, 2].any()
    assert array.read == []
    stack.levels[0][..., 0]
    assert [(c.start, c.stop) for c, *_ in array.read] == [(4, 5)]


def test_a_choice_travels_to_other_processes() -> None:
    stack = as_stack(da.from_array(noise(5, 40, 50), chunks=(1, 16, 16)), channels="4,0")
    again = pickle.loads(pickle.dumps(stack))
    assert again.channels == "4,0"
    np.testing.assert_array_equal(np.asarray(again.levels[0]), np.asarray(stack.levels[0]))


def test_damage_in_a_channel_that_is_not_chosen_does_not_matter(tmp_path: Path) -> None:
    image = noise(3, 64, 64)
    array = zarr.create_array(tmp_path / "a.zarr", data=image, chunks=(1, 32, 32))
    assert array.nchunks == 12
    (tmp_path / "a.zarr" / "c" / "1" / "1" / "0").write_bytes(b"rubbish")
    whole = (slice(0, 64), slice(0, 64))
    region = open_image(tmp_path / "a.zarr", "2,0").plane().read(*whole)
    np.testing.assert_array_equal(region[..., 0], image[2])
    with pytest.raises(InputError, match=r"a\.zarr: cannot be read .* \(at rows 32:64, columns 0:"):
        open_image(tmp_path / "a.zarr", "1").plane().read(*whole)


@pytest.mark.parametrize("bad", ["", ",", "0,", "0,,1", "0+", "+1", "0,1,2,3", (), ((), 1), [""]])
def test_what_is_no_choice_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match=r"^channels: .*: give one to three colours, each a"):
        as_stack(noise(5, 40, 50), channels=bad)


@pytest.mark.parametrize("bad", ["5", "-1", "0,1,9", "0+7", "1.5", "red", "0 1", (0, -1), "²"])
def test_channels_that_there_are_not_are_named(bad: Any) -> None:
    message = r"^channels: made has no channel .*, but 5, 0 to 4$"
    with pytest.raises(InputError, match=message):
        as_stack(noise(5, 40, 50), channels=bad, name="made")


def test_an_image_without_channels_has_none_to_choose(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(7, 40, 50), metadata={"axes": "ZYX"})
    assert open_image(tmp_path / "a.ome.tif", "0").channels is None
    with pytest.raises(InputError, match=r"a\.ome\.tif has no channels .*; leave channels out"):
        open_image(tmp_path / "a.ome.tif", "1")
    with pytest.raises(InputError, match="axis of the channels is one of 3, not 3"):
        ImageStack(noise(5, 40, 50), channels="0", channel_axis=3)
    with pytest.raises(InputError, match="made: is open; choose its channels where"):
        as_stack(ImageStack(noise(40, 50), source="made"), channels="0")


@pytest.mark.parametrize(("count", "some"), [(2, "0,1"), (4, "0,1,2"), (16, "0,1,2")])
def test_refusing_many_channels_says_how_to_choose(tmp_path: Path, count: int, some: str) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise(count, 40, 50), metadata={"axes": "CYX"})
    with pytest.raises(InputError, match=f"has {count} channels") as refused:
        open_image(path)
    assert str(refused.value).endswith(
        f"choose some of 0 to {count - 1}: for example, use channels={some!r}"
    )
    assert open_image(path, some).rgb


@given(choices(6))
def test_what_is_written_is_read_again(colours: Any) -> None:
    channels = Channels(colours)
    assert str(channels) == written(colours)
    assert Channels.parse(str(channels)) == Channels.parse(colours) == channels


def test_all_mixtures_of_two_bytes_round_as_numpy_does() -> None:
    pairs = np.array(list(itertools.product(range(256), repeat=2)), np.uint8).reshape(256, 256, 2)
    stack = as_stack(pairs, channels="0+1")
    wanted = expected(pairs, ((0, 1),))
    np.testing.assert_array_equal(np.asarray(stack.levels[0]), wanted)
    assert (wanted[0, 1], wanted[1, 2], wanted[255, 255]) == (0, 2, 255)
