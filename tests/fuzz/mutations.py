"""How whole files are damaged: anywhere, and where their structure says that it hurts."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
from copy import deepcopy
from random import Random
from typing import Any

import h5py
import numpy as np

WORDS = (
    b"<", b">", b"&", b"&amp;", b"&#0;", b"<!DOCTYPE a [", b"<!ENTITY b 'c'>", b"&b;", b"<![CDATA[",
    b"<?xml version='1.0' encoding='utf-16'?>", b"-1", b"0", b"1e999", b"nan", b"NaN", b"9" * 400,
    b"null", b"true", b'"', b"'", b"[", b"]", b"{", b"}", b"[[[[[[[[", b",", b":", b"\x00", b"\xff",
    b"\xff\xfe", b"\xef\xbb\xbf", b"&a ", b"*a", b"<<: ", b"!!python/object:os.system ",
    b"!!int ''", b"? ", b"- ", b"\xed\xa0\x80", b"\\ud800", b"None", b"Iout", b"\x7f\xff\xff\xff",
    b'"plane": {"z": 1}', b'"type": "MultiPoint"', b"2024-13-45", b"0x", b"1_0", b"1:60:60",
    b";", b"\t", b"\r", b"\r\n", b'""', b"axis-0", b"axis-9", b"1,5", b"1.000.000", b"\xc2\xa0",
    b"sep=;\n", b"../../../../etc/passwd", b"/etc/passwd", b"file:///etc/passwd", b"s3://a/b",
    b"\x00\x00\x00\x00\x00\x00\x00\x80", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"--x\r\n",
)  # fmt: skip

ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 255, 256, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", " ", "x" * 3000, "\0", "\ud800", "é", "1", "nan", "lung", [],
    {}, [[]], {"": None}, [1, "a", None], {"name": 1}, "../../etc/passwd", "/etc/passwd", "a.png",
    "s3://bucket/../../etc/passwd", "#ff0000", "=1+1", "<b>", "zoom1",
)  # fmt: skip

SHAPES = (
    (), (0,), (1,), (3,), (2**31,), (2**40, 8, 8, 3), (3, 2**30, 2**30, 3), (3, 8, 8, 3, 1),
    (3, 8, 8), (3, 0, 0, 3), (3, 8, 8, 7), (-1, 8, 8, 3), (2**62, 2, 2, 2),
)  # fmt: skip
DTYPES = (
    "|u1", "<f4", "<f8", "<f2", ">u2", "|b1", "<i8", "|O", "|S9", "<U9", "<U1000000000", "<c16",
    "<M8[ns]", "|V8", "<u1", "zz",
)  # fmt: skip


def mutated(data: bytes, random: Random) -> bytes:
    """Damage a file in one to four places: bits, bytes, words, lost and doubled parts."""
    found = bytearray(data)
    for _ in range(random.randint(1, 4)):
        # More often near the beginning, where formats have their headers.
        size = min(len(found), 400) if random.random() < 0.5 else len(found)
        at = random.randint(0, size)
        stop = min(len(found), at + random.choice((0, 1, 4, 16, 64)))
        match random.randint(0, 5):
            case 0 if found:
                found[at % len(found)] ^= 1 << random.randint(0, 7)
            case 1:
                found[at:stop] = random.choice(WORDS)
            case 2:
                del found[at:stop]
            case 3:
                found[at:at] = found[at:stop] * random.choice((1, 2, 40))
            case 4 if found:
                found[at % len(found)] = random.randint(0, 255)
            case _:
                other = random.randint(0, len(found))
                found[other:other] = found[at:stop]
    return bytes(found)


def odd_tree(tree: Any, random: Random) -> Any:
    """Change one to three places of a tree of lists and mappings, and keep the rest.

    What is put in is a copy: a tree that holds a part twice may come to hold itself.
    """
    tree = deepcopy(tree)
    for _ in range(random.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            return random.choice(ODD)
        holder, key = random.choice(places)
        match random.randint(0, 5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[str(random.choice(ODD))[:40]] = deepcopy(holder[key])
            case 1:
                holder.insert(key, deepcopy(holder[key]))
            case 2:
                holder[key] = [holder[key]]
            case 3:
                other, name = random.choice(places)
                with contextlib.suppress(LookupError):
                    holder[key] = deepcopy(other[name])
            case 4:
                holder[key] = json.loads("[" * 40 + "]" * 40)
            case _:
                holder[key] = deepcopy(random.choice(ODD))
    return tree


def _places(tree: Any) -> Any:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield tree, key
            yield from _places(value)
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            yield tree, place
            yield from _places(value)


def json_file(data: bytes, random: Random) -> bytes:
    """Damage JSON, or JSON lines, as text or as the tree that it is."""
    if random.random() < 0.4:
        return mutated(data, random)
    lines = data.decode("utf-8").splitlines() if b"}\n{" in data else [data.decode("utf-8")]
    place = random.randrange(len(lines))
    lines[place] = json.dumps(odd_tree(json.loads(lines[place]), random))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def model_file(data: bytes, random: Random) -> bytes:
    """Damage a `.safetensors` file: its header, the document in that, or any byte."""
    if random.random() < 0.3:
        return mutated(data, random)
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    if random.random() < 0.6:
        (key,) = header["__metadata__"]
        document = odd_tree(json.loads(header["__metadata__"][key]), random)
        header["__metadata__"][key] = json.dumps(document)
    else:
        header = odd_tree(header, random)
        if isinstance(header, dict) and random.random() < 0.5:
            name = random.choice(list(header) or ["a"])
            header[name] = {
                "dtype": random.choice(("F32", "F64", "I64", "BOOL", "F8", "")),
                "shape": random.choice(SHAPES),
                "data_offsets": [random.choice((0, 4, 2**63)), random.choice((0, 4, 2**40))],
            }
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    told = len(text) if random.random() < 0.9 else random.choice((0, 1, 2**31, 2**63, 10**8))
    return struct.pack("<Q", told) + text + data[8 + size :]


def npz_file(data: bytes, random: Random) -> bytes:
    """Damage an `.npz` archive: its members' headers, names and packing, or any byte."""
    if random.random() < 0.4:
        return mutated(data, random)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    place = random.randrange(len(members))
    name, content = members[place]
    match random.randint(0, 5):
        case 0:
            content = mutated(content, random)
        case 1 | 2:
            content = _npy(random) + content[128:]
        case 3:
            name = random.choice(
                (
                    "../x.npy",
                    "/x.npy",
                    "x.npy",
                    "y.npy",
                    "x_train.npy",
                    "X.npy",
                    ".npy",
                    "x",
                    "é.npy",
                )
            )
        case 4:
            content = content[:128] + bytes(random.choice((10, 10**5, 4 * 10**6)))
        case _:
            members.append((name, content))
    members[place] = (name, content)
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", packing) as archive:
        for name, content in members:
            if name not in archive.NameToInfo or random.random() < 0.5:
                archive.NameToInfo.pop(name, None)
                archive.writestr(name, content)
    return whole.getvalue()


def _npy(random: Random) -> bytes:
    """Give a header of an array that may be absurd."""
    fields = {
        "descr": random.choice(DTYPES),
        "fortran_order": random.choice((False, False, True, 1)),
        "shape": random.choice(SHAPES),
    }
    if random.random() < 0.1:
        fields[random.choice(list(fields))] = random.choice(ODD)
    text = repr(fields).encode("utf-8", "replace")
    version = random.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\x09\0"))
    length = struct.pack("<H" if version == b"\1\0" else "<I", max(118, len(text) + 1) % 65536)
    return b"\x93NUMPY" + version + length + text.ljust(117) + b"\n"


def hdf5_file(data: bytes, random: Random) -> bytes:
    """Damage an HDF5 file, or write one whose datasets are strange."""
    if random.random() < 0.7:
        found = bytearray(mutated(data, random))
        for _ in range(random.randint(0, 3)):
            at = 8 * random.randint(0, max(0, len(found) // 8 - 1))
            number = random.choice((0, 1, 2**16, 2**32 - 1, 2**40, 2**63, 2**64 - 1, len(found)))
            found[at : at + 8] = struct.pack("<Q", number)
        return bytes(found)
    whole = io.BytesIO()
    with h5py.File(whole, "w") as file:
        for name in random.sample(("x", "y", "images", "labels", "group", "X"), 3):
            with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):
                _dataset(file, name, random)
    return whole.getvalue()


def _dataset(file: Any, name: str, random: Random) -> None:
    shape = random.choice((*SHAPES, (3, 8, 8, 3), (3, 8, 8, 3), (3,), (3, 1, 1, 1)))
    kinds: tuple[Any, ...] = (
        "u1", "f4", "f2", "i8", "S5", h5py.string_dtype(), h5py.ref_dtype, h5py.vlen_dtype("u1"),
        [("a", "u1"), ("b", "f8")], h5py.enum_dtype({"A": 1}, basetype="u1"), "c8", bool,
    )  # fmt: skip
    match random.randint(0, 7):
        case 0:
            file[name] = h5py.ExternalLink(random.choice(("/etc/passwd", "patches.h5", "")), "/x")
        case 1:
            file[name] = h5py.SoftLink(random.choice((f"/{name}", "/nothing", "/", "/y")))
        case 2:
            file.create_dataset(name, (3,), "u1", external=[("/etc/passwd", 0, 3)])
        case 3:
            file[name] = h5py.Empty("u1")
        case 4:
            layout = h5py.VirtualLayout((3, 8, 8, 3), "u1")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 8, 8, 3))
            file.create_virtual_dataset(name, layout)
        case 5:
            made = file.create_dataset(name, (3,), "u1")
            made.attrs["classes"] = random.choice((b"a", ["a"], [1.5], np.zeros((2, 2)), "é"))
        case _:
            # Of a size that is only announced nothing is stored.
            chunks = random.choice((None, True)) if shape and min(shape) > 0 else None
            packing = random.choice((None, "gzip", "lzf")) if chunks else None
            if int(np.prod(shape, dtype=float)) > 10**6:
                chunks = tuple(min(n, 8) for n in shape)
            file.create_dataset(
                name, shape, random.choice(kinds), chunks=chunks, compression=packing
            )
