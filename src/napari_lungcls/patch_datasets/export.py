"""Cutting patches around labelled points and writing them in any of the formats, streamed."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.utils import gen_batches

from napari_lungcls.annotation.columns import GROUP_COLUMN
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.pairs import AnyPoints, Pair, as_pairs
from napari_lungcls.images.pyramid import BlockCache, read_windows
from napari_lungcls.images.stack import stack_dtype
from napari_lungcls.learning.audit_points import without_audit
from napari_lungcls.learning.point_index import check_pairs
from napari_lungcls.patch_datasets.dataset import scheme_of
from napari_lungcls.patch_datasets.manifests import (
    GROUP,
    LIST_SUFFIX,
    MANIFEST_SUFFIXES,
    METADATA,
    NAMES_SUFFIX,
    SOURCE,
)
from napari_lungcls.patch_datasets.settings import LARGEST, SMALLEST
from napari_lungcls.utils.atomic_write import atomic_write, check_writable, writing
from napari_lungcls.utils.printable import printable
from napari_lungcls.utils.progress import Step, exhaust

Format = Literal["hdf5", "npz", "folder", "manifest", "lst"]
BATCH = 128
"""Patches that are held at once."""
CHUNK = 32
"""Patches that an HDF5 file stores together."""
CLASS = "class"
"""The attribute of a manifest that holds the class."""


class Exported(NamedTuple):
    """What an export wrote.

    Attributes
    ----------
    paths
        Files, or the folder.
    n
        Patches.
    scheme
        The classes.
    """

    paths: list[Path]
    n: int
    scheme: ClassScheme


def export_patches(
    image: Any,
    points: AnyPoints | None,
    out: str | os.PathLike[str],
    *,
    kind: Format = "hdf5",
    size: int = 96,
    compress: bool = False,
    classes: str | Path | ClassScheme | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Exported:
    """Write a patch around every point; see `exporting` for the other parameters and errors.

    Parameters
    ----------
    image, points
        An image and its points, or a list of such pairs as `image` and None.
    progress
        Called after every batch.

    Examples
    --------
    >>> found = lc.export_patches(
    ...     "section.ome.tif", "section.csv", "patches.npz", kind="npz", size=32
    ... )
    >>> found.n, [path.name for path in found.paths]
    (60, ['patches.npz'])
    """
    run = exporting(as_pairs(image, points), classes, out, kind=kind, size=size, compress=compress)
    return exhaust(run, progress)


def exporting(
    pairs: Sequence[Pair],
    classes: str | Path | ClassScheme | None,
    out: str | os.PathLike[str],
    *,
    kind: Format = "hdf5",
    size: int = 96,
    compress: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[Step, None, Exported]:
    """Write a patch of `size` × `size` pixels around every point.

    Beyond an image's edge its reflection is seen.

    Parameters
    ----------
    pairs
        Images with their points.
    classes
        A preset's name, a scheme file, or a scheme; made of the labels if None. What is written
        as a label is the place in the scheme.
    out
        The file or folder to make. For HDF5 a name that ends in `_x.h5` makes two files, as
        PatchCamelyon ships them.
    kind
        The format.
    size
        Edge of the patches, in pixels of the images.
    compress
        Gzip HDF5 files (`.gz` is added to their names), deflate `.npz`.
    cancelled
        Asked before every batch; nothing is left then.

    Yields
    ------
    Step

    Raises
    ------
    InputError
        When points, images and format do not go together, or the output cannot be written.
    """
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"patches have {SMALLEST} to {LARGEST} pixels, not {size}", setting="size")
    if kind not in WRITERS:
        raise InputError(f"choose from {', '.join(WRITERS)}, not {kind}", setting="kind")
    pairs = without_audit(pairs, use_audit=None)
    if classes is None:
        scheme = scheme_of(name for _, p in pairs if p.labels is not None for name in p.labels)
    else:
        scheme = ClassScheme.parse(classes)
    codes = check_pairs(pairs, scheme)
    content = PatchContent(
        codes, scheme.names, size, stack_dtype(pairs[0][0].dtype), _groups(pairs), compress
    )
    with writing(out):
        paths = yield from WRITERS[kind](Path(out), content, _patches(pairs, size, cancelled))
    return Exported(paths, len(codes), scheme)


def _patches(
    pairs: Sequence[Pair], size: int, cancelled: Callable[[], bool]
) -> Iterator[NDArray[Any]]:
    """Read patches in the order of the points."""
    for stack, points in pairs:
        cache = BlockCache()
        for rows in gen_batches(len(points), BATCH):
            if cancelled():
                raise InputError("the export was cancelled; nothing is left")
            where = points.coordinates[rows]
            windows, _ = read_windows(stack, where, (1.0,), size, cache=cache)
            yield windows[:, 0]


def _groups(pairs: Sequence[Pair]) -> tuple[str, ...] | None:
    """Name the group of each point; one without belongs to its image's."""
    if not any(GROUP_COLUMN in p.table and (p.table[GROUP_COLUMN] != "").any() for _, p in pairs):
        return None
    return tuple(
        str(name) or stack.name
        for stack, points in pairs
        for name in points.table.get(GROUP_COLUMN, [""] * len(points))
    )


@dataclass(frozen=True)
class PatchContent:
    """What is written.

    Attributes
    ----------
    codes
        `(n,)` classes.
    names
        Of the classes.
    size
        Edge of the patches.
    dtype
        Of the intensities.
    groups
        `(n,)` names of what belongs together, or None.
    compress
        Whether to make the files small.
    """

    codes: NDArray[np.int64]
    names: tuple[str, ...]
    size: int
    dtype: np.dtype[Any]
    groups: tuple[str, ...] | None
    compress: bool

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of all patches together."""
        return (len(self.codes), self.size, self.size, 3)


Batches = Iterator[NDArray[Any]]
Writer = Callable[[Path, PatchContent, Batches], Generator[Step, None, list[Path]]]


def write_hdf5(
    out: Path, content: PatchContent, patches: Batches
) -> Generator[Step, None, list[Path]]:
    """Write `x` and `y`, `(n, 1, 1, 1)`, to one file, or to two where `out` ends in `_x`."""
    bare = out.with_suffix("") if out.suffix.lower() == ".gz" else out
    packed = content.compress or bare != out
    if bare.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(f"{out}: an HDF5 file ends in .h5, or .h5.gz; name it so")
    stem = bare.stem
    apart = stem.endswith("_x")
    with tempfile.TemporaryDirectory(dir=_parent(out), prefix=".lungcls-") as folder:
        x_path = Path(folder) / bare.name
        y_path = x_path.with_name(f"{stem[:-2]}_y{bare.suffix}") if apart else x_path
        with h5py.File(x_path, "w") as file:
            x = file.create_dataset(
                "x", content.shape, content.dtype, chunks=(min(CHUNK, len(content.codes)),
                *content.shape[1:]),
            )  # fmt: skip
            done = 0
            for batch in patches:
                x[done : done + len(batch)] = batch
                done += len(batch)
                yield Step(done, len(content.codes), "writing patches")
        with h5py.File(y_path, "w" if apart else "a") as file:
            y = file.create_dataset("y", data=content.codes.reshape(-1, 1, 1, 1).astype(np.uint8))
            y.attrs["classes"] = list(content.names)
            if content.groups is not None:
                file["group"] = list(content.groups)
        made = []
        for path in dict.fromkeys((x_path, y_path)):
            target = out.with_name(path.name + ".gz" * packed)
            yield Step(done, done, f"writing {target.name}")
            _place(path, target, packed=packed)
            made.append(target)
    return made


def write_npz(
    out: Path, content: PatchContent, patches: Batches
) -> Generator[Step, None, list[Path]]:
    """Write `x`, `y`, `classes` and perhaps `group`, as `numpy.savez` would."""
    if out.suffix.lower() != ".npz":
        raise InputError(f"{out}: an archive of numpy ends in .npz; name it so")
    how = zipfile.ZIP_DEFLATED if content.compress else zipfile.ZIP_STORED
    small = {"y": content.codes.astype(np.uint8), "classes": np.array(content.names)}
    if content.groups is not None:
        small["group"] = np.array(content.groups)
    with atomic_write(out) as aside, zipfile.ZipFile(aside, "w", how) as archive:
        with _member(archive, "x") as stream:
            header = {
                "descr": np.lib.format.dtype_to_descr(content.dtype),
                "fortran_order": False,
                "shape": content.shape,
            }
            np.lib.format.write_array_header_1_0(stream, header)
            done = 0
            for batch in patches:
                stream.write(np.ascontiguousarray(batch).tobytes())
                done += len(batch)
                yield Step(done, len(content.codes), "writing patches")
        for name, array in small.items():
            with _member(archive, name) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
    return [out]


def write_folder(
    out: Path, content: PatchContent, patches: Batches
) -> Generator[Step, None, list[Path]]:
    """Write a folder per class with PNG files."""
    yield from _pictures(out, content, patches)
    return [out]


def write_manifest(
    out: Path, content: PatchContent, patches: Batches
) -> Generator[Step, None, list[Path]]:
    """Write PNG files into the folder of the manifest's name, and the manifest beside it."""
    if out.suffix.lower() not in MANIFEST_SUFFIXES:
        raise InputError(f"{out}: a manifest ends in {MANIFEST_SUFFIXES[0]}; name it so")
    folder = _listed_folder(out)
    files = yield from _pictures(folder, content, patches)
    with atomic_write(out) as aside, aside.open("w", encoding="utf-8", newline="\n") as stream:
        for row, file in enumerate(files):
            code = int(content.codes[row])
            metadata = {
                "class-name": content.names[code],
                "type": "groundtruth/image-classification",
                "human-annotated": "yes",
            }
            line: dict[str, Any] = {SOURCE: f"{folder.name}/{file}", CLASS: code}
            line[CLASS + METADATA] = metadata
            if content.groups is not None:
                line[GROUP] = content.groups[row]
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return [out, folder]


def write_list(
    out: Path, content: PatchContent, patches: Batches
) -> Generator[Step, None, list[Path]]:
    """Write PNG files, the list of them, and the names of the classes."""
    if out.suffix.lower() != LIST_SUFFIX:
        raise InputError(f"{out}: a list ends in {LIST_SUFFIX}; name it so")
    folder = _listed_folder(out)
    files = yield from _pictures(folder, content, patches)
    names = out.with_name(out.stem + NAMES_SUFFIX)
    with atomic_write(names) as aside:
        aside.write_text("".join(f"{name}\n" for name in content.names), encoding="utf-8")
    with atomic_write(out) as aside, aside.open("w", encoding="utf-8", newline="\n") as stream:
        for row, file in enumerate(files):
            stream.write(f"{row}\t{content.codes[row]}\t{folder.name}/{file}\n")
    return [out, names, folder]


WRITERS: dict[str, Writer] = {
    "hdf5": write_hdf5,
    "npz": write_npz,
    "folder": write_folder,
    "manifest": write_manifest,
    "lst": write_list,
}


def _listed_folder(out: Path) -> Path:
    """Give the folder of the pictures that a list names, for whoever reads the list as UTF-8."""
    if printable(out.name) != out.name:
        raise InputError(
            f"{out}: a list names its pictures in UTF-8, and this name is none; choose another"
        )
    return out.with_suffix("")


def _pictures(
    out: Path, content: PatchContent, patches: Batches
) -> Generator[Step, None, list[PurePosixPath]]:
    """Write a folder per class aside, then move it to its place."""
    if content.dtype != np.uint8:
        raise InputError(
            f"pictures hold 8 bits, and the images {content.dtype}; use hdf5 or npz", setting="kind"
        )
    for name in content.names:
        if name != PurePosixPath(name).name or name.startswith(".") or set(name) & set('\\:*?"<>|'):
            raise InputError(
                f"class {name!r} cannot be the name of a folder",
                suggestion=("rename it, or", {"kind": "hdf5"}),
            )
        try:
            os.fsencode(name)
        except UnicodeEncodeError as error:
            raise InputError(
                f"class {name!r} cannot be the name of a folder in this locale ({error.encoding})",
                suggestion=("set one with UTF-8, or", {"kind": "hdf5"}),
            ) from error
    if out.exists():
        raise InputError(f"{out} exists already; choose another name")
    files: list[PurePosixPath] = []
    digits = len(str(len(content.codes)))
    with tempfile.TemporaryDirectory(dir=_parent(out), prefix=".lungcls-") as aside:
        inside = Path(aside) / out.name
        for name in content.names:
            (inside / name).mkdir(parents=True)
        for batch in patches:
            for patch in batch:
                row = len(files)
                file = PurePosixPath(content.names[content.codes[row]], f"{row:0{digits}}.png")
                Image.fromarray(patch).save(inside / file)
                files.append(file)
            yield Step(len(files), len(content.codes), "writing patches")
        inside.rename(out)
    return files


def _parent(out: Path) -> Path:
    return check_writable(out).absolute().parent


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    """Open a member without a time of writing, so that the same patches make the same file."""
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = archive.compression
    with archive.open(info, "w", force_zip64=True) as stream:
        yield stream


def _place(path: Path, target: Path, *, packed: bool) -> None:
    """Move a file to its place, packed where that is asked for."""
    with atomic_write(target) as aside:
        if not packed:
            path.replace(aside)
            return
        with (
            path.open("rb") as whole,
            aside.open("wb") as stream,
            gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as small,
        ):
            shutil.copyfileobj(whole, small, 4 * 2**20)
