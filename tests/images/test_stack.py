"""What an image may be, and what is said of what may not."""

from __future__ import annotations

from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.stack import ImageStack, stack_dtype

RNG = np.random.default_rng(0)


def zeros(*shape: int, dtype: str = "uint8") -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("shape", "rgb", "leading", "plane"),
    [
        ((40, 50), False, (), (40, 50)),
        ((40, 50, 3), True, (), (40, 50)),
        ((40, 50, 4), True, (), (40, 50)),
        ((5, 40, 50), False, (5,), (40, 50)),
        ((5, 40, 50, 3), True, (5,), (40, 50)),
        ((2, 5, 40, 50, 3), True, (2, 5), (40, 50)),
        ((2, 3, 5, 40, 50), False, (2, 3, 5), (40, 50)),
        # Three columns are no colours, nor are three planes.
        ((40, 50, 3, 3), False, (40, 50), (3, 3)),
        ((3, 40, 50), False, (3,), (40, 50)),
    ],
)
def test_axes(shape: Any, rgb: bool, leading: Any, plane: Any) -> None:
    stack = ImageStack(zeros(*shape))
    assert stack.rgb is rgb
    assert (stack.leading, stack.plane_shape) == (leading, plane)
    assert stack.shape == (*leading, *plane)
    assert stack.ndim == len(leading) + 2
    assert stack.scale == (1.0,) * stack.ndim
    assert stack.translate == (0.0,) * stack.ndim


def test_a_guess_can_be_overruled() -> None:
    assert ImageStack(zeros(40, 50, 3), rgb=False).leading == (40,)
    assert ImageStack(zeros(2, 2, 3), rgb=True).plane_shape == (2, 2)


@given(st.lists(st.integers(1, 4), max_size=3))
def test_planes_come_last_axis_fastest(leading: list[int]) -> None:
    array = np.arange(np.prod([*leading, 6, 7], dtype=int)).reshape(*leading, 6, 7)
    stack = ImageStack(array.astype(np.int32), rgb=False)
    planes = list(stack.planes())
    assert [plane.index for plane in planes] == list(np.ndindex(*leading))
    for plane, wanted in zip(planes, array.reshape(-1, 6, 7), strict=True):
        found = plane.read(slice(1, 5), slice(2, 6))
        np.testing.assert_array_equal(found[..., 0], wanted[1:5, 2:6])
        assert found.shape == (4, 4, 1)


@pytest.mark.parametrize("lib", ["numpy", "dask", "zarr"])
def test_any_array_library(lib: str) -> None:
    array = RNG.integers(0, 255, (3, 30, 40, 3), np.uint8)
    image: Any = {
        "numpy": lambda: array,
        "dask": lambda: da.from_array(array, chunks=(1, 16, 16, 3)),
        "zarr": lambda: zarr.array(array, chunks=(1, 16, 16, 3)),
    }[lib]()
    found = ImageStack(image).plane((1,)).read(slice(5, 20), slice(7, 9))
    np.testing.assert_array_equal(found, array[1, 5:20, 7:9])
    assert type(found) is np.ndarray


def test_a_plane_needs_a_number_for_every_axis() -> None:
    with pytest.raises(InputError, match=r"2 axes before \(y, x\).*not 1"):
        ImageStack(zeros(2, 3, 40, 50)).plane((0,))


@pytest.mark.parametrize(
    ("dtype", "read"),
    [("uint8", "uint8"), ("uint16", "uint16"), (">u2", "uint16"), ("float32", "float32")]
    + [(name, "float32") for name in ("float64", "float16", "bool", "int16", "uint32", ">f4")],
)
def test_types(dtype: str, read: str) -> None:
    array = np.array([[0, 1], [1, 1]]).astype(dtype)
    found = ImageStack(array).plane().read(slice(0, 2), slice(0, 2))
    assert found.dtype == stack_dtype(dtype) == read
    assert found[..., 0].tolist() == [[0, 1], [1, 1]]
    assert ImageStack(array).dtype.isnative


@pytest.mark.parametrize(
    ("levels", "options", "message"),
    [
        (zeros(5), {}, r"axes \(…, y, x\)"),
        (zeros(5, 5), {"rgb": True}, r"axes \(…, y, x\)"),
        (zeros(0, 5), {}, "is empty"),
        (zeros(9, 9, 5), {"rgb": True}, "3 or 4 colours, not 5"),
        (np.zeros((9, 9), complex), {}, "must be numbers, not complex"),
        (np.zeros((9, 9), "U3"), {}, "must be numbers"),
        (np.zeros((9, 9), object), {}, "must be numbers"),
        ([[1, 2], [3, 4]], {}, "an image is an array"),
        (7, {}, "an image is an array"),
        ([], {}, "an image is an array"),
        ([zeros(9, 9), zeros(18, 18)], {}, "finest first"),
        ([zeros(2, 90, 90), zeros(45, 45)], {}, "same axes"),
        (zeros(9, 9), {"pixel_size": 0}, "pixel size must be positive"),
        (zeros(9, 9), {"pixel_size": float("nan")}, "pixel size must be positive"),
        (zeros(9, 9), {"pixel_size": float("inf")}, "pixel size must be positive"),
        (zeros(9, 9), {"scale": (1, 1, 1)}, "scale needs one number per axis, 2, not 3"),
        (zeros(9, 9, 3), {"translate": (0,)}, "translate needs one number per axis, 2, not 1"),
    ],
)
def test_what_is_no_image_is_refused(levels: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ImageStack(levels, source="a.tif", **options)


@given(st.integers(64, 5000), st.integers(64, 5000), st.integers(0, 5), st.booleans())
def test_the_factors_of_a_pyramid(height: int, width: int, depth: int, up: bool) -> None:
    def size(n: int, factor: int) -> int:
        return -(-n // factor) if up else n // factor

    factors = [2**i for i in range(depth + 1)]
    levels = [da.zeros((size(height, f), size(width, f)), dtype="uint8") for f in factors]
    assert ImageStack(levels).factors == tuple(factors)


@pytest.mark.parametrize(
    ("sizes", "factor"), [((900, 300), 3), ((1000, 400), 2.5), ((900, 60), 15)]
)
def test_other_factors(sizes: tuple[int, int], factor: float) -> None:
    full, small = sizes
    stack = ImageStack([da.zeros((full, full), dtype="u1"), da.zeros((small, small), dtype="u1")])
    assert stack.factors == (1, factor)


def test_uneven_levels_are_left_out() -> None:
    fine = zeros(8, 64, 64)
    stack = ImageStack([fine, fine[:, ::2], fine[:, ::2, ::2], fine[::2, ::4, ::4]])
    assert [level.shape for level in stack.levels] == [(8, 64, 64), (8, 32, 32)]
    assert stack.factors == (1, 2)


def test_another_pixel_size_changes_nothing_else() -> None:
    stack = ImageStack(
        [zeros(3, 40, 40), zeros(3, 20, 20)],
        pixel_size=0.5,
        scale=(2, 0.5, 0.5),
        translate=(1, 2, 3),
        unit="micrometer",
        name="a",
        source="a.tif",
    )
    assert stack.with_pixel_size(None) is stack
    other = stack.with_pixel_size(0.25)
    assert other.pixel_size == 0.25
    for name in ("levels", "rgb", "scale", "translate", "unit", "name", "source", "factors"):
        assert getattr(other, name) == getattr(stack, name)


def layer(data: Any, scale: Any, unit: str = "pixel", **more: Any) -> Image:
    place = {"scale": scale, "translate": (5.0, 6.0, 7.0), "units": (unit,) * 3} | more
    return Image(data, name="lung", **place)


@pytest.mark.parametrize(
    ("unit", "pixel_size"),
    [("micrometer", 0.5), ("um", 0.5), ("µm", 0.5), ("nanometer", 0.0005), ("millimeter", 500.0)],
)
def test_a_layer_in_units_of_length_tells_its_pixel_size(unit: str, pixel_size: float) -> None:
    stack = as_stack(layer(zeros(4, 40, 50), np.array([3, 0.5, 0.5]), unit))
    assert stack.pixel_size == pytest.approx(pixel_size)
    assert (stack.scale, stack.translate) == ((3, 0.5, 0.5), (5, 6, 7))
    assert (stack.name, stack.source) == ("lung", "layer 'lung'")
    assert stack.unit in ("micrometer", "nanometer", "millimeter")


def test_a_layer_with_oblong_pixels_says_so() -> None:
    with pytest.warns(LungclsWarning, match="layer 'lung': pixels are not square"):
        stack = as_stack(layer(zeros(4, 40, 50), (3, 0.4, 0.9), "um"))
    assert stack.pixel_size == pytest.approx(0.6)


def test_a_layer_without_units_does_not() -> None:
    stack = as_stack(layer(zeros(4, 40, 50), (3, 0.5, 0.5)))
    assert stack.pixel_size is None
    assert (stack.scale, stack.unit) == ((3, 0.5, 0.5), "pixel")


def test_a_multiscale_layer_keeps_its_levels() -> None:
    levels = [zeros(4, 40, 50, 3), zeros(4, 20, 25, 3)]
    stack = as_stack(layer(levels, (1, 1, 1), rgb=True, multiscale=True))
    assert stack.factors == (1, 2)
    assert stack.rgb


@pytest.mark.parametrize(
    "transform",
    [
        {"scale": (1, 0.5, 0.5)},
        {"affine": np.diag([1, 0.5, 0.5, 1])},
        {"scale": (1, 0.25, 0.25), "affine": np.diag([1, 2, 2, 1])},
        {"scale": (1, 0.5, 0.5), "rotate": 30},
        {"affine": np.array([[1, 0, 0, 9], [0, 0, 0.5, 2], [0, -0.5, 0, 3], [0, 0, 0, 1]])},
    ],
    ids=["scale", "affine", "both", "rotated", "turned"],
)
def test_the_pixel_size_of_a_layer_is_the_length_of_its_steps(transform: Any) -> None:
    found = Image(zeros(4, 40, 50), name="lung", units=("um",) * 3, **transform)
    assert as_stack(found).pixel_size == pytest.approx(0.5)


def test_the_axis_labels_of_a_layer_count() -> None:
    planes = zeros(3, 40, 50)
    plain = as_stack(Image(planes))
    named = as_stack(Image(planes, axis_labels=("c", "y", "x"), scale=(1, 0.5, 0.4)))
    assert (plain.shape, plain.rgb) == ((3, 40, 50), False)
    assert (named.shape, named.rgb, named.scale) == ((40, 50), True, (0.5, 0.4))
    with pytest.raises(InputError, match="has 2 channels"):
        as_stack(Image(planes[:2], axis_labels=("channel", "y", "x")))
    assert as_stack(Image(planes[:2], axis_labels=("c", "y", "x")), channels=1).shape == (40, 50)
    with pytest.raises(InputError, match=r"its axes are x, y, and a plane is \(y, x\)"):
        as_stack(Image(planes[0], axis_labels=("x", "y")))


def test_a_list_of_equal_planes_is_a_stack() -> None:
    planes = [RNG.integers(0, 255, (20, 30), np.uint8) for _ in range(3)]
    for image in (planes, tuple(planes), [da.from_array(p, chunks=10) for p in planes]):
        stack = as_stack(image)
        assert (stack.shape, len(stack.levels)) == ((3, 20, 30), 1)
        for plane, wanted in zip(stack.planes(), planes, strict=True):
            found = plane.read(slice(0, 20), slice(0, 30))
            np.testing.assert_array_equal(found[..., 0], wanted)
    colours = as_stack([np.stack([p] * 3, -1) for p in planes])
    assert (colours.shape, colours.rgb) == ((3, 20, 30), True)


@pytest.mark.parametrize(
    "shapes",
    [[(20, 30), (18, 30), (20, 30)], [(20, 30), (25, 10)], [(20, 30), (2, 20, 30)]],
)
def test_a_list_of_unequal_planes_is_refused(shapes: Any) -> None:
    with pytest.raises(InputError, match="it is neither"):
        as_stack([zeros(*shape) for shape in shapes])


def test_planes_of_different_types_are_refused() -> None:
    with pytest.raises(InputError, match="different types"):
        as_stack([zeros(20, 30), zeros(20, 30).astype(np.uint16)])


class Named(np.ndarray):
    """An array with `dims`, as xarray has them."""

    dims: tuple[str, ...]

    @staticmethod
    def of(array: Any, dims: str | tuple[str, ...]) -> Named:
        named = np.asarray(array).view(Named)
        named.dims = tuple(dims)
        return named


@pytest.mark.parametrize(
    ("dims", "wanted", "rgb"),
    [
        ("yx", (20, 30), False),
        ("YX", (20, 30), False),
        (("row", "column"), (20, 30), False),
        ("xy", (20, 30), False),
        ("cyx", (20, 30), True),
        (("y", "x", "channel"), (20, 30), True),
        (("T", "Z", "Y", "X", "S"), (2, 4, 20, 30), True),
        ("xtcy", (2, 20, 30), True),
        (("dim_0", "dim_1"), (20, 30), False),
    ],
)
def test_dims_of_an_object_are_its_axes(dims: Any, wanted: Any, rgb: bool) -> None:
    lengths = {"y": 20, "x": 30, "c": 3, "s": 3, "t": 2, "z": 4, "dim_0": 20, "dim_1": 30}
    usual = {"row": "y", "column": "x", "channel": "c"}
    names = [usual.get(name, name.lower()) for name in dims]
    array = RNG.integers(0, 255, [lengths[n] for n in names], np.uint8)
    stack = as_stack(Named.of(array, dims))
    assert (stack.shape, stack.rgb) == (wanted, rgb)
    if names[0] != "dim_0":
        order = [n for n in ("t", "z", "y", "x", "c", "s") if n in names]
        turned = np.einsum(array, [names.index(n) for n in names], [names.index(n) for n in order])
        np.testing.assert_array_equal(np.asarray(stack.levels[0]), turned)


def test_dims_that_contradict_are_refused() -> None:
    with pytest.raises(InputError, match="one y and one x"):
        as_stack(Named.of(zeros(20, 30), "yy"))
    with pytest.raises(InputError, match="says by its axes that it is grey"):
        as_stack(Named.of(zeros(3, 20, 30), "zyx"), rgb=True)
    with pytest.raises(InputError, match="leave channel_axis out"):
        as_stack(Named.of(zeros(3, 20, 30), "zyx"), channel_axis=0)


def test_coordinates_of_an_object_are_its_pixel_size() -> None:
    class Along(np.ndarray):
        attrs: dict[str, str]

    array = Named.of(zeros(20, 30), "yx")
    coords = {}
    for dim, count in (("y", 20), ("x", 30)):
        coords[dim] = (np.arange(count) * 500.0).view(Along)
        coords[dim].attrs = {"units": "nm"}
    array.coords = coords  # type: ignore[attr-defined]
    assert as_stack(array).pixel_size == pytest.approx(0.5)


def test_dask_chunks_of_unknown_size() -> None:
    array = da.from_array(zeros(20, 30).astype(bool), chunks=10)
    unknown = array[array[:, 0] == array[:, 0]]
    with pytest.raises(InputError, match=r"call compute_chunk_sizes\(\)"):
        as_stack(unknown)


def test_one_entry_at_the_end_is_grey_in_files_and_arrays(tmp_path: Any) -> None:
    array = RNG.integers(0, 255, (20, 30, 1), np.uint8)
    stored = zarr.create_array(tmp_path / "a.zarr", data=array)
    for image in (array, stored, tmp_path / "a.zarr"):
        stack = as_stack(image)
        assert (stack.shape, stack.rgb) == ((20, 30), False)
        found = stack.plane().read(slice(0, 20), slice(0, 30))
        np.testing.assert_array_equal(found, array)


def test_objects_are_read_as_their_files_are(tmp_path: Any) -> None:
    array = RNG.integers(0, 255, (3, 20, 30), np.uint8)
    stored = zarr.create_array(
        tmp_path / "a.zarr", data=array, dimension_names=["channel", "y", "x"]
    )
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("image", data=array)
        for dim, label in zip(dataset.dims, "cyx", strict=True):
            dim.label = label
        dataset.attrs["element_size_um"] = [1, 0.5, 0.5]
        for image in (stored, zarr.open(tmp_path / "a.zarr"), dataset):
            stack = as_stack(image)
            assert (stack.shape, stack.rgb) == ((20, 30), True)
    assert as_stack(tmp_path / "a.zarr").rgb
    assert as_stack(tmp_path / "a.h5").pixel_size == 0.5


def test_what_is_a_stack_already_stays_the_same() -> None:
    stack = ImageStack(zeros(9, 9))
    assert as_stack(stack) is stack
    assert as_stack(zeros(9, 9), pixel_size=2.0).pixel_size == 2.0


def test_a_path_is_opened(tmp_path: Any) -> None:
    import imageio.v3 as iio

    array = RNG.integers(0, 255, (20, 30, 3), np.uint8)
    iio.imwrite(tmp_path / "a.png", array)
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        stack = as_stack(path)
        np.testing.assert_array_equal(stack.plane().read(slice(0, 20), slice(0, 30)), array)
