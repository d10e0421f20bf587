"""How settings and paths are written, so that a shell and Python read them back."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import napari_lungcls as lc
from napari_lungcls.gui.recipes.lines import Variable, call, changed, command_line, file_name
from napari_lungcls.learning import run

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="lines for other shells")
DEFAULTS = lc.TrainingSettings().model_dump()
OTHERS: dict[str, Any] = {
    "zooms": (1, 4), "stages": (-1, 1, 2), "tile": 64, "engine": "mxnet", "device": "cpu",
    "pretrained": "my weights.pth", "rotation": "none", "split_by": "image", "final": "none",
    "freeze": "no", "pooling": "mean", "padding": "zeros", "precision": "fp32", "aim": "recall",
    "schedule": "cosine", "optimizer": "sgd",
}  # fmt: skip


def another(name: str) -> Any:
    """A value that is not the default, for every setting."""
    default = DEFAULTS[name]
    if name in OTHERS:
        return OTHERS[name]
    match default:
        case bool():
            return not default
        case int():
            return default + 1
        case float():
            return default / 2 if default else 0.125
    return 3


def taken(line: str, monkeypatch: Any, lab: Any) -> dict[str, Any]:
    """Settings that the command line takes from a line for the shell."""
    from napari_lungcls.cli.app import run as lungcls

    class Seen(Exception):
        pass

    found: list[Any] = []

    def record(_pairs: Any, settings: Any, *_: Any, **__: Any) -> None:
        found.append(settings)
        raise Seen

    monkeypatch.setattr(run, "run_training", record)
    with pytest.raises(Seen):
        lungcls([*shlex.split(line)[1:], "--debug"])
    settings: dict[str, Any] = found[0].model_dump()
    return settings


@POSIX
def test_every_setting_arrives_as_it_was_set(monkeypatch, tmp_path):
    import imageio.v3 as iio

    from cli.conftest import made_image, made_points

    iio.imwrite(tmp_path / "an image.png", made_image())
    lc.write_points(tmp_path / "its points.csv", made_points())
    given = {}
    for name in DEFAULTS:
        try:
            lc.TrainingSettings(**{**given, name: another(name)})
        except ValueError:
            continue
        given[name] = another(name)
    wanted = lc.TrainingSettings(**given).model_dump()
    different = changed(wanted, DEFAULTS)
    assert len(different) > 0.9 * len(DEFAULTS)
    line = command_line(
        "train",
        tmp_path / "an image.png",
        points=[tmp_path / "its points.csv"],
        out=tmp_path / "m.safetensors",
        **different,
    )
    assert taken(line, monkeypatch, None) == wanted
    scope: dict[str, Any] = {"lc": lc}
    assert eval(call("lc.TrainingSettings", **different), scope).model_dump() == wanted


@POSIX
@pytest.mark.parametrize("name", ["a b", "it's", "$HOME", "a;rm -rf b", "ä*?", 'say "x"', "-x"])
def test_a_shell_reads_a_path_as_one_word(name):
    line = command_line("measure", Path("/data") / name, out="m")
    assert shlex.split(line) == ["lungcls", "measure", f"/data/{name}", "--out", "m"]


def test_lines_are_short_and_say_only_what_differs():
    assert command_line("paint", "m", "i", stride=None, probabilities=True) == (
        "lungcls paint m i --probabilities"
    )
    assert changed({"a": 1, "b": 2}, {"a": 1, "b": 3}) == {"b": 2}
    assert call("f", Variable("x"), a=None, b=(1,), c=[Path("p")], d=slice(1, 2)) == (
        "f(x, b=(1,), c=['p'], d=slice(1, 2))"
    )
    assert call("f", rate=0.1 + 0.2) == "f(rate=0.3)"
    long = call("f", a="x" * 60, b="y" * 60)
    assert long.splitlines() == ["f(", f"    a='{'x' * 60}',", f"    b='{'y' * 60}',", ")"]
    assert file_name("lung 16:43", ".safetensors") == "lung 16-43.safetensors"
    assert file_name("..", ".csv") == "unnamed.csv"


def test_lines_for_windows_are_quoted_as_it_reads_them(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    line = command_line("paint", r"C:\my models\a.safetensors", "b.tif", out="b map.ome.zarr")
    assert line == r'lungcls paint "C:\my models\a.safetensors" b.tif --out "b map.ome.zarr"'
