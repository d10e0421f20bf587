"""Every patch format is a round trip, and what cannot be read is said in one line."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray

import napari_lungcls as lc
from napari_lungcls.annotation import Points
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.pyramid import read_windows
from napari_lungcls.patch_datasets.dataset import PatchData, Role

FORMATS = {
    "one.h5": ("hdf5", False),
    "two_x.h5": ("hdf5", False),
    "packed_x.h5.gz": ("hdf5", True),
    "plain.npz": ("npz", False),
    "small.npz": ("npz", True),
    "folder": ("folder", False),
    "some.manifest": ("manifest", False),
    "some.lst": ("lst", False),
}
SIZE, N = 20, 45
Make = Callable[[Path], Any]


def pixels(data: PatchData) -> NDArray[Any]:
    return np.concatenate([part.pixels.read(0, len(part)) for part in data.parts])


def scene() -> tuple[NDArray[np.uint8], Points]:
    """Noise of three brightnesses, and points that lie up to its very edge."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60, (90, 90, 3), np.uint8)
    image += np.repeat([0, 80, 160], 30).astype(np.uint8)[:, None, None]
    where = rng.integers(0, 90, (N, 2))
    names = np.array(["dark", "grey", "light"], object)[where[:, 0] // 30]
    groups = np.array([f"slide {i % 4}" for i in range(N)], object)
    return image, Points.build(where, names, group=groups)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_exported_is_read_and_can_be_trained_on(name: str, tmp_path: Path) -> None:
    image, points = scene()
    kind, compress = FORMATS[name]
    out = lc.export_patches(
        image,
        points,
        tmp_path / name,
        kind=kind,
        size=SIZE,
        compress=compress,  # type: ignore[arg-type]
    )
    assert out.n == N
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in out.paths}
    data = lc.open_patches(tmp_path / name)
    scheme = data.scheme()
    assert (len(data), data.size, data.dtype) == (N, (SIZE, SIZE), "uint8")
    assert set(scheme.names) == {"dark", "grey", "light"}
    wanted, _ = read_windows(as_stack(image), points.coordinates, (1.0,), SIZE)
    order = np.arange(N)
    if data.parts[0].files is not None:
        order = np.array([int(Path(file).stem) for file in data.parts[0].files])
    np.testing.assert_array_equal(pixels(data), wanted[order, 0])
    names = np.array(scheme.names, object)[data.codes(scheme)]
    assert points.labels is not None
    assert names.tolist() == points.labels[order].tolist()
    if kind not in ("folder", "lst"):
        assert data.groups is not None
        assert [g.split()[-1] for g in data.groups] == [str(i % 4) for i in range(N)]
    quick = lc.TrainingSettings(epochs=1, batch_size=24, device="cpu", val_fraction=0.4)
    model = lc.train_patches(data, quick)
    assert model.document.network.is_torchvision
    assert model.document.network.tile == SIZE
    assert model.classify_patches(data).shape == (N, 3)
    assert model.evaluate_patches(data).n == N


def test_the_same_points_make_the_same_bytes(tmp_path: Path) -> None:
    image, points = scene()
    for name in ("small.npz", "packed_x.h5.gz", "some.manifest"):
        kind, compress = FORMATS[name]
        made = []
        for folder in (tmp_path / "a", tmp_path / "b"):
            folder.mkdir(exist_ok=True)
            lc.export_patches(
                image,
                points,
                folder / name,
                kind=kind,
                size=SIZE,
                compress=compress,  # type: ignore[arg-type]
            )
            made.append((folder / name).read_bytes())
        assert made[0] == made[1]


@pytest.mark.parametrize(
    ("pixels", "labels"),
    [("X", "Y"), ("x", "Y"), ("Images", "Labels"), ("x", "labels"), ("images", "y"),
     ("X_train", "y_train"), ("x_train", "Y_TRAIN"), ("train_images", "train_labels"),
     ("Train_X", "labels_train"), ("images", "targets"), ("x", "label")],
)  # fmt: skip
def test_arrays_are_found_by_their_usual_names(tmp_path: Path, pixels: str, labels: str) -> None:
    arrays = {pixels: X, labels: Y, "Classes": np.array(["a", "b", "c", "d"]), "history": Y[:1]}
    np.savez(tmp_path / "a.npz", **arrays)
    data = lc.open_patches(tmp_path / "a.npz")
    assert data.parts[0].names == ("a", "b", "c", "d")
    np.testing.assert_array_equal(data.parts[0].labels, Y)
    assert data.parts[0].role == ("train" if "rain" in pixels else "")


def test_keras_has_parts_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3])
    data = lc.open_patches(tmp_path / "a.npz")
    assert [(part.role, len(part)) for part in data.parts] == [("train", len(X)), ("test", 3)]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_medmnist_has_parts_and_any_channels(
    tmp_path: Path, compress: bool, channels: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    arrays, roles = {}, {"train": "train", "val": "validation", "test": "test"}
    for prefix, n in {"test": 3, "val": 4, "train": 9}.items():
        arrays[f"{prefix}_images"] = rng.integers(0, 255, (n, 17, 18, *channels), np.uint8)
        arrays[f"{prefix}_labels"] = rng.integers(0, 2, (n, 1))
    (np.savez_compressed if compress else np.savez)(tmp_path / "m.npz", **arrays)
    data = lc.open_patches(tmp_path / "m.npz")
    for prefix, role in roles.items():
        part = data.only(role)  # type: ignore[arg-type]
        stored = arrays[f"{prefix}_images"].reshape(-1, 17, 18, *(channels or (1,)))
        wanted = np.repeat(stored, 3, -1) if stored.shape[-1] == 1 else stored[..., :3]
        np.testing.assert_array_equal(pixels(part), wanted)
        assert part.codes(part.scheme()).tolist() == arrays[f"{prefix}_labels"].ravel().tolist()
    assert data.roles.tolist() == ["train"] * 9 + ["validation"] * 4 + ["test"] * 3


def test_folders_of_files_and_of_classes_say_what_they_are_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    shades = {"L": (), "RGB": (3,), "RGBA": (4,)}
    for part in ("train", "valid", "test"):
        for code, name in enumerate(("b", "a")):
            folder = tmp_path / "pictures" / part / name
            folder.mkdir(parents=True)
            for suffix, (mode, channels) in zip(
                (".png", ".tif", ".png"), shades.items(), strict=True
            ):
                pixel = rng.integers(0, 255, (16, 16, *channels), np.uint8)
                iio.imwrite(folder / f"{mode}{code}{suffix}", pixel)
    data = lc.open_patches(tmp_path / "pictures")
    assert data.scheme().names == ("a", "b")
    assert sorted(set(data.roles)) == ["test", "train", "validation"]
    assert len(data) == 18
    assert data.only(None).roles.tolist() == ["test"] * 6
    camelyon = tmp_path / "camelyon"
    camelyon.mkdir()
    for part, n in {"train": 6, "valid": 4, "test": 2}.items():
        stem = f"camelyonpatch_level_2_split_{part}"
        with h5py.File(camelyon / f"{stem}_x.h5", "w") as file:
            file["x"] = np.zeros((n, 16, 16, 3), np.uint8)
        with h5py.File(camelyon / f"{stem}_y.h5", "w") as file:
            file["y"] = (np.arange(n) % 2).reshape(-1, 1, 1, 1).astype(np.uint8)
        (camelyon / f"{stem}_meta.csv").write_text(
            "coord_y,wsi\n" + "".join(f"1,{part}{i % 2}\n" for i in range(n))
        )
    data = lc.open_patches(camelyon)
    assert [len(data.only(role)) for role in _roles()] == [6, 4, 2]
    assert data.groups is not None
    assert len(set(data.groups)) == 6


def _roles() -> tuple[Role, ...]:
    return ("train", "validation", "test")


# What is wrong with a data set, and words of the one line that says so.


def h5(**arrays: Any) -> Make:
    def make(folder: Path) -> Path:
        with h5py.File(folder / "d.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array
        return folder / "d.h5"

    return make


def npz(**arrays: Any) -> Make:
    def make(folder: Path) -> Path:
        np.savez(folder / "d.npz", **arrays)
        return folder / "d.npz"

    return make


def text(name: str, *lines: str, pictures: tuple[str, ...] = ("1.png",)) -> Make:
    def make(folder: Path) -> Path:
        inside = folder / "in"
        inside.mkdir()
        for number, picture in enumerate(pictures):
            iio.imwrite(inside / picture, np.zeros((16 + number, 16, 3), np.uint8))
        iio.imwrite(folder / "secret.png", np.zeros((16, 16, 3), np.uint8))
        (inside / name).write_text("\n".join(lines))
        return inside / name

    return make


def content(name: str, data: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def missing_pair(folder: Path) -> Path:
    with h5py.File(folder / "a_x.h5", "w") as file:
        file["x"] = X
    return folder / "a_x.h5"


def packed_without_labels(folder: Path) -> Path:
    path = missing_pair(folder)
    return content("a_x.h5.gz", gzip.compress(path.read_bytes()))(folder)


def differing(folder: Path) -> list[Path]:
    paths = []
    for edge in (16, 17):
        np.savez(folder / f"{edge}.npz", x=np.zeros((2, edge, edge, 3), np.uint8), y=Y[:2])
        paths.append(folder / f"{edge}.npz")
    return paths


def truncated(folder: Path) -> Path:
    packed = gzip.compress(np.random.default_rng(0).bytes(10_000))
    return content("d.h5.gz", packed[: len(packed) // 2])(folder)


def cut_npz(folder: Path) -> Path:
    """An archive whose header promises more patches than it holds."""
    stream = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 96, 96, 3)}
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(folder / "d.npz", "w") as archive:
        archive.writestr("x.npy", stream.getvalue())
        archive.writestr("y.npy", b"")
    return folder / "d.npz"


X, Y = np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 1, 0, 1])
LINE = json.dumps({"source-ref": "1.png", "class": 0, "class-metadata": {"class-name": "a"}})
BAD: dict[str, tuple[Make, tuple[str, ...]]] = {
    "nothing there": (lambda f: f / "no.h5", ("no.h5", "there is no such file")),
    "another kind": (content("a.txt", b""), ("a.txt", "folder per class")),
    "no HDF5": (content("a.h5", b"plain"), ("a.h5", "copy it again")),
    "no patches": (h5(a=X), ("no dataset x", "but a")),
    "no labels": (h5(x=X), ("no labels", "dataset y")),
    "missing pair": (missing_pair, ("a_x.h5", "_y in place of _x")),
    "packed, missing pair": (packed_without_labels, ("a_x.h5.gz", "_y in place of _x")),
    "channels first": (h5(x=X.transpose(0, 3, 1, 2), y=Y), ("channels first", "(N, height, width")),
    "five channels": (h5(x=np.zeros((4, 16, 16, 5), np.uint8), y=Y), ("(4, 16, 16, 5)",)),
    "no pictures at all": (h5(x=X[:0], y=Y[:0]), ("holds no patches",)),
    "texts as patches": (h5(x=np.zeros((4, 16, 16), "S3"), y=Y), ("must be numbers",)),
    "fewer labels": (h5(x=X, y=Y[:3]), ("4 patches", "(3,)")),
    "several labels": (h5(x=X, y=np.zeros((4, 14))), ("4 patches", "(4, 14)", "one label")),
    "negative label": (h5(x=X, y=Y - 1), ("patch 1 is labelled -1",)),
    "half a label": (h5(x=X, y=Y + 0.5), ("patch 1 is labelled 0.5", "whole numbers")),
    "NaN as label": (h5(x=X, y=Y * np.nan), ("patch 1 is labelled nan",)),
    "fewer groups": (h5(x=X, y=Y, group=Y[:2]), ("2 groups", "one for each")),
    "truncated gzip": (truncated, ("d.h5.gz", "cut short", "copy it again")),
    "no archive": (content("a.npz", b"plain"), ("a.npz", "copy it again")),
    "labels twice": (npz(x=X, labels=Y, Labels=Y), ("two arrays of the same name", "rename one")),
    "labels in doubt": (npz(x=X, label=Y, targets=Y), ("label, targets", "keep one")),
    "patches twice": (npz(x=X, images=X, y=Y), ("x, images", "keep one")),
    "labels elsewhere": (npz(X=X, z=Y), ("add an array y", "there are X, z")),
    "objects": (npz(x=X.astype(object), y=Y), ("Python objects", "numbers only")),
    "Fortran order": (npz(x=np.asfortranarray(X), y=Y), ("Fortran order", "C order")),
    "promises": (cut_npz, ("cut short",)),
    "archive without labels": (npz(train_images=X), ("train_images", "add an array train_labels")),
    "empty folder": (lambda f: f, ("one folder per class",)),
    "no JSON": (text("a.manifest", "{"), ("line 1", "no JSON")),
    "a list": (text("a.manifest", "[]"), ("line 1", "no JSON object")),
    "no source": (text("a.manifest", "{}"), ("line 1", "class-name")),
    "a way out": (
        text("a.manifest", LINE, LINE.replace("1.png", "../secret.png")),
        ("line 2", "outside of the folder"),
    ),
    "an absolute way out": (text("a.lst", "0\t0\t/etc/passwd"), ("line 1", "outside")),
    "an absent picture": (text("a.lst", "0\t0\t2.png"), ("2.png", "there is no such picture")),
    "no picture": (text("a.lst", "0\t0\ta.lst"), ("a.lst", "not a PNG, JPEG")),
    "columns": (text("a.lst", "0\t0\t1\t1.png"), ("line 1", "4 columns")),
    "words as labels": (text("a.lst", "0\ta\t1.png"), ("line 1", "'a'", "number the classes")),
    "two sizes": (
        text("a.lst", "0\t0\t1.png", "1\t1\t2.png", pictures=("1.png", "2.png")),
        ("2.png", "17 × 16", "16 × 16"),
    ),
    "two sizes in two files": (differing, ("16 × 16", "17 × 17", "convert them")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_data_sets_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, words = BAD[name]
    with pytest.raises(lc.InputError) as refusal:
        lc.open_patches(make(tmp_path))
    for word in words:
        assert word in str(refusal.value)


def test_a_class_that_the_scheme_lacks_is_named(tmp_path: Path) -> None:
    data = lc.open_patches(npz(x=X, y=Y + 3)(tmp_path))
    with pytest.raises(
        lc.InputError, match=r"patch 2 is labelled 4, .*lung.* 3 classes.*use classes="
    ):
        lc.train_patches(data, classes="lung")


def test_a_part_of_s3_keys_is_enough(tmp_path: Path) -> None:
    line = LINE.replace("1.png", "s3://bucket/far/in/1.png")
    path = text("a.manifest", line)(tmp_path)
    assert lc.open_patches(path).parts[0].files == ("1.png",)
