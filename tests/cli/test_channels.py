"""`--channels`: images of five channels do what the same three do as RGB."""

from __future__ import annotations

import re
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr

CHOICE = ("--channels", "4,red,0")


@pytest.fixture(scope="module")
def stained(lab, tmp_path_factory):
    """The image of the lab as OME-TIFF with red, green and blue as channels 4, 1 and 0."""
    path = tmp_path_factory.mktemp("stained") / "stained.ome.tif"
    red, green, blue = np.moveaxis(iio.imread(lab.image), -1, 0)
    noise = np.random.default_rng(5).integers(0, 255, (2, *red.shape), np.uint8)
    # The name says nothing about the colour that is made of it.
    names = {"Name": ["a", "red", "b", "c", "d"]}
    tifffile.imwrite(
        path,
        np.stack([blue, green, *noise, red]),
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": names},
    )
    return path


def without_times(result: Any) -> Any:
    """Leave out what differs from run to run."""
    if isinstance(result, list):
        return [without_times(each) for each in result]
    if isinstance(result, dict):
        left_out = ("seconds", "model", "out", "created")
        return {k: without_times(v) for k, v in result.items() if k not in left_out}
    return result


def test_it_trains_and_paints_as_rgb_does(lab, run_cli, stained, tmp_path):
    model, out = tmp_path / "m.safetensors", tmp_path / "map.ome.zarr"
    trained = run_cli(
        "train", stained, "--points", lab.points, *lab.fast, "--epochs", "4",
        *CHOICE, "--out", model, "--json",
    )  # fmt: skip
    assert without_times(trained.json) == without_times(lab.trained.json)
    assert run_cli("paint", model, stained, *CHOICE, "--stride", "8", "--out", out).code == 0
    plain = tmp_path / "rgb.ome.zarr"
    assert run_cli("paint", lab.model, lab.image, "--stride", "8", "--out", plain).code == 0
    maps = [np.asarray(zarr.open_group(path, mode="r")["0"]) for path in (out, plain)]
    assert len(np.unique(maps[0])) > 1
    np.testing.assert_array_equal(*maps)
    said = zarr.open_group(out, mode="r").attrs["napari-lungcls"]["header"]["provenance"]
    assert said["channels"] == "4,1,0"


@pytest.mark.parametrize(
    ("command", "outputs"),
    [
        (["classify", "MODEL", "IMAGE", "--points", "POINTS"], ["--out", "a.csv"]),
        (["evaluate", "MODEL", "IMAGE", "--points", "POINTS"], ["--predictions", "a.csv"]),
        (["augment", "IMAGE", "--points", "POINTS", "--zooms", "1"], ["--out", "a.png"]),
        (
            ["patches", "export", "IMAGE", "--points", "POINTS"],
            ["--format", "npz", "--out", "a.npz"],
        ),
        (["agree", "POINTS", "--model", "MODEL", "IMAGE"], []),
    ],
)  # fmt: skip
def test_every_command_sees_the_same_image(lab, run_cli, stained, tmp_path, command, outputs):
    found = []
    for image, choice in ((stained, CHOICE), (lab.image, ())):
        given = {"MODEL": lab.model, "POINTS": lab.points, "IMAGE": image}
        folder = tmp_path / image.stem
        folder.mkdir()
        out = [folder / word if word.startswith("a.") else word for word in outputs]
        ended = run_cli(*(given.get(word, word) for word in command), *choice, *out, "--json")
        answer = {} if command[0] == "patches" else without_times(ended.json)
        assert ended.code == 0, ended.err
        written = next(folder.iterdir(), None)
        found.append((answer, None if written is None else contents(written)))
    assert found[0] == found[1]


def contents(path: Any) -> Any:
    """Read an output; only the name of the image may differ."""
    if path.suffix == ".png":
        return iio.imread(path).tolist()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tolist() for name in arrays}
    lines = path.read_text().splitlines()
    return [re.sub(r"[^,]*(stained\.ome\.tif|a\.png)", "IMAGE", line) for line in lines]


def test_tuning_takes_channels(lab, run_cli, stained, tmp_path):
    pytest.importorskip("optuna")
    tuned = run_cli(
        "tune", stained, "--points", lab.points, *lab.fast, *CHOICE, "--trials", "1",
        "--out", tmp_path / "tuned", "--json",
    )  # fmt: skip
    assert tuned.json["complete"] == 1


def test_what_is_wrong_is_one_line(bench, stained):
    assert bench.complaint(*bench.paint(image=stained)).endswith(
        "stained.ome.tif: has 5 channels, but an image is grey or has three colours; choose some "
        "of 0 to 4: for example, use --channels 0,1,2"
    )
    assert bench.complaint(*bench.paint("--channels", "0,1,5", image=stained)).endswith(
        "stained.ome.tif has no channel 5, but 5, 0 to 4: a, red, b, c, d"
    )
    assert "give one to three colours" in bench.complaint(*bench.train("--channels", "0,,1"))
    patches = bench.folder_named("patches")
    for name in ("a", "b"):
        (patches / name).mkdir()
        iio.imwrite(patches / name / "x.png", np.zeros((16, 16), np.uint8))
    model = bench.folder / "m.safetensors"
    command = ["train", patches, "--out", model, "--channels", "0"]
    assert "patches are grey or RGB as they are" in bench.complaint(*command)
