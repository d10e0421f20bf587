"""The command line in this process, and small made things to run it on."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from napari_lungcls import demo
from napari_lungcls.annotation import Points, write_points
from napari_lungcls.cli.app import run
from napari_lungcls.errors import LungclsWarning
from napari_lungcls.learning.settings import TrainingSettings

CLASSES = ("alveoli", "septa", "duct")
COLOURS = np.array([[230, 230, 235], [180, 60, 140], [120, 160, 230]])
FAST = (
    "--zooms", "1", "--tile", "32", "--stages", "layer1,layer2", "--hidden", "0",
    "--batch-size", "4", "--pretrained", "none", "--epochs", "1",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line about bad input."""
        assert (self.code, self.out) == (2, ""), (self.code, self.out, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("lungcls: ")
        return lines[0].removeprefix("lungcls: ")


def lungcls(*words: object) -> Outcome:
    """Run the command line here; warnings of ours are printed, all others are errors."""
    out, err, hook = io.StringIO(), io.StringIO(), sys.excepthook
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("error")
        warnings.simplefilter("always", LungclsWarning)
        try:
            run([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        finally:
            sys.excepthook = hook
    assert isinstance(code, int)
    return Outcome(code, out.getvalue(), err.getvalue())


def listed(folder: Path) -> dict[str, int]:
    """Everything below a folder, hidden things included, with the sizes of files."""
    return {
        str(path.relative_to(folder)): path.stat().st_size if path.is_file() else -1
        for path in sorted(folder.rglob("*"))
    }


def made_truth(shape: tuple[int, int]) -> NDArray[np.int64]:
    """Squares of 25 pixels in three classes."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (y // 25 + x // 25) % 3


def made_image(shape: tuple[int, int] = (200, 200), seed: int = 0) -> NDArray[np.uint8]:
    """Those squares in three colours, with noise."""
    noise = np.random.default_rng(seed).normal(0, 8, (*shape, 3))
    return np.clip(COLOURS[made_truth(shape)] + noise, 0, 255).astype(np.uint8)


def made_points(n: int = 60, seed: int = 0, **columns: Any) -> Points:
    """Labelled points on such an image of 200 × 200."""
    where = np.random.default_rng(seed).integers(5, 195, (n, 2))
    labels = np.array(CLASSES, object)[made_truth((200, 200))[tuple(where.T)]]
    return Points.build(where.astype(float), labels, **columns)


@dataclass(frozen=True)
class Lab:
    """Files for the commands to work on, made once; nobody may change them."""

    folder: Path
    image: Path
    points: Path
    model: Path
    trained: Outcome
    fast: tuple[str, ...] = FAST

    @property
    def other(self) -> Path:
        """Another image of the same kind."""
        return self.folder / "other.png"

    @property
    def both(self) -> Path:
        """Points on both images, named in the column `image`."""
        return self.folder / "both.csv"


class Bench:
    """Builds commands of which one thing is wrong."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def train(
        self, *more: object, image: Any = None, points: Any = None, out: Any = None
    ) -> list[object]:
        """Train with something else in place of what is right."""
        return [
            "train", image or self.lab.image, "--points", points or self.lab.points,
            "--out", out or self.folder / "m.safetensors", *self.lab.fast, *more,
        ]  # fmt: skip

    def tune(self, *more: object, out: Any = None) -> list[object]:
        """Search with something else in place of what is right."""
        return [
            "tune", self.lab.image, "--points", self.lab.points,
            "--out", out or self.folder / "tuned", *self.lab.fast, *more,
        ]  # fmt: skip

    def rows(self, text: str) -> list[object]:
        """Train on a table."""
        return self.train(points=self.file("p.csv", text))

    def paint(
        self, *more: object, model: Any = None, image: Any = None, out: Any = None
    ) -> list[object]:
        """Paint with something else in place of what is right."""
        return [
            "paint", model or self.lab.model, image or self.lab.image,
            "--out", out or self.folder / "map.ome.zarr", *more,
        ]  # fmt: skip

    def newer_model(self) -> Path:
        """Write a model of a format that is yet to be invented."""
        with safe_open(self.lab.model, framework="numpy") as stored:
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            (key,) = stored.metadata()
            document = json.loads(stored.metadata()[key])
        path = self.folder / "newer.safetensors"
        save_file(arrays, path, metadata={key: json.dumps(document | {"format_version": 99})})
        return path

    def folder_named(self, name: str) -> Path:
        """Make a folder."""
        (self.folder / name).mkdir()
        return self.folder / name

    def picture(self, name: str, shape: tuple[int, ...], dtype: str = "uint8") -> Path:
        """Write a black image."""
        iio.imwrite(self.folder / name, np.zeros(shape, dtype))
        return self.folder / name

    def complaint(self, *words: object) -> str:
        """Run a command that must fail with one line and leave nothing behind."""
        before = listed(self.folder)
        found = lungcls(*words).complaint
        assert listed(self.folder) == before
        return found


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Spare busy machines: on images as small as these, threads only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Make two images with points, and train a small model on the first."""
    folder = tmp_path_factory.mktemp("lab")
    image, points, model = (folder / name for name in ("a.png", "a.csv", "model.safetensors"))
    iio.imwrite(image, made_image())
    iio.imwrite(folder / "other.png", made_image(seed=1))
    write_points(points, made_points())
    write_points(folder / "other.csv", made_points(seed=1))
    names = np.array(["a.png"] * 40 + ["other.png"] * 20, object)
    write_points(folder / "both.csv", made_points(image=names))
    trained = lungcls(
        "train", image, "--points", points, *FAST, "--epochs", "4",
        "--out", model, "--json",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    made = listed(folder)
    yield Lab(folder, image, points, model, trained)
    assert listed(folder) == made, "a test changed or left something in the common folder"


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., Outcome]:
    """Give the function that runs a command."""
    return lungcls


@pytest.fixture(scope="session")
def listing() -> Callable[[Path], dict[str, int]]:
    """Give the function that lists everything in a folder."""
    return listed


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    """Give a place where commands can go wrong."""
    return Bench(lab, tmp_path)


@pytest.fixture(scope="session")
def small_plan() -> demo.Plan:
    """Give a demonstration of a few seconds."""
    settings = TrainingSettings(
        zooms=(1,), tile=32, stages=(0, 1), batch_size=8, epochs=3, seed=1, pretrained="none"
    )
    return demo.Plan(settings=settings, studied=(320, 320), unseen=(96, 128), points=120)


@pytest.fixture(scope="session")
def small_demo(
    small_plan: demo.Plan, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    """Run it once; give its folder, and the command's answer."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "run_demo", functools.partial(demo.run_demo, plan=small_plan))
        return folder, lungcls("demo", "--out", folder, "--json")
