"""Files that somebody made to do harm: each is refused with a line, and nothing happens."""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

import napari_lungcls as lc
from fuzz.targets import target
from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search.space import read_space
from napari_lungcls.learning.settings_file import read_settings
from napari_lungcls.network.weight_files import read_weights
from napari_lungcls.stereology.sections import read_sections

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)
)
MARKERS = (
    "<CellCounter_Marker_File><Marker_Data><Marker_Type><Type>1</Type><Name>{}</Name><Marker>"
    "<MarkerX>1</MarkerX><MarkerY>2</MarkerY><MarkerZ>1</MarkerZ></Marker></Marker_Type>"
    "</Marker_Data></CellCounter_Marker_File>"
)
ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (open, (str(self.path), "w"))


@pytest.fixture(autouse=True)
def _cheap() -> Iterator[None]:
    """No attack takes ten seconds, nor 64 megabytes that Python knows of."""
    tracemalloc.start()
    begin = time.process_time()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - begin < 10
    assert most < 64 * 2**20


def test_a_billion_laughs_in_yaml(tmp_path):
    for name, read in (
        ("scheme.yaml", lc.ClassScheme.from_file),
        ("settings.yaml", read_settings),
        ("space.yaml", read_space),
    ):
        (tmp_path / name).write_text(LAUGHS)
        with pytest.raises(InputError, match="its aliases stand for more than 200000 values"):
            read(tmp_path / name)
        (tmp_path / name).write_text("name: &a [*a]\n")
        with pytest.raises(InputError, match="or for themselves; write it out plainly"):
            read(tmp_path / name)
    (tmp_path / "cells.yaml").write_text("CellCounter_Marker_File: true\n" + LAUGHS)
    with pytest.raises(InputError, match="has anchors or aliases; "):
        lc.read_points(tmp_path / "cells.yaml")


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir [sprung]", "!!python/name:os.x ''"]
)
def test_objects_in_yaml(tmp_path, monkeypatch, tag):
    monkeypatch.chdir(tmp_path)
    for name, read in (("scheme.yaml", lc.ClassScheme.from_file), ("set.yaml", read_settings)):
        (tmp_path / name).write_text(f"name: {tag}\n")
        with pytest.raises(InputError, match="correct the YAML"):
            read(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_what_this_program_writes_has_no_aliases(tmp_path):
    same = [1, 2]
    from napari_lungcls.annotation.documents import read_document, write_document

    path = write_document(tmp_path / "a.yaml", {"one": same, "two": same}, "test")
    assert read_document(path, "test") == {"one": [1, 2], "two": [1, 2]}


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY e0 "x">' + ENTITIES + "]>",
        '<!DOCTYPE a [<!ENTITY e11 SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd"> %b;]>',
    ],
    ids=["laughs", "file", "address", "parameter"],
)
def test_document_types_and_entities(tmp_path, head):
    path = tmp_path / "cells.xml"
    path.write_text('<?xml version="1.0"?>' + head + MARKERS.format("&e11;"))
    with pytest.raises(InputError, match="has a document type or entities"):
        lc.read_points(path)


def test_deep_json(tmp_path):
    for name in ("deep.geojson", "deep.json"):
        (tmp_path / name).write_text('{"type": "FeatureCollection", "features": ' + "[" * 10**6)
    with pytest.raises(InputError):
        lc.read_points(tmp_path / "deep.geojson")
    with pytest.raises(InputError):
        lc.ClassScheme.from_file(tmp_path / "deep.json")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickles_are_not_run(tmp_path):
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)], object)
    np.savez(tmp_path / "x.npz", x=trap, y=trap)
    with pytest.raises(InputError):
        lc.open_patches(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", x=np.zeros((1, 8, 8, 3), np.uint8), y=trap)
    with pytest.raises(InputError):
        lc.open_patches(tmp_path / "y.npz")
    for name in ("m.safetensors", "w.pth", "w.pt"):
        (tmp_path / name).write_bytes(pickle.dumps({"a": Trap(sprung)}))
        with pytest.raises(InputError):
            lc.load(tmp_path / name) if name[0] == "m" else read_weights(
                tmp_path / name, {"a": (1,)}
            )
    assert not sprung.exists()


def test_bombs_of_zip(tmp_path):
    packed = tmp_path / "bomb.npz"
    header = (
        b"\x93NUMPY\1\0v\0" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 8, 8, 3)}"
    )
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w") as member:
            member.write((header % 2**21).ljust(127) + b"\n")
            for _ in range(400):
                member.write(bytes(2**20))
        archive.writestr("y.npy", b"\x93NUMPY\1\0v\0".ljust(128))
    assert packed.stat().st_size < 2**20
    # What it unpacks to goes to a temporary file, a piece at a time.
    with pytest.raises(InputError):
        lc.open_patches(packed)


def test_bombs_of_zip_in_weights(tmp_path):
    whole = tmp_path / "w.pth"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"")
    data = whole.read_bytes()
    # The directory of the archive announces three gigabytes.
    at = data.index(b"PK\x01\x02") + 24
    whole.write_bytes(data[:at] + struct.pack("<I", 3 * 2**30) + data[at + 4 :])
    with pytest.raises(InputError, match="ValueError"):
        read_weights(whole, {"a": (1,)})


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 2**63]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [2**40, 2**40 + 4]}},
    ],
)
def test_absurd_shapes_in_a_model(tmp_path, header):
    text = json.dumps(header).encode()
    for size in (len(text), 2**62, 0):
        path = tmp_path / "m.safetensors"
        path.write_bytes(struct.pack("<Q", size) + text + bytes(4))
        with pytest.raises(InputError):
            lc.load(path)


def test_half_characters_in_a_model(tmp_path):
    """They could be read, and then neither saved nor answered by a server."""
    data = target("model").seeds[0]
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    (key,) = header["__metadata__"]
    document = json.loads(header["__metadata__"][key])
    for place in ({"engine": "\ud800"}, {"settings": {"a": ["\udfff"]}}, {"split": {"\ud800": 1}}):
        header["__metadata__"][key] = json.dumps(document | place)
        text = json.dumps(header).encode()
        path = tmp_path / "m.safetensors"
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
        with pytest.raises(InputError, match="its description is damaged"):
            lc.load(path)


@pytest.mark.parametrize("count", [2**40, 2**27])
def test_labels_that_are_only_announced(tmp_path, count):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (count, 64, 64, 3), "u1", chunks=(1, 64, 64, 3))
        file.create_dataset("y", (count,), "i8", chunks=(1024,))
    with pytest.raises(InputError, match=r"/y announces .* bytes and stores less"):
        lc.open_patches(tmp_path / "x.h5")


def test_many_equal_labels_are_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (2**19, 2, 2, 3), "u1", chunks=(1, 2, 2, 3))
        file.create_dataset("y", data=np.arange(2**19) // 2**18, compression="gzip")
    assert len(lc.open_patches(tmp_path / "x.h5").parts[0].labels) == 2**19


def test_absurd_shapes_in_patches(tmp_path):
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 1099511627776, 8, 3), }"
    whole = b"\x93NUMPY\1\0v\0" + head.ljust(117) + b"\n" + bytes(64)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", whole)
        archive.writestr("y.npy", whole)
    with pytest.raises(InputError):
        lc.open_patches(tmp_path / "x.npz")


def test_absurd_sizes_of_pictures(tmp_path):
    size = struct.pack(">II", 2**31 - 1, 2**31 - 1) + b"\x08\x02\0\0\0"
    chunk = b"IHDR" + size
    data = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data + bytes(20))
    with pytest.raises(InputError):
        lc.open_image(tmp_path / "a.png")


def test_lists_of_pictures_stay_in_their_folder(tmp_path):
    folder, outside = tmp_path / "in", tmp_path / "secret.png"
    folder.mkdir()
    iio.imwrite(outside, np.zeros((8, 8, 3), np.uint8))
    for name in ("../secret.png", str(outside), "a/../../secret.png", "s3://b/../secret.png"):
        entry = {"source-ref": name, "t": 0, "t-metadata": {"class-name": "a"}}
        (folder / "x.manifest").write_text(json.dumps(entry))
        (folder / "x.lst").write_text(f"0\t0\t{name}\n")
        for path in ("x.manifest", "x.lst"):
            with pytest.raises(
                InputError, match=r"lies outside of the folder|no such file|missing"
            ):
                lc.open_patches(folder / path)


def elsewhere(file: Any, name: str, how: str, other: Path) -> None:
    """Let a dataset of a file be in another one."""
    if how == "link":
        file[name] = h5py.ExternalLink(str(other), "/x")
    elif how == "stored":
        file.create_dataset(name, (4, 8, 8, 3), "u1", external=[(str(other), 0, 768)])
    else:
        layout = h5py.VirtualLayout((4, 8, 8, 3), "u1")
        layout[:] = h5py.VirtualSource(str(other), "x", (4, 8, 8, 3))
        file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("how", ["link", "stored", "virtual"])
def test_hdf5_does_not_lead_into_other_files(tmp_path, how):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.ones((4, 8, 8, 3), np.uint8)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        elsewhere(file, "x", how, other)
        file["y"] = np.array([0, 1, 0, 1])
    with pytest.raises(InputError, match="are in another file; copy them into one file"):
        lc.open_patches(tmp_path / "x.h5")
    with pytest.raises(InputError, match="are in another file; copy them into one file"):
        lc.open_image(f"{tmp_path / 'x.h5'}:/x")


def test_a_virtual_dataset_of_its_own_file_is_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["part"] = np.ones((64, 64), np.uint8)
        layout = h5py.VirtualLayout((64, 64), "u1")
        layout[:] = h5py.VirtualSource(file["part"])
        file.create_virtual_dataset("x", layout)
    assert lc.open_image(f"{tmp_path / 'x.h5'}:/x").shape == (64, 64)


def test_an_ome_tiff_does_not_lead_into_other_folders(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in (tmp_path / "secret.tif", folder / "second.tif"):
        tifffile.imwrite(path, np.full((32, 32), 7, np.uint8))

    def pair(second: str) -> Path:
        planes = "".join(
            f'<TiffData IFD="0" FirstZ="{z}" FirstT="0" FirstC="0" PlaneCount="1">'
            f'<UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
            for z, name in enumerate(("a.ome.tif", second))
        )
        text = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            'UUID="urn:uuid:0"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
            'Type="uint8" SizeX="32" SizeY="32" SizeZ="2" SizeC="1" SizeT="1">'
            f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(
            folder / "a.ome.tif", np.zeros((32, 32), np.uint8), description=text, metadata=None
        )
        return folder / "a.ome.tif"

    assert lc.open_image(pair("second.tif")).shape == (2, 32, 32)
    for name in ("../secret.tif", str(tmp_path / "secret.tif")):
        with pytest.raises(InputError, match="in files of another folder; copy all files"):
            lc.open_image(pair(name))


def test_pages_of_a_tiff_that_never_end(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 32, 32), np.uint8), photometric="minisblack", metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        offsets = [page.offset for page in tif.pages]
    (count,) = struct.unpack_from("<H", data, offsets[2])
    for back in offsets:
        struct.pack_into("<I", data, offsets[2] + 2 + 12 * count, back)
        path.write_bytes(data)
        with pytest.raises(InputError, match="its pages lead back to an earlier one"):
            lc.open_image(path)


def test_endless_names_in_a_list(tmp_path):
    """Each part of a name was looked for: the square of their number."""
    for name in ("s3://b/" + "a/" * 200_000, "s3://b/.", "a" * 300, "s3://b/" + "a" * 300, "a\0b"):
        entry = {"source-ref": name, "t": 10**400, "t-metadata": {"class-name": "a"}}
        (tmp_path / "x.manifest").write_text(json.dumps(entry))
        with pytest.raises(InputError):
            lc.open_patches(tmp_path / "x.manifest")
    iio.imwrite(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    rows = [
        {"source-ref": "a.png", "t": code, "t-metadata": {"class-name": str(number)}}
        for number, code in enumerate((10**400, float("nan"), 1))
    ]
    (tmp_path / "x.manifest").write_text("\n".join(map(json.dumps, rows)))
    assert lc.open_patches(tmp_path / "x.manifest").parts[0].names == ("2", "0", "1")


def test_cells_are_text_and_not_formulas(tmp_path):
    (tmp_path / "p.csv").write_text("axis-0,axis-1,class,note\n1,2,septa,=cmd|' /C calc'!A0\n")
    points = lc.read_points(tmp_path / "p.csv")
    assert points.column("note")[0].startswith("=cmd")
    (tmp_path / "s.csv").write_text("image,plane,section,animal\n" + "x," * 5 + "\n")
    with pytest.raises(InputError):
        read_sections(tmp_path / "s.csv")


def test_a_bomb_of_gzip_is_unpacked_piece_by_piece(tmp_path):
    whole = io.BytesIO()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(200):
        whole.write(packer.compress(bytes(2**20)))
    whole.write(packer.flush())
    (tmp_path / "x.h5.gz").write_bytes(whole.getvalue())
    with pytest.raises(InputError):
        lc.open_patches(tmp_path / "x.h5.gz")
