"""Whole files from which fuzzing starts, and the functions that read them: each a target."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import h5py
import imageio.v3 as iio
import numpy as np
from safetensors.numpy import save

from fuzz.mutations import hdf5_file, json_file, model_file, mutated, npz_file
from napari_lungcls.annotation import ClassScheme, Points, read_points, write_points
from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings_file import read_settings
from napari_lungcls.network.model_file import METADATA_KEY, ModelDocument, read_model
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.network.weight_files import read_weights
from napari_lungcls.patch_datasets.opening import open_patches

Reader = Callable[[bytes], bool]
Mutate = Callable[[bytes, Random], bytes]


class Target(NamedTuple):
    """What is fuzzed.

    Attributes
    ----------
    read
        Takes bytes and may refuse them with `InputError`; True if they were read.
    seeds
        Whole files.
    mutate
        Damages one of them.
    """

    read: Reader
    seeds: list[bytes]
    mutate: Mutate = mutated


@cache
def folder() -> Path:
    """A folder for the file at hand, in memory where the system has one."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="lungcls-fuzz-", dir=shared if shared.is_dir() else None))


def reading(name: str, read: Callable[[Path], object]) -> Reader:
    """Make a target of a function of a path; the file is called `name`."""

    def target(data: bytes) -> bool:
        path = folder() / name
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(path)
            except InputError:
                return False
        return True

    return target


def _table(path: Path) -> None:
    points = read_points(path)
    ClassScheme.for_labels([] if points.labels is None else points.labels)
    write_points(folder() / "written.csv", points)


def _scheme(path: Path) -> None:
    ClassScheme.from_file(path).save(folder() / "written.yaml")


def _patches(path: Path) -> None:
    for part in open_patches(path).parts:
        part.pixels.read(0, min(2, part.pixels.shape[0]))


def _model(path: Path) -> None:
    document, _ = read_model(path)
    document.model_dump_json()


def _weights(path: Path) -> None:
    read_weights(path, {"a": (2, None), "b": (3,)})


def tables() -> list[bytes]:
    """Tables of points: ours, of a spreadsheet, of napari, and a design."""
    points = Points.build([[1, 2.5], [3, 4]], ["septa", "duct"], note=["a, b", '"'])
    ours = write_points(folder() / "seed.csv", points).read_bytes()
    return [
        ours,
        b"sep=;\nindex;axis-0;axis-1;class\n0;1,5;1.000,25;\xe4 b\n",
        "axis-0,axis-1\n1,2\n".encode("utf-16"),
        b"index,axis-0,axis-1,axis-2,class,image,group\n0,0,1,2,septa,a.tif,m1\n,1,2,3,,b.tif,\n",
    ]


def models() -> list[bytes]:
    """A model whose network is as small as there are."""
    spec = NetworkSpec(
        zooms=(1,), stages=(-1, 1), hidden=0, tile=32, classes=3,
        normalisation=Normalisation(mean=(0, 0, 0), std=(1, 1, 1)),
    )  # fmt: skip
    document = ModelDocument(
        network=spec, scheme=ClassScheme.preset("lung"), pixel_size=0.5, history=[{"epoch": 1}],
        validation={"accuracy": 0.5},
    )  # fmt: skip
    arrays = {name: np.zeros(shape, np.float32) for name, shape in spec.shapes().items()}
    former = json.loads(document.model_dump_json())
    former |= {"format_version": 1}
    del former["network"]["tile"]
    former["network"] |= {"window": 32}
    texts = (document.model_dump_json(), json.dumps(former))
    return [save(arrays, metadata={METADATA_KEY: text}) for text in texts]


def hdf5s() -> list[bytes]:
    """Patches with labels, plain and packed."""
    found = []
    for options in ({}, {"compression": "gzip", "chunks": (2, 8, 8, 3), "shuffle": True}):
        path = folder() / "seed.h5"
        with h5py.File(path, "w") as file:
            made: Any = file.create_dataset("x", data=_pixels(), **options)
            made = file.create_dataset("y", data=np.arange(4).reshape(4, 1, 1, 1) % 2)
            made.attrs["classes"] = ["no", "yes"]
            file["group"] = np.array([b"a", b"b", b"a", b"b"])
        found.append(path.read_bytes())
    return found


def npzs() -> list[bytes]:
    """Patches with labels, plain and packed, and as MedMNIST names them."""
    path, pixels, labels = folder() / "seed.npz", _pixels(), np.array([0, 1, 0, 1])
    np.savez(path, x=pixels, y=labels, classes=np.array(["no", "yes"]))
    plain = path.read_bytes()
    np.savez_compressed(path, train_images=pixels, train_labels=labels[:, None])
    return [plain, path.read_bytes()]


def manifests() -> list[bytes]:
    """SageMaker's augmented manifests, beside the pictures that they name."""
    for name in ("a.png", "b.png"):
        iio.imwrite(folder() / name, _pixels()[0])
    (folder() / "broken.png").write_bytes((folder() / "a.png").read_bytes()[:40])
    rows = [
        {
            "source-ref": f"s3://bucket/lung/{name}",
            "tissue": code,
            "tissue-metadata": {"class-name": kind, "type": "groundtruth/image-classification"},
            "group": kind,
        }
        for code, (name, kind) in enumerate((("a.png", "no"), ("b.png", "yes")))
    ]
    return ["\n".join(map(json.dumps, rows)).encode(), json.dumps(rows[0]).encode()]


def lists() -> list[bytes]:
    """Lists of pictures."""
    manifests()
    return [b"0\t0\ta.png\n1\t1\tb.png\n"]


def schemes() -> list[bytes]:
    """Class schemes in YAML."""
    ClassScheme.preset("lung-full").save(folder() / "seed.yaml")
    short = b"name: own\nclasses:\n  - a\n  - {name: 'yes', color: '#ff0000', key: 1}\n"
    return [(folder() / "seed.yaml").read_bytes(), short]


def scheme_documents() -> list[bytes]:
    """The same in JSON."""
    ClassScheme.preset("lung-full").save(folder() / "seed.json")
    return [(folder() / "seed.json").read_bytes()]


def weights() -> list[bytes]:
    """Files of PyTorch: those that this program reads without Python objects."""
    import torch

    found = []
    for content in ({"a": torch.zeros(2, 3), "b": torch.ones(3)}, {"state_dict": {}}):
        torch.save(content, folder() / "seed.pth")
        found.append((folder() / "seed.pth").read_bytes())
    return found


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)


MAKERS: dict[str, tuple[str, Callable[[Path], object], Callable[[], list[bytes]], Mutate]] = {
    "csv": ("fuzz.csv", _table, tables, mutated),
    "model": ("fuzz.safetensors", _model, models, model_file),
    "hdf5": ("fuzz.h5", _patches, hdf5s, hdf5_file),
    "npz": ("fuzz.npz", _patches, npzs, npz_file),
    "manifest": ("fuzz.manifest", _patches, manifests, json_file),
    "list": ("fuzz.lst", _patches, lists, mutated),
    "scheme-yaml": ("fuzz.yaml", _scheme, schemes, mutated),
    "scheme-json": ("fuzz.json", _scheme, scheme_documents, json_file),
    "settings": ("fuzz.yml", read_settings, lambda: [b"epochs: 3\nzooms: [1, 4]\n"], mutated),
    "weights": ("fuzz.pth", _weights, weights, mutated),
}
"""By name: the file, its reader, what makes its seeds, and how they are damaged."""


def file_target(name: str) -> Target:
    """Make the target of a format of whole files."""
    file, read, seeds, mutate = MAKERS[name]
    return Target(reading(file, read), seeds(), mutate)
