"""Training on patches: what is drawn, what is seen, how much memory it takes, how it is split."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import napari_lungcls as lc
from napari_lungcls.learning.checkpoint import Checkpoint
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.trainer import MIXED_RUNS, draw_epoch
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.patch_datasets.arrays import ArrayPixels
from napari_lungcls.patch_datasets.dataset import Part, PatchData, PatchSet, Role
from napari_lungcls.patch_datasets.settings import for_patches
from napari_lungcls.patch_datasets.splits import CAUTION, split_patches


def data_of(
    *counts: tuple[Role, int], size: tuple[int, int] = (16, 16), groups: int = 0, run: int = 8
) -> PatchData:
    """Made patches in parts, with labels in turn."""
    parts = []
    for role, n in counts:
        array = np.random.default_rng(n).integers(0, 255, (n, *size, 3), np.uint8)
        named = np.array([f"{i * groups // n}" for i in range(n)], object) if groups else None
        labels = np.arange(n) % 2
        pixels = ArrayPixels(array, "data", run)
        parts.append(Part(role or "data", role, pixels, labels, None, named))
    return PatchData(parts)


@given(
    n=st.integers(1, 3000),
    run=st.integers(1, 12),
    batch=st.integers(2, 64),
    rare=st.floats(0.02, 0.5),
    kept=st.floats(0.3, 1),
    by_class=st.booleans(),
    seed=st.integers(0, 9),
)
def test_an_epoch_draws_all_alike_and_reads_each_run_about_once(
    n: int, run: int, batch: int, rare: float, kept: float, by_class: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    codes = (rng.random(n) < rare).astype(np.int64)
    codes = np.sort(codes) if by_class else codes
    examples = PatchSet(data_of(("", n), size=(1, 1), run=run), codes)
    assert examples.run_length == run
    rows = np.flatnonzero(rng.random(n) < kept)
    rows = rows if len(rows) else np.arange(n)
    settings = lc.TrainingSettings(batch_size=batch, pooling="mean")
    drawn = draw_epoch(examples, rows, settings, rng)
    assert [len(each) for each in drawn] == [batch] * settings.steps_per_epoch(len(rows))
    flat = np.concatenate(drawn)
    # Every row alike, and so every class as often as it is there.
    times = np.array([(flat == row).sum() for row in rows[:: max(1, len(rows) // 40)]])
    share = len(flat) / len(rows)
    assert times.min() >= np.floor(share)
    assert times.max() <= np.ceil(share)
    if run == 1:
        return
    assert set(flat.tolist()) <= set(rows.tolist())
    # A cache of twice the runs that are mixed, of which the least recent goes first.
    held: OrderedDict[int, None] = OrderedDict()
    loads = 0
    for each in drawn:
        for number in np.sort(each) // run:
            loads += number not in held
            held[int(number)] = None
            held.move_to_end(int(number))
            if len(held) > 2 * MIXED_RUNS:
                held.popitem(last=False)
    assert loads <= 1.2 * len(np.unique(rows // run)) + 2
    if len(flat) > 200 and len(np.unique(flat)) > 100:
        assert abs(np.corrcoef(np.arange(len(flat)), flat)[0, 1]) < 0.9
        again = draw_epoch(examples, rows, settings, np.random.default_rng(seed + 100))
        assert (np.concatenate(again) != flat).any()


@given(
    height=st.integers(4, 24),
    width=st.integers(4, 24),
    edge=st.integers(1, 70),
    n=st.integers(1, 9),
)
def test_patches_are_seen_as_they_are_with_their_reflection_around(
    height: int, width: int, edge: int, n: int
) -> None:
    data = data_of(("train", n), ("test", 3), size=(height, width))
    stored = np.concatenate([part.pixels.read(0, len(part)) for part in data.parts])
    examples = PatchSet(data, np.zeros(len(data), np.int64), limit=1)
    rows = np.random.default_rng(n).permutation(len(data))
    side = Side(rows)
    crops = examples.crops(rows, side, edge, edge, np.random.default_rng(0))
    assert crops.pixels.shape == (len(data), 1, edge, edge, 3)
    pad = edge + 2
    wide = np.pad(stored, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    # The middle of the patch lies where `places` says, half pixels and all.
    first = pad + np.array([(height - 1) / 2, (width - 1) / 2]) - crops.places[0, 0]
    assert (first == first.astype(int)).all()
    y, x = first.astype(int)
    wanted = wide[rows, y : y + edge, x : x + edge]
    np.testing.assert_array_equal(crops.pixels[:, 0], wanted)
    np.testing.assert_array_equal(crops.rows[crops.owner], rows)
    # Answers see the same, in batches.
    parts = list(examples.answering(side, edge, 4))
    np.testing.assert_array_equal(np.concatenate([found for found, _ in parts]), rows)
    tiles = np.concatenate([t.pixels[t.owner, 0] for _, t in parts])
    np.testing.assert_array_equal(tiles, wanted)
    assert all((t.places == crops.places[0, 0]).all() for _, t in parts)


def test_training_reads_a_file_larger_than_what_it_may_hold(tmp_path: Path) -> None:
    n, limit = 24_000, 6 * 2**20
    with h5py.File(tmp_path / "d_x.h5", "w") as file:
        file["x"] = np.random.default_rng(0).integers(0, 255, (n, 32, 32, 3), np.uint8)
    with h5py.File(tmp_path / "d_y.h5", "w") as file:
        file["y"] = (np.arange(n) % 2).reshape(-1, 1, 1, 1)
    code = f"""
import numpy as np
import napari_lungcls as lc
from napari_lungcls.learning.checkpoint import Checkpoint
from napari_lungcls.learning.trainer import draw_epoch
from napari_lungcls.learning.examples import Side
from napari_lungcls.patch_datasets.dataset import PatchSet
from napari_lungcls.utils.memory import peak_memory_mb
data = lc.open_patches({str(tmp_path / "d_x.h5")!r})
codes = data.codes(data.scheme())
examples = PatchSet(data, codes, limit={limit})
every, rng = np.arange({n}), np.random.default_rng(0)
side = Side(every)
settings = lc.TrainingSettings(batch_size=32, pooling="mean")
examples.crops(every[:2], side, 32, 32, rng)
before = peak_memory_mb()
sums = np.zeros({n}, int)
for rows in draw_epoch(examples, every, settings, rng):
    crops = examples.crops(rows, side, 32, 32, rng)
    np.add.at(sums, crops.rows, 1)
print(peak_memory_mb() - before, sums.min(), sums.max())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    grown, least, most = map(float, done.stdout.split())
    assert (least, most) == (1, 1)
    # The file has 74 MB; the rest is what numbers of rows and batches take.
    assert grown < limit / 1e6 + 12


def test_torchvision_s_weights_come_and_go_unchanged(tmp_path: Path) -> None:
    norm = Normalisation(mean=(1, 1, 1), std=(1, 1, 1))
    spec = NetworkSpec(
        zooms=(1,), tile=40, stages=(4,), hidden=0, classes=5, pooling="mean", padding="zeros",
        normalisation=norm,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    weights = {
        name: rng.uniform(0.5, 1, shape).astype(np.float32) for name, shape in spec.shapes().items()
    }
    assert {"conv1.weight", "layer4.1.bn2.running_var", "fc.weight", "fc.bias"} <= weights.keys()
    save_file(weights, tmp_path / "resnet18.safetensors")
    settings = lc.TrainingSettings(pretrained=str(tmp_path / "resnet18.safetensors"), device="cpu")
    patches = np.random.default_rng(1).integers(0, 255, (40, 40, 40, 3), np.uint8)
    # Ended before its first step, a training keeps the network it began with.
    model = lc.train_patches(patches, settings, labels=np.arange(40) % 5, cancelled=lambda: True)
    assert model.document.network.is_torchvision
    saved = load_file(model.save(tmp_path / "model.safetensors"))
    assert saved.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(saved[name], array)
    # torchvision scales intensities to 0 … 1 and normalises with ImageNet's numbers.
    np.testing.assert_allclose(model.document.network.normalisation.mean[0], 0.485 * 255)


def test_a_run_on_patches_resumes_to_the_digit(tmp_path: Path) -> None:
    data = data_of(("", 300), groups=10)
    settings = lc.TrainingSettings(epochs=3, stages=(1,), tile=16, device="cpu", pretrained="none")
    whole = lc.train_patches(data, settings)
    steps: list[object] = []
    stopped = lc.patch_training(
        data, settings, checkpoint=Checkpoint(tmp_path / "c"), cancelled=lambda: len(steps) > 11
    )
    for step in stopped:
        steps.append(step)
    resumed = lc.train_patches(data, settings, checkpoint=Checkpoint(tmp_path / "c", resume=True))
    for name, array in whole.state.items():
        np.testing.assert_array_equal(resumed.state[name], array)
    (part,) = data.parts
    pixels = ArrayPixels(255 - part.pixels.read(0, len(part)), "data", 8)
    data = PatchData([replace(part, pixels=pixels)])
    with pytest.raises(lc.InputError, match="by a run with other pixels in the images"):
        lc.train_patches(data, settings, checkpoint=Checkpoint(tmp_path / "c", resume=True))


def shares(split: object, codes: NDArray[np.int64]) -> list[float]:
    return [float(codes[getattr(split, part)].mean()) for part in ("train", "validation")]


def test_splits_follow_files_then_groups_then_chance() -> None:
    rng = np.random.default_rng(0)
    settings = lc.TrainingSettings()
    scheme = data_of(("", 4)).scheme()

    def split(data: PatchData, **changes: object) -> list[object]:
        codes = data.codes(scheme)
        return list(split_patches(data, codes, settings.model_copy(update=changes), scheme, rng))

    own = data_of(("train", 30), ("validation", 10), ("test", 8), groups=5)
    (found,) = split(own)
    assert (len(found.train), len(found.validation), len(found.test)) == (30, 10, 8)
    assert (found.by, found.train.max()) == ("files", 29)
    (found,) = split(own, val_fraction=0.0)
    assert (len(found.train), len(found.validation), len(found.test)) == (40, 0, 8)
    folds = split(own, folds=3)
    assert sorted(np.concatenate([f.validation for f in folds]).tolist()) == list(range(40))
    assert {f.by for f in folds} == {"group"}

    grouped = data_of(("", 100), groups=10)
    (found,) = split(grouped, test_fraction=0.2)
    assert grouped.groups is not None
    sides = [set(grouped.groups[rows]) for rows in (found.train, found.validation, found.test)]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert (found.by, found.n_buffered) == ("group", 0)

    (found,) = split(data_of(("train", 100), ("test", 20)))
    assert (found.by, len(found.validation), len(found.test)) == ("random", 20, 20)
    assert shares(found, np.arange(100) % 2) == [0.5, 0.5]
    (found,) = split(data_of(("test", 50)), val_fraction=0.5)
    assert (len(found.train), len(found.validation), len(found.test)) == (25, 25, 0)
    with pytest.raises(lc.InputError, match="no training part, only test and validation"):
        split(data_of(("test", 5), ("validation", 5)))
    with pytest.raises(lc.InputError, match=r"^split_by: .*no groups and no places"):
        split(data_of(("", 50)), split_by="blocks")


def test_settings_of_patches_are_torchvision_s_unless_others_are_asked_for() -> None:
    chosen = for_patches(lc.TrainingSettings(epochs=2), (96, 96), "d.h5")
    assert (chosen.zooms, chosen.stages, chosen.pooling, chosen.tile) == ((1,), (4,), "mean", 96)
    assert (chosen.epochs, chosen.padding, chosen.hidden) == (2, "zeros", 0)
    assert (chosen.freeze, chosen.batch_size, chosen.prior) == ("no", 32, "equal")
    left = lc.TrainingSettings.check(zooms="auto", stages="auto", tile=None, batch_size=None)
    chosen = for_patches(left, (96, 96), "d.h5")
    assert (chosen.zooms, chosen.stages) == ((1,), (4,))
    assert (chosen.tile, chosen.batch_size) == (96, 32)
    chosen = for_patches(
        lc.TrainingSettings(pooling="point", rotation="any", tile=64), (96, 90), "d.h5"
    )
    assert (chosen.pooling, chosen.rotation, chosen.tile) == ("point", "any", 64)
    for settings, size, words in (
        (lc.TrainingSettings(zooms=(1, 4)), (96, 96), "zoom 1 only"),
        (lc.TrainingSettings(tile=64), (60, 70), "tile of 64 is larger .* use one of 60 or less"),
        (lc.TrainingSettings(), (1200, 1200), "too large .* of at most 1024 pixels"),
        (lc.TrainingSettings(), (9, 9), "too small"),
    ):
        with pytest.raises(lc.InputError, match=words):
            for_patches(settings, size, "d.h5")
    with pytest.raises(lc.InputError, match=r"^stain: .* without colours"):
        lc.train_patches(
            np.zeros((9, 16, 16), np.uint8), lc.TrainingSettings(stain=0.1), labels=np.arange(9) % 2
        )


def test_models_of_points_answer_patches_and_say_when_they_cannot(tmp_path: Path) -> None:
    model = lc.train_patches(
        data_of(("", 32), size=(24, 24)),
        lc.TrainingSettings(
            epochs=1, tile=16, pooling="point", stages=(-1, 1), device="cpu", hidden=4
        ),
    )
    # Seen at the middle, with what lies around: as points of an image are.
    image = np.random.default_rng(5).integers(0, 255, (24, 24, 3), np.uint8)
    probabilities = model.classify_patches(image[np.newaxis])
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    with pytest.raises(lc.InputError, match="float32 and the model was trained on uint8"):
        model.classify_patches(image[np.newaxis].astype(np.float32))
    assert model.document.split["by"] == "random"
    assert lc.load(model.save(tmp_path / "m.safetensors")).document.split["cautions"] == [CAUTION]
