"""Reading arrays from weight files that others made: untrusted, and never unpickled freely."""

from __future__ import annotations

import hashlib
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from napari_lungcls.errors import InputError

SUFFIXES = (".safetensors", ".pth", ".pt")

Shape = tuple[int | None, ...]
"""Shape of an array that is expected; None stands for any positive length."""

_PREFIXES = ("module.", "model.", "backbone.", "backbone.")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_FLOATS = {"F16", "F32", "F64", "float16", "bfloat16", "float32", "float64"}
_MAX_BYTES = 2 * 1024**3
# What torch.load(weights_only=True) was seen to raise on 6000 damaged files.
_DAMAGED = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


class WeightFile(NamedTuple):
    """What a file held: the arrays that were asked for, and the names of all others."""

    arrays: dict[str, NDArray[np.float32]]
    others: tuple[str, ...]
    sha256: str


class _Entry(NamedTuple):
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], NDArray[Any]]


def read_weights(path: Path, shapes: Mapping[str, Shape]) -> WeightFile:
    """Read the arrays of `shapes` that a file holds.

    Parameters
    ----------
    path
        A `.safetensors` file, or a PyTorch file (`.pth`, `.pt`) that holds a dict of
        tensors, or such a dict under `state_dict`. A prefix such as `module.` that all
        names share is taken off.
    shapes
        Names that are wanted, with the shapes they must have.

    Raises
    ------
    InputError
        When the file is missing, of another kind or damaged, or when a wanted array has
        another shape, is not made of floating-point numbers, or holds NaN or infinity.
    """
    _check_file(path)
    with _entries(path) as entries:
        entries = _without_prefix(entries)
        arrays = {
            name: _checked(path, name, entries[name], shape)
            for name, shape in shapes.items()
            if name in entries
        }
        others = tuple(name for name in entries if name not in arrays)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return WeightFile(arrays, others, digest)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file with ResNet-18 weights")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; give a {', '.join(SUFFIXES)} file, or 'imagenet'"
        ) from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: weights are read from {', '.join(SUFFIXES)} files only")


@contextmanager
def _entries(path: Path) -> Iterator[dict[str, _Entry]]:
    """Open a file and describe its arrays; they can be loaded while the block lasts."""
    if path.suffix.lower() != ".safetensors":
        yield _torch_entries(path)
        return
    try:
        with safe_open(path, framework="numpy") as stream:
            yield {name: _safetensors_entry(stream, name) for name in sorted(stream.keys())}
    except SafetensorError as error:
        raise InputError(
            f"{path} is not a whole safetensors file ({error}); fetch it again, and if it is "
            "a PyTorch file, name it .pth"
        ) from error


def _safetensors_entry(stream: Any, name: str) -> _Entry:
    view = stream.get_slice(name)
    return _Entry(tuple(view.get_shape()), view.get_dtype(), lambda: stream.get_tensor(name))


def _torch_entries(path: Path) -> dict[str, _Entry]:
    import torch

    def entry(tensor: torch.Tensor) -> _Entry:
        dtype = str(tensor.dtype).removeprefix("torch.")
        whole = (
            tensor.layout == torch.strided
            and tensor.device.type == "cpu"
            # A tensor may claim more elements than it stores; that could fill the memory.
            and tensor.untyped_storage().nbytes() >= tensor.nelement() * tensor.element_size()
        )
        return _Entry(
            tuple(tensor.shape),
            dtype if whole else f"{tensor.layout} on {tensor.device.type}",
            lambda: tensor.detach().to(torch.float32).numpy(),
        )

    try:
        _refuse_bomb(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except _DAMAGED as error:
        raise InputError(
            f"{path} cannot be read as a PyTorch file of weights alone ({type(error).__name__}): "
            "it is damaged or holds other objects; save the state_dict by itself"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds a {type(content).__name__}, no dict of tensors; save the state_dict"
        )
    return {
        str(name): entry(value)
        for name, value in content.items()
        if isinstance(value, torch.Tensor)
    }


def _refuse_bomb(path: Path) -> None:
    """Raise ValueError when a small zip archive announces that it unpacks to gigabytes."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            announced = sum(member.file_size for member in archive.infolist())
        if announced > max(_MAX_BYTES, path.stat().st_size):
            raise ValueError(f"it unpacks to {announced} bytes")


def _without_prefix(entries: dict[str, _Entry]) -> dict[str, _Entry]:
    """Take off what wrappers such as DataParallel put before every name, outermost first."""
    while entries:
        prefix = next(iter(entries)).partition(".")[0] + "."
        if prefix not in _PREFIXES or not all(name.startswith(prefix) for name in entries):
            break
        entries = {name.removeprefix(prefix): entry for name, entry in entries.items()}
    return entries


def _checked(path: Path, name: str, entry: _Entry, shape: Shape) -> NDArray[np.float32]:
    expected = "x".join("any" if length is None else str(length) for length in shape)
    found = "x".join(map(str, entry.shape)) or "a single number"
    fits = len(entry.shape) == len(shape) and all(
        length == wanted or (wanted is None and length > 0)
        for length, wanted in zip(entry.shape, shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"{path}: {name} has the shape {found}, a ResNet-18 has {expected}; "
            "give weights of a ResNet-18"
        )
    if entry.dtype not in _FLOATS:
        raise InputError(
            f"{path}: {name} is stored as {entry.dtype}; convert it to 32-bit floating point"
        )
    with np.errstate(over="ignore"):
        array = np.array(entry.load(), dtype=np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {name} holds NaN or infinity; use another file")
    return array
